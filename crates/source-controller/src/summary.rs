//! What the conditions of a source come to: whether it is ready.
//!
//! Steps set the conditions that they are about; `Ready` is computed from them.

use api::conditions::{
    self, ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, INCLUDE_UNAVAILABLE, RECONCILING,
    SOURCE_VERIFIED, STALLED, STORAGE_OPERATION_FAILED, Status,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// A condition that counts, and whether it is bad when it is true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    r#type: &'static str,
    abnormal: bool,
}

/// The conditions that count for a GitRepository; of those that are equally grave, the first gives
/// the reason.
pub(crate) const GIT_REPOSITORY: &[Part] = &[
    bad(STORAGE_OPERATION_FAILED),
    bad(FETCH_FAILED),
    bad(INCLUDE_UNAVAILABLE),
    bad(ARTIFACT_OUTDATED),
    good(ARTIFACT_IN_STORAGE),
    good(SOURCE_VERIFIED),
    bad(STALLED),
    bad(RECONCILING),
];

/// The conditions whose absence after a run, and presence before it, is a recovery.
pub(crate) const GIT_REPOSITORY_FAILURES: [&str; 3] =
    [FETCH_FAILED, INCLUDE_UNAVAILABLE, STORAGE_OPERATION_FAILED];

const fn bad(r#type: &'static str) -> Part {
    Part { r#type, abnormal: true }
}

const fn good(r#type: &'static str) -> Part {
    Part { r#type, abnormal: false }
}

/// Whether a source is ready, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) status: Status,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Sums up the conditions of a source. There is nothing to say when none is present.
///
/// Source: `merge`, fluxcd/pkg `runtime/conditions/merge.go`, and `SummarizeAndPatch`,
/// source-controller 1.9.1, `internal/reconcile/summarize/summary.go`.
pub(crate) fn summarize(conditions: &[Condition], parts: &[Part]) -> Option<Summary> {
    let unverified = conditions::find(conditions, SOURCE_VERIFIED)
        .filter(|it| it.status == Status::False.as_str() && counts(parts, SOURCE_VERIFIED));
    if let Some(unverified) = unverified {
        return Some(summary(Status::False, unverified));
    }
    let present = parts.iter().filter_map(|part| {
        let condition = conditions::find(conditions, part.r#type)?;
        Some((gravity(condition, part.abnormal), condition))
    });
    // The first of the gravest: `min_by_key` keeps the order.
    let (gravity, condition) = present.min_by_key(|(gravity, _)| *gravity)?;
    let status = match gravity {
        Gravity::Abnormal | Gravity::NotGood => Status::False,
        Gravity::Good | Gravity::NotAbnormal => Status::True,
        Gravity::Unknown => Status::Unknown,
    };
    Some(summary(status, condition))
}

fn counts(parts: &[Part], r#type: &str) -> bool {
    parts.iter().any(|part| part.r#type == r#type)
}

fn summary(status: Status, condition: &Condition) -> Summary {
    let (reason, message) = (condition.reason.clone(), condition.message.clone());
    Summary { status, reason, message }
}

/// The gravest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gravity {
    Abnormal,
    NotGood,
    Good,
    NotAbnormal,
    Unknown,
}

fn gravity(condition: &Condition, abnormal: bool) -> Gravity {
    match (condition.status.as_str(), abnormal) {
        ("True", true) => Gravity::Abnormal,
        ("False", false) => Gravity::NotGood,
        ("True", false) => Gravity::Good,
        ("False", true) => Gravity::NotAbnormal,
        _ => Gravity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn summed(set: &[(&str, Status)]) -> Option<(Status, String)> {
        let mut list = Vec::new();
        for (r#type, status) in set {
            let reason = format!("Because{type}");
            conditions::set(&mut list, r#type, *status, &reason, "", 1, Timestamp::UNIX_EPOCH);
        }
        summarize(&list, GIT_REPOSITORY).map(|it| (it.status, it.reason))
    }

    fn is(status: Status, r#type: &str) -> (Status, String) {
        (status, format!("Because{type}"))
    }

    #[test]
    fn takes_status_and_reason_of_the_gravest() {
        use Status::{False, True, Unknown};
        let stored = (ARTIFACT_IN_STORAGE, True);
        for (set, expected) in [
            (vec![], None),
            (vec![stored], Some(is(True, ARTIFACT_IN_STORAGE))),
            (vec![stored, (SOURCE_VERIFIED, True)], Some(is(True, ARTIFACT_IN_STORAGE))),
            (vec![stored, (RECONCILING, True)], Some(is(False, RECONCILING))),
            (
                vec![stored, (FETCH_FAILED, True), (RECONCILING, True)],
                Some(is(False, FETCH_FAILED)),
            ),
            (
                vec![(FETCH_FAILED, True), (STORAGE_OPERATION_FAILED, True)],
                Some(is(False, STORAGE_OPERATION_FAILED)),
            ),
            (vec![(STALLED, True), (FETCH_FAILED, True)], Some(is(False, FETCH_FAILED))),
            (vec![(STALLED, True)], Some(is(False, STALLED))),
            (vec![(ARTIFACT_OUTDATED, True), stored], Some(is(False, ARTIFACT_OUTDATED))),
            (vec![(ARTIFACT_IN_STORAGE, False)], Some(is(False, ARTIFACT_IN_STORAGE))),
            (vec![(FETCH_FAILED, False)], Some(is(True, FETCH_FAILED))),
            (vec![stored, (FETCH_FAILED, Unknown)], Some(is(True, ARTIFACT_IN_STORAGE))),
            (vec![(FETCH_FAILED, Unknown)], Some(is(Unknown, FETCH_FAILED))),
        ] {
            assert_eq!(summed(&set), expected, "{set:?}");
        }
    }

    #[test]
    fn lets_a_failed_verification_win() {
        let set = [(FETCH_FAILED, Status::True), (SOURCE_VERIFIED, Status::False)];
        assert_eq!(summed(&set), Some(is(Status::False, SOURCE_VERIFIED)));
    }

    #[test]
    fn does_not_count_other_conditions() {
        assert_eq!(summed(&[("Ready", Status::True), ("Healthy", Status::False)]), None);
    }
}
