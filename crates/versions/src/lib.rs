//! Semantic versions and ranges as `github.com/Masterminds/semver/v3` reads them.
//!
//! Flux selects Git tags, charts and images with that library, and its grammar differs from that of
//! every Rust crate: versions may start with `v`, miss segments and have leading zeros; constraints
//! are joined by commas, spaces and `||`, and know `~`, `^`, wildcards and hyphen ranges. Which
//! candidates exist, and which of two equal ones is newer, is for the caller to know.

mod constraint;
mod select;
mod version;

pub use constraint::{Constraint, ConstraintError};
pub use select::{latest, matching, newest};
pub use version::{Version, VersionError};
