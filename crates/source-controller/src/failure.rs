//! Why a reconciliation ended, and the condition that shows it.

use common::stop::Stop;

/// The end of a reconciliation of a source.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The condition that is true now; none when `Stalled` alone says it.
    pub(crate) condition: Option<&'static str>,
    pub(crate) stop: Stop,
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self { condition: None, stop }
    }
}

/// Names the condition that shows a failure.
pub(crate) trait Under<T> {
    fn under(self, condition: &'static str) -> Result<T, Failure>;
}

impl<T> Under<T> for Result<T, Stop> {
    fn under(self, condition: &'static str) -> Result<T, Failure> {
        self.map_err(|stop| Failure { condition: Some(condition), stop })
    }
}
