//! Subresources of pods alone: what schedulers post, and logs.

use http::StatusCode;
use serde_json::json;

use crate::admission;
use crate::convert;
use crate::object::Object;
use crate::rest::request::Call;
use crate::rest::update::{ATTEMPTS, MODIFIED};
use crate::rest::{Reply, write};
use crate::server::Cluster;
use crate::status::ApiError;

/// Assigns a pod to a node.
pub(crate) fn bind(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let binding = call.object()?;
    if binding.name() != call.name.as_deref().unwrap_or_default() {
        let what = "name in URL does not match name in Binding object";
        return Err(ApiError::bad_request(what));
    }
    let success =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    for _ in 0..ATTEMPTS {
        let old = cluster
            .store
            .get(&call.resource.storage, &call.key())
            .ok_or_else(|| call.not_found())?;
        let mut pod = convert::outward(call, &old.value);
        admission::bind(call, &mut pod, &binding)?;
        if write::store_changed(cluster, call, pod, &old).is_some() {
            return Ok(Reply::Json(StatusCode::CREATED, success));
        }
    }
    Err(call.conflict(call.name.as_deref().unwrap_or_default(), MODIFIED))
}

/// Returns the log of a pod: empty, as nothing runs.
pub(crate) fn log(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let found = cluster.store.get(&call.resource.storage, &call.key());
    found.map(|_| Reply::Text(String::new())).ok_or_else(|| call.not_found())
}
