//! A local folder that stands in for a remote repository.

pub(crate) mod local;
mod snapshot;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use redact::RedactedUrl;

use crate::{
    Checkout, CheckoutOptions, Error, Options, Pointer, Reference, RemoteRef, Resolved, Revision,
    operation::{self, Operation},
    reference::Target,
    resolve::{self, Source as _},
    submodule::Origin,
};
use local::Local;
use snapshot::Snapshot;

/// A folder on this machine, read as a remote repository is.
///
/// The branch that is checked out is the folder as it is, with changes that are not committed:
/// tracked files as they are on disk, and those that are neither tracked nor ignored. Everything
/// else is read from the repository. A folder that is no repository is one branch of any name.
///
/// The revision of a folder without changes is that of its commit. With changes, it is the hash of
/// the commit that they would make, by nobody and at no time: equal content on the same commit has
/// the same revision. The same goes for submodules that are checked out.
#[derive(Debug, Clone)]
pub struct WorkTree {
    path: PathBuf,
    /// Timeout and limits.
    pub options: Options,
}

impl WorkTree {
    /// Returns the folder at a path.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Io { action: "open", path: path.to_owned(), source };
        let path = path.canonicalize().map_err(failed)?;
        std::fs::read_dir(&path).map_err(failed)?;
        Ok(Self { path, options: Options::default() })
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists the references of the repository, as [`crate::Remote::list_refs`] does.
    ///
    /// # Errors
    ///
    /// When the repository cannot be read.
    pub async fn list_refs(&self, prefixes: &[&str]) -> Result<Vec<RemoteRef>, Error> {
        let tree = self.clone();
        let prefixes: Vec<String> = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        operation::run(self.url(), self.options.timeout, move |_| {
            let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            match tree.local()? {
                Some(mut local) => local.list(&prefixes),
                None => Ok(Vec::new()),
            }
        })
        .await
    }

    /// Returns the commit that a reference names at this time.
    ///
    /// For the folder as it is this takes a look at every file, and reads those that are not known
    /// to be unchanged.
    ///
    /// # Errors
    ///
    /// When the repository does not have the reference, or cannot be read.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        let (tree, reference) = (self.clone(), reference.clone());
        operation::run(self.url(), self.options.timeout, move |operation| {
            let local = tree.local()?;
            match on_disk(local.as_ref(), reference.target()) {
                Some(pointer) => {
                    let mut snapshot = tree.snapshot(local, operation)?;
                    let commit = snapshot.commit()?.id;
                    Ok(Resolved { revision: Revision { pointer, commit }, tag: None })
                }
                None => resolve::resolve(&mut tree.require(local)?, reference.target()),
            }
        })
        .await
    }

    /// Writes the files that a reference names to a folder, as [`crate::Remote::checkout`] does.
    ///
    /// # Errors
    ///
    /// When the repository does not have the reference, cannot be read, or has more than the
    /// limits allow.
    pub async fn checkout(
        &self,
        reference: &Reference,
        options: &CheckoutOptions,
        into: &Path,
    ) -> Result<Checkout, Error> {
        let (tree, reference) = (self.clone(), reference.clone());
        let (options, into) = (options.clone(), into.to_owned());
        operation::run(self.url(), self.options.timeout, move |operation| {
            let local = tree.local()?;
            let target = reference.target();
            if let Some(pointer) = on_disk(local.as_ref(), target) {
                let mut snapshot = tree.snapshot(local, operation)?;
                let files = snapshot.write(&options, &into)?;
                let commit = snapshot.commit()?;
                let revision = Revision { pointer, commit: commit.id.clone() };
                return Ok(Checkout { revision, commit, tag: None, files });
            }
            let mut local = tree.require(local)?;
            let git_dir = local.repository.common_dir().to_owned();
            let origin = Origin::Local { git_dir, operation: Arc::clone(operation) };
            local.checkout(target, &origin, &options, &tree.options.limits, operation, &into)
        })
        .await
    }

    /// Opens the repository, if the folder is one.
    fn local(&self) -> Result<Option<Local>, Error> {
        Local::open(&self.path)
    }

    fn snapshot<'a>(
        &'a self,
        local: Option<Local>,
        operation: &'a Operation,
    ) -> Result<Snapshot<'a>, Error> {
        Snapshot::take(self.path.clone(), local, &self.options.limits, operation, 0)
    }

    fn require(&self, local: Option<Local>) -> Result<Local, Error> {
        local.ok_or_else(|| Error::RepositoryNotFound { url: self.url() })
    }

    fn url(&self) -> RedactedUrl {
        url(&self.path)
    }
}

/// Returns the pointer for what is on disk, if that is what is asked for.
fn on_disk(local: Option<&Local>, target: Target<'_>) -> Option<Pointer> {
    let pointer = match target {
        Target::Branch(name) => Pointer::Branch(name.to_owned()),
        Target::Name(name) => Pointer::Name(name.to_owned()),
        _ => return None,
    };
    let Some(local) = local else { return Some(pointer) };
    let is_checked_out = local.checked_out.is_some()
        && (pointer.full_name() == local.checked_out || target == Target::Name("HEAD"));
    is_checked_out.then_some(pointer)
}

/// Returns a folder as messages name it.
fn url(path: &Path) -> RedactedUrl {
    RedactedUrl::new(&format!("file://{}", path.display()))
}
