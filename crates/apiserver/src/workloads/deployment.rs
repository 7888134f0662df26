//! Deployments: a ReplicaSet for each template.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::{
    Outcome, beside, condition, ensure, hash, is_owned_by, owner, status_of, write_status,
};

const TEMPLATE_HASH: &str = "pod-template-hash";

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<Deployment>(&client)
        .owns(Api::<ReplicaSet>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<Deployment>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let api: Api<ReplicaSet> = beside(&client, &*obj);
    let mut owned = api.list(&ListParams::default()).await?.items;
    owned.retain(|set| is_owned_by(set, &*obj));
    let desired = spec.replicas.unwrap_or(1);
    let hash = hash(&spec.template);
    let name = format!("{}-{hash}", obj.name_any());
    let current = owned.iter().find(|set| set.name_any() == name);
    match current {
        None => ensure(&api, &replica_set(&obj, &name, &hash, desired)).await?,
        Some(set) if set.spec.as_ref().and_then(|spec| spec.replicas) != Some(desired) => {
            scale(&api, &name, desired).await?;
        }
        Some(_) => {}
    }
    let available = current.map_or(0, available_of);
    let recreate = spec.strategy.as_ref().is_some_and(|s| s.type_.as_deref() == Some("Recreate"));
    for old in owned.iter().filter(|set| set.name_any() != name) {
        let running = old.spec.as_ref().and_then(|spec| spec.replicas) != Some(0);
        if running && (recreate || available >= desired) {
            scale(&api, &old.name_any(), 0).await?;
        }
    }
    write_status(&client, &*obj, &status(&obj, &owned, &name, desired)).await?;
    Ok(Action::await_change())
}

async fn scale(api: &Api<ReplicaSet>, name: &str, replicas: i32) -> Result<(), kube::Error> {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    api.patch(name, &PatchParams::default(), &patch).await.map(drop)
}

fn available_of(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

fn replica_set(deployment: &Deployment, name: &str, hash: &str, replicas: i32) -> Value {
    let spec = serde_json::to_value(&deployment.spec).unwrap_or_default();
    let (mut template, mut selector) = (spec["template"].clone(), spec["selector"].clone());
    template["metadata"]["labels"][TEMPLATE_HASH] = hash.into();
    selector["matchLabels"][TEMPLATE_HASH] = hash.into();
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    })
}

fn status(deployment: &Deployment, owned: &[ReplicaSet], name: &str, desired: i32) -> Value {
    let count = |field: fn(&ReplicaSet) -> i32, new_only: bool| -> i32 {
        owned.iter().filter(|set| !new_only || set.name_any() == name).map(field).sum()
    };
    let replicas = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let ready = |set: &ReplicaSet| {
        set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
    };
    let (total, updated) = (count(replicas, false), count(replicas, true));
    let (available, updated_available) = (count(available_of, false), count(available_of, true));
    let old = status_of(deployment);
    let template = deployment.spec.as_ref().map(|spec| Outcome::of_template(&spec.template));
    let complete = updated == desired && total == desired && updated_available == desired;
    let progressing = if complete {
        condition(
            &old,
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &format!("ReplicaSet \"{name}\" has successfully progressed."),
        )
    } else if template == Some(Outcome::Failed) {
        condition(
            &old,
            "Progressing",
            false,
            "ProgressDeadlineExceeded",
            &format!("ReplicaSet \"{name}\" has timed out progressing."),
        )
    } else {
        condition(
            &old,
            "Progressing",
            true,
            "ReplicaSetUpdated",
            &format!("ReplicaSet \"{name}\" is progressing."),
        )
    };
    let available_enough = available >= desired;
    let (reason, message) = if available_enough {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let some = |number: i32| if number > 0 { json!(number) } else { Value::Null };
    json!({
        "observedGeneration": deployment.metadata.generation,
        "replicas": some(total),
        "updatedReplicas": some(updated),
        "readyReplicas": some(count(ready, false)),
        "availableReplicas": some(available),
        "unavailableReplicas": some(desired.max(total) - available),
        "conditions": [
            condition(&old, "Available", available_enough, reason, message),
            progressing,
        ],
    })
}
