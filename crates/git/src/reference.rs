//! What to check out, and the revision that names it.

use std::fmt;

use gix::ObjectId;

use crate::Error;

/// The branch that is meant when nothing is asked for.
const DEFAULT_BRANCH: &str = "master";

/// What to check out of a repository.
///
/// Where several fields are set, the first of `commit`, `name`, `tag`, `semver` and `branch`
/// decides; with `commit`, a branch limits where the commit is looked for.
///
/// Source: `Clone`, fluxcd/pkg `git/gogit/client.go`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// A branch, `main`; `master` where nothing is set at all.
    pub branch: Option<String>,
    /// A tag, `v1.0.0`.
    pub tag: Option<String>,
    /// A range of versions, `>=1.0.0 <2.0.0`: the tag with the highest version is taken.
    pub semver: Option<String>,
    /// The full name of any reference, `refs/pull/1/head`.
    pub name: Option<String>,
    /// The hash of a commit in full.
    pub commit: Option<String>,
}

/// The one thing that a reference asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Commit { id: &'a str, branch: Option<&'a str> },
    Name(&'a str),
    Tag(&'a str),
    Semver(&'a str),
    Branch(&'a str),
}

impl Reference {
    /// Returns what asks for a branch.
    pub fn branch(name: impl Into<String>) -> Self {
        Self { branch: Some(name.into()), ..Self::default() }
    }

    /// Returns what asks for a tag.
    pub fn tag(name: impl Into<String>) -> Self {
        Self { tag: Some(name.into()), ..Self::default() }
    }

    /// Returns what asks for the highest version in a range.
    pub fn semver(range: impl Into<String>) -> Self {
        Self { semver: Some(range.into()), ..Self::default() }
    }

    /// Returns what asks for a reference by its full name.
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Returns what asks for a commit, anywhere in the repository.
    pub fn commit(hash: impl Into<String>) -> Self {
        Self { commit: Some(hash.into()), ..Self::default() }
    }

    pub(crate) fn target(&self) -> Target<'_> {
        // An empty field is one that is not set, as in an object written by a Go program.
        let set = |field: &'_ Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
        let branch = self.branch.as_deref().filter(|branch| !branch.is_empty());
        match self {
            Self { commit: Some(id), .. } if set(&self.commit) => Target::Commit { id, branch },
            Self { name: Some(name), .. } if set(&self.name) => Target::Name(name),
            Self { tag: Some(tag), .. } if set(&self.tag) => Target::Tag(tag),
            Self { semver: Some(range), .. } if set(&self.semver) => Target::Semver(range),
            _ => Target::Branch(branch.unwrap_or(DEFAULT_BRANCH)),
        }
    }
}

/// Parses the hash of a commit.
pub(crate) fn parse_commit(text: &str) -> Result<ObjectId, Error> {
    let invalid = |reason| Error::InvalidReference { reference: text.to_owned(), reason };
    if text.len() != gix::hash::Kind::Sha1.len_in_hex() {
        return Err(invalid("a commit is given by its hash in full, 40 hexadecimal digits"));
    }
    ObjectId::from_hex(text.as_bytes()).map_err(|_| invalid("not a hexadecimal number"))
}

/// The commit that was checked out, with the name it was found under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision {
    /// How the commit was asked for.
    pub pointer: Pointer,
    /// The hash of the commit, 40 hexadecimal digits.
    pub commit: String,
}

/// What points to a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pointer {
    /// A branch by its short name.
    Branch(String),
    /// A tag by its short name.
    Tag(String),
    /// A reference by its full name.
    Name(String),
    /// Nothing: the commit was asked for by its hash.
    Hash,
}

impl Pointer {
    /// Returns the full name of the reference.
    ///
    /// The suffix `^{}`, which asks for what a tag points to, is no part of it.
    pub fn full_name(&self) -> Option<String> {
        match self {
            Self::Branch(name) => Some(format!("refs/heads/{name}")),
            Self::Tag(name) => Some(format!("refs/tags/{name}")),
            Self::Name(name) => Some(name.trim_end_matches("^{}").to_owned()),
            Self::Hash => None,
        }
    }
}

/// The form that stands in artifacts and status: `main@sha1:<commit>`, `v1.0.0@sha1:<commit>`,
/// `refs/pull/1/head@sha1:<commit>` or `sha1:<commit>`.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pointer {
            Pointer::Branch(name) | Pointer::Tag(name) | Pointer::Name(name) => {
                write!(f, "{name}@sha1:{}", self.commit)
            }
            Pointer::Hash => write!(f, "sha1:{}", self.commit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_most_specific_field() {
        let mut reference = Reference {
            branch: Some("main".into()),
            tag: Some("v1".into()),
            semver: Some(">=1".into()),
            name: Some("refs/pull/1/head".into()),
            commit: Some("abc".into()),
        };
        assert_eq!(reference.target(), Target::Commit { id: "abc", branch: Some("main") });
        reference.commit = Some(String::new());
        assert_eq!(reference.target(), Target::Name("refs/pull/1/head"));
        reference.name = None;
        assert_eq!(reference.target(), Target::Tag("v1"));
        reference.tag = None;
        assert_eq!(reference.target(), Target::Semver(">=1"));
        reference.semver = None;
        assert_eq!(reference.target(), Target::Branch("main"));
        assert_eq!(Reference::default().target(), Target::Branch("master"));
    }

    #[test]
    fn takes_hashes_in_full_only() {
        assert!(parse_commit("450796ddb2ab6724ee1cc32a4be56da032d1cca0").is_ok());
        assert!(parse_commit("450796d").is_err());
        assert!(parse_commit(&"x".repeat(40)).is_err());
    }

    #[test]
    fn writes_revisions() {
        let commit = "450796ddb2ab6724ee1cc32a4be56da032d1cca0";
        for (pointer, expected) in [
            (Pointer::Branch("feature/x".into()), "feature/x@sha1:"),
            (Pointer::Tag("v1.0.0".into()), "v1.0.0@sha1:"),
            (Pointer::Name("refs/heads/main".into()), "refs/heads/main@sha1:"),
            (Pointer::Hash, "sha1:"),
        ] {
            let revision = Revision { pointer, commit: commit.into() };
            assert_eq!(revision.to_string(), format!("{expected}{commit}"));
        }
    }
}
