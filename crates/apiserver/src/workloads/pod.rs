//! Pods: the scheduler and the kubelet of one node.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Binding, Container, Pod, PodSpec};
use kube::api::{Api, PostParams};
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::event::Recorder;
use super::{NODE, Outcome, beside, cluster, condition, hash, status_of, write_status};
use crate::clock;

const SCHEDULER: &str = "default-scheduler";
const KUBELET: &str = "kubelet";
const FULL: &str = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are \
                    available: 1 No preemption victims found for incoming pod.";

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
    let outcome = Outcome::of(obj.metadata.annotations.as_ref());
    if outcome == Outcome::Pending {
        return refuse(&client, &obj, &old).await;
    }
    if spec.node_name.is_none() {
        bind(&client, &obj).await?;
        // The binding brings the pod back.
        return Ok(Action::await_change());
    }
    let course = Course::of(spec, outcome);
    write_status(&client, &*obj, &status(&obj, spec, course, &old)).await?;
    if !old["containerStatuses"].is_array() {
        tell(&client, &obj, spec, course).await;
    }
    Ok(Action::await_change())
}

async fn refuse(client: &Client, pod: &Pod, old: &Value) -> Result<Action, kube::Error> {
    let status = json!({
        "phase": "Pending",
        "conditions": [condition(old, "PodScheduled", false, "Unschedulable", FULL)],
    });
    write_status(client, pod, &status).await?;
    if !old["conditions"].is_array() {
        Recorder::new(client, SCHEDULER, pod).warning("FailedScheduling", FULL).await;
    }
    Ok(Action::await_change())
}

async fn bind(client: &Client, pod: &Pod) -> Result<(), kube::Error> {
    let api: Api<Pod> = beside(client, pod);
    let name = pod.name_any();
    let binding: Binding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "target": {"kind": "Node", "name": NODE},
    }))
    .map_err(kube::Error::SerdeError)?;
    let bound: Result<Value, _> =
        api.create_subresource("binding", &name, &PostParams::default(), &binding).await;
    match bound {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
        other => drop(other?),
    }
    let namespace = pod.namespace().unwrap_or_default();
    let message = format!("Successfully assigned {namespace}/{name} to {NODE}");
    Recorder::new(client, SCHEDULER, pod).normal("Scheduled", &message).await;
    Ok(())
}

/// What the containers of a pod come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Running,
    Crashing,
    Exited(i32),
    /// Some image cannot be pulled.
    Waiting,
}

impl Course {
    fn of(spec: &PodSpec, outcome: Outcome) -> Self {
        let images = spec.containers.iter().filter_map(|container| container.image.as_deref());
        let runs_on = spec.restart_policy.as_deref().unwrap_or("Always") == "Always";
        if images.into_iter().any(is_unpullable) {
            return Self::Waiting;
        }
        match (outcome, runs_on) {
            (Outcome::Failed, true) => Self::Crashing,
            (Outcome::Failed, false) => Self::Exited(1),
            (_, true) => Self::Running,
            (_, false) => Self::Exited(0),
        }
    }

    fn phase(self) -> &'static str {
        match self {
            Self::Running | Self::Crashing => "Running",
            Self::Exited(0) => "Succeeded",
            Self::Exited(_) => "Failed",
            Self::Waiting => "Pending",
        }
    }
}

/// Returns whether the simulation treats an image as missing.
fn is_unpullable(image: &str) -> bool {
    let (path, tag) = image.rsplit_once(':').unwrap_or((image, ""));
    let registry = path.split('/').next().unwrap_or_default();
    let registry = registry.split(':').next().unwrap_or_default();
    tag == "does-not-exist" || registry.ends_with(".invalid")
}

fn status(pod: &Pod, spec: &PodSpec, course: Course, old: &Value) -> Value {
    let started = old["startTime"].as_str().map_or_else(clock::now, str::to_owned);
    let ready = course == Course::Running;
    let (reason, message) = match course {
        Course::Running => ("", String::new()),
        Course::Exited(_) => ("PodCompleted", String::new()),
        Course::Crashing | Course::Waiting => {
            let names: Vec<&str> = spec.containers.iter().map(|one| one.name.as_str()).collect();
            let message = format!("containers with unready status: [{}]", names.join(" "));
            ("ContainersNotReady", message)
        }
    };
    let address = match old["podIP"].as_str() {
        Some(known) => known.to_owned(),
        None if spec.host_network == Some(true) => cluster::ADDRESS.to_owned(),
        None => next_address(),
    };
    let containers: Vec<Value> =
        spec.containers.iter().map(|one| container(one, course, &started)).collect();
    let init: Vec<Value> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|one| match one.restart_policy.as_deref() {
            Some("Always") => container(one, course, &started),
            _ => container(one, Course::Exited(0), &started),
        })
        .collect();
    let mut status = json!({
        "phase": course.phase(),
        "hostIP": cluster::ADDRESS,
        "hostIPs": [{"ip": cluster::ADDRESS}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "qosClass": quality(spec),
        "containerStatuses": containers,
        "observedGeneration": pod.metadata.generation,
        "conditions": [
            condition(old, "PodReadyToStartContainers", true, "", ""),
            condition(old, "Initialized", true, "", ""),
            condition(old, "Ready", ready, reason, &message),
            condition(old, "ContainersReady", ready, reason, &message),
            condition(old, "PodScheduled", true, "", ""),
        ],
    });
    if !init.is_empty() {
        status["initContainerStatuses"] = init.into();
    }
    status
}

