//! Replacing an object.

use serde_json::Value;

use crate::convert;
use crate::object::Object;
use crate::rest::Reply;
use crate::rest::request::Call;
use crate::rest::write;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::storage::Entry;
use crate::{managed, rbac, schema};

/// Why an update is refused when the object moved on.
pub(crate) const MODIFIED: &str = "the object has been modified; please apply your changes to the \
                                   latest version and try again";

/// How often a write without a resource version is tried again when others write meanwhile.
pub(crate) const ATTEMPTS: usize = 64;

/// Replaces the named object by the body.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let mut object = call.object()?;
    write::check_identity(call, &mut object)?;
    managed::check_options(call)?;
    schema::decode(call, &mut object)?;
    for _ in 0..ATTEMPTS {
        let Some(old) = cluster.store.get(&call.resource.storage, &call.key()) else {
            if !creates(call) {
                return Err(call.not_found());
            }
            match create(cluster, call, object.clone()) {
                Err(error) if error.reason() == "AlreadyExists" => continue,
                other => return other,
            }
        };
        check_revision(call, &object, &old)?;
        check_unconditional(call, &object)?;
        let before = convert::outward(call, &old.value);
        let mut object = object.clone();
        managed::updated(call, &mut object, Some(&before));
        write::prepare_update(cluster, call, &mut object, &before)?;
        if let Some(reply) = write::store_changed(cluster, call, object, &old) {
            return Ok(reply);
        }
    }
    Err(call.conflict(object.name(), MODIFIED))
}

/// Objects of a few kinds come into being when they are replaced.
fn creates(call: &Call) -> bool {
    const KINDS: [&str; 7] = [
        "endpoints",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "limitranges",
        "runtimeclasses.node.k8s.io",
        "services",
    ];
    let resource = &call.resource;
    call.subresource.is_none()
        && (KINDS.contains(&resource.qualified().as_str())
            || resource.group == "rbac.authorization.k8s.io")
}

fn create(cluster: &Cluster, call: &Call, mut object: Value) -> Result<Reply, ApiError> {
    if object.uid().is_some() {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: ",
            object.uid().unwrap_or_default()
        );
        return Err(call.conflict(object.name(), &why));
    }
    rbac::require_create(cluster, call)?;
    object.meta_mut().shift_remove("resourceVersion");
    managed::updated(call, &mut object, None);
    write::prepare_create(cluster, call, &mut object)?;
    write::store_new(cluster, call, object)
}

/// Custom resources, and a few other kinds, are replaced only by who says which version.
fn check_unconditional(call: &Call, object: &Value) -> Result<(), ApiError> {
    let resource = &call.resource;
    let is_conditional = resource.custom
        || matches!(
            resource.kind.as_str(),
            "APIService"
                | "CSIDriver"
                | "CSINode"
                | "CSIStorageCapacity"
                | "CustomResourceDefinition"
                | "Lease"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
                | "MutatingWebhookConfiguration"
                | "PodDisruptionBudget"
                | "RuntimeClass"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "ValidatingWebhookConfiguration"
                | "VolumeAttachment"
        );
    if !is_conditional || object.meta_str("resourceVersion").is_some() {
        return Ok(());
    }
    let cause =
        Cause::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
    Err(ApiError::invalid(&resource.group, &resource.plural, object.name(), &[cause]))
}

/// An object that names a resource version replaces only that one.
pub(crate) fn check_revision(call: &Call, object: &Value, old: &Entry) -> Result<(), ApiError> {
    match object.meta_str("resourceVersion") {
        Some(given) => match given.parse::<u64>() {
            Ok(given) if given == old.revision => Ok(()),
            Ok(_) => Err(call.conflict(object.name(), MODIFIED)),
            Err(_) => Err(ApiError::unclassified(format!(
                "strconv.ParseUint: parsing {given:?}: invalid syntax"
            ))),
        },
        _ => Ok(()),
    }
}
