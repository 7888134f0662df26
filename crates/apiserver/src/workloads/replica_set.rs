//! ReplicaSets: the wanted number of pods.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::event::Recorder;
use super::{beside, delete, ensure, is_ready, owner, pod_from, pods_of, some, write_status};

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<ReplicaSet>(&client)
        .owns(Api::<Pod>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<ReplicaSet>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let api: Api<Pod> = beside(&client, &*obj);
    let pods = pods_of(&client, &*obj, &spec.selector).await?;
    let desired = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    let template = spec.template.clone().unwrap_or_default();
    let recorder = Recorder::new(&client, "replicaset-controller", &*obj);
    for _ in pods.len()..desired {
        let name = json!({"generateName": format!("{}-", obj.name_any())});
        if let Some(pod) = ensure(&api, &pod_from(&template, &name, &owner(&*obj))).await? {
            let message = format!("Created pod: {}", pod.name_any());
            recorder.normal("SuccessfulCreate", &message).await;
        }
    }
    for pod in pods.iter().skip(desired) {
        delete(&api, &pod.name_any()).await?;
        let message = format!("Deleted pod: {}", pod.name_any());
        recorder.normal("SuccessfulDelete", &message).await;
    }
    let kept = &pods[..pods.len().min(desired)];
    let ready = kept.iter().filter(|pod| is_ready(pod)).count();
    let status = json!({
        "observedGeneration": obj.metadata.generation,
        "replicas": kept.len(),
        "fullyLabeledReplicas": some(kept.len()),
        "readyReplicas": some(ready),
        "availableReplicas": some(ready),
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}
