//! Between the version an object is stored in and the version it is asked for in.

use serde_json::Value;

use crate::registry::Resource;
use crate::rest::request::Call;

/// Returns a stored object in the version of the call.
pub(crate) fn outward(call: &Call, stored: &Value) -> Value {
    let mut value = stored.clone();
    let wanted = call.api_version();
    if value["apiVersion"] != wanted.as_str() {
        value["apiVersion"] = wanted.into();
    }
    value
}

/// Turns an object of a call into the version that is stored.
pub(crate) fn inward(resource: &Resource, value: &mut Value) {
    if value["apiVersion"] != resource.storage_version.as_str() {
        value["apiVersion"] = resource.storage_version.clone().into();
    }
}
