//! Reads the objects that `-f` names.

use std::path::{Path, PathBuf};

use ::kustomize::Options;
use anyhow::{Context as _, bail};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::kustomize;

/// The names that the file of a kustomization may have.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Returns the objects in files and directories, in the order in which they have to be applied.
///
/// A directory with a kustomization is built. Another one gives the objects of its `.yaml`, `.yml`
/// and `.json` files, in order of their names and without those of its subdirectories, as
/// `kubectl apply -f` does. The path `-` is standard input.
///
/// # Errors
///
/// With the name of the file that cannot be read or parsed, and the place in it.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    for path in paths {
        if KUSTOMIZATIONS.iter().any(|name| path.join(name).is_file()) {
            let built = kustomize::objects(path, &Options::default())
                .with_context(|| format!("failed to build {}", path.display()))?;
            for value in built {
                expand(value, path, &mut objects)?;
            }
            continue;
        }
        for file in files(path)? {
            let text = text(&file).with_context(|| format!("failed to read {}", file.display()))?;
            for value in goyaml::parse_documents(&text)
                .with_context(|| format!("failed to parse {}", file.display()))?
            {
                expand(value, &file, &mut objects)?;
            }
        }
    }
    if objects.is_empty() && !paths.is_empty() {
        bail!("no objects in {}", list(paths));
    }
    // What others live in or are of comes first; otherwise the order of the user stays.
    objects.sort_by_key(|object: &DynamicObject| {
        let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
        !matches!(kind, "Namespace" | "CustomResourceDefinition")
    });
    Ok(objects)
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn text(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin());
    }
    std::fs::read_to_string(path)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path == Path::new("-") {
        return Ok(vec![path.to_owned()]);
    }
    let failed = || format!("failed to read {}", path.display());
    if !std::fs::metadata(path).with_context(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let file = entry.with_context(failed)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if file.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Adds the object that a document holds, or the items of a list.
fn expand(value: Value, file: &Path, objects: &mut Vec<DynamicObject>) -> anyhow::Result<()> {
    if value.is_null() {
        return Ok(());
    }
    let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    if let (true, Some(items)) = (is_list, value["items"].as_array()) {
        for item in items {
            expand(item.clone(), file, objects)?;
        }
        return Ok(());
    }
    let object: DynamicObject = serde_json::from_value(value)
        .with_context(|| format!("a document of {} is not a Kubernetes object", file.display()))?;
    if object.types.is_none() || object.metadata.name.is_none() {
        bail!("a document of {} lacks apiVersion, kind or metadata.name", file.display());
    }
    objects.push(object);
    Ok(())
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;

    use super::*;

    #[test]
    fn reads_directories_in_order_and_expands_lists() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n");
        write(
            "a.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  \
             metadata:\n    name: a\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: shop\n",
        );
        write("notes.txt", "not: an object");
        let names: Vec<_> =
            read(&[dir.path().to_owned()]).unwrap().iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["shop", "a", "b"]);
    }

    #[test]
    fn builds_a_directory_with_a_kustomization() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("kustomization.yaml", "namespace: shop\nresources: [a.yaml]\n");
        write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n");
        write("b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n");
        let objects = read(&[dir.path().to_owned()]).unwrap();
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0].metadata.namespace.as_deref(), Some("shop"));
    }

    #[test]
    fn refuses_files_without_objects() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("empty.yaml"), "---\n# nothing\n").unwrap();
        assert!(read(&[dir.path().to_owned()]).is_err());
        assert!(read(&[]).unwrap().is_empty());
    }

    #[test]
    fn names_the_file_of_what_is_not_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("values.yaml");
        std::fs::write(&file, "replicas: 2\n").unwrap();
        let error = format!("{:#}", read(&[file]).unwrap_err());
        assert!(error.contains("values.yaml"), "{error}");
    }
}
