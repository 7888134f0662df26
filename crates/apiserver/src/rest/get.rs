//! Reading one object.

use http::StatusCode;

use crate::rest::Reply;
use crate::rest::request::Call;
use crate::server::Cluster;
use crate::status::ApiError;

/// Returns the named object.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let entry =
        cluster.store.get(&call.resource.storage, &call.key()).ok_or_else(|| call.not_found())?;
    Ok(Reply::Stored(StatusCode::OK, entry))
}
