//! What creates, updates and patches have in common.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::convert;
use crate::crd::CRDS;
use crate::gc;
use crate::object::Object;
use crate::registry::Resource;
use crate::rest::Reply;
use crate::rest::request::Call;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::storage::{Entry, Key, Transaction};
use crate::{admission, clock, crd, defaults, names, rbac, schema, strategy};

/// Fields of the metadata that only the server writes.
const SERVER_OWNED: [&str; 5] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// Checks that an object is of the kind and place that the path says.
pub(crate) fn check_identity(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let resource = &call.resource;
    let expected = call.api_version();
    if object.get("metadata").is_some_and(|meta| !meta.is_object() && !meta.is_null()) {
        schema::check_types(call, object)?;
    }
    if !resource.custom {
        for (field, value) in [("kind", &resource.kind), ("apiVersion", &expected)] {
            if object[field].as_str().is_none_or(str::is_empty) {
                object[field] = value.clone().into();
            }
        }
    }
    let kind = object["kind"].as_str().unwrap_or_default();
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    if kind.is_empty() {
        return Err(ApiError::bad_request("Object 'Kind' is missing in the body of the request"));
    } else if kind != resource.kind || api_version != expected {
        return Err(ApiError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: the API version in the data \
             ({api_version}) does not match the expected API version ({expected})",
            api_version.rsplit('/').next().unwrap_or_default(),
            resource.kind
        )));
    }
    check_namespace_of(call, object)?;
    if let Some(name) = &call.name {
        if object.name().is_empty() {
            object.meta_mut().insert("name".into(), name.clone().into());
        } else if object.name() != name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                object.name()
            )));
        }
    }
    Ok(())
}

/// Checks that an object is in the namespace that the path says, if it says one.
pub(crate) fn check_namespace_of(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let namespace = object.namespace().to_owned();
    if call.resource.namespaced {
        if namespace.is_empty() {
            object.meta_mut().insert("namespace".into(), call.namespace.clone().into());
        } else if namespace != call.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            ));
        }
    } else if !namespace.is_empty() {
        object.meta_mut().shift_remove("namespace");
    }
    Ok(())
}

/// Gives a new object what the server decides, and checks it.
pub(crate) fn prepare_create(
    cluster: &Cluster,
    call: &Call,
    object: &mut Value,
) -> Result<(), ApiError> {
    let resource = &call.resource;
    rbac::check_escalation(cluster, call, object, None)?;
    for field in SERVER_OWNED {
        object.meta_mut().shift_remove(field);
    }
    object.meta_mut().shift_remove("selfLink");
    if object.name().is_empty()
        && let Some(prefix) = object.meta_str("generateName")
    {
        let name = names::generate(prefix);
        object.meta_mut().insert("name".into(), name.into());
    }
    let meta = object.meta_mut();
    meta.insert("uid".into(), Uuid::new_v4().to_string().into());
    meta.insert("creationTimestamp".into(), clock::now().into());
    if resource.generation || resource.custom {
        meta.insert("generation".into(), 1.into());
    }
    if resource.status_separate(&call.version)
        && let Some(object) = object.as_object_mut()
    {
        object.shift_remove("status");
    }
    defaults::finish(call, object);
    admission::complete(cluster, call, object, None)?;
    // A job takes the labels that its template was given.
    defaults::fill(call, object);
    strategy::validate(call, object, None)
}

/// Merges what the client sent with what only the server writes, and checks the result.
pub(crate) fn prepare_update(
    cluster: &Cluster,
    call: &Call,
    object: &mut Value,
    old: &Value,
) -> Result<(), ApiError> {
    let resource = &call.resource;
    check_uid(call, object, old)?;
    rbac::check_escalation(cluster, call, object, Some(old))?;
    for field in SERVER_OWNED {
        match old.meta().and_then(|meta| meta.get(field)) {
            Some(value) => object.meta_mut().insert(field.into(), value.clone()),
            None => object.meta_mut().shift_remove(field),
        };
    }
    object.meta_mut().shift_remove("selfLink");
    if old.is_terminating() {
        let new: Vec<&str> = object
            .finalizers()
            .filter(|finalizer| !old.finalizers().any(|known| known == *finalizer))
            .collect();
        if !new.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                new.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ")
            );
            return Err(invalid(call, object, &[Cause::forbidden("metadata.finalizers", &detail)]));
        }
    }
    match call.subresource.as_deref() {
        Some("status" | "approval") => keep_all_but(object, old, "status"),
        Some("finalize") => {
            let finalizers = object["spec"]["finalizers"].take();
            let managed = object["metadata"]["managedFields"].take();
            *object = old.clone();
            object["spec"]["finalizers"] = finalizers;
            object["metadata"]["managedFields"] = managed;
        }
        _ => {
            if resource.status_separate(&call.version) {
                copy_field(object, old, "status");
            }
            if resource.kind == "Namespace" && resource.group.is_empty() {
                copy_field(object, old, "spec");
            }
        }
    }
    defaults::finish(call, object);
    admission::complete(cluster, call, object, Some(old))?;
    strategy::validate(call, object, Some(old))?;
    if (resource.generation || resource.custom) && spec_changed(call, object, old) {
        let generation = old.generation().unwrap_or(1) + 1;
        object.meta_mut().insert("generation".into(), generation.into());
    }
    Ok(())
}

