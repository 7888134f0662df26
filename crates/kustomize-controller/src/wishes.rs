//! What the annotations of a Kustomization ask for beyond its spec.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use api::kustomize::{CONFIRM_PRUNE_ANNOTATION, Kustomization, OWN_PREFIX, PRUNE_LIMIT_ANNOTATION};
use kube::ResourceExt as _;

/// What is asked for. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// How much may be deleted without anyone being asked.
    pub(crate) prune_limit: Option<PruneLimit>,
    /// The revision whose deletes are confirmed.
    pub(crate) confirmed: Option<String>,
}

/// How many of the objects of an inventory may be deleted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PruneLimit {
    /// So many of a hundred.
    Percent(u8),
    /// So many.
    Count(usize),
}

/// An annotation that says nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WishError {
    #[error(
        "annotation {PRUNE_LIMIT_ANNOTATION} has the value {0:?}, expected a number of objects such \
         as \"10\" or a share such as \"50%\""
    )]
    PruneLimit(String),
}

impl Wishes {
    /// Reads the annotations of a Kustomization.
    ///
    /// # Errors
    ///
    /// When one has a value that it cannot have: a guard that is misspelt must not be taken for
    /// none.
    pub(crate) fn of(obj: &Kustomization) -> Result<Self, WishError> {
        let value = |key: &str| obj.annotations().get(key).map(String::as_str);
        Ok(Self {
            prune_limit: value(PRUNE_LIMIT_ANNOTATION).map(PruneLimit::parse).transpose()?,
            confirmed: value(CONFIRM_PRUNE_ANNOTATION).map(str::to_owned),
        })
    }

    /// Returns what changes when one of the annotations does.
    pub(crate) fn fingerprint(obj: &Kustomization) -> u64 {
        let mut hasher = DefaultHasher::new();
        for annotation in obj.annotations().iter().filter(|(key, _)| key.starts_with(OWN_PREFIX)) {
            annotation.hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl PruneLimit {
    fn parse(text: &str) -> Result<Self, WishError> {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = match text.strip_suffix('%') {
            Some(share) if is_number(share) => {
                share.parse().ok().filter(|share| *share <= 100).map(Self::Percent)
            }
            None if is_number(text) => text.parse().ok().map(Self::Count),
            _ => None,
        };
        limit.ok_or_else(|| WishError::PruneLimit(text.to_owned()))
    }

    /// Says whether so many of so many may not be deleted. All of them never may.
    pub(crate) fn is_exceeded(self, stale: usize, total: usize) -> bool {
        if stale == 0 {
            return false;
        }
        let is_over = match self {
            Self::Percent(share) => stale * 100 > usize::from(share) * total,
            Self::Count(count) => stale > count,
        };
        is_over || stale >= total
    }
}

impl fmt::Display for PruneLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(share) => write!(f, "{share}%"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits() {
        assert_eq!(PruneLimit::parse("50%"), Ok(PruneLimit::Percent(50)));
        assert_eq!(PruneLimit::parse("0%"), Ok(PruneLimit::Percent(0)));
        assert_eq!(PruneLimit::parse("12"), Ok(PruneLimit::Count(12)));
        for text in
            ["", "%", "101%", "300%", "-1", "+1", "1.5", "half", "50 %", "99999999999999999999999"]
        {
            assert_eq!(PruneLimit::parse(text), Err(WishError::PruneLimit(text.to_owned())));
        }
    }

    #[test]
    fn allows_up_to_the_limit_and_never_everything() {
        let exceeded =
            |limit: &str, stale, total| PruneLimit::parse(limit).unwrap().is_exceeded(stale, total);
        assert!(!exceeded("50%", 2, 4));
        assert!(exceeded("50%", 3, 4));
        assert!(exceeded("33%", 1, 3));
        assert!(exceeded("0", 1, 4));
        assert!(!exceeded("2", 2, 4));
        assert!(exceeded("2", 3, 4));
        assert!(exceeded("100%", 4, 4));
        assert!(exceeded("10", 1, 1));
        assert!(!exceeded("0%", 0, 0));
    }
}
