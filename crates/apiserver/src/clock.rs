//! The time, as Kubernetes writes it.

use jiff::{Timestamp, Unit};

/// Returns the time in whole seconds: `2026-11-24T14:00:00Z`.
pub(crate) fn now() -> String {
    format(Timestamp::now())
}

/// Writes a time in whole seconds.
pub(crate) fn format(time: Timestamp) -> String {
    let time = time.round(Unit::Second).unwrap_or(time);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
