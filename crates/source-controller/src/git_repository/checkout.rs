//! From the reference of a GitRepository to a directory with its content, and on to an artifact.

use std::io;
use std::path::{Path, PathBuf};

use api::conditions::STORAGE_OPERATION_FAILED;
use api::reason::{
    ARCHIVE_OPERATION_FAILED, AUTHENTICATION_FAILED, COPY_FAILURE, DIRECTORY_CREATION_FAILED,
    EMPTY_GIT_REPOSITORY, GIT_OPERATION_FAILED, ILLEGAL_PATH, SOURCE_IGNORE_ERROR,
    STAT_OPERATION_FAILED,
};
use api::source::{Artifact, GitRepository, GitRepositoryInclude, GitRepositorySpec};
use common::stop::{OrStop as _, Stop, chain};
use git::{CheckoutOptions, Reference, Remote, SshError, WorkTree};
use kube::ResourceExt as _;
use tempfile::TempDir;

use super::context::{Context, Named};
use super::include::{self, IncludeError};
use crate::archive::{Limits, pack};
use crate::failure::{Failure, Under as _};
use crate::ignore::Rules;
use crate::storage::{Storage, StoreError};
use crate::tree::Tree;

/// The longest part of a commit's subject that is told, in characters.
const MAX_SUBJECT: usize = 50;

/// Where the content of a GitRepository comes from, and which.
pub(crate) struct Upstream {
    place: Place,
    reference: Reference,
    options: CheckoutOptions,
    /// Namespace and name of the Secret with the credentials.
    secret: Option<String>,
}

/// Where the content of a GitRepository comes from.
pub(crate) enum Place {
    /// A remote repository.
    Remote(Box<Remote>),
    /// A working tree on this machine that stands in for one.
    WorkTree(Box<WorkTree>),
}

/// A revision that was checked out.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// The revision as it stands in an artifact.
    pub(crate) revision: String,
    /// The hash of the commit.
    pub(crate) commit: String,
    /// What was done in the commit, as events tell it.
    pub(crate) subject: String,
}

/// The directory of one reconciliation, gone when it is dropped.
pub(crate) struct Workspace {
    path: PathBuf,
    dir: Option<TempDir>,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // There may be many files to remove, and the lease has to be renewed meanwhile.
        let dir = self.dir.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(dir));
        }
    }
}

