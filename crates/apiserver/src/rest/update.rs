//! Replacing an object.

use crate::convert;
use crate::object::Object;
use crate::rest::Reply;
use crate::rest::list::parse_revision;
use crate::rest::request::Call;
use crate::rest::write;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::storage::Entry;
use crate::{managed, schema};

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
        let old = cluster
            .store
            .get(&call.resource.storage, &call.key())
            .ok_or_else(|| call.not_found())?;
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

/// Custom resources, and a few other kinds, are replaced only by who says which version.
fn check_unconditional(call: &Call, object: &serde_json::Value) -> Result<(), ApiError> {
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
pub(crate) fn check_revision(
    call: &Call,
    object: &serde_json::Value,
    old: &Entry,
) -> Result<(), ApiError> {
    match object.meta_str("resourceVersion") {
        Some(given) if parse_revision(given)? != old.revision => {
            Err(call.conflict(object.name(), MODIFIED))
        }
        _ => Ok(()),
    }
}
