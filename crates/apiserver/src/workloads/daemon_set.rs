//! DaemonSets: one pod, as on a cluster of one node.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
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
    let controller = super::controller::<DaemonSet>(&client)
        .owns(Api::<Pod>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<DaemonSet>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let api: Api<Pod> = beside(&client, &*obj);
    let revision = hash(&spec.template);
    let current = Current {
        selector: &spec.selector,
        template: &spec.template,
        name: &format!("{}-{revision}", obj.name_any()),
        label: (REVISION, &revision),
        limit: spec.revision_history_limit,
    };
    revision::record(&client, &*obj, &current).await?;
    let (current, stale): (Vec<Pod>, Vec<Pod>) = pods_of(&client, &*obj, &spec.selector)
        .await?
        .into_iter()
        .partition(|pod| pod.labels().get(REVISION) == Some(&revision));
    for pod in &stale {
        delete(&api, &pod.name_any()).await?;
    }
    if current.is_empty() {
        let name = json!({"generateName": format!("{}-", obj.name_any())});
        let mut pod = pod_from(&spec.template, &name, &owner(&*obj));
        pod["metadata"]["labels"][REVISION] = revision.into();
        if let Some(pod) = ensure(&api, &pod).await? {
            let message = format!("Created pod: {}", pod.name_any());
            let recorder = Recorder::new(&client, "daemonset-controller", &*obj);
            recorder.normal("SuccessfulCreate", &message).await;
        }
    }
    let scheduled = current.len().min(1);
    let ready = current.iter().filter(|pod| is_ready(pod)).count().min(1);
    let status = json!({
        "observedGeneration": obj.metadata.generation,
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": scheduled,
        "updatedNumberScheduled": some(scheduled),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": some(ready),
        "numberUnavailable": some(1 - ready),
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}