/// The directory of a reconciliation cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to create temporary working directory")]
pub(crate) struct WorkspaceError(#[source] io::Error);

impl Workspace {
    /// Returns where files are checked out.
    pub(crate) fn worktree(&self) -> PathBuf {
        self.path.join("worktree")
    }

    fn objects(&self) -> io::Result<PathBuf> {
        self.directory("objects")
    }

    fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Upstream {
    /// Returns what a spec asks for of a repository.
    pub(crate) fn new(place: Place, spec: &GitRepositorySpec, secret: Option<String>) -> Self {
        let reference = spec.reference.clone().unwrap_or_default();
        let reference = Reference {
            branch: reference.branch,
            tag: reference.tag,
            semver: reference.semver,
            name: reference.name,
            commit: reference.commit,
        };
        let sparse = spec.sparse_checkout.iter().flatten();
        let sparse = sparse.map(|dir| dir.strip_prefix("./").unwrap_or(dir).to_owned()).collect();
        let submodules = spec.recurse_submodules.unwrap_or_default();
        Self { place, reference, options: CheckoutOptions { sparse, submodules }, secret }
    }

    /// Returns the revision that is there now, without fetching it.
    pub(crate) async fn revision(&self) -> Result<String, Stop> {
        let resolved = match &self.place {
            Place::Remote(remote) => remote.resolve(&self.reference).await,
            Place::WorkTree(tree) => tree.resolve(&self.reference).await,
        };
        Ok(resolved.map_err(|error| self.failed(&error))?.revision.to_string())
    }

    /// Writes the content into the working tree of a directory.
    pub(crate) async fn check_out(&self, workspace: &Workspace) -> Result<Checkout, Stop> {
        let (reference, options) = (&self.reference, &self.options);
        let into = workspace.worktree();
        let checkout = match &self.place {
            Place::Remote(remote) => {
                let mut remote = remote.clone();
                let objects = workspace.objects().map_err(WorkspaceError);
                remote.options.scratch = Some(objects.or_retry(DIRECTORY_CREATION_FAILED)?);
                remote.checkout(reference, options, &into).await
            }
            Place::WorkTree(tree) => tree.checkout(reference, options, &into).await,
        };
        let checkout = checkout.map_err(|error| self.failed(&error))?;
        Ok(Checkout {
            revision: checkout.revision.to_string(),
            subject: shorten(checkout.commit.subject()),
            commit: checkout.revision.commit,
        })
    }

    /// Source: `reconcileSource`, source-controller 1.9.1,
    /// `internal/controller/gitrepository_controller.go`.
    fn failed(&self, error: &git::Error) -> Stop {
        match error {
            git::Error::EmptyRepository { .. } => {
                Stop::retry(EMPTY_GIT_REPOSITORY, "git repository is empty")
            }
            git::Error::SparseDirectoryNotFound { directory } => {
                let message = format!(
                    "failed to sparse checkout directories : sparse checkout dir '{directory}' \
                     does not exist in repository"
                );
                Stop::retry(GIT_OPERATION_FAILED, message)
            }
            git::Error::Ssh { source: SshError::EncryptedKey, .. } => {
                let secret = self.secret.as_deref().unwrap_or_default();
                let message = format!(
                    "SSH identity key is encrypted but no 'password' field was provided in the \
                     secret '{secret}'"
                );
                Stop::retry(AUTHENTICATION_FAILED, message)
            }
            error => {
                let text = chain(error);
                let message = format!("failed to checkout and determine revision: {text}");
                Stop::retry(GIT_OPERATION_FAILED, message)
            }
        }
    }
}

fn shorten(subject: &str) -> String {
    match subject.char_indices().nth(MAX_SUBJECT) {
        Some((end, _)) => format!("{}...", &subject[..end]),
        None => subject.to_owned(),
    }
}

impl Context {
    /// Returns a directory for one reconciliation.
    pub(crate) fn workspace(&self, obj: &GitRepository) -> Result<Workspace, WorkspaceError> {
        let namespace = obj.namespace().unwrap_or_default();
        let prefix = format!("gitrepository-{namespace}-{}-", obj.name_any());
        let dir = self.scratch.dir(&prefix).map_err(WorkspaceError)?;
        Ok(Workspace { path: dir.path().to_owned(), dir: Some(dir) })
    }

    /// Stores what was checked out, with what is included and without what is ignored.
    pub(crate) async fn store(
        &self,
        obj: &GitRepository,
        workspace: Workspace,
        checkout: &Checkout,
        includes: &[Artifact],
    ) -> Result<Artifact, Failure> {
        let spec = obj.spec.include.iter().flatten().cloned();
        let packing = Packing {
            named: Named::of(obj),
            file: format!("{}.tar.gz", checkout.commit),
            revision: checkout.revision.clone(),
            ignore: obj.spec.ignore.clone(),
            includes: spec.zip(includes.iter().cloned()).collect(),
            limits: self.settings.archive_limits,
            workspace,
        };
        self.with_storage(move |storage| packing.run(storage)).await.under(STORAGE_OPERATION_FAILED)
    }
}

/// What makes a checkout an artifact.
struct Packing {
    named: Named,
    file: String,
    revision: String,
    ignore: Option<String>,
    includes: Vec<(GitRepositoryInclude, Artifact)>,
    limits: Limits,
    workspace: Workspace,
}

impl Packing {
    fn run(self, storage: &Storage) -> Result<Artifact, Stop> {
        let stat = |error: io::Error| {
            let message = format!("failed to stat target artifact path: {error}");
            Stop::retry(STAT_OPERATION_FAILED, message)
        };
        let tree = Tree::new(&self.workspace.worktree()).map_err(stat)?;
        for (number, (include, artifact)) in self.includes.iter().enumerate() {
            self.include(storage, &tree, number, include, artifact)?;
        }
        let rules = Rules::load(&tree, self.ignore.as_deref()).map_err(|error| {
            let text = chain(&error);
            let message = format!("failed to load source ignore patterns from repository: {text}");
            Stop::retry(SOURCE_IGNORE_ERROR, message)
        })?;
        let stored = storage.store(self.named.owner(), &self.file, &self.revision, |out| {
            pack(&tree, &rules, self.limits, out)
        });
        match stored {
            Err(error @ StoreError::Directory(_)) => Err(error).or_retry(DIRECTORY_CREATION_FAILED),
            Err(error) => {
                let text = chain(&error);
                let message = format!("unable to archive artifact to storage: {text}");
                Err(Stop::retry(ARCHIVE_OPERATION_FAILED, message))
            }
            Ok(artifact) => Ok(artifact),
        }
    }

    fn include(
        &self,
        storage: &Storage,
        tree: &Tree,
        number: usize,
        include: &GitRepositoryInclude,
        artifact: &Artifact,
    ) -> Result<(), Stop> {
        let name = include.repository.name.clone();
        let place = tree.make_place(Path::new(include.to_path()));
        let place = place
            .map_err(|source| IncludeError::IllegalPath { name: name.clone(), source })
            .or_retry(ILLEGAL_PATH)?;
        let copied = self.workspace.directory(&format!("include-{number}")).and_then(|scratch| {
            let from = Path::new(include.from_path());
            include::copy(storage.read(artifact)?, from, &place, &scratch, self.limits)
        });
        let (from, to) = (include.from_path().to_owned(), include.to_path().to_owned());
        copied
            .map_err(|source| IncludeError::Copy { name, from, to, source })
            .or_retry(COPY_FAILURE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_subjects_by_characters() {
        assert_eq!(shorten("Add podinfo"), "Add podinfo");
        assert_eq!(shorten(&"ä".repeat(50)), "ä".repeat(50));
        assert_eq!(shorten(&"ä".repeat(51)), format!("{}...", "ä".repeat(50)));
    }
}
