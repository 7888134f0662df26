//! Who manages which field.

use http::Method;
use serde_json::Value;
use smd::FieldSet;
use smd::managed::{self, ApplyError, Write};
use smd::validate::FieldError;

use crate::rest::request::Call;
use crate::status::{ApiError, Cause};
use crate::{clock, schema};

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
        let schema = version.schema.typed();
        if let Some(problem) = smd::validate::type_error(schema, &object) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (meta, kind) = (&config["metadata"], kind_of(config));
            return Err(ApiError::unclassified(format!(
                "failed to convert new object ({}/{}; {kind}) to proper version: unable to convert \
                 unstructured object to {kind}: error decoding from json: {problem}",
                text(&meta["namespace"]),
                text(&meta["name"]),
            )));
        }
        smd::prune::round_trip(schema, &mut object);
    }
    Ok(object)
}

/// Limit of the name of a field manager, in bytes.
const MANAGER_LIMIT: usize = 128;

/// Refuses options of a write that make no sense.
pub(crate) fn check_options(call: &Call) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    let applies = call.content_type == "application/apply-patch+yaml";
    let manager = call.param("fieldManager").unwrap_or_default();
    let is_patch = call.method == Method::PATCH;
    if is_patch && applies && manager.is_empty() {
        causes.push(Cause::required("fieldManager", "is required for apply patch"));
    }
    if is_patch && !applies && call.param("force").is_some() {
        causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
    }
    if manager.len() > MANAGER_LIMIT {
        causes.push(FieldError::too_long("fieldManager", MANAGER_LIMIT as u64).into());
    }
    if manager.contains(char::is_control) {
        let what = "should only contain printable characters";
        causes.push(Cause::invalid("fieldManager", &manager.into(), what));
    }
    let dry_run: Vec<Value> = call
        .query
        .iter()
        .filter(|(key, _)| key == "dryRun")
        .map(|(_, value)| value.as_str().into())
        .collect();
    if dry_run.iter().any(|value| value != "All") {
        causes.push(Cause::unsupported("dryRun", &dry_run.into(), &["All"]));
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid("meta.k8s.io", schema::options_kind(call), "", &causes))
    }
}

/// Refuses a configuration of another kind or version than the path says.
pub(crate) fn check_kind(call: &Call, config: &Value) -> Result<(), ApiError> {
    if config["kind"] == call.resource.kind && config["apiVersion"] == call.api_version() {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("invalid object type: {}", kind_of(config))))
}

/// Returns the kind of an object as Go prints it: `apps/v1, Kind=Deployment`.
fn kind_of(object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
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
