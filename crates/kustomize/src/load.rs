//! Reads kustomizations and the files that they name.

use serde_json::Value;

use crate::error::{BuildError, Problem};
use crate::flux::NAMES;
use crate::kustomization::Kustomization;
use crate::resource::Resource;
use crate::tree::{FileKind, Tree, is_in, resolve};
use crate::{LoadRestrictor, Options};

/// Finds and reads the kustomization of a directory.
pub(crate) fn kustomization(
    tree: &dyn Tree,
    dir: &str,
) -> Result<(String, Kustomization), BuildError> {
    let paths =
        NAMES.map(|name| if dir.is_empty() { name.into() } else { format!("{dir}/{name}") });
    let mut found = paths.into_iter().filter(|path| tree.kind(path) == Some(FileKind::File));
    let path = found.next().ok_or_else(|| BuildError::NoKustomization { dir: dir.to_owned() })?;
    if found.next().is_some() {
        return Err(BuildError::SeveralKustomizations { dir: dir.to_owned() });
    }
    let read = || {
        let text = String::from_utf8_lossy(&tree.read(&path)?).into_owned();
        let documents = goyaml::parse_documents(&text)
            .map_err(|source| Problem::Yaml { path: path.clone(), source })?;
        let value =
            documents.into_iter().next().ok_or_else(|| Problem::rule("the file is empty"))?;
        Kustomization::from_value(value)
    };
    read()
        .map(|file| (path.clone(), file))
        .map_err(|source| BuildError::Invalid { kustomization: path.clone(), source })
}

/// Reads a file that a kustomization names.
pub(crate) fn file(
    tree: &dyn Tree,
    dir: &str,
    path: &str,
    options: &Options,
) -> Result<Vec<u8>, Problem> {
    let resolved = resolve(dir, path)?;
    if options.load_restrictor == LoadRestrictor::RootOnly && !is_in(&resolved, dir) {
        return Err(Problem::rule(format!("file {path} is not in or below the directory {dir:?}")));
    }
    Ok(tree.read(&resolved)?)
}

/// Reads the objects of a text.
pub(crate) fn objects(text: &str, path: &str) -> Result<Vec<Resource>, Problem> {
    let documents = goyaml::parse_values(&text.replace("\r\n", "\n"), goyaml::Dialect::Kyaml)
        .map_err(|source| Problem::Yaml { path: path.to_owned(), source })?;
    let mut queue: std::collections::VecDeque<Value> = documents.into_iter().collect();
    let mut objects = Vec::new();
    while let Some(value) = queue.pop_front() {
        if value.is_null() {
            continue;
        }
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if kind.is_empty() {
            return Err(Problem::rule(format!("an object of {path} has no kind")));
        }
        match value.get("items") {
            Some(Value::Array(items)) if kind.ends_with("List") => {
                queue.extend(items.iter().cloned());
                continue;
            }
            Some(Value::Null) if kind.ends_with("List") => continue,
            _ => {}
        }
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() && !kind.ends_with("List") {
            return Err(Problem::rule(format!("a {kind} of {path} has no metadata.name")));
        }
        objects.push(Resource::new(value));
    }
    Ok(objects)
}

/// Says whether a reference leads to another machine.
pub(crate) fn is_remote(path: &str) -> bool {
    path.contains("://")
        || ["git::", "git@", "gh:", "github.com/", "github.com:"]
            .iter()
            .any(|prefix| path.starts_with(prefix))
}
