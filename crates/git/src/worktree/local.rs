//! The repository of a local folder.

use std::path::Path;

use gix::{ObjectId, bstr::ByteSlice as _};
use redact::RedactedUrl;

use crate::{
    Checkout, CheckoutOptions, Commit, Error, Limits, RemoteRef, Tag, checkout,
    operation::Operation,
    reference::Target,
    resolve::{Found, Source, find},
    store::Store,
    submodule::Origin,
};

/// A repository on this machine.
pub(crate) struct Local {
    pub(crate) repository: gix::Repository,
    pub(crate) store: Store,
    /// The full name of the branch that is checked out.
    pub(crate) checked_out: Option<String>,
    /// The commit that is checked out.
    pub(crate) head: Option<ObjectId>,
    url: RedactedUrl,
}

impl Local {
    /// Opens the repository of a folder, if it has one.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let is_bare = ["objects", "refs", "HEAD"].iter().all(|part| path.join(part).exists());
        if !path.join(".git").exists() && !is_bare {
            return Ok(None);
        }
        Self::read(path).map(Some).map_err(|source| match source {
            Failure::Git(source) => Error::WorkTree { path: path.to_owned(), source },
            Failure::Ours(err) => err,
        })
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        // Whoever names the folder trusts it, whoever owns it: in a container the owner differs.
        let options = gix::open::Options::default().with(gix::sec::Trust::Full);
        let repository = options.open(path)?.to_thread_local();
        if repository.object_hash() != gix::hash::Kind::Sha1 {
            let unsupported = "repositories with SHA-256 hashes are not supported";
            return Err(Failure::Git(gix::error::message(unsupported).unsupported_error()));
        }
        let head = repository.head()?;
        let name = head.referent_name().map(|name| name.as_bstr().to_str_lossy().into_owned());
        let id = head.id().map(gix::Id::detach);
        let is_bare = repository.workdir().is_none();
        let store = Store::open(&repository.common_dir().join("objects")).map_err(Failure::Ours)?;
        Ok(Self {
            store,
            checked_out: name.filter(|_| !is_bare),
            head: id,
            url: super::url(path),
            repository,
        })
    }

    /// Writes the files of a commit of the repository to a folder.
    pub(crate) fn checkout(
        &mut self,
        target: Target<'_>,
        origin: &Origin,
        options: &CheckoutOptions,
        limits: &Limits,
        operation: &Operation,
        into: &Path,
    ) -> Result<Checkout, Error> {
        let found = find(self, target)?;
        self.check_reachable(&found, target)?;
        let tag = found.tag.map(|id| Tag::read(&self.store, id)).transpose()?;
        let (commit, tree) = Commit::read(&self.store, found.commit)?;
        let files = checkout::write(&self.store, tree, origin, options, limits, operation, into)?;
        Ok(Checkout { revision: found.revision(), commit, tag, files })
    }

    /// Fails if a commit is not there, or not on the branch that it was asked for with.
    fn check_reachable(&self, found: &Found, target: Target<'_>) -> Result<(), Error> {
        let Target::Commit { branch, .. } = target else { return Ok(()) };
        let commit = found.commit;
        let missing = |place: String| Error::CommitNotFound { commit: commit.to_string(), place };
        if !self.store.contains(&commit) {
            return Err(missing(self.url.to_string()));
        }
        let Some(branch) = branch else { return Ok(()) };
        let failed = |source| Error::WorkTree { path: self.repository.path().to_owned(), source };
        let name = format!("refs/heads/{branch}");
        let tip = self
            .repository
            .try_find_reference(name.as_str())
            .map_err(failed)?
            .ok_or_else(|| Error::ReferenceNotFound {
                reference: name.clone(),
                url: self.url.clone(),
            })?
            .into_fully_peeled_id()
            .map_err(failed)?
            .detach();
        let mut ancestors = self.repository.rev_walk([tip]).all().map_err(failed)?;
        let is_there = ancestors.any(|ancestor| ancestor.is_ok_and(|found| found.id == commit));
        is_there.then_some(()).ok_or_else(|| missing(format!("branch {branch:?} of {}", self.url)))
    }

    fn refs(&self) -> gix::Result<Vec<RemoteRef>> {
        let mut refs = Vec::new();
        if let Some(id) = self.head {
            refs.push(RemoteRef { name: "HEAD".to_owned(), id, peeled: None });
        }
        for found in self.repository.references()?.all()? {
            let mut found = found?;
            let name = found.name().as_bstr().to_str_lossy().into_owned();
            // A reference to a branch that has no commit yet names nothing.
            let Ok(id) = found.clone().follow_to_object().map(gix::Id::detach) else { continue };
            let peeled = found.peel_to_id()?.detach();
            refs.push(RemoteRef { name, id, peeled: (peeled != id).then_some(peeled) });
        }
        Ok(refs)
    }
}

impl Source for Local {
    fn url(&self) -> RedactedUrl {
        self.url.clone()
    }

    fn list(&mut self, prefixes: &[&str]) -> Result<Vec<RemoteRef>, Error> {
        let mut refs = self.refs().map_err(|source| Error::WorkTree {
            path: self.repository.path().to_owned(),
            source,
        })?;
        refs.retain(|found| {
            prefixes.is_empty() || prefixes.iter().any(|prefix| found.name.starts_with(prefix))
        });
        Ok(refs)
    }

    fn commit_times(&mut self, ids: &[ObjectId]) -> Result<Vec<i64>, Error> {
        ids.iter().map(|id| Ok(Commit::read(&self.store, *id)?.0.committer.seconds)).collect()
    }
}

enum Failure {
    Git(gix::Error),
    Ours(Error),
}

impl From<gix::Error> for Failure {
    fn from(source: gix::Error) -> Self {
        Self::Git(source)
    }
}