fn next_address() -> String {
    const FIRST: u32 = 2;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let offset = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % 0xfff0;
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 244, 0, 0)) + offset).to_string()
}

fn container(container: &Container, course: Course, started: &str) -> Value {
    let image = container.image.as_deref().unwrap_or_default();
    let missing = is_unpullable(image);
    let state = match course {
        Course::Waiting if missing => json!({"waiting": {
            "reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image {image:?}"),
        }}),
        Course::Running | Course::Waiting => json!({"running": {"startedAt": started}}),
        Course::Crashing => json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!("back-off 10s restarting failed container={}", container.name),
        }}),
        Course::Exited(code) => json!({"terminated": {
            "exitCode": code,
            "reason": if code == 0 { "Completed" } else { "Error" },
            "startedAt": started,
            "finishedAt": started,
        }}),
    };
    let runs = state.get("running").is_some();
    let mut status = json!({
        "name": container.name,
        "image": image,
        "imageID": if missing { String::new() } else { format!("{image}@simulated") },
        "ready": runs,
        "started": runs,
        "restartCount": u8::from(course == Course::Crashing),
        "state": state,
        "lastState": {},
    });
    if !missing {
        status["containerID"] = format!("simulated://{}", hash(&container.name)).into();
    }
    if course == Course::Crashing {
        status["lastState"] = json!({"terminated": {
            "exitCode": 1,
            "reason": "Error",
            "startedAt": started,
            "finishedAt": started,
        }});
    }
    status
}

/// Returns the class of service: by requests and limits of CPU and memory.
fn quality(spec: &PodSpec) -> &'static str {
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let has_any = containers().any(|container| {
        container.resources.as_ref().is_some_and(|resources| {
            let given = [&resources.requests, &resources.limits];
            given.into_iter().flatten().any(|quantities| {
                quantities.keys().any(|name| matches!(name.as_str(), "cpu" | "memory"))
            })
        })
    });
    let is_limited = containers().all(|container| {
        container.resources.as_ref().is_some_and(|resources| {
            ["cpu", "memory"].into_iter().all(|name| {
                let limit = resources.limits.as_ref().and_then(|limits| limits.get(name));
                let request = resources.requests.as_ref().and_then(|requests| requests.get(name));
                limit.is_some() && (request.is_none() || request == limit)
            })
        })
    });
    match (has_any, is_limited) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Tells what the kubelet did when it first saw a pod.
async fn tell(client: &Client, pod: &Pod, spec: &PodSpec, course: Course) {
    let recorder = Recorder::new(client, KUBELET, pod);
    for container in &spec.containers {
        let image = container.image.as_deref().unwrap_or_default();
        if is_unpullable(image) {
            let message = format!("Failed to pull image {image:?}: not found");
            recorder.warning("Failed", &message).await;
            recorder.warning("BackOff", &format!("Back-off pulling image {image:?}")).await;
            continue;
        }
        let message = format!("Container image {image:?} already present on machine");
        recorder.normal("Pulled", &message).await;
        recorder.normal("Created", &format!("Created container: {}", container.name)).await;
        recorder.normal("Started", &format!("Started container {}", container.name)).await;
        if course == Course::Crashing {
            let message = format!(
                "Back-off restarting failed container {} in pod {}",
                container.name,
                pod.name_any()
            );
            recorder.warning("BackOff", &message).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_images_that_cannot_be_pulled() {
        for image in ["nginx:does-not-exist", "registry.invalid/nginx", "a.invalid:5000/nginx:1"] {
            assert!(is_unpullable(image), "{image}");
        }
        for image in ["nginx", "nginx:1.27", "ghcr.io/invalid/nginx", "localhost:5000/nginx"] {
            assert!(!is_unpullable(image), "{image}");
        }
    }

    #[test]
    fn classes_pods_by_their_resources() {
        let of = |resources: Value| {
            let spec = json!({"containers": [{"name": "a", "resources": resources}]});
            quality(&serde_json::from_value(spec).unwrap())
        };
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(of(json!({})), "BestEffort");
        assert_eq!(of(json!({"requests": {"cpu": "1"}})), "Burstable");
        assert_eq!(of(json!({"limits": both})), "Guaranteed");
        assert_eq!(of(json!({"limits": both, "requests": {"cpu": "500m"}})), "Burstable");
    }
}
