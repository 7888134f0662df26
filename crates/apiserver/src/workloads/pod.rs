//! Pods: the scheduler and the kubelet of one node.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Client;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::{Outcome, condition, status_of, write_status};
use crate::clock;

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<Pod>(&client);
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<Pod>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let old = status_of(&*obj);
    if matches!(old["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return Ok(Action::await_change());
    }
    let runs_on = spec.restart_policy.as_deref().unwrap_or("Always") == "Always";
    let outcome = Outcome::of(obj.metadata.annotations.as_ref());
    if outcome == Outcome::Pending {
        let message = "0/1 nodes are available: 1 Insufficient cpu.";
        let status = json!({
            "phase": "Pending",
            "conditions": [condition(&old, "PodScheduled", false, "Unschedulable", message)],
        });
        write_status(&client, &*obj, &status).await?;
        return Ok(Action::await_change());
    }
    let (phase, state) = match (outcome, runs_on) {
        (Outcome::Failed, true) => ("Running", State::Crashing),
        (Outcome::Failed, false) => ("Failed", State::Exited(1)),
        (_, true) => ("Running", State::Running),
        (_, false) => ("Succeeded", State::Exited(0)),
    };
    let ready = state == State::Running;
    let reason = match state {
        State::Running => "",
        State::Crashing => "ContainersNotReady",
        State::Exited(_) => "PodCompleted",
    };
    let started = old["startTime"].as_str().map_or_else(clock::now, str::to_owned);
    let containers: Vec<Value> =
        spec.containers.iter().map(|one| container(one, state, &started)).collect();
    let status = json!({
        "phase": phase,
        "hostIP": "10.0.0.1",
        "podIP": "10.244.0.2",
        "podIPs": [{"ip": "10.244.0.2"}],
        "startTime": started,
        "qosClass": "BestEffort",
        "containerStatuses": containers,
        "observedGeneration": obj.metadata.generation,
        "conditions": [
            condition(&old, "PodScheduled", true, "", ""),
            condition(&old, "Initialized", true, "", ""),
            condition(&old, "ContainersReady", ready, reason, ""),
            condition(&old, "Ready", ready, reason, ""),
        ],
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Crashing,
    Exited(i32),
}

fn container(container: &Container, state: State, started: &str) -> Value {
    let now = match state {
        State::Running => json!({"running": {"startedAt": started}}),
        State::Crashing => json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!("back-off 10s restarting failed container={}", container.name),
        }}),
        State::Exited(code) => json!({"terminated": {
            "exitCode": code,
            "reason": if code == 0 { "Completed" } else { "Error" },
            "startedAt": started,
            "finishedAt": started,
        }}),
    };
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": state == State::Running,
        "started": state == State::Running,
        "restartCount": u8::from(state == State::Crashing),
        "state": now,
    })
}
