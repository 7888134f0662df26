//! StatefulSets: numbered pods, one after the other, each with its claims.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::event::Recorder;
use super::revision::{self, Current};
use super::{beside, delete, ensure, hash, is_ready, owner, pod_from, pods_of, some, write_status};

const REVISION: &str = "controller-revision-hash";

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<StatefulSet>(&client)
        .owns(Api::<Pod>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<StatefulSet>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let pods = pods_of(&client, &*obj, &spec.selector).await?;
    let hash = hash(&spec.template);
    let revision = format!("{}-{hash}", obj.name_any());
    let current = Current {
        selector: &spec.selector,
        template: &spec.template,
        name: &revision,
        label: ("controller.kubernetes.io/hash", &hash),
        limit: spec.revision_history_limit,
    };
    revision::record(&client, &*obj, &current).await?;
    step(&obj, spec, &client, &pods, &revision).await?;
    let desired = spec.replicas.unwrap_or(1);
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let updated = pods.iter().filter(|pod| is_of(pod, &revision)).count();
    let done = i32::try_from(updated).is_ok_and(|updated| updated == desired)
        && pods.len() == updated
        && ready == updated;
    let old = obj.status.as_ref().and_then(|status| status.current_revision.clone());
    let current = if done { revision.clone() } else { old.unwrap_or_else(|| revision.clone()) };
    let of_current = pods.iter().filter(|pod| is_of(pod, &current)).count();
    let status = json!({
        "observedGeneration": obj.metadata.generation,
        "replicas": pods.len(),
        "readyReplicas": some(ready),
        "availableReplicas": ready,
        "updatedReplicas": some(updated),
        "currentReplicas": some(of_current),
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}

fn is_of(pod: &Pod, revision: &str) -> bool {
    pod.labels().get(REVISION).is_some_and(|label| label == revision)
}

/// Makes the next change: one pod at a time, and only when the ones before are ready.
async fn step(
    obj: &StatefulSet,
    spec: &StatefulSetSpec,
    client: &Client,
    pods: &[Pod],
    revision: &str,
) -> Result<(), kube::Error> {
    let api: Api<Pod> = beside(client, obj);
    let parallel = spec.pod_management_policy.as_deref() == Some("Parallel");
    let desired = spec.replicas.unwrap_or(1);
    let name_of = |ordinal: i32| format!("{}-{ordinal}", obj.name_any());
    for ordinal in 0..desired {
        let name = name_of(ordinal);
        match pods.iter().find(|pod| pod.name_any() == name) {
            None => {
                create(obj, spec, client, &name, revision).await?;
                if !parallel {
                    return Ok(());
                }
            }
            Some(pod) if !is_ready(pod) && !parallel && is_of(pod, revision) => return Ok(()),
            Some(_) => {}
        }
    }
    for pod in pods {
        let wanted = (0..desired).any(|ordinal| name_of(ordinal) == pod.name_any());
        if !wanted {
            delete(&api, &pod.name_any()).await?;
        }
    }
    let on_delete =
        spec.update_strategy.as_ref().is_some_and(|s| s.type_.as_deref() == Some("OnDelete"));
    let partition = spec
        .update_strategy
        .as_ref()
        .and_then(|strategy| strategy.rolling_update.as_ref()?.partition)
        .unwrap_or_default();
    // The highest ordinal goes first; those below the partition stay as they are.
    let stale = (partition..desired).rev().map(name_of).find_map(|name| {
        pods.iter().find(|pod| pod.name_any() == name).filter(|pod| !is_of(pod, revision))
    });
    if let (Some(stale), false) = (stale, on_delete) {
        delete(&api, &stale.name_any()).await?;
    }
    Ok(())
}

async fn create(
    obj: &StatefulSet,
    spec: &StatefulSetSpec,
    client: &Client,
    name: &str,
    revision: &str,
) -> Result<(), kube::Error> {
    let claims: Api<PersistentVolumeClaim> = beside(client, obj);
    let mut volumes = Vec::new();
    for template in spec.volume_claim_templates.iter().flatten() {
        let volume = template.name_any();
        let claim = format!("{volume}-{name}");
        let mut object = serde_json::to_value(template).unwrap_or_default();
        object["metadata"]["name"] = claim.clone().into();
        object["metadata"]["labels"] = json!(spec.selector.match_labels);
        if let Some(object) = object.as_object_mut() {
            object.shift_remove("status");
        }
        ensure(&claims, &object).await?;
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
    }
    let mut pod = pod_from(&spec.template, &json!({"name": name}), &owner(obj));
    pod["metadata"]["labels"][REVISION] = revision.into();
    pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.into();
    if !volumes.is_empty() {
        let mut all = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        all.extend(volumes);
        pod["spec"]["volumes"] = all.into();
    }
    if ensure(&beside::<Pod, _>(client, obj), &pod).await?.is_some() {
        let message = format!("create Pod {name} in StatefulSet {} successful", obj.name_any());
        let recorder = Recorder::new(client, "statefulset-controller", obj);
        recorder.normal("SuccessfulCreate", &message).await;
    }
    Ok(())
}
