//! Jobs: pods that run to completion.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::event::Recorder;
use super::{
    beside, condition, delete, ensure, owner, pod_from, pods_of, some, status_of, write_status,
};
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
        return expire(&client, &obj, &old, spec.ttl_seconds_after_finished).await;
    }
    if spec.suspend == Some(true) {
        let suspended = condition(&old, "Suspended", true, "JobSuspended", "Job suspended");
        write_status(&client, &*obj, &json!({"conditions": [suspended]})).await?;
        return Ok(Action::await_change());
    }
    let pods = pods_of(&client, &*obj, &spec.selector.clone().unwrap_or_default()).await?;
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
    let mut status = json!({
        "active": some(active),
        "ready": 0,
        "succeeded": some(succeeded),
        "failed": some(failed),
        "terminating": 0,
        "startTime": old["startTime"].as_str().map_or_else(clock::now, str::to_owned),
    });
    let recorder = Recorder::new(&client, "job-controller", &*obj);
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
            let pod = pod_from(&spec.template, &name, &owner(&*obj));
            if let Some(pod) = ensure(&api, &pod).await? {
                let message = format!("Created pod: {}", pod.name_any());
                recorder.normal("SuccessfulCreate", &message).await;
            }
        }
    }
    write_status(&client, &*obj, &status).await?;
    if failed > 0 {
        recorder
            .warning("BackoffLimitExceeded", "Job has reached the specified backoff limit")
            .await;
    } else if status["completionTime"].is_string() {
        recorder.normal("Completed", "Job completed").await;
    }
    Ok(Action::await_change())
}

/// Deletes a finished job once its time is over.
async fn expire(
    client: &Client,
    job: &Job,
    status: &Value,
    seconds: Option<i32>,
) -> Result<Action, kube::Error> {
    let Some(lifetime) = seconds else { return Ok(Action::await_change()) };
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let finished = conditions
        .filter(|one| matches!(one["type"].as_str(), Some("Complete" | "Failed")))
        .find_map(|one| one["lastTransitionTime"].as_str()?.parse::<Timestamp>().ok())
        .unwrap_or_else(Timestamp::now);
    let left = finished.as_second() + i64::from(lifetime) - Timestamp::now().as_second();
    match u64::try_from(left) {
        Ok(left) if left > 0 => Ok(Action::requeue(Duration::from_secs(left))),
        _ => {
            delete(&beside::<Job, _>(client, job), &job.name_any()).await?;
            Ok(Action::await_change())
        }
    }
}
