//! Jobs: pods that run to completion.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::{beside, condition, ensure, owner, pod_from, pods_of, status_of, write_status};
use crate::clock;

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<Job>(&client)
        .owns(Api::<Pod>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<Job>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let old = status_of(&*obj);
    let finished = old["conditions"].as_array().into_iter().flatten().any(|condition| {
        matches!(condition["type"].as_str(), Some("Complete" | "Failed"))
            && condition["status"] == "True"
    });
    if finished {
        return Ok(Action::await_change());
    }
    if spec.suspend == Some(true) {
        let suspended = condition(&old, "Suspended", true, "JobSuspended", "Job suspended");
        write_status(&client, &*obj, &json!({"conditions": [suspended]})).await?;
        return Ok(Action::await_change());
    }
    let pods = pods_of(&client, &*obj).await?;
    let phase = |wanted: &str| {
        let of = |pod: &&Pod| {
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(wanted)
        };
        pods.iter().filter(of).count()
    };
    let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
    let wanted = usize::try_from(spec.completions.unwrap_or(1)).unwrap_or_default();
    let parallel = usize::try_from(spec.parallelism.unwrap_or(1)).unwrap_or_default();
    let active = pods.len() - succeeded - failed;
    let some = |number: usize| if number > 0 { json!(number) } else { Value::Null };
    let mut status = json!({
        "active": some(active),
        "ready": 0,
        "succeeded": some(succeeded),
        "failed": some(failed),
        "terminating": 0,
        "startTime": old["startTime"].as_str().map_or_else(clock::now, str::to_owned),
    });
    if failed > 0 {
        let because = ("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        status["conditions"] = json!([
            condition(&old, "FailureTarget", true, because.0, because.1),
            condition(&old, "Failed", true, because.0, because.1),
        ]);
    } else if succeeded >= wanted {
        let because = ("CompletionsReached", "Reached expected number of succeeded pods");
        status["completionTime"] = clock::now().into();
        status["conditions"] = json!([
            condition(&old, "SuccessCriteriaMet", true, because.0, because.1),
            condition(&old, "Complete", true, because.0, because.1),
        ]);
    } else {
        let api: Api<Pod> = beside(&client, &*obj);
        for _ in active..parallel.min(wanted - succeeded) {
            let name = json!({"generateName": format!("{}-", obj.name_any())});
            ensure(&api, &pod_from(&spec.template, &name, &owner(&*obj))).await?;
        }
    }
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}
