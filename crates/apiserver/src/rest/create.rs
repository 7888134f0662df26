//! Creating an object.

use crate::object::Object;
use crate::rest::Reply;
use crate::rest::request::Call;
use crate::rest::write;
use crate::server::Cluster;
use crate::status::ApiError;
use crate::{managed, schema};

/// Creates the object in the body.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    if call.resource.namespaced && call.namespace.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    let mut object = call.object()?;
    write::check_identity(call, &mut object)?;
    if object.meta_str("resourceVersion").is_some() {
        return Err(ApiError::unclassified(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    managed::check_options(call)?;
    schema::decode(call, &mut object)?;
    // What the server adds below belongs to nobody.
    managed::updated(call, &mut object, None);
    write::prepare_create(cluster, call, &mut object)?;
    write::store_new(cluster, call, object)
}
