//! Why a run ended before everything was done, and what follows.

use std::error::Error;
use std::time::Duration;

/// The end of a run, with the reason and message for the conditions.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) kind: StopKind,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) notice: Notice,
}

/// What follows the end of a run.
#[derive(Debug)]
pub(crate) enum StopKind {
    /// Something else has to happen first; it is looked for again after a while.
    Wait(Duration),
    /// It may pass; the run is repeated after the retry interval.
    Retry,
    /// Only a change of the object can help.
    Stall,
    /// There is newer work; the run is repeated at once.
    Preempted,
    /// The process ends; the next one takes over.
    Abandon,
    /// What was done could not be written to the status.
    Unrecorded(Box<kube::Error>),
}

/// Which event tells about the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A warning with the message.
    Warning,
    /// A note with a text of its own.
    Note(String),
    /// None.
    Silent,
}

impl Stop {
    pub(crate) fn wait(
        reason: &'static str,
        message: impl Into<String>,
        after: Duration,
        notice: Notice,
    ) -> Self {
        Self { kind: StopKind::Wait(after), reason, message: message.into(), notice }
    }

    pub(crate) fn stall(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: StopKind::Stall, reason, message, notice: Notice::Warning }
    }

    pub(crate) fn retry(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: StopKind::Retry, reason, message, notice: Notice::Warning }
    }

    pub(crate) fn abandon() -> Self {
        Self::quiet(StopKind::Abandon)
    }

    pub(crate) fn unrecorded(error: kube::Error) -> Self {
        Self::quiet(StopKind::Unrecorded(Box::new(error)))
    }

    fn quiet(kind: StopKind) -> Self {
        Self { kind, reason: "", message: String::new(), notice: Notice::Silent }
    }
}

/// Turns the failure of a step into the end of the run.
pub(crate) trait OrStop<T> {
    /// It may pass.
    fn or_retry(self, reason: &'static str) -> Result<T, Stop>;
    /// Only a change of the object can help.
    fn or_stall(self, reason: &'static str) -> Result<T, Stop>;
}

impl<T, E: Error> OrStop<T> for Result<T, E> {
    fn or_retry(self, reason: &'static str) -> Result<T, Stop> {
        self.map_err(|error| Stop::retry(reason, chain(&error)))
    }

    fn or_stall(self, reason: &'static str) -> Result<T, Stop> {
        self.map_err(|error| Stop::stall(reason, chain(&error)))
    }
}

/// Returns an error and what caused it, joined by `: `.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
