//! Replacing an object.

use crate::convert;
use crate::object::Object;
use crate::rest::Reply;
use crate::rest::list::parse_revision;
use crate::rest::request::Call;
use crate::rest::write;
use crate::server::Cluster;
use crate::status::ApiError;
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
    schema::check_fields(call, &mut object)?;
    for _ in 0..ATTEMPTS {
        let old = cluster
            .store
            .get(&call.resource.storage, &call.key())
            .ok_or_else(|| call.not_found())?;
        check_revision(call, &object, &old)?;
        let before = convert::outward(call, &old.value);
        let mut object = object.clone();
        write::prepare_update(cluster, call, &mut object, &before)?;
        managed::updated(call, &mut object, Some(&before));
        if let Some(reply) = write::store_changed(cluster, call, object, &old) {
            return Ok(reply);
        }
    }
    Err(call.conflict(object.name(), MODIFIED))
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
