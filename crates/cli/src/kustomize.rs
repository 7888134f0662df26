//! `tidegate kustomize build`: what `kubectl kustomize` does.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kustomize::{FileKind, Options, Order, Tree, TreeError};
use serde_json::Value;

use crate::{
    args::{KustomizeArgs, KustomizeBuildArgs, KustomizeCommand, LoadRestrictor, Reorder},
    output,
};

/// Runs the command.
///
/// # Errors
///
/// With the file and the field that are wrong, or when the output cannot be written.
pub(crate) fn run(args: &KustomizeArgs) -> anyhow::Result<()> {
    match &args.command {
        KustomizeCommand::Build(args) => build(args),
    }
}

fn build(args: &KustomizeBuildArgs) -> anyhow::Result<()> {
    let options = Options {
        load_restrictor: match args.load_restrictor {
            LoadRestrictor::RootOnly => kustomize::LoadRestrictor::RootOnly,
            LoadRestrictor::None => kustomize::LoadRestrictor::None,
        },
        order: match args.reorder {
            Reorder::Legacy => Order::Legacy,
            Reorder::None => Order::Fifo,
        },
        managed_by_label: args.enable_managedby_label,
        openapi_replaces: true,
    };
    let objects = objects(&args.dir, &options)?;
    match &args.output {
        None => output::print(&kustomize::to_yaml(&objects)),
        Some(path) if path.is_dir() => write_each(path, &objects),
        Some(path) => write(path, &kustomize::to_yaml(&objects)),
    }
}

/// Builds the kustomization in a directory.
///
/// # Errors
///
/// When it is no directory, and with the file and the field that are wrong.
pub(crate) fn objects(dir: &Path, options: &Options) -> anyhow::Result<Vec<Value>> {
    let dir = directory(dir)?;
    let dir = dir.to_str().context("the path of the directory is not UTF-8")?;
    Ok(kustomize::build(&Disk, dir.trim_start_matches('/'), options)?)
}

/// Returns a directory without links in its path; `kubectl` says it in the same words.
fn directory(path: &Path) -> anyhow::Result<PathBuf> {
    let dir = path.canonicalize().map_err(|err| match err.kind() {
        io::ErrorKind::NotFound => anyhow::anyhow!(
            "must build at directory: not a valid directory: '{}': no such file or directory",
            path.display()
        ),
        _ => anyhow::Error::new(err).context(format!("failed to open {}", path.display())),
    })?;
    if !dir.is_dir() {
        bail!(
            "must build at directory: not a valid directory: '{}' is not a directory",
            path.display()
        );
    }
    Ok(dir)
}

/// Writes one file an object; names start with the namespace when there are several.
fn write_each(dir: &Path, objects: &[Value]) -> anyhow::Result<()> {
    let mut namespaces: BTreeMap<Option<&str>, Vec<&Value>> = BTreeMap::new();
    for object in objects {
        namespaces.entry(kustomize::effective_namespace(object)).or_default().push(object);
    }
    let several = namespaces.keys().flatten().count() > 1;
    for (namespace, objects) in namespaces {
        let prefix = namespace.filter(|_| several).map(|namespace| format!("{namespace}_"));
        for object in objects {
            let name = format!("{}{}", prefix.as_deref().unwrap_or_default(), file_name(object));
            write(&dir.join(name.to_lowercase()), &goyaml::to_string(object))?;
        }
    }
    Ok(())
}

/// Returns `apps_v1_deployment_podinfo.yaml`; without a group, the name starts with the version.
fn file_name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", text("/apiVersion")));
    let parts = [group, version, text("/kind"), text("/metadata/name")];
    // What the name of an object may hold must not become a folder.
    let parts: Vec<String> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| part.replace('/', "_")).collect();
    format!("{}.yaml", parts.join("_"))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// The whole disk: a kustomization may name directories beside its own. Which files it may name
/// is for the load restrictor to say.
pub(crate) struct Disk;

impl Disk {
    fn locate(path: &str) -> PathBuf {
        Path::new("/").join(path)
    }
}

fn read_error(path: &str, error: io::Error) -> TreeError {
    if error.kind() == io::ErrorKind::NotFound {
        return TreeError::NotFound(path.to_owned());
    }
    TreeError::Read { path: path.to_owned(), source: Box::new(error) }
}

impl Tree for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        fs::read(Self::locate(path)).map_err(|error| read_error(path, error))
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        let metadata = fs::metadata(Self::locate(path)).ok()?;
        if metadata.is_dir() {
            Some(FileKind::Directory)
        } else {
            metadata.is_file().then_some(FileKind::File)
        }
    }

    fn real_path(&self, path: &str) -> Result<String, TreeError> {
        let found = Self::locate(path).canonicalize().map_err(|error| read_error(path, error))?;
        let text = found.to_str().ok_or_else(|| TreeError::NotFound(path.to_owned()))?;
        Ok(text.trim_start_matches('/').to_owned())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let error = |error| read_error(dir, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(Self::locate(dir)).map_err(error)? {
            // A name that is no text cannot be written in a kustomization either.
            names.extend(entry.map_err(error)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }
}
