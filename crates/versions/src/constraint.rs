//! Ranges of versions.

use std::{fmt, str::FromStr, sync::LazyLock};

use regex::{Captures, Regex};

use crate::version::{Version, compare_prereleases};

/// The longest constraint that is parsed, in bytes.
const MAX_LENGTH: usize = 512;

/// The most alternatives that a constraint may have.
const MAX_ALTERNATIVES: usize = 32;

/// A range of versions, such as `>=1.2 <2 || ~3.1`.
///
/// | text | accepts |
/// |---|---|
/// | `1.2.3`, `=1.2.3` | that version, with any build metadata |
/// | `!=1.2.3` | every other |
/// | `>`, `<`, `>=` or `=>`, `<=` or `=<` | by precedence |
/// | `1.2`, `1.2.x`, `1.2.*` | what `~1.2` accepts |
/// | `~1.2.3`, `~>1.2.3` | `>=1.2.3 <1.3.0`; `~1` is `>=1.0.0 <2.0.0` |
/// | `^1.2.3` | `>=1.2.3 <2.0.0`; `^0.2.3` is `>=0.2.3 <0.3.0`, `^0.0.3` is `0.0.3` |
/// | `1.2 - 1.4.5` | `>=1.2 <=1.4.5` |
/// | `*` | everything |
///
/// All parts that a comma or a space separates have to accept a version; one of those that `||`
/// separates is enough. Pre-releases are refused unless a part of the same alternative has a
/// pre-release itself: `>=1.0.0-0` accepts them.
///
/// Source: `constraints.go`, Masterminds/semver 3.5.0.
#[derive(Debug, Clone)]
pub struct Constraint {
    alternatives: Vec<Alternative>,
    prereleases: bool,
}

/// Parts that all have to accept a version.
#[derive(Debug, Clone)]
struct Alternative {
    parts: Vec<Part>,
    has_prerelease: bool,
}

/// An operator and the version it compares with.
#[derive(Debug, Clone)]
struct Part {
    operator: Operator,
    version: Version,
    /// How many segments were written out before the first wildcard or the end.
    segments: Segments,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segments {
    None,
    Major,
    Minor,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Why a text is not a constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// A part, or an alternative, does not follow the grammar.
    #[error("improper constraint: {0:?}")]
    Improper(String),
    /// A part follows the grammar but holds no version, as `1|2` does.
    #[error("constraint parser error")]
    NotAVersion,
    /// It is longer than any constraint has to be.
    #[error("constraint string is too long (max {MAX_LENGTH} bytes)")]
    TooLong,
    /// It has more alternatives than any constraint has to have.
    #[error("too many constraint groups (max {MAX_ALTERNATIVES})")]
    TooManyAlternatives,
}

impl Constraint {
    /// Parses a constraint.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_LENGTH {
            return Err(ConstraintError::TooLong);
        }
        let rewritten = rewrite_hyphen_ranges(text);
        if rewritten.split("||").count() > MAX_ALTERNATIVES {
            return Err(ConstraintError::TooManyAlternatives);
        }
        let alternatives =
            rewritten.split("||").map(Alternative::parse).collect::<Result<_, _>>()?;
        Ok(Self { alternatives, prereleases: false })
    }

    /// Accepts pre-releases even where no part of the constraint has one.
    #[must_use]
    pub fn with_prereleases(mut self) -> Self {
        self.prereleases = true;
        self
    }

    /// Returns whether the constraint accepts a version.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| {
            let prereleases = self.prereleases || alternative.has_prerelease;
            (prereleases || version.pre.is_empty())
                && alternative.parts.iter().all(|part| part.matches(version))
        })
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The constraint with its parts separated by spaces and hyphen ranges written out.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, alternative) in self.alternatives.iter().enumerate() {
            if index > 0 {
                f.write_str(" || ")?;
            }
            for (index, part) in alternative.parts.iter().enumerate() {
                if index > 0 {
                    f.write_str(" ")?;
                }
                f.write_str(&part.text)?;
            }
        }
        Ok(())
    }
}

/// Turns `1.2 - 1.4` into `>= 1.2, <= 1.4 `.
fn rewrite_hyphen_ranges(text: &str) -> String {
    let mut rewritten = text.to_owned();
    for range in PATTERNS.hyphen_range.captures_iter(text) {
        let bounds = format!(">= {}, <= {} ", &range["from"], &range["to"]);
        rewritten = rewritten.replacen(&range[0], &bounds, 1);
    }
    rewritten
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        if !PATTERNS.alternative.is_match(text) {
            return Err(ConstraintError::Improper(text.to_owned()));
        }
        let parts = PATTERNS
            .part
            .captures_iter(text)
            .map(|captures| Part::parse(&captures))
            .collect::<Result<Vec<_>, _>>()?;
        let has_prerelease = parts.iter().any(|part| !part.version.pre.is_empty());
        Ok(Self { parts, has_prerelease })
    }
}

