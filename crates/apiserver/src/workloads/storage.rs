//! Claims and volumes: every claim finds a volume, which goes with it.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, Patch};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use super::event::Recorder;
use super::{Outcome, beside, cluster, delete, ensure, write_status, written_by};

const CONTROLLER: &str = "persistentvolume-controller";

pub(super) fn drive_claims(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<PersistentVolumeClaim>(&client);
    super::drive(client, controller, claim)
}

pub(super) fn drive_volumes(client: Client) -> BoxFuture<'static, ()> {
    let claims = Api::<PersistentVolumeClaim>::all(client.clone());
    let controller = super::controller::<PersistentVolume>(&client).watches(
        claims,
        watcher::Config::default(),
        |claim| claim.uid().map(|uid| ObjectRef::new(&volume_name(&uid))),
    );
    super::drive(client, controller, volume)
}

fn volume_name(claim: &str) -> String {
    format!("pvc-{claim}")
}

async fn claim(
    obj: Arc<PersistentVolumeClaim>,
    client: Arc<Client>,
) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    match Outcome::of(obj.metadata.annotations.as_ref()) {
        Outcome::Ready => {}
        Outcome::Pending => {
            write_status(&client, &*obj, &json!({"phase": "Pending"})).await?;
            return Ok(Action::await_change());
        }
        Outcome::Failed => {
            write_status(&client, &*obj, &json!({"phase": "Lost"})).await?;
            return Ok(Action::await_change());
        }
    }
    if spec.volume_name.is_none() {
        let name = volume_name(&obj.uid().unwrap_or_default());
        make_volume(&client, &obj, &name).await?;
        let claims: Api<PersistentVolumeClaim> = beside(&client, &*obj);
        let patch = Patch::Merge(json!({"spec": {"volumeName": name}}));
        match claims.patch(&obj.name_any(), &written_by(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
        Recorder::new(&client, CONTROLLER, &*obj)
            .normal("ProvisioningSucceeded", &format!("Successfully provisioned volume {name}"))
            .await;
        // The patch brings the claim back.
        return Ok(Action::await_change());
    }
    let status = json!({
        "phase": "Bound",
        "accessModes": spec.access_modes,
        "capacity": spec.resources.as_ref().and_then(|resources| resources.requests.clone()),
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}

async fn make_volume(
    client: &Client,
    claim: &PersistentVolumeClaim,
    name: &str,
) -> Result<(), kube::Error> {
    let spec = claim.spec.clone().unwrap_or_default();
    let volume = json!({
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": "tidegate.dev/simulated"},
        },
        "spec": {
            "accessModes": spec.access_modes,
            "capacity": spec.resources.and_then(|resources| resources.requests),
            "claimRef": claim.object_ref(&()),
            "hostPath": {"path": format!("/simulated/{name}")},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName":
                spec.storage_class_name.unwrap_or_else(|| cluster::STORAGE_CLASS.to_owned()),
            "volumeMode": spec.volume_mode.unwrap_or_else(|| "Filesystem".to_owned()),
        },
    });
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    ensure(&volumes, &volume).await.map(drop)
}

async fn volume(obj: Arc<PersistentVolume>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let volumes: Api<PersistentVolume> = Api::all((*client).clone());
    let phase = match &spec.claim_ref {
        None => "Available",
        Some(reference) => {
            let namespace = reference.namespace.clone().unwrap_or_default();
            let claims: Api<PersistentVolumeClaim> = Api::namespaced((*client).clone(), &namespace);
            let claim = claims.get_opt(reference.name.as_deref().unwrap_or_default()).await?;
            let alive = claim.is_some_and(|claim| {
                reference.uid.is_none() || claim.metadata.uid == reference.uid
            });
            if !alive && spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete") {
                delete(&volumes, &obj.name_any()).await?;
                return Ok(Action::await_change());
            }
            if alive { "Bound" } else { "Released" }
        }
    };
    let current = obj.status.as_ref().and_then(|status| status.phase.as_deref());
    if current != Some(phase) {
        let patch = Patch::Merge(json!({"status": {"phase": phase}}));
        match volumes.patch_status(&obj.name_any(), &written_by(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(Action::await_change())
}
