//! Who manages which field.

use serde_json::Value;

use crate::rest::request::Call;
use crate::status::ApiError;

/// Records what an update or create changed.
pub(crate) fn updated(
    _call: &Call,
    _object: &mut Value,
    _old: Option<&Value>,
) -> Result<(), ApiError> {
    Ok(())
}

/// Merges an applied configuration into the live object.
pub(crate) fn applied(_call: &Call, live: &Value, config: &Value) -> Result<Value, ApiError> {
    let mut object = live.clone();
    json_patch::merge(&mut object, config);
    Ok(object)
}
