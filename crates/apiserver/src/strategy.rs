//! What admission does with an object: defaults, pruning, validation.

use serde_json::Value;

use crate::defaults;
use crate::names;
use crate::object::Object;
use crate::rest::request::Call;
use crate::rest::write::invalid;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};

/// Fills defaults in and checks an object before it is stored; `old` is what it replaces.
pub(crate) fn admit(
    _cluster: &Cluster,
    call: &Call,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let resource = &call.resource;
    if !resource.custom {
        // What belongs to another subresource was taken out; its empty structures come back.
        if let Some(version) = resource.version(&call.version) {
            smd::prune::round_trip(version.schema.typed(), object);
        }
        defaults::fill(&resource.group, &resource.kind, object);
    }
    let mut causes = Vec::new();
    if old.is_none() {
        check_name(call, object, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(invalid(call, object, &causes)) }
}

fn check_name(call: &Call, object: &Value, causes: &mut Vec<Cause>) {
    let name = object.name();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    let resource = &call.resource;
    let shown = Value::from(name);
    let (good, rule) = match (resource.group.as_str(), resource.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => {
            (names::is_path_segment(name), "may not contain '/' or '%'")
        }
        ("", "Namespace" | "Service") => (names::is_label(name), names::LABEL_RULE),
        _ => (names::is_subdomain(name), names::SUBDOMAIN_RULE),
    };
    if !good {
        causes.push(Cause::invalid("metadata.name", &shown, rule));
    }
}
