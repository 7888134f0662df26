//! YAML bodies.

use serde_json::Value;

/// Parses one document.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
