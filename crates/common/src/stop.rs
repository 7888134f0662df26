//! Why a reconciliation ended before everything was done, and what follows.

use std::error::Error;
use std::time::Duration;

/// The end of a reconciliation, with the reason and message for the conditions.
#[derive(Debug)]
pub struct Stop {
    /// What follows.
    pub kind: StopKind,
    /// The reason for the conditions and the event.
    pub reason: &'static str,
    /// The message for the conditions.
    pub message: String,
    /// Which event tells about it.
    pub notice: Notice,
}

/// What follows the end of a reconciliation.
#[derive(Debug)]
pub enum StopKind {
    /// Something else has to happen first; it is looked for again after a while.
    Wait(Duration),
    /// It may pass; the controller knows when to try again.
    Retry,
    /// Only a change of the object can help.
    Stall,
    /// There is newer work, which comes at once.
    Preempted,
    /// The process ends; the next one takes over.
    Abandon,
    /// What was done could not be written to the status.
    Unrecorded(Box<kube::Error>),
}

/// Which event tells about the end of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A warning with the message.
    Warning,
    /// A note with a text of its own.
    Note(String),
    /// None.
    Silent,
}

impl Stop {
    /// Something else has to happen first.
    pub fn wait(
        reason: &'static str,
        message: impl Into<String>,
        after: Duration,
        notice: Notice,
    ) -> Self {
        Self { kind: StopKind::Wait(after), reason, message: message.into(), notice }
    }

    /// It may pass.
    pub fn retry(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: StopKind::Retry, reason, message, notice: Notice::Warning }
    }

    /// Only a change of the object can help.
    pub fn stall(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: StopKind::Stall, reason, message, notice: Notice::Warning }
    }

    /// The process ends; nothing is recorded.
    pub fn abandon() -> Self {
        Self::quiet(StopKind::Abandon)
    }

    /// What was done could not be recorded.
    pub fn unrecorded(error: kube::Error) -> Self {
        Self::quiet(StopKind::Unrecorded(Box::new(error)))
    }

    fn quiet(kind: StopKind) -> Self {
        Self { kind, reason: "", message: String::new(), notice: Notice::Silent }
    }
}

/// Turns the failure of a step into the end of the reconciliation.
pub trait OrStop<T> {
    /// It may pass; the choice when in doubt.
    ///
    /// # Errors
    ///
    /// The failure, under this reason.
    fn or_retry(self, reason: &'static str) -> Result<T, Stop>;

    /// Only a change of the object can help.
    ///
    /// # Errors
    ///
    /// The failure, under this reason.
    fn or_stall(self, reason: &'static str) -> Result<T, Stop>;
}

impl<T, E: Error + 'static> OrStop<T> for Result<T, E> {
    fn or_retry(self, reason: &'static str) -> Result<T, Stop> {
        self.map_err(|error| Stop::retry(reason, chain(&error)))
    }

    fn or_stall(self, reason: &'static str) -> Result<T, Stop> {
        self.map_err(|error| Stop::stall(reason, chain(&error)))
    }
}

/// Returns the text of an error and of what caused it, joined by `: `. A cause that the error
/// already ends with is not repeated, and of an answer of the API only what it says.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = text(error);
    let mut source = below(error);
    while let Some(cause) = source {
        let cause_text = self::text(cause);
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = below(cause);
    }
    text
}

/// Returns the cause of an error; that of an answer of the API is the same answer again.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    error.source().filter(|_| !matches!(error.downcast_ref(), Some(kube::Error::Api(_))))
}

fn text(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) => status.message.clone(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("failed to open the door")]
        Door(#[source] Box<Failure>),
        #[error("the room is closed: {0}")]
        Room(#[source] Box<Failure>),
        #[error("no key")]
        Key,
    }

    #[test]
    fn tells_what_the_api_says_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to read")]
        struct Read(#[source] kube::Error);
        let status = kube::core::Status::failure("secrets \"x\" not found", "NotFound");
        let error = Read(kube::Error::Api(Box::new(status)));
        assert_eq!(chain(&error), "failed to read: secrets \"x\" not found");
    }

    #[test]
    fn tells_every_cause_once() {
        let failure = Failure::Door(Box::new(Failure::Room(Box::new(Failure::Key))));
        assert_eq!(chain(&failure), "failed to open the door: the room is closed: no key");
        let stop = Err::<(), _>(failure).or_stall("DoorFailed").unwrap_err();
        assert!(matches!(stop.kind, StopKind::Stall));
        assert_eq!(stop.reason, "DoorFailed");
    }
}
