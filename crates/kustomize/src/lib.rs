//! Builds kustomizations to objects, as kustomize 5.8.1 does.
//!
//! The way of the data: `load` reads a kustomization (`kustomization` has its fields as types),
//! `objects` reads the files of objects. `accumulate` goes through the kustomizations that build on
//! each other and runs `generators` and `transformers`, which have a module for every field.
//! `build` does the rest once all objects are there: `hash`, `name_references`, `vars`, `order`.
//!
//! An object is a tree of `goyaml` nodes that keep how they were written, because that decides what
//! a later change makes of them. `node` has the operations of kyaml on them.
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
mod budget;
mod build;
mod config;
mod crds;
mod decode;
mod error;
mod field_spec;
mod flux;
mod generators;
mod go_json;
mod hash;
mod id;
mod json6902;
mod kustomization;
mod load;
mod merge;
mod name_references;
mod node;
mod objects;
mod order;
mod origin;
mod path_matcher;
mod pattern;
mod plugins;
mod remote;
mod resource;
mod resources;
mod schema;
mod selector;
mod transformers;
mod tree;
mod vars;

pub use error::{BuildError, Problem};
pub use flux::{GenerateError, Image, Overrides, Patch, PatchTarget, generate};
pub use selector::{ObjectSelector, SelectorError};
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
    /// Whether a schema that `openapi` names takes the place of the built-in kinds, as the command
    /// line has it, rather than adds to them, as the controllers have it.
    pub openapi_replaces: bool,
}

/// Builds the kustomization in a directory of a tree.
///
/// # Errors
///
/// With the kustomization, the field and what is wrong with it.
pub fn build(tree: &dyn Tree, dir: &str, options: &Options) -> Result<Vec<Value>, BuildError> {
    build::build(tree, dir, options)
}

/// Returns the namespace that an object ends up in: `default` when it names none, and `None` when
/// objects of its kind have no namespace.
pub fn effective_namespace(object: &Value) -> Option<&str> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let is_cluster_scoped = schema::is_cluster_scoped(text("/apiVersion"), text("/kind"));
    (!is_cluster_scoped).then(|| id::or_default(text("/metadata/namespace")))
}

/// Returns objects as YAML documents, as `kustomize build` prints them.
pub fn to_yaml(objects: &[Value]) -> String {
    goyaml::to_stream(objects)
}
