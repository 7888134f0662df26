//! Reads the files that a kustomization names.

use crate::budget::Budget;
use crate::error::{BuildError, Problem};
use crate::flux::NAMES;
use crate::kustomization::{self, Kustomization};
use crate::tree::{FileKind, Tree, TreeError, is_in, resolve};
use crate::{LoadRestrictor, remote};

/// The files of one kustomization.
#[derive(Clone, Copy)]
pub(crate) struct Loader<'a> {
    pub tree: &'a dyn Tree,
    pub restrictor: LoadRestrictor,
    /// The directory of the kustomization, without links in its path.
    pub dir: &'a str,
    /// What may be read.
    pub budget: &'a Budget,
}

impl Loader<'_> {
    /// Returns where a file or directory is that is named in the kustomization.
    pub(crate) fn resolve(&self, path: &str) -> Result<String, TreeError> {
        resolve(self.dir, path)
    }

    /// Reads a file.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Problem> {
        if remote::is_http(path) {
            return Err(Problem::Remote { url: path.to_owned() });
        }
        let resolved = self.resolve(path)?;
        match self.tree.kind(&resolved) {
            Some(FileKind::File) => {}
            Some(FileKind::Directory) => {
                return Err(Problem::rule(format!("{path} is a directory, expected a file")));
            }
            None => return Err(TreeError::NotFound(resolved).into()),
        }
        if self.restrictor == LoadRestrictor::RootOnly {
            let real = self.tree.real_path(&resolved)?;
            if !is_in(&real, self.dir) {
                return Err(Problem::rule(format!(
                    "file {path} is not in or below the directory of the kustomization; move it \
                     there, make it a base, or build with --load-restrictor LoadRestrictionsNone"
                )));
            }
        }
        let bytes = self.tree.read(&resolved)?;
        self.budget.spend(bytes.len())?;
        Ok(bytes)
    }

    /// Reads a file as text.
    pub(crate) fn read_text(&self, path: &str) -> Result<String, Problem> {
        let bytes = self.read(path)?;
        let text = goyaml::decode(&bytes)
            .map_err(|source| Problem::Yaml { path: path.to_owned(), source })?;
        Ok(text.into_owned())
    }
}

/// A kustomization file and where it is.
pub(crate) struct File {
    /// The path in the tree.
    pub path: String,
    /// The name without directory.
    pub name: &'static str,
    pub content: Kustomization,
}

/// Finds and reads the kustomization of the directory.
pub(crate) fn kustomization(loader: &Loader<'_>) -> Result<File, BuildError> {
    let Loader { tree, dir, .. } = *loader;
    let mut found = NAMES
        .into_iter()
        .map(|name| (if dir.is_empty() { name.into() } else { format!("{dir}/{name}") }, name))
        .filter(|(path, _)| tree.kind(path) == Some(FileKind::File));
    let (path, name) =
        found.next().ok_or_else(|| BuildError::NoKustomization { dir: dir.to_owned() })?;
    if found.next().is_some() {
        return Err(BuildError::SeveralKustomizations { dir: dir.to_owned() });
    }
    match read(loader, &path) {
        Ok(content) => Ok(File { path, name, content }),
        Err(source) => Err(BuildError::Invalid { kustomization: path, source }),
    }
}

fn read(loader: &Loader<'_>, path: &str) -> Result<Kustomization, Problem> {
    let bytes = loader.tree.read(path)?;
    loader.budget.spend(bytes.len())?;
    let yaml = |source| Problem::Yaml { path: path.to_owned(), source };
    let text = goyaml::decode(&bytes).map_err(yaml)?;
    let mut file = kustomization::read(&text).map_err(yaml)?.ok_or_else(|| {
        Problem::rule("the kustomization is empty; list resources, or remove the file")
    })?;
    if file.kind.is_empty() {
        "Kustomization".clone_into(&mut file.kind);
    }
    let version = match file.kind.as_str() {
        "Kustomization" => "kustomize.config.k8s.io/v1beta1",
        "Component" => "kustomize.config.k8s.io/v1alpha1",
        other => {
            return Err(Problem::rule(format!(
                "kind should be Kustomization or Component, not {other}"
            )));
        }
    };
    if !file.api_version.is_empty() && file.api_version != version {
        return Err(Problem::rule(format!(
            "apiVersion for {} should be {version}, not {}",
            file.kind, file.api_version
        )));
    }
    Ok(with_old_names(file))
}

/// Moves what stands under deprecated names to where it belongs.
fn with_old_names(mut file: Kustomization) -> Kustomization {
    file.resources.append(&mut file.bases);
    file.images.append(&mut file.image_tags);
    for args in file.config_map_generator.iter_mut().chain(&mut file.secret_generator) {
        if !args.env.is_empty() {
            args.envs.push(std::mem::take(&mut args.env));
        }
    }
    file.helm_charts.append(&mut file.helm_chart_inflation_generator);
    file
}
