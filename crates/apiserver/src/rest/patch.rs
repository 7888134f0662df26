//! Changing an object by a patch.

use json_patch::PatchOperation;
use serde_json::Value;

use crate::convert;
use crate::object::Object;
use crate::rest::Reply;
use crate::rest::request::{Call, parse_yaml};
use crate::rest::update::{ATTEMPTS, MODIFIED, check_revision};
use crate::rest::write;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::{json, managed, rbac, schema};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A JSON patch has no more operations than this.
const MOST_OPERATIONS: usize = 10_000;

/// What Go reads patches into.
const MAP: &str = "map[string]interface {}";

fn json_of(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| json::go_text(&error, body))
}

/// A patch in one of the four forms.
enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

impl Patch {
    fn parse(call: &Call) -> Result<Self, ApiError> {
        let bad = |text: &str| ApiError::bad_request(format!("error decoding patch: {text}"));
        let body = || json_of(&call.body);
        match call.content_type.as_str() {
            JSON => {
                let operations = match body().map_err(|text| bad(&text))? {
                    Value::Array(operations) => operations,
                    other => return Err(bad(&json::no_object(&other, "[]handlers.jsonPatchOp"))),
                };
                if let Some(other) = operations.iter().find(|operation| !operation.is_object()) {
                    return Err(bad(&json::no_object(other, "handlers.jsonPatchOp")));
                }
                let patch: json_patch::Patch =
                    serde_json::from_value(operations.into()).map_err(|_| ApiError::rejected())?;
                if patch.0.len() > MOST_OPERATIONS {
                    return Err(ApiError::too_large(MOST_OPERATIONS));
                }
                Ok(Self::Json(patch))
            }
            MERGE => match body().map_err(|text| bad(&text))? {
                Value::Null => Err(ApiError::bad_request("Invalid JSON Patch")),
                patch @ Value::Object(_) => Ok(Self::Merge(patch)),
                other => Err(bad(&json::no_object(&other, MAP))),
            },
            STRATEGIC if call.resource.custom => {
                Err(ApiError::unsupported_media_type(&[JSON, MERGE, APPLY].join(", ")))
            }
            STRATEGIC => match body().map_err(ApiError::bad_request)? {
                patch @ (Value::Object(_) | Value::Null) => Ok(Self::Strategic(patch)),
                other => Err(ApiError::bad_request(json::no_object(&other, MAP))),
            },
            APPLY => match parse_yaml(&call.body)? {
                patch @ Value::Object(_) => Ok(Self::Apply(patch)),
                other => Err(ApiError::bad_request(format!(
                    "error decoding YAML: error unmarshaling JSON: while decoding JSON: {}",
                    json::no_object(&other, MAP)
                ))),
            },
            _ => Err(ApiError::unsupported_media_type(&[JSON, MERGE, STRATEGIC, APPLY].join(", "))),
        }
    }

    fn apply_to(&self, call: &Call, object: &mut Value) -> Result<(), ApiError> {
        match self {
            Self::Json(patch) => {
                operate(object, patch).map_err(|_| ApiError::rejected())?;
                if object.is_object() {
                    return Ok(());
                }
                let problem = format!(
                    "couldn't get version/kind; json parse error: {}",
                    json::no_kind(object)
                );
                let cause = Cause::invalid("patch", &object.to_string().into(), &problem);
                Err(ApiError::invalid("", "", "", &[cause]))
            }
            Self::Merge(patch) => {
                json_patch::merge(object, patch);
                Ok(())
            }
            Self::Strategic(patch) => schema::strategic_merge(call, object, patch),
            Self::Apply(_) => Ok(()),
        }
    }
}

/// Applies a JSON patch. As in the API server, and other than in RFC 6902, a test for null holds
/// where there is nothing.
fn operate(object: &mut Value, patch: &json_patch::Patch) -> Result<(), json_patch::PatchError> {
    for operation in &patch.0 {
        if let PatchOperation::Test(test) = operation
            && test.value.is_null()
            && object.pointer(test.path.as_str()).is_none()
        {
            continue;
        }
        json_patch::patch(object, std::slice::from_ref(operation))?;
    }
    Ok(())
}

/// Patches the named object; a server-side apply creates it if it does not exist.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let patch = Patch::parse(call)?;
    managed::check_options(call)?;
    if let Patch::Apply(applied) = patch {
        return apply(cluster, call, &applied);
    }
    for _ in 0..ATTEMPTS {
        let old = cluster
            .store
            .get(&call.resource.storage, &call.key())
            .ok_or_else(|| call.not_found())?;
        let before = convert::outward(call, &old.value);
        let mut object = before.clone();
        patch.apply_to(call, &mut object)?;
        check_revision(call, &object, &old)?;
        write::check_identity(call, &mut object)?;
        schema::decode(call, &mut object)?;
        managed::updated(call, &mut object, Some(&before));
        write::prepare_update(cluster, call, &mut object, &before)?;
        if let Some(reply) = write::store_changed(cluster, call, object, &old) {
            return Ok(reply);
        }
    }
    Err(call.conflict(call.name.as_deref().unwrap_or_default(), MODIFIED))
}

fn apply(cluster: &Cluster, call: &Call, applied: &Value) -> Result<Reply, ApiError> {
    managed::check_kind(call, applied)?;
    if !applied.list_in_meta("managedFields").is_empty() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    write::check_identity(call, &mut applied.clone())?;
    for _ in 0..ATTEMPTS {
        let old = cluster.store.get(&call.resource.storage, &call.key());
        let Some(old) = old else {
            if call.subresource.is_some() {
                return Err(call.not_found());
            }
            if applied.uid().is_some() {
                let why = "uid mismatch: the provided object specified uid ";
                let why = format!(
                    "{why}{}, and no existing object was found",
                    applied.uid().unwrap_or_default()
                );
                return Err(call.conflict(applied.name(), &why));
            }
            rbac::require_create(cluster, call)?;
            let mut object = managed::applied(call, None, applied)?;
            write::check_identity(call, &mut object)?;
            object.meta_mut().shift_remove("resourceVersion");
            write::prepare_create(cluster, call, &mut object)?;
            match write::store_new(cluster, call, object) {
                Err(error) if error.reason() == "AlreadyExists" => continue,
                other => return other,
            }
        };
        check_revision(call, applied, &old)?;
        let before = convert::outward(call, &old.value);
        let mut object = managed::applied(call, Some(&before), applied)?;
        write::prepare_update(cluster, call, &mut object, &before)?;
        if let Some(reply) = write::store_changed(cluster, call, object, &old) {
            return Ok(reply);
        }
    }
    Err(call.conflict(applied.name(), MODIFIED))
}