fn check_uid(call: &Call, object: &Value, old: &Value) -> Result<(), ApiError> {
    match (object.uid(), old.uid()) {
        (Some(given), Some(actual)) if given != actual => {
            let why = format!(
                "Precondition failed: UID in precondition: {given}, UID in object meta: {actual}"
            );
            Err(call.conflict(object.name(), &why))
        }
        _ => Ok(()),
    }
}

/// Takes one field from the object, and everything else from the old one. Managed fields and the
/// version the client read stay.
fn keep_all_but(object: &mut Value, old: &Value, field: &str) {
    let mut kept = old.clone();
    copy_field(&mut kept, object, field);
    for field in ["managedFields", "resourceVersion"] {
        if let Some(value) = object.meta().and_then(|meta| meta.get(field)) {
            kept.meta_mut().insert(field.into(), value.clone());
        } else {
            kept.meta_mut().shift_remove(field);
        }
    }
    *object = kept;
}

fn copy_field(to: &mut Value, from: &Value, field: &str) {
    if let Some(object) = to.as_object_mut() {
        match from.get(field) {
            Some(value) => object.insert(field.into(), value.clone()),
            None => object.shift_remove(field),
        };
    }
}

fn spec_changed(call: &Call, new: &Value, old: &Value) -> bool {
    let separate = call.resource.status_separate(&call.version) || !call.resource.custom;
    let counted = |object: &Value| -> Map<String, Value> {
        let fields = object.as_object().cloned().unwrap_or_default();
        let skipped = |field: &str| {
            matches!(field, "metadata" | "apiVersion" | "kind") || (separate && field == "status")
        };
        fields.into_iter().filter(|(field, _)| !skipped(field)).collect()
    };
    counted(new) != counted(old)
}

/// Returns 422 for an object of the call's kind.
pub(crate) fn invalid(call: &Call, object: &Value, causes: &[Cause]) -> ApiError {
    ApiError::invalid(&call.resource.group, &call.resource.kind, object.name(), causes)
}

/// Stores a new object, unless this is a dry run.
pub(crate) fn store_new(
    cluster: &Cluster,
    call: &Call,
    mut object: Value,
) -> Result<Reply, ApiError> {
    let resource = &call.resource;
    let key = Key::new(object.namespace(), object.name());
    convert::inward(resource, &mut object);
    object.meta_mut().shift_remove("resourceVersion");
    let stored = cluster.transact(|tx| {
        check_namespace(tx, call, &object)?;
        if tx.get(&resource.storage, &key).is_some() {
            return Err(ApiError::already_exists(&resource.group, &resource.plural, &key.name));
        }
        if call.dry_run() {
            return Ok(Arc::new(Entry::new(object, 0)));
        }
        let entry = tx.put(&resource.storage, &key, object);
        after_write(cluster, tx, resource, &key);
        Ok(entry)
    })?;
    Ok(Reply::Stored(StatusCode::CREATED, stored))
}

/// Stores a changed object if it is still at the revision of `old`, unless this is a dry run.
/// `None` says that it has changed meanwhile.
pub(crate) fn store_changed(
    cluster: &Cluster,
    call: &Call,
    mut object: Value,
    old: &Entry,
) -> Option<Reply> {
    let resource = &call.resource;
    let key = call.key();
    convert::inward(resource, &mut object);
    object.set_resource_version(old.revision);
    let unchanged = same_but_times(&object, &old.value);
    let stored = cluster.transact(|tx| {
        let current = tx.get(&resource.storage, &key)?;
        if current.revision != old.revision {
            return None;
        }
        if call.dry_run() {
            return Some(Arc::new(Entry::new(object, old.revision)));
        }
        if unchanged && !gc::is_done(&current.value) {
            return Some(current);
        }
        let entry = tx.put(&resource.storage, &key, object);
        after_write(cluster, tx, resource, &key);
        Some(entry)
    })?;
    Some(Reply::Stored(StatusCode::OK, stored))
}

fn after_write(cluster: &Cluster, tx: &mut Transaction<'_>, resource: &Resource, key: &Key) {
    if &*resource.storage == CRDS {
        crd::after_write(cluster, tx, key);
    }
    gc::after_write(tx, &resource.storage, key);
}

/// Returns whether nothing changed, or only the times in the managed fields: such a write is none.
fn same_but_times(new: &Value, old: &Value) -> bool {
    if new == old {
        return true;
    }
    let timeless = |object: &Value| {
        let mut object = object.clone();
        if let Some(Value::Array(entries)) = object.meta_mut().get_mut("managedFields") {
            for entry in entries {
                entry["time"] = Value::Null;
            }
        }
        object
    };
    timeless(new) == timeless(old)
}

/// Objects are created only in namespaces that exist and stay.
fn check_namespace(tx: &Transaction<'_>, call: &Call, object: &Value) -> Result<(), ApiError> {
    let resource = &call.resource;
    if !resource.namespaced {
        return Ok(());
    }
    let namespace = tx
        .get("namespaces", &Key::new("", &call.namespace))
        .ok_or_else(|| ApiError::not_found("", "namespaces", &call.namespace))?;
    if namespace.value.is_terminating() {
        return Err(ApiError::namespace_terminating(
            &resource.group,
            &resource.plural,
            object.name(),
            &call.namespace,
        ));
    }
    Ok(())
}

/// Returns the `Success` status that a delete answers with.
pub(crate) fn success(call: &Call, object: &Value) -> Value {
    let mut details = json!({"name": object.name()});
    if !call.resource.group.is_empty() {
        details["group"] = call.resource.group.clone().into();
    }
    details["kind"] = call.resource.plural.clone().into();
    details["uid"] = object.uid().unwrap_or_default().into();
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}