impl Part {
    fn parse(captures: &Captures<'_>) -> Result<Self, ConstraintError> {
        let group = |name| captures.name(name).map_or("", |group| group.as_str());
        let (major, minor, patch, pre) =
            (group("major"), group("minor"), group("patch"), group("pre"));
        let open = |segment: &str| matches!(segment, "" | "x" | "X" | "*");
        let (segments, version) = if open(major) {
            (Segments::None, format!("0.0.0{pre}"))
        } else if open(minor) {
            (Segments::Major, format!("{major}.0.0{pre}"))
        } else if open(patch) {
            (Segments::Minor, format!("{major}.{minor}.0{pre}"))
        } else {
            (Segments::All, group("version").to_owned())
        };
        Ok(Self {
            operator: Operator::parse(group("operator")),
            version: Version::parse(&version).map_err(|_| ConstraintError::NotAVersion)?,
            segments,
            text: format!("{}{}", group("operator"), group("version")),
        })
    }

    /// Returns whether the part accepts a version whose pre-release, if any, is allowed.
    fn matches(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Equal if self.segments == Segments::All => *version == self.version,
            Operator::Equal | Operator::Tilde => self.matches_tilde(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => self.is_below(version),
            Operator::Less => *version < self.version,
            Operator::GreaterOrEqual => *version >= self.version,
            Operator::LessOrEqual => self.reaches(version),
            Operator::Caret => self.matches_caret(version),
        }
    }

    fn matches_tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if *version < *own {
            return false;
        }
        // `~*`, and also `~0.0.0`, accept everything.
        let open = matches!(self.segments, Segments::None | Segments::All);
        if open && (own.major, own.minor, own.patch) == (0, 0, 0) {
            return true;
        }
        version.major == own.major
            && (version.minor == own.minor || self.segments == Segments::Major)
    }

    fn matches_caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if *version < *own {
            return false;
        }
        if own.major > 0 || self.segments == Segments::Major {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.segments == Segments::Minor {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }

    fn differs(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.segments {
            Segments::Major => version.major != own.major,
            Segments::Minor => {
                (version.major, version.minor) != (own.major, own.minor)
                    || compare_prereleases(&version.pre, &own.pre).is_ne()
            }
            // `!=*` compares with 0.0.0, as upstream does.
            Segments::All | Segments::None => version != own,
        }
    }

    /// `>1.2` starts at 1.3.0: every 1.2.x is not greater than 1.2.
    fn is_below(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.segments {
            Segments::Major => version.major > own.major,
            Segments::Minor => (version.major, version.minor) > (own.major, own.minor),
            Segments::None | Segments::All => version > own,
        }
    }

    /// `<=1.2` includes every 1.2.x.
    fn reaches(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.segments {
            Segments::All => version <= own,
            Segments::Major => version.major <= own.major,
            Segments::None | Segments::Minor => {
                (version.major, version.minor) <= (own.major, own.minor)
            }
        }
    }
}

impl Operator {
    fn parse(text: &str) -> Self {
        match text {
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" | "=>" => Self::GreaterOrEqual,
            "<=" | "=<" => Self::LessOrEqual,
            "~" | "~>" => Self::Tilde,
            "^" => Self::Caret,
            _ => Self::Equal,
        }
    }
}

struct Patterns {
    part: Regex,
    alternative: Regex,
    hyphen_range: Regex,
}

/// The grammar is kept as the patterns that upstream defines it by: where they are odd, as with
/// the `|` inside a segment, a parser by hand would accept other constraints.
static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    // White space of Go's `\s`, which is ASCII and without the vertical tab.
    let s = r"[\t\n\f\r ]";
    let operator = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
    let version = r"v?[0-9|xX*]+(?:\.[0-9|xX*]+)?(?:\.[0-9|xX*]+)?(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?";
    let named = r"(?<version>v?(?<major>[0-9|xX*]+)(?:\.(?<minor>[0-9|xX*]+))?(?:\.(?<patch>[0-9|xX*]+))?(?<pre>-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)";
    let regex = |pattern: String| Regex::new(&pattern).expect("the pattern is valid");
    Patterns {
        part: regex(format!("(?<operator>{operator}){s}*{named}")),
        alternative: regex(format!(
            "^{s}*(?:{operator}){s}*(?:{version}){s}*(?:(?:{s}+|,{s}*)(?:{operator}){s}*(?:{version}){s}*)*$"
        )),
        hyphen_range: regex(format!("{s}*(?<from>{version}){s}+-{s}+(?<to>{version}){s}*")),
    }
});

#[cfg(test)]
mod tests;
