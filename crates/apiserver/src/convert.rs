//! Between the version an object is stored in and the version it is asked for in.
//!
//! Versions of a custom kind differ in their name alone. Events have two shapes, one per group, and
//! autoscalers one per version; any other built-in kind has a single version.

mod autoscaler;
mod event;

use serde_json::Value;

use crate::registry::Resource;
use crate::rest::request::Call;

/// Returns whether the call sees objects as they are stored.
pub(crate) fn as_stored(call: &Call) -> bool {
    let (group, version) = match call.resource.storage_version.rsplit_once('/') {
        Some((group, version)) => (group, version),
        None => ("", call.resource.storage_version.as_str()),
    };
    call.resource.group == group && call.version == version
}

/// Returns a stored object in the version of the call.
pub(crate) fn outward(call: &Call, stored: &Value) -> Value {
    let mut value = stored.clone();
    if !as_stored(call) {
        value["apiVersion"] = call.api_version().into();
        match (call.resource.group.as_str(), call.version.as_str()) {
            ("events.k8s.io", _) => event::to_new(&mut value),
            ("autoscaling", "v1") => autoscaler::to_v1(&mut value),
            _ => {}
        }
    }
    value
}

/// Turns an object of a call into the version that is stored.
pub(crate) fn inward(resource: &Resource, value: &mut Value) {
    if value["apiVersion"] == resource.storage_version.as_str() {
        return;
    }
    match value["apiVersion"].as_str() {
        Some("events.k8s.io/v1") => event::to_core(value),
        Some("autoscaling/v1") => autoscaler::to_v2(value),
        _ => {}
    }
    value["apiVersion"] = resource.storage_version.clone().into();
}
