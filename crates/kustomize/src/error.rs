//! What can be wrong with a kustomization.

use crate::tree::TreeError;

/// Why a kustomization could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The directory holds no kustomization.
    #[error(
        "no kustomization.yaml, kustomization.yml or Kustomization in directory {dir:?}; add one"
    )]
    NoKustomization {
        /// The directory.
        dir: String,
    },
    /// The directory holds more than one kustomization.
    #[error("several kustomization files in directory {dir:?}; keep one of them")]
    SeveralKustomizations {
        /// The directory.
        dir: String,
    },
    /// The kustomization cannot be read.
    #[error("invalid kustomization {kustomization}")]
    Invalid {
        /// The file.
        kustomization: String,
        /// What is wrong with it.
        #[source]
        source: Problem,
    },
    /// A field of the kustomization cannot be carried out.
    #[error("{field} of {kustomization}")]
    Field {
        /// The file.
        kustomization: String,
        /// The field, e.g. `patches[2]`.
        field: String,
        /// What is wrong with it.
        #[source]
        source: Problem,
    },
    /// The objects are gathered and do not fit together.
    #[error("failed to finish the build of {kustomization}")]
    Finish {
        /// The root kustomization.
        kustomization: String,
        /// What is wrong.
        #[source]
        source: Problem,
    },
}

/// What is wrong with a field, a file or an object.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file or directory could not be had.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file is no YAML, or not the YAML that is expected.
    #[error("failed to read {path}")]
    Yaml {
        /// The file, or what else the text is.
        path: String,
        /// Where, and what was expected.
        #[source]
        source: goyaml::Error,
    },
    /// A kustomization that this one builds on is wrong.
    #[error(transparent)]
    Base(Box<BuildError>),
    /// Something about an object.
    #[error("object {object}")]
    Object {
        /// Which one, and where it came from.
        object: String,
        /// What is wrong.
        #[source]
        source: Box<Problem>,
    },
    /// Something about a part of a field.
    #[error("{part}")]
    Part {
        /// Which part.
        part: String,
        /// What is wrong.
        #[source]
        source: Box<Problem>,
    },
    /// A reference leads to another machine.
    #[error(
        "remote reference {url:?} is not fetched; commit a copy, or make it a source of its own"
    )]
    Remote {
        /// The reference.
        url: String,
    },
    /// The field needs something that is deliberately not there.
    #[error("{what} is not supported; {instead}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What to use.
        instead: &'static str,
    },
    /// An object with the same id exists.
    #[error("object {id} is defined twice, in {first} and in {second}; remove one, or patch it")]
    Duplicate {
        /// Kind, version, group, name and namespace.
        id: String,
        /// Where the first came from.
        first: String,
        /// Where the second came from.
        second: String,
    },
    /// Something else does not hold; the text says what.
    #[error("{0}")]
    Rule(String),
}

impl Problem {
    pub(crate) fn rule(text: impl Into<String>) -> Self {
        Self::Rule(text.into())
    }

    /// Says which part of a field this is about.
    pub(crate) fn in_part(self, part: impl Into<String>) -> Self {
        Self::Part { part: part.into(), source: Box::new(self) }
    }
}
