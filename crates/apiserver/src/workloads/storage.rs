//! PersistentVolumeClaims: every claim finds a volume.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Client;
use kube::runtime::controller::Action;
use serde_json::json;

use super::{Outcome, write_status};

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<PersistentVolumeClaim>(&client);
    super::drive(client, controller, reconcile)
}

async fn reconcile(
    obj: Arc<PersistentVolumeClaim>,
    client: Arc<Client>,
) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let status = match Outcome::of(obj.metadata.annotations.as_ref()) {
        Outcome::Ready => json!({
            "phase": "Bound",
            "accessModes": spec.access_modes,
            "capacity": spec.resources.as_ref().and_then(|resources| resources.requests.clone()),
        }),
        Outcome::Pending => json!({"phase": "Pending"}),
        Outcome::Failed => json!({"phase": "Lost"}),
    };
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}
