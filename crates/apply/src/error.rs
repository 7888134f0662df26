//! Why a set of objects could not be applied, deleted or waited for.

use std::fmt;

use crate::change::{Action, ChangeSet};
use crate::kinds::KindError;
use crate::kstatus::Status;
use crate::object::Subject;

/// What is wrong with one object.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The kind has namespaces and the object names none.
    #[error("{subject} namespace not specified: {message}")]
    NoNamespace {
        /// The object.
        subject: Box<Subject>,
        /// What the API said.
        message: String,
    },
    /// The API does not find the object, or what it belongs to.
    #[error("{subject} not found: {message}")]
    NotFound {
        /// The object.
        subject: Box<Subject>,
        /// What the API said.
        message: String,
    },
    /// The API refuses the object; nothing was written.
    #[error("{subject} dry-run failed{}: {message}", parenthesized(reason))]
    DryRun {
        /// The object.
        subject: Box<Subject>,
        /// Why, in one word; may be empty.
        reason: String,
        /// What the API said.
        message: String,
    },
    /// The API has accepted the object in a dry run, and not in earnest.
    #[error("{subject} apply failed: {message}")]
    Apply {
        /// The object.
        subject: Box<Subject>,
        /// What the API said.
        message: String,
    },
    /// The version of the managed fields could not be brought to the declared one.
    #[error("{subject} failed to migrate API version: {message}")]
    Migrate {
        /// The object.
        subject: Box<Subject>,
        /// What the API said.
        message: String,
    },
    /// The object has to be made anew and could not be deleted.
    #[error("{subject} recreate failed: {message}")]
    Recreate {
        /// The object.
        subject: Box<Subject>,
        /// What the API said, or what was waited for.
        message: String,
    },
}

impl Problem {
    /// Says whether the API does not know a field of the object.
    ///
    /// Source: the text of structured-merge-diff 6, `typed/validate.go`.
    pub(crate) fn is_about_undeclared_fields(&self) -> bool {
        matches!(self, Self::DryRun { message, .. } if message.contains("field not declared in schema"))
    }
}

fn parenthesized(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

/// Why a set of objects was not applied. Earlier stages stay applied.
#[derive(Debug)]
pub struct ApplyError {
    /// What is wrong: every refused object of a stage, or the stage that did not become ready.
    pub failure: Failure,
    /// What was done before.
    pub changes: ChangeSet,
}

/// What kept a stage from being applied.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Objects were refused.
    #[error("{}", lines(.0))]
    Objects(Vec<Problem>),
    /// What the later stages need did not become ready.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.failure)?;
        let lines = self.changes.lines(&[Action::Created, Action::Configured]);
        if lines.is_empty() { Ok(()) } else { write!(f, "\n{lines}") }
    }
}

impl std::error::Error for ApplyError {}

/// Which objects could not be deleted.
#[derive(Debug, thiserror::Error)]
#[error("delete failed, errors: {}", joined(errors))]
pub struct PruneError {
    /// One text for each object.
    pub errors: Vec<String>,
}

/// Upstream ends every error with a semicolon, the last one too.
fn joined(errors: &[String]) -> String {
    errors.iter().fold(String::new(), |text, error| text + error + ";")
}

/// Which objects did not become healthy.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// They were not healthy when the time was over.
    #[error("timeout waiting for: [{}]", states(.0))]
    Timeout(Vec<(Subject, Status, String)>),
    /// They cannot become healthy.
    #[error("failed early due to stalled resources: [{}]", states(.0))]
    Failed(Vec<(Subject, Status, String)>),
    /// What to wait for is not known to the API.
    #[error("can't determine status for {subject}")]
    Kind {
        /// The object.
        subject: Subject,
        /// Why.
        #[source]
        source: KindError,
    },
    /// The reference names no namespace, and its kind has them.
    #[error("resource {kind} {name} is namespace scoped, but namespace is not set")]
    NoNamespace {
        /// The kind, with its group.
        kind: String,
        /// The name.
        name: String,
    },
}

fn states(objects: &[(Subject, Status, String)]) -> String {
    let texts = objects.iter().map(|(subject, status, error)| {
        let cause = if error.is_empty() { String::new() } else { format!(": {error}") };
        format!("{subject} status: '{status}'{cause}")
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Returns what the API said, without kube's frame around it.
pub(crate) fn api_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("the server answered with code {}", status.code),
        error => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            text
        }
    }
}

/// Returns the reason the API gave; a conflict of managers has one of its own.
pub(crate) fn api_reason(error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else { return String::new() };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let conflict = causes.map(|cause| &cause.reason).find(|it| *it == "FieldManagerConflict");
    conflict.unwrap_or(&status.reason).clone()
}

/// Says whether the API does not find what was asked for.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Says whether the object has changed since it was looked at.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Says whether the object could be applied if it did not exist.
///
/// Source: `IsImmutableError`, fluxcd/pkg `ssa/errors/immutable.go`: any conflict, and anything
/// invalid, counts.
pub(crate) fn is_immutable(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    matches!(status.code, 409 | 422)
        || matches!(status.reason.as_str(), "Conflict" | "Invalid")
        || status.message.contains("is immutable")
        || status.message.contains("immutable field")
}
