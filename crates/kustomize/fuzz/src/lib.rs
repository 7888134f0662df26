//! What the fuzz targets check. The bodies run under proptest in `tests/fuzz.rs` as well.
//!
//! Every body takes bytes: `yaml` as the text itself, the others as choices that make valid input
//! most of the time ([`choices`]), so that what is found is not only about broken syntax.

pub mod builds;
pub mod choices;
pub mod json6902;
pub mod objects;
pub mod strategic;
pub mod tree;
pub mod yaml;

use kustomize::{MemoryTree, Options, build as run};
use serde_json::Value;

/// Builds files in one directory to one object; an error with its causes on one line.
fn build_one(files: &[(&str, &str)]) -> Result<Value, String> {
    let tree: MemoryTree = files.iter().copied().collect();
    let mut objects = run(&tree, "", &Options::default()).map_err(|error| chain(&error))?;
    assert!(objects.len() <= 1, "one object became {}", objects.len());
    Ok(objects.pop().unwrap_or_default())
}

/// Returns an error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
