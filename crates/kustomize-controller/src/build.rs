//! Builds the objects that a path of an artifact declares.

use api::kustomize::{Image, KustomizationSpec, Patch};
use apply::Subject;
use kustomize::{FileKind, Options, OverlayTree, Overrides, Tree};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::decryption::{self, Decryptor, ObjectError, SourcesError};
use crate::ignore::patch_target;
use crate::substitute::{SubstituteError, Variables};

/// The objects that an artifact declares.
#[derive(Debug)]
pub struct Built {
    /// The objects, in the order of the build.
    pub objects: Vec<Value>,
    /// Digest of the objects as a YAML stream, e.g. `sha256:9f86…`.
    pub digest: String,
}

/// Why objects could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The spec could not be merged into the kustomization.
    #[error(transparent)]
    Generate(#[from] kustomize::GenerateError),
    /// The kustomization cannot be built.
    #[error("kustomize build failed")]
    Build(#[from] kustomize::BuildError),
    /// A file could not be decrypted.
    #[error("error decrypting sources")]
    Sources(#[from] SourcesError),
    /// An object could not be decrypted.
    #[error("decryption failed for '{object}'")]
    Decrypt {
        /// The object, e.g. `Secret.v1.[noGrp]/web`.
        object: String,
        /// What is wrong.
        #[source]
        source: Box<ObjectError>,
    },
    /// Variables of an object could not be replaced.
    #[error("post build failed for '{object}'")]
    Substitute {
        /// The object, e.g. `Deployment/apps/web`.
        object: String,
        /// What is wrong.
        #[source]
        source: SubstituteError,
    },
    /// An object does not say what it is.
    #[error("kustomize build failed: object {number} of the output has no {field}")]
    Incomplete {
        /// Which object, counted from one.
        number: usize,
        /// What is missing.
        field: &'static str,
    },
}

/// The path of a Kustomization is not a directory of the artifact.
#[derive(Debug, thiserror::Error)]
#[error("kustomization path not found: stat {path}: no such file or directory")]
pub(crate) struct PathNotFound {
    path: String,
}

/// Returns the path of a Kustomization in the tree of an artifact.
///
/// It cannot leave the artifact: `..` at the root stays there, and links lead nowhere outside.
pub(crate) fn locate(tree: &dyn Tree, path: &str) -> Result<String, PathNotFound> {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    let inside = names.join("/");
    match tree.kind(&inside) {
        Some(FileKind::Directory | FileKind::File) => Ok(inside),
        None => Err(PathNotFound { path: path.to_owned() }),
    }
}

/// Builds the objects at a path of a tree, with the spec of the Kustomization merged in and
/// variables replaced. Blocks.
///
/// # Errors
///
/// With the file and the field that are wrong.
pub fn build(
    tree: &dyn Tree,
    path: &str,
    spec: &KustomizationSpec,
    decryptor: Option<&Decryptor>,
    variables: Option<&Variables>,
) -> Result<Built, BuildError> {
    let tree = kustomize::generate(tree, path, &overrides(spec))?;
    let decrypted = decryptor.map(|decryptor| decryptor.sources(&tree, path)).transpose()?;
    let tree = OverlayTree::new(&tree, decrypted.unwrap_or_default());
    let mut objects = kustomize::build(&tree, path, &Options::default())?;
    for object in &mut objects {
        if let Some(decryptor) = decryptor {
            decryptor.object(object).map_err(|source| {
                let (object, source) = (dotted(object), Box::new(source));
                BuildError::Decrypt { object, source }
            })?;
        }
        if let Some(variables) = variables {
            variables.substitute(object).map_err(|source| {
                let object = Subject::of(object).to_string();
                BuildError::Substitute { object, source }
            })?;
        }
    }
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(kustomize::to_yaml(&objects))));
    let mut expanded = Vec::new();
    for object in objects {
        expand(object, &mut expanded);
    }
    for (index, object) in expanded.iter().enumerate() {
        let fields = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "name")];
        for (pointer, field) in fields {
            if object.pointer(pointer).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(BuildError::Incomplete { number: index + 1, field });
            }
        }
    }
    Ok(Built { objects: expanded, digest })
}

