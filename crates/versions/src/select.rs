//! Choosing among tags.

use std::cmp::Ordering;

use crate::{Constraint, Version};

/// Returns the tags that are versions and that a constraint accepts, lowest first.
///
/// A tag needs three parts between dots to count as a version. Equal versions keep the order they
/// were given in.
///
/// Source: `Sort`, fluxcd/pkg `version/version.go`, which has the highest first.
pub fn matching<'a>(
    tags: impl IntoIterator<Item = &'a str>,
    constraint: &Constraint,
) -> Vec<Version> {
    let mut versions: Vec<Version> = tags
        .into_iter()
        .filter_map(|tag| Version::parse_tag(tag).ok())
        .filter(|version| constraint.matches(version))
        .collect();
    versions.sort();
    versions
}

/// Returns the highest version that a constraint accepts, with all that equal it.
///
/// There is more than one when they differ in build metadata, or in how they are written, alone.
pub fn newest<'a>(
    tags: impl IntoIterator<Item = &'a str>,
    constraint: &Constraint,
) -> Vec<Version> {
    let mut versions = matching(tags, constraint);
    let Some(highest) = versions.last() else { return versions };
    let first = versions.partition_point(|version| version < highest);
    versions.split_off(first)
}

/// Returns the highest version that a constraint accepts; `compare` decides between equal ones.
///
/// It is called with the tags of equal versions alone, and orders the one to take last. The last
/// of those it calls equal is taken.
pub fn latest<'a>(
    tags: impl IntoIterator<Item = &'a str>,
    constraint: &Constraint,
    mut compare: impl FnMut(&str, &str) -> Ordering,
) -> Option<Version> {
    newest(tags, constraint)
        .into_iter()
        .max_by(|left, right| compare(left.original(), right.original()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: [&str; 9] =
        ["v1.0.0", "1.1.0+b", "2.0.0-rc.1", "1.0.1", "v1.1.0+a", "latest", "v3", "1.1.0", "v2.1"];

    fn originals(versions: &[Version]) -> Vec<&str> {
        versions.iter().map(Version::original).collect()
    }

    #[test]
    fn sorts_what_matches() {
        let versions = matching(TAGS, &"1.x".parse().unwrap());
        assert_eq!(originals(&versions), ["v1.0.0", "1.0.1", "1.1.0+b", "v1.1.0+a", "1.1.0"]);
    }

    #[test]
    fn returns_all_that_are_equal_to_the_highest() {
        assert_eq!(
            originals(&newest(TAGS, &">=1.0.0".parse().unwrap())),
            ["1.1.0+b", "v1.1.0+a", "1.1.0"]
        );
        assert!(newest(TAGS, &">=4".parse().unwrap()).is_empty());
    }

    #[test]
    fn lets_the_caller_break_ties() {
        let constraint: Constraint = ">=1.0.0".parse().unwrap();
        let chosen = latest(TAGS, &constraint, Ord::cmp).unwrap();
        assert_eq!(chosen.original(), "v1.1.0+a");
        let chosen = latest(TAGS, &constraint, |_, _| Ordering::Equal).unwrap();
        assert_eq!(chosen.original(), "1.1.0");
    }

    #[test]
    fn takes_prereleases_only_where_asked() {
        let latest = |range: &str| {
            latest(TAGS, &range.parse().unwrap(), |_, _| Ordering::Equal)
                .map(|version| version.original().to_owned())
        };
        assert_eq!(latest(">=1.2.0"), None);
        assert_eq!(latest(">=1.2.0-0").as_deref(), Some("2.0.0-rc.1"));
    }
}
