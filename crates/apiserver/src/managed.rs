//! Who manages which field.

use serde_json::Value;
use smd::FieldSet;
use smd::managed::{self, ApplyError, Write};

use crate::clock;
use crate::rest::request::Call;
use crate::status::ApiError;

/// Records what an update or create changed.
pub(crate) fn updated(call: &Call, object: &mut Value, old: Option<&Value>) {
    with_write(call, |write| managed::update(write, old, object));
}

/// Merges an applied configuration into the live object, if there is one.
pub(crate) fn applied(
    call: &Call,
    live: Option<&Value>,
    config: &Value,
) -> Result<Value, ApiError> {
    let force = call.flag("force");
    let applied = with_write(call, |write| managed::apply(write, live, config, force));
    let mut object = applied.map_err(refusal)?.object;
    if let Some(version) = call.resource.version(&call.version) {
        smd::prune::round_trip(version.schema.typed(), &mut object);
    }
    Ok(object)
}

fn refusal(error: ApplyError) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => {
            let causes =
                conflicts.0.iter().map(|conflict| (conflict.message(), conflict.field())).collect();
            ApiError::apply_conflict(conflicts.to_string(), causes)
        }
        other => ApiError::unclassified(other.to_string()),
    }
}

fn with_write<T>(call: &Call, then: impl FnOnce(&Write<'_>) -> T) -> T {
    let resource = &call.resource;
    let subresource = call.subresource.as_deref().unwrap_or_default();
    let has_status = resource.status_separate(&call.version);
    let reset: FieldSet = managed::reset_fields(
        &resource.group,
        &resource.kind,
        resource.custom,
        has_status,
        subresource,
    );
    let schemas = |api_version: &str| {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let version = resource.version(version).filter(|_| resource.group == group)?;
        Some(version.schema.typed().clone())
    };
    then(&Write {
        manager: &call.manager(),
        subresource,
        api_version: &call.api_version(),
        time: &clock::now(),
        reset: &reset,
        schemas: &schemas,
    })
}