/// Returns an object as kustomize shows it: kind, version and group, and its name.
fn dotted(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, version) =
        text("/apiVersion").rsplit_once('/').unwrap_or(("", text("/apiVersion")));
    let group = if group.is_empty() { "[noGrp]" } else { group };
    format!("{}.{version}.{group}/{}", text("/kind"), text("/metadata/name"))
}

/// Adds an object, or the items of a list. Kustomizations of kustomize are no objects.
fn expand(object: Value, objects: &mut Vec<Value>) {
    let kind = object["kind"].as_str().unwrap_or_default();
    let group = object["apiVersion"].as_str().unwrap_or_default();
    if kind == "Kustomization" && group.starts_with("kustomize.config.k8s.io/") {
        return;
    }
    match object.get("items") {
        Some(Value::Array(items)) if kind.ends_with("List") => {
            items.iter().cloned().for_each(|item| expand(item, objects));
        }
        _ => objects.push(object),
    }
}

fn overrides(spec: &KustomizationSpec) -> Overrides {
    let metadata = spec.build_metadata.iter().flatten().map(|option| option.as_str().to_owned());
    Overrides {
        target_namespace: spec.target_namespace.clone(),
        name_prefix: spec.name_prefix.clone(),
        name_suffix: spec.name_suffix.clone(),
        patches: spec.patches.iter().flatten().map(patch).collect(),
        images: spec.images.iter().flatten().map(image).collect(),
        components: spec.components.clone().unwrap_or_default(),
        ignore_missing_components: spec.ignore_missing_components.unwrap_or_default(),
        build_metadata: metadata.collect(),
    }
}

fn patch(patch: &Patch) -> kustomize::Patch {
    kustomize::Patch { patch: patch.patch.clone(), target: patch.target.clone().map(patch_target) }
}

fn image(image: &Image) -> kustomize::Image {
    let Image { name, new_name, new_tag, digest } = image.clone();
    kustomize::Image { name, new_name, new_tag, digest }
}

/// Returns the first Secret that is encrypted still, as the API would store it.
pub(crate) fn encrypted_secret(objects: &[Value]) -> Option<Subject> {
    let is_encrypted = |object: &&Value| {
        object["kind"] == "Secret"
            && object["apiVersion"] == "v1"
            && object.get("sops").is_some()
            && !decryption::is_disabled(object)
    };
    objects.iter().find(is_encrypted).map(Subject::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::DiskTree;
    use serde_json::json;
    use std::fs;

    fn spec(fields: &Value) -> KustomizationSpec {
        let mut spec = json!({
            "interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "x"},
        });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn keeps_paths_inside_the_artifact() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("apps/web")).unwrap();
        let tree = DiskTree::open(dir.path()).unwrap();
        for (path, expected) in [
            ("", ""),
            ("./", ""),
            ("./apps/web/", "apps/web"),
            ("../../apps", "apps"),
            ("apps/..", ""),
        ] {
            assert_eq!(locate(&tree, path).unwrap(), expected, "{path}");
        }
        assert_eq!(
            locate(&tree, "../etc").unwrap_err().to_string(),
            "kustomization path not found: stat ../etc: no such file or directory"
        );
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        assert!(locate(&tree, "out").is_err());
    }

    #[test]
    fn merges_the_spec_and_expands_lists() {
        let dir = tempfile::tempdir().unwrap();
        let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n";
        fs::write(dir.path().join("list.yaml"), list).unwrap();
        let built = build(
            &DiskTree::open(dir.path()).unwrap(),
            "",
            &spec(&json!({"targetNamespace": "apps"})),
            None,
            None,
        )
        .unwrap();
        assert_eq!(built.objects.len(), 1);
        assert_eq!(built.objects[0]["metadata"], json!({"name": "a", "namespace": "apps"}));
        assert!(built.digest.starts_with("sha256:"));
    }

    #[test]
    fn finds_secrets_that_are_encrypted_still() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "y"}, "sops": {}});
        let found = encrypted_secret(std::slice::from_ref(&secret)).unwrap();
        assert_eq!(found.to_string(), "Secret/y/x");
        secret["metadata"]["annotations"] =
            json!({"kustomize.toolkit.fluxcd.io/decrypt": "disabled"});
        assert!(encrypted_secret(&[secret]).is_none());
    }
}
