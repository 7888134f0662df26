//! From a reference to files.

use std::{path::Path, sync::Arc};

use gix::{ObjectId, bstr::BString};

use crate::{
    Commit, Error, Limits, Pointer, Revision, Tag,
    connection::{Connection, Request},
    operation::Operation,
    reference::{Target, parse_commit},
    resolve::{Found, Source as _, find, find_named},
    store::Store,
    submodule::{Origin, Submodules},
    tree::{Budget, Sparse, Writer, create_folder},
};

/// Which files to write.
#[derive(Debug, Clone, Default)]
pub struct CheckoutOptions {
    /// Only these folders; everything if empty.
    ///
    /// A path is written if it starts with one of them, as text: `apps` takes `apps-dev/` along,
    /// `apps/` does not. Each has to exist in the repository.
    pub sparse: Vec<String>,
    /// Whether to write submodules, and those within them, up to ten deep.
    ///
    /// They are reached as the repository itself is; but a password or token is sent to the same
    /// server alone.
    pub submodules: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit, and the name it was found under.
    pub revision: Revision,
    /// The commit itself.
    pub commit: Commit,
    /// The tag object, where an annotated tag was asked for.
    pub tag: Option<Tag>,
    /// How many files and symbolic links were written.
    pub files: u64,
}

pub(crate) fn checkout(
    connection: &mut Connection<'_>,
    target: Target<'_>,
    options: &CheckoutOptions,
    into: &Path,
) -> Result<Checkout, Error> {
    let (found, store) = match target {
        Target::Commit { id, branch } => fetch_commit(connection, parse_commit(id)?, branch)?,
        target => {
            let found = find(connection, target)?;
            let wants = [found.tag.unwrap_or(found.commit)];
            let store = connection.fetch(&Request {
                wants: &wants,
                history: false,
                commits_only: false,
            })?;
            (found, store)
        }
    };
    let tag = found.tag.map(|id| Tag::read(&store, id)).transpose()?;
    let (commit, tree) = Commit::read(&store, found.commit)?;
    let origin = Origin::Remote {
        remote: Box::new(connection.remote.clone()),
        operation: Arc::clone(connection.operation),
    };
    let limits = &connection.remote.options.limits;
    let files = write(&store, tree, &origin, options, limits, connection.operation, into)?;
    Ok(Checkout { revision: found.revision(), commit, tag, files })
}

/// Writes a tree to a folder, with its submodules if they are wanted, and returns how many files.
pub(crate) fn write(
    store: &Store,
    tree: ObjectId,
    origin: &Origin,
    options: &CheckoutOptions,
    limits: &Limits,
    operation: &Operation,
    into: &Path,
) -> Result<u64, Error> {
    let (sparse, mut budget) = (Sparse::new(&options.sparse), Budget::default());
    let root = create_folder(into)?;
    let found = Writer::new(store, operation, limits, &sparse, &mut budget).write(
        tree,
        &root,
        &BString::default(),
    )?;
    if options.submodules {
        Submodules { root: &root, sparse: &sparse, limits, budget: &mut budget }
            .write(origin, store, tree, found, 1)?;
    }
    sparse.check(into)?;
    Ok(budget.files)
}

/// Receives a commit that is given by its hash.
///
/// What is in reach of the branch is found, as if its whole history had been cloned. That is
/// avoided where the server sends the commit alone; whether it belongs to the branch then takes
/// the history without files.
fn fetch_commit(
    connection: &mut Connection<'_>,
    commit: ObjectId,
    branch: Option<&str>,
) -> Result<(Found, Store), Error> {
    let Some(branch) = branch else {
        let found = Found { pointer: Pointer::Hash, commit, tag: None };
        return Ok((found, fetch_any_commit(connection, commit)?));
    };
    let pointer = Pointer::Branch(branch.to_owned());
    let tip = find_named(connection, pointer.clone())?.commit;
    let found = Found { pointer, commit, tag: None };
    let alone = Request { wants: &[commit], history: false, commits_only: false };
    if tip == commit {
        return Ok((found, connection.fetch(&alone)?));
    }
    let commits_only = connection.can_filter()? && connection.can_want_any()?;
    let history = connection.fetch(&Request { wants: &[tip], history: true, commits_only })?;
    if !history.contains(&commit) {
        let place = format!("branch {branch:?} of {}", connection.operation.url);
        return Err(Error::CommitNotFound { commit: commit.to_string(), place });
    }
    let store = if commits_only { connection.fetch(&alone)? } else { history };
    Ok((found, store))
}

/// Receives a commit of any branch.
pub(crate) fn fetch_any_commit(
    connection: &mut Connection<'_>,
    commit: ObjectId,
) -> Result<Store, Error> {
    if connection.can_want_any()? {
        let alone = Request { wants: &[commit], history: false, commits_only: false };
        match connection.fetch(&alone) {
            // The server may not have it, or not give it to those who ask for it directly.
            Err(Error::Refused { .. }) => {}
            result => return result,
        }
    }
    let branches = connection.list(&["refs/heads/"])?;
    if branches.is_empty() && connection.list(&[])?.is_empty() {
        return Err(Error::EmptyRepository { url: connection.operation.url.clone() });
    }
    let mut wants: Vec<ObjectId> = branches.iter().map(|branch| branch.id).collect();
    wants.sort_unstable();
    wants.dedup();
    let history = !wants.contains(&commit);
    if !history {
        wants = vec![commit];
    }
    let store = connection.fetch(&Request { wants: &wants, history, commits_only: false })?;
    if !store.contains(&commit) {
        let place = connection.operation.url.to_string();
        return Err(Error::CommitNotFound { commit: commit.to_string(), place });
    }
    Ok(store)
}
