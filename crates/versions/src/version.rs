//! A semantic version, read leniently.

use std::{cmp::Ordering, fmt, sync::LazyLock};

use regex::Regex;

/// The longest version that is parsed, in bytes.
const MAX_LENGTH: usize = 256;

/// A semantic version that remembers how it was written.
///
/// Versions are equal, and ordered, by their precedence: build metadata and the way they were
/// written do not count, so `v1.2` equals `1.2.0+linux`.
///
/// Source: `version.go`, Masterminds/semver 3.5.0.
#[derive(Debug, Clone)]
pub struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: String,
    metadata: String,
    original: String,
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It is not shaped like a version.
    #[error("invalid semantic version")]
    Invalid,
    /// It is longer than any version has to be.
    #[error("version string is too long (max {MAX_LENGTH} bytes)")]
    TooLong,
    /// A segment is larger than 64 bits.
    #[error("version segment {0} is too large")]
    SegmentTooLarge(String),
    /// A number of the pre-release has a leading zero.
    #[error("version segment starts with 0")]
    LeadingZero,
}

impl Version {
    /// Parses a version, with or without a leading `v`, of one to three segments.
    ///
    /// Missing segments are zero, and leading zeros are dropped: `v2025.02` is `2025.2.0`. In the
    /// pre-release, leading zeros are an error.
    ///
    /// Source: `NewVersion`, Masterminds/semver 3.5.0.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong);
        }
        let parts = LENIENT.captures(text).ok_or(VersionError::Invalid)?;
        let part = |name| parts.name(name).map_or("", |part| part.as_str());
        let pre = part("pre");
        let is_number = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit());
        if pre.split('.').any(|id| id.len() > 1 && id.starts_with('0') && is_number(id)) {
            return Err(VersionError::LeadingZero);
        }
        Ok(Self {
            major: segment(part("major"))?,
            minor: segment(part("minor"))?,
            patch: segment(part("patch"))?,
            pre: pre.to_owned(),
            metadata: part("metadata").to_owned(),
            original: text.to_owned(),
        })
    }

    /// Parses a tag as a version only if it has at least three parts between dots.
    ///
    /// Without that rule a tag such as `2025` or `v1` would take part in a selection.
    ///
    /// Source: `ParseVersion`, fluxcd/pkg `version/version.go`.
    pub fn parse_tag(tag: &str) -> Result<Self, VersionError> {
        if tag.splitn(3, '.').count() < 3 {
            return Err(VersionError::Invalid);
        }
        Self::parse(tag)
    }

    /// Returns the first segment.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// Returns the second segment.
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// Returns the third segment.
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// Returns what follows the hyphen, `rc.1` in `1.0.0-rc.1+linux`, or nothing.
    pub fn prerelease(&self) -> &str {
        &self.pre
    }

    /// Returns what follows the plus sign, `linux` in `1.0.0-rc.1+linux`, or nothing.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Returns the version as it was written.
    pub fn original(&self) -> &str {
        &self.original
    }
}

/// The canonical form, without `v` and with three segments.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let segments = |version: &Self| [version.major, version.minor, version.patch];
        segments(self).cmp(&segments(other)).then_with(|| {
            match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_prereleases(&self.pre, &other.pre),
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

/// Compares identifier by identifier; the longer of two with the same start is the greater.
pub(crate) fn compare_prereleases(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => {
                compare_identifiers(left.unwrap_or_default(), right.unwrap_or_default())
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers come before words, and nothing before either.
///
/// A number that does not fit 64 bits is a word, as upstream has it.
fn compare_identifiers(left: &str, right: &str) -> Ordering {
    if left.is_empty() || right.is_empty() {
        return left.len().cmp(&right.len());
    }
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

fn segment(text: &str) -> Result<u64, VersionError> {
    if text.is_empty() {
        return Ok(0);
    }
    // Only digits get here, so this fails on numbers that are too large alone.
    text.parse().map_err(|_| VersionError::SegmentTooLarge(text.to_owned()))
}

static LENIENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^v?(?<major>[0-9]+)(?:\.(?<minor>[0-9]+))?(?:\.(?<patch>[0-9]+))?(?:-(?<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+(?<metadata>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$",
    )
    .expect("the pattern is valid")
});

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Version::parse(text).unwrap().to_string()
    }

    #[test]
    fn reads_versions_leniently() {
        for (text, expected) in [
            ("1", "1.0.0"),
            ("v1.2", "1.2.0"),
            ("1.2.3", "1.2.3"),
            ("v2025.02.03-rc.1", "2025.2.3-rc.1"),
            ("1.2-beta", "1.2.0-beta"),
            ("1.2.3-beta.10+build-5", "1.2.3-beta.10+build-5"),
            ("1.2.3+001", "1.2.3+001"),
            ("1.2.3--", "1.2.3--"),
            ("1.2.3-0-0", "1.2.3-0-0"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn keeps_what_was_written() {
        assert_eq!(Version::parse("v01.2").unwrap().original(), "v01.2");
    }

    #[test]
    fn refuses_what_is_no_version() {
        for (text, expected) in [
            ("", VersionError::Invalid),
            ("v", VersionError::Invalid),
            ("V1.2.3", VersionError::Invalid),
            ("1.2.3.4", VersionError::Invalid),
            ("1.2.x", VersionError::Invalid),
            (" 1.2.3", VersionError::Invalid),
            ("1.2.3\n", VersionError::Invalid),
            ("1.2.3-", VersionError::Invalid),
            ("1.2.3-a..b", VersionError::Invalid),
            ("1.2.3-ä", VersionError::Invalid),
            ("1.2.3-01", VersionError::LeadingZero),
            (
                "18446744073709551616.0.0",
                VersionError::SegmentTooLarge("18446744073709551616".into()),
            ),
        ] {
            assert_eq!(Version::parse(text).unwrap_err(), expected, "{text}");
        }
        assert_eq!(Version::parse(&"1".repeat(257)).unwrap_err(), VersionError::TooLong);
    }

    #[test]
    fn takes_only_tags_with_three_parts() {
        assert_eq!(Version::parse_tag("v1.2").unwrap_err(), VersionError::Invalid);
        assert_eq!(Version::parse_tag("20250203").unwrap_err(), VersionError::Invalid);
        assert_eq!(Version::parse_tag("v1.2.3").unwrap().original(), "v1.2.3");
        // The dots of a pre-release count, too.
        assert_eq!(Version::parse_tag("1.2-rc.1").unwrap().to_string(), "1.2.0-rc.1");
    }

    #[test]
    fn orders_by_precedence() {
        let ascending = [
            "0.9.9",
            "1.0.0--",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-beta.99999999999999999999",
            "1.0.0-rc",
            "1.0.0",
            "1.0.10",
            "1.9.0",
            "1.10.0",
            "10.0.0",
        ];
        for pair in ascending.windows(2) {
            let (lower, higher) =
                (Version::parse(pair[0]).unwrap(), Version::parse(pair[1]).unwrap());
            assert!(lower < higher, "{lower} < {higher}");
            assert!(higher > lower, "{higher} > {lower}");
        }
    }

    #[test]
    fn ignores_metadata_when_comparing() {
        assert_eq!(Version::parse("1.2.3+a").unwrap(), Version::parse("v1.2.3+b").unwrap());
    }
}
