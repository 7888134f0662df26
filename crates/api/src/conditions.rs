//! The conditions of an object: pure functions over a list.
//!
//! Abnormal-true conditions (`Reconciling`, `Stalled`, and the failures of sources) are absent
//! rather than false, because kstatus and the tools on it read their presence.

use std::cmp::Reverse;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Whether the object is as declared.
pub const READY: &str = "Ready";
/// Whether work is under way; absent when there is none.
pub const RECONCILING: &str = "Reconciling";
/// Whether only a change of the object can help; absent otherwise.
pub const STALLED: &str = "Stalled";
/// Whether what was applied is healthy.
pub const HEALTHY: &str = "Healthy";
/// Whether objects wait to be deleted until somebody confirms it; absent otherwise.
pub const PRUNE_HELD: &str = "PruneHeld";
/// Whether the stored artifact is that of the source; absent when there is none.
pub const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
/// Whether the source has changed since the artifact was stored; absent otherwise.
pub const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
/// Whether the source could not be fetched; absent otherwise.
pub const FETCH_FAILED: &str = "FetchFailed";
/// Whether an included artifact is missing; absent otherwise.
pub const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";
/// Whether the signature of the source is valid.
pub const SOURCE_VERIFIED: &str = "SourceVerified";
/// Whether the storage could not be written or read; absent otherwise.
pub const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";

/// The longest message that the API accepts, in bytes.
const MAX_MESSAGE: usize = 32768;

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known whether it holds.
    Unknown,
}

impl Status {
    /// Returns the word that the API has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Sets a condition, and sorts the list: Stalled, Reconciling, Ready, then the others with the
/// newest generation first.
///
/// `lastTransitionTime` moves when status, reason or message change. Messages longer than the API
/// accepts are cut and end in `...`.
///
/// Source: `Set`, fluxcd/pkg `runtime/conditions/setter.go`.
pub fn set(
    conditions: &mut Vec<Condition>,
    r#type: &str,
    status: Status,
    reason: &str,
    message: impl Into<String>,
    generation: i64,
    now: Timestamp,
) {
    let message = trim(message.into());
    let previous = conditions.iter().position(|condition| condition.type_ == r#type);
    let previous = previous.map(|index| conditions.swap_remove(index));
    let unchanged = previous.filter(|previous| {
        previous.status == status.as_str()
            && previous.reason == reason
            && previous.message == message
    });
    conditions.push(Condition {
        last_transition_time: unchanged
            .map_or_else(|| Time(seconds(now)), |previous| previous.last_transition_time),
        message,
        observed_generation: Some(generation),
        reason: reason.to_owned(),
        status: status.as_str().to_owned(),
        type_: r#type.to_owned(),
    });
    sort(conditions);
}

/// Removes a condition; nothing happens when it is absent.
pub fn remove(conditions: &mut Vec<Condition>, r#type: &str) {
    conditions.retain(|condition| condition.type_ != r#type);
}

/// Returns the condition of a type.
pub fn find<'a>(conditions: &'a [Condition], r#type: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == r#type)
}

/// Returns whether the condition of a type has a status; an absent one has none.
pub fn has(conditions: &[Condition], r#type: &str, status: Status) -> bool {
    find(conditions, r#type).is_some_and(|condition| condition.status == status.as_str())
}

/// Returns whether the condition of a type is true.
pub fn is_true(conditions: &[Condition], r#type: &str) -> bool {
    has(conditions, r#type, Status::True)
}

fn sort(conditions: &mut [Condition]) {
    conditions.sort_by(|a, b| {
        let rank = |condition: &Condition| match condition.type_.as_str() {
            STALLED => 0,
            RECONCILING => 1,
            READY => 2,
            _ => 3,
        };
        let key = |condition: &Condition| (rank(condition), Reverse(condition.observed_generation));
        key(a).cmp(&key(b)).then_with(|| a.type_.cmp(&b.type_))
    });
}

fn trim(mut message: String) -> String {
    const SUFFIX: &str = "...";
    if message.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE - SUFFIX.len();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push_str(SUFFIX);
    }
    message
}

/// The API keeps times in whole seconds.
fn seconds(now: Timestamp) -> Timestamp {
    now.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn moves_the_transition_time_only_on_change() {
        let mut conditions = Vec::new();
        set(&mut conditions, READY, Status::True, "Succeeded", "stored", 1, at(1));
        set(&mut conditions, READY, Status::True, "Succeeded", "stored", 2, at(2));
        assert_eq!(conditions[0].last_transition_time.0, at(1));
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(&mut conditions, READY, Status::True, "Succeeded", "stored again", 2, at(3));
        assert_eq!(conditions[0].last_transition_time.0, at(3));
    }

    #[test]
    fn sorts_the_summary_first() {
        let mut conditions = Vec::new();
        for (r#type, generation) in
            [(ARTIFACT_IN_STORAGE, 1), (HEALTHY, 2), (READY, 1), (STALLED, 1), (RECONCILING, 1)]
        {
            set(&mut conditions, r#type, Status::True, "Some", "", generation, at(1));
        }
        let types: Vec<_> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(types, [STALLED, RECONCILING, READY, HEALTHY, ARTIFACT_IN_STORAGE]);
    }

    #[test]
    fn cuts_long_messages_between_characters() {
        let mut conditions = Vec::new();
        set(&mut conditions, READY, Status::False, "Failed", "é".repeat(MAX_MESSAGE), 1, at(1));
        assert!(conditions[0].message.len() <= MAX_MESSAGE);
        assert!(conditions[0].message.ends_with("é..."));
    }
}
