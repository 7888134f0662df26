//! From a reference to a commit, as far as possible by a list of references alone.

use gix::ObjectId;
use redact::RedactedUrl;
use versions::{Constraint, newest};

use crate::{
    Error, Pointer, Revision,
    reference::{Target, parse_commit},
};

/// A reference of a remote repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRef {
    /// The full name, `refs/tags/v1.0.0`, or `HEAD`.
    pub name: String,
    pub(crate) id: ObjectId,
    pub(crate) peeled: Option<ObjectId>,
}

impl RemoteRef {
    /// Returns the hash of what it points to, which for an annotated tag is the tag object.
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// Returns the hash of the commit that it points to, through annotated tags.
    pub fn commit(&self) -> String {
        self.target().to_string()
    }

    pub(crate) fn target(&self) -> ObjectId {
        self.peeled.unwrap_or(self.id)
    }
}

/// What a reference named at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The commit, and the name it was found under.
    pub revision: Revision,
    /// The hash of the tag object, where an annotated tag was asked for.
    pub tag: Option<String>,
}

/// A commit, and the object to ask for to get it.
pub(crate) struct Found {
    pub(crate) pointer: Pointer,
    pub(crate) commit: ObjectId,
    /// The tag object, which brings the commit along.
    pub(crate) tag: Option<ObjectId>,
}

/// Where references and commits are looked up.
pub(crate) trait Source {
    /// Returns the repository as messages name it.
    fn url(&self) -> RedactedUrl;

    /// Lists references by the starts of their full names; all of them if there are none.
    fn list(&mut self, prefixes: &[&str]) -> Result<Vec<RemoteRef>, Error>;

    /// Returns when commits were made, in their order and in seconds since 1970.
    fn commit_times(&mut self, ids: &[ObjectId]) -> Result<Vec<i64>, Error>;
}

/// Returns the commit that a target names.
pub(crate) fn resolve(source: &mut impl Source, target: Target<'_>) -> Result<Resolved, Error> {
    let found = find(source, target)?;
    Ok(Resolved { revision: found.revision(), tag: found.tag.map(|id| id.to_string()) })
}

/// Finds what a target names; a commit given by its hash is taken as it is.
pub(crate) fn find(source: &mut impl Source, target: Target<'_>) -> Result<Found, Error> {
    match target {
        Target::Branch(name) => find_named(source, Pointer::Branch(name.to_owned())),
        Target::Tag(name) => find_named(source, Pointer::Tag(name.to_owned())),
        Target::Name(name) => find_named(source, Pointer::Name(name.to_owned())),
        Target::Semver(range) => find_version(source, range),
        Target::Commit { id, branch } => {
            let pointer = branch.map_or(Pointer::Hash, |name| Pointer::Branch(name.to_owned()));
            Ok(Found { pointer, commit: parse_commit(id)?, tag: None })
        }
    }
}

/// Finds a reference by its name.
pub(crate) fn find_named(source: &mut impl Source, pointer: Pointer) -> Result<Found, Error> {
    let name = pointer.full_name().unwrap_or_default();
    if name.is_empty() || name.starts_with('/') || name.ends_with('/') {
        let reason = "a reference cannot be empty, or begin or end with a slash";
        return Err(Error::InvalidReference { reference: name, reason });
    }
    let refs = source.list(&[&name])?;
    let Some(found) = refs.into_iter().find(|found| found.name == name) else {
        return Err(missing(source, |url| Error::ReferenceNotFound { reference: name, url }));
    };
    let tag = found.peeled.map(|_| found.id);
    Ok(Found { pointer, commit: found.target(), tag })
}

/// Finds the tag with the highest version in a range.
///
/// Of several tags with the same version, the one with the latest commit is taken.
///
/// Source: `cloneSemVer`, fluxcd/pkg `git/gogit/clone.go`, which clones all tags for it.
fn find_version(source: &mut impl Source, range: &str) -> Result<Found, Error> {
    const TAGS: &str = "refs/tags/";
    let constraint = Constraint::parse(range).map_err(Error::InvalidRange)?;
    let refs = source.list(&[TAGS])?;
    let names = refs.iter().filter_map(|found| found.name.strip_prefix(TAGS));
    let mut candidates: Vec<(&str, &RemoteRef)> = newest(names, &constraint)
        .iter()
        .filter_map(|version| {
            refs.iter().find(|found| found.name.strip_prefix(TAGS) == Some(version.original()))
        })
        .filter_map(|found| Some((found.name.strip_prefix(TAGS)?, found)))
        .collect();
    // Between tags of the same time the name decides, so that every run decides alike.
    candidates.sort_by_key(|&(name, _)| name);
    let latest = match candidates.as_slice() {
        [] => {
            let range = range.to_owned();
            return Err(missing(source, |_| Error::NoMatchingVersion { range }));
        }
        [one] => *one,
        several => {
            let ids: Vec<ObjectId> = several.iter().map(|(_, found)| found.target()).collect();
            let times = if ids.iter().all(|id| *id == ids[0]) {
                vec![0; ids.len()]
            } else {
                source.commit_times(&ids)?
            };
            *several
                .iter()
                .zip(times)
                .max_by_key(|&(_, time)| time)
                .map(|(candidate, _)| candidate)
                .expect("there are several")
        }
    };
    let (name, found) = latest;
    Ok(Found {
        pointer: Pointer::Tag(name.to_owned()),
        commit: found.target(),
        tag: found.peeled.map(|_| found.id),
    })
}

/// Returns why a reference is missing: a repository without any is an empty one.
pub(crate) fn missing(
    source: &mut impl Source,
    otherwise: impl FnOnce(RedactedUrl) -> Error,
) -> Error {
    let url = source.url();
    match source.list(&[]) {
        Ok(refs) if refs.is_empty() => Error::EmptyRepository { url },
        Ok(_) => otherwise(url),
        Err(err) => err,
    }
}

impl Found {
    pub(crate) fn revision(&self) -> Revision {
        Revision { pointer: self.pointer.clone(), commit: self.commit.to_string() }
    }
}
