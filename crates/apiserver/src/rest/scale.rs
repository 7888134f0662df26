//! The scale subresource.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::convert;
use crate::managed;
use crate::object::Object;
use crate::registry::Scale;
use crate::rest::request::{Call, parse_yaml};
use crate::rest::update::{ATTEMPTS, MODIFIED, check_revision};
use crate::rest::{Reply, write};
use crate::selector::{label_text, selector_text};
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::storage::Entry;

const APPLY: &str = "application/apply-patch+yaml";

/// Reads or sets the number of replicas.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let scale = call
        .resource
        .version(&call.version)
        .and_then(|version| version.subresources.scale.clone())
        .ok_or_else(ApiError::no_such_path)?;
    for _ in 0..ATTEMPTS {
        let old = cluster
            .store
            .get(&call.resource.storage, &call.key())
            .ok_or_else(|| call.not_found())?;
        let before = convert::outward(call, &old.value);
        let current = view(&scale, &before);
        if call.method == Method::PATCH && call.content_type == APPLY {
            match apply(cluster, call, &scale, &before, &old)? {
                Some(reply) => return Ok(reply),
                None => continue,
            }
        }
        let mut wanted = match call.method {
            Method::GET => return Ok(Reply::Json(StatusCode::OK, current)),
            Method::PUT => call.object()?,
            Method::PATCH => {
                let patch: Value = serde_json::from_slice(&call.body)
                    .map_err(|error| ApiError::bad_request(error.to_string()))?;
                let mut wanted = current.clone();
                if call.content_type == "application/json-patch+json" {
                    let patch: json_patch::Patch = serde_json::from_value(patch)
                        .map_err(|error| ApiError::bad_request(error.to_string()))?;
                    json_patch::patch(&mut wanted, &patch)
                        .map_err(|error| ApiError::unprocessable(error.to_string()))?;
                } else {
                    json_patch::merge(&mut wanted, &patch);
                }
                wanted
            }
            _ => return Err(ApiError::method_not_allowed()),
        };
        check_revision(call, &wanted, &old)?;
        let replicas = wanted["spec"]["replicas"].take();
        check_replicas(call, &replicas)?;
        let mut object = before.clone();
        set(
            &mut object,
            &scale.spec_replicas,
            if replicas.is_null() { 0.into() } else { replicas },
        );
        let mut main = call.with(call.method.clone(), call.name.clone());
        main.subresource = None;
        write::prepare_update(cluster, &main, &mut object, &before)?;
        managed::updated(call, &mut object, Some(&before));
        match write::store_changed(cluster, &main, object, &old) {
            Some(Reply::Stored(code, stored)) => {
                return Ok(Reply::Json(code, view(&scale, &convert::outward(call, &stored.value))));
            }
            Some(other) => return Ok(other),
            None => {}
        }
    }
    Err(call.conflict(call.name.as_deref().unwrap_or_default(), MODIFIED))
}

/// Applies a Scale, as its manager, to the object that it is of. `None` says that the object has
/// changed meanwhile.
fn apply(
    cluster: &Cluster,
    call: &Call,
    scale: &Scale,
    before: &Value,
    old: &Entry,
) -> Result<Option<Reply>, ApiError> {
    managed::check_options(call)?;
    let wanted = parse_yaml(&call.body)?;
    if wanted["kind"] != "Scale" || wanted["apiVersion"] != "autoscaling/v1" {
        let text = |field: &str| wanted[field].as_str().unwrap_or_default();
        let kind = format!("{}, Kind={}", text("apiVersion"), text("kind"));
        return Err(ApiError::bad_request(format!("invalid object type: {kind}")));
    }
    check_revision(call, &wanted, old)?;
    let replicas = &wanted["spec"]["replicas"];
    check_replicas(call, replicas)?;
    let mut config = json!({
        "apiVersion": call.api_version(),
        "kind": call.resource.kind,
        "metadata": {"name": before.name(), "namespace": before.namespace()},
    });
    if !replicas.is_null() {
        set(&mut config, &scale.spec_replicas, replicas.clone());
    }
    let mut object = managed::applied(call, Some(before), &config)?;
    let manager = call.manager();
    if let Some(Value::Array(entries)) = object.meta_mut().get_mut("managedFields") {
        // Such an entry has no time, which puts it before those that have one.
        let is_own = |entry: &Value| {
            entry["manager"] == *manager
                && entry["operation"] == "Apply"
                && entry["subresource"] == "scale"
        };
        if let Some(at) = entries.iter().position(is_own) {
            let mut own = entries.remove(at);
            if let Some(own) = own.as_object_mut() {
                own.shift_remove("time");
            }
            entries.insert(0, own);
        }
    }
    let mut main = call.with(call.method.clone(), call.name.clone());
    main.subresource = None;
    write::prepare_update(cluster, &main, &mut object, before)?;
    Ok(match write::store_changed(cluster, &main, object, old) {
        Some(Reply::Stored(code, stored)) => {
            Some(Reply::Json(code, view(scale, &convert::outward(call, &stored.value))))
        }
        other => other,
    })
}

fn check_replicas(call: &Call, replicas: &Value) -> Result<(), ApiError> {
    if replicas.as_i64().is_none_or(|replicas| replicas >= 0) {
        return Ok(());
    }
    let what = "must be greater than or equal to 0";
    let cause = Cause::invalid("spec.replicas", replicas, what);
    let name = call.name.as_deref().unwrap_or_default();
    Err(ApiError::invalid("autoscaling", "Scale", name, &[cause]))
}

/// Returns the `autoscaling/v1` Scale of an object.
fn view(scale: &Scale, object: &Value) -> Value {
    let selector = scale.selector.as_ref().map_or_else(
        || match &object["spec"]["selector"] {
            selector if selector.is_object() => own_selector(selector).into(),
            _ => Value::Null,
        },
        |path| get(object, path).clone(),
    );
    let mut status = json!({"replicas": number(get(object, &scale.status_replicas))});
    if selector.is_string() {
        status["selector"] = selector;
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": object.name(),
            "namespace": object.namespace(),
            "uid": object.uid(),
            "resourceVersion": object["metadata"]["resourceVersion"],
            "creationTimestamp": object["metadata"]["creationTimestamp"],
        },
        "spec": {"replicas": number(get(object, &scale.spec_replicas))},
        "status": status,
    })
}

/// Returns the selector of a built-in kind; that of the oldest one is a map of labels.
fn own_selector(selector: &Value) -> String {
    let is_plain = selector.get("matchLabels").or(selector.get("matchExpressions")).is_none();
    if is_plain { label_text(selector) } else { selector_text(selector) }
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn get<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').filter(|part| !part.is_empty()).fold(object, |at, part| &at[part])
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[part];
    }
    *at = value;
}
