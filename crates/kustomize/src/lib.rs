//! Builds kustomizations to objects, as kustomize 5.8.1 does.
//!
//! The data's way: `load` reads a kustomization and the files it names, `accumulate` gathers the
//! objects of its bases and components and runs the generators, `transform` holds the
//! transformers, `references` repairs what names other objects, `order` sorts.
//!
//! ```
//! use kustomize::{MemoryTree, Options, build, to_yaml};
//!
//! let tree = MemoryTree::from_iter([
//!     ("kustomization.yaml", "namePrefix: dev-\nresources: [cm.yaml]\n"),
//!     ("cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n"),
//! ]);
//! let objects = build(&tree, "", &Options::default()).unwrap();
//! assert_eq!(to_yaml(&objects), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: dev-app\n");
//! ```
//!
//! Files come through [`Tree`]. The crate is pure: it touches no disk, network or clock. Remote
//! bases, exec plugins and Helm charts are refused.

mod accumulate;
mod error;
mod fields;
mod flux;
mod generators;
mod hash;
mod id;
mod json6902;
mod kustomization;
mod load;
mod merge;
mod order;
mod references;
mod resource;
mod schema;
mod selector;
mod transform;
mod tree;

pub use error::{BuildError, Problem};
pub use flux::{GenerateError, Image, Overrides, Patch, PatchTarget, generate};
pub use tree::{FileKind, MemoryTree, OverlayTree, Tree, TreeError};

use serde_json::Value;

/// Which files a kustomization may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoadRestrictor {
    /// Any file of the tree, as the controllers have it.
    #[default]
    None,
    /// Only files in or below the directory of the kustomization, as the command line has it.
    RootOnly,
}

/// The order of the objects when the root kustomization does not say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were accumulated, as the controllers have it.
    #[default]
    Fifo,
    /// Namespaces first, webhooks last, as the command line has it.
    Legacy,
}

/// How to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Which files may be named.
    pub load_restrictor: LoadRestrictor,
    /// The order of the objects.
    pub order: Order,
    /// Whether every object gets the label `app.kubernetes.io/managed-by`.
    pub managed_by_label: bool,
}

/// Builds the kustomization in a directory of a tree.
///
/// # Errors
///
/// With the kustomization, the field and what is wrong with it.
pub fn build(tree: &dyn Tree, dir: &str, options: &Options) -> Result<Vec<Value>, BuildError> {
    accumulate::build(tree, dir, options)
}

/// Returns the namespace that an object ends up in: `default` when it names none, and `None` when
/// objects of its kind have no namespace.
pub fn effective_namespace(object: &Value) -> Option<&str> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let gvk = id::Gvk::new(text("/apiVersion"), text("/kind"));
    (!gvk.is_cluster_scoped()).then(|| id::or_default(text("/metadata/namespace")))
}

/// Returns objects as YAML documents, as `kustomize build` prints them.
pub fn to_yaml(objects: &[Value]) -> String {
    goyaml::to_stream(objects)
}
