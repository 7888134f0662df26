//! The health of an object, read from the object alone.
//!
//! Source: kstatus of fluxcd/cli-utils 1.2.2 (`pkg/kstatus/status`), and for Jobs the reader of
//! fluxcd/pkg (`runtime/statusreaders/job.go`).

use std::fmt;

use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::object::{Subject, text};

/// How an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is as declared.
    Current,
    /// It is being made as declared.
    InProgress,
    /// It cannot be made as declared.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It does not exist.
    NotFound,
    /// It could not be read.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        })
    }
}

/// The health of an object, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How the object is.
    pub status: Status,
    /// What is missing; empty when nothing is.
    pub message: String,
}

impl Health {
    /// Returns a health with a message.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn current() -> Self {
        Self::new(Status::Current, "")
    }

    fn in_progress(message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, message)
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }
}

/// How long a Pod may be unschedulable before it counts as failed.
const SCHEDULING_SECONDS: i64 = 15;

/// Returns the health of an object. `now` matters for Pods that wait for a node alone.
pub fn compute(object: &Value, now: Timestamp) -> Health {
    let subject = Subject::of(object);
    if (subject.group(), subject.kind.as_str()) == ("batch", "Job") {
        return job(object);
    }
    if let Some(health) = generic(object) {
        return health;
    }
    match (subject.group(), subject.kind.as_str()) {
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") | ("policy", "PodDisruptionBudget") => {
            Health::current()
        }
        ("", "Service") => service(object),
        ("", "Pod") => pod(object, now),
        ("", "PersistentVolumeClaim") => volume_claim(object),
        ("apps" | "extensions", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set(object),
        ("apps" | "extensions", "ReplicaSet") => replica_set(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => by_ready_condition(object),
    }
}

/// Says whether every object of a kind is as declared unless it is being deleted: its status says
/// nothing about its health.
pub(crate) fn is_told_by_metadata(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(
            kind,
            "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange" | "Endpoints" | "PodTemplate"
        ),
        "batch" => kind == "CronJob",
        "networking.k8s.io" => matches!(kind, "Ingress" | "IngressClass"),
        "rbac.authorization.k8s.io" | "scheduling.k8s.io" | "storage.k8s.io" => true,
        "admissionregistration.k8s.io" => kind.ends_with("WebhookConfiguration"),
        _ => false,
    }
}

fn condition<'a>(object: &'a Value, r#type: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|item| item["type"] == r#type)
}

fn is(condition: Option<&Value>, status: &str) -> bool {
    condition.is_some_and(|condition| condition["status"] == status)
}

fn message(condition: Option<&Value>) -> String {
    condition.map(|condition| text(condition, "/message").to_owned()).unwrap_or_default()
}

/// Returns a count in the object; zero when it is missing.
fn count(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn desired_replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// The rules for every kind; `None` when they do not decide.
fn generic(object: &Value) -> Option<Health> {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Some(Health::new(Status::Terminating, "Resource scheduled for deletion"));
    }
    let generation = object["metadata"]["generation"].as_i64();
    let observed = object["status"]["observedGeneration"].as_i64();
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        return Some(Health::in_progress(format!(
            "generation is {generation}, but latest observed generation is {observed}"
        )));
    }
    let reconciling = condition(object, "Reconciling");
    if is(reconciling, "True") {
        return Some(Health::in_progress(message(reconciling)));
    }
    let stalled = condition(object, "Stalled");
    is(stalled, "True").then(|| Health::failed(message(stalled)))
}

fn by_ready_condition(object: &Value) -> Health {
    let ready = condition(object, "Ready");
    match ready {
        Some(_) if !is(ready, "True") => Health::in_progress(message(ready)),
        _ => Health::current(),
    }
}

fn service(object: &Value) -> Health {
    let balanced = object["spec"]["type"] == "LoadBalancer";
    if balanced && text(object, "/spec/clusterIP").is_empty() {
        return Health::in_progress("ClusterIP not set; service type: LoadBalancer");
    }
    Health::current()
}

fn volume_claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::current(),
        phase => Health::in_progress(format!("PVC is not Bound. phase: {phase}")),
    }
}

fn pod(object: &Value, now: Timestamp) -> Health {
    let ready = condition(object, "Ready");
    match text(object, "/status/phase") {
        "Succeeded" | "Failed" => Health::current(),
        "Running" if is(ready, "True") => Health::current(),
        "Running" => match crash_looping(object).as_slice() {
            [] => Health::in_progress("Pod is running but is not Ready"),
            names => Health::failed(format!("Containers in CrashLoop state: {}", names.join(","))),
        },
        "Pending" => {
            let scheduled = condition(object, "PodScheduled");
            let unschedulable = is(scheduled, "False")
                && scheduled.is_some_and(|it| it["reason"] == "Unschedulable");
            if !unschedulable {
                return Health::in_progress("Pod is in the Pending phase");
            }
            let created: Option<Timestamp> =
                text(object, "/metadata/creationTimestamp").parse().ok();
            let limit = SCHEDULING_SECONDS.seconds();
            match created.and_then(|created| created.checked_add(limit).ok()) {
                Some(until) if now >= until => Health::failed("Pod could not be scheduled"),
                _ => Health::in_progress("Pod has not been scheduled"),
            }
        }
        "" => Health::in_progress("Pod phase not available"),
        phase => Health::in_progress(format!("Pod is in the {phase} phase")),
    }
}

fn crash_looping(object: &Value) -> Vec<&str> {
    object["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|container| container["state"]["waiting"]["reason"] == "CrashLoopBackOff")
        .filter_map(|container| container["name"].as_str())
        .collect()
}

fn deployment(object: &Value) -> Health {
    let deadline = object["spec"]["progressDeadlineSeconds"].as_i64();
    let mut progressing = deadline.is_none_or(|seconds| seconds == i64::from(i32::MAX));
    let condition_progressing = condition(object, "Progressing");
    if let Some(found) = condition_progressing {
        if found["reason"] == "ProgressDeadlineExceeded" {
            return Health::failed("Progress deadline exceeded");
        }
        progressing |= found["status"] == "True" && found["reason"] == "NewReplicaSetAvailable";
    }
    let spec = desired_replicas(object);
    let status = count(object, "/status/replicas");
    let updated = count(object, "/status/updatedReplicas");
    let ready = count(object, "/status/readyReplicas");
    let available = count(object, "/status/availableReplicas");
    let missing = [
        (spec > status, format!("replicas: {status}/{spec}")),
        (spec > updated, format!("Updated: {updated}/{spec}")),
        (status > spec, format!("Pending termination: {}", status - spec)),
        (updated > available, format!("Available: {available}/{updated}")),
        (spec > ready, format!("Ready: {ready}/{spec}")),
        (!progressing, "ReplicaSet not Available".to_owned()),
        (!is(condition(object, "Available"), "True"), "Deployment not Available".to_owned()),
    ];
    first_missing(missing)
}

fn stateful_set(object: &Value) -> Health {
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Health::current();
    }
    let spec = desired_replicas(object);
    let status = count(object, "/status/replicas");
    let ready = count(object, "/status/readyReplicas");
    let current = count(object, "/status/currentReplicas");
    let updated = count(object, "/status/updatedReplicas");
    let scale = first_missing([
        (spec > status, format!("Replicas: {status}/{spec}")),
        (spec > ready, format!("Ready: {ready}/{spec}")),
        (status > spec, format!("Pending termination: {}", status - spec)),
    ]);
    if scale.status != Status::Current {
        return scale;
    }
    if let Some(partition) = strategy["rollingUpdate"]["partition"].as_i64() {
        let expected = spec - partition;
        return first_missing([(
            updated < expected,
            format!("updated: {updated}/{expected}, partition: {partition}"),
        )]);
    }
    let revisions =
        text(object, "/status/currentRevision") == text(object, "/status/updateRevision");
    first_missing([
        (spec > current, format!("current: {current}/{spec}")),
        (!revisions, "Waiting for updated revision to match current".to_owned()),
    ])
}

fn daemon_set(object: &Value) -> Health {
    let generations = ["/metadata/generation", "/status/observedGeneration"];
    if generations.iter().any(|pointer| object.pointer(pointer).is_none()) {
        return Health::in_progress("Missing .metadata.generation or .status.observedGeneration");
    }
    let Some(desired) = object["status"]["desiredNumberScheduled"].as_i64() else {
        return Health::in_progress("Missing .status.desiredNumberScheduled");
    };
    let current = count(object, "/status/currentNumberScheduled");
    let updated = count(object, "/status/updatedNumberScheduled");
    let available = count(object, "/status/numberAvailable");
    let ready = count(object, "/status/numberReady");
    first_missing([
        (desired > current, format!("Current: {current}/{desired}")),
        (desired > updated, format!("Updated: {updated}/{desired}")),
        (desired > available, format!("Available: {available}/{desired}")),
        (desired > ready, format!("Ready: {ready}/{desired}")),
    ])
}

fn replica_set(object: &Value) -> Health {
    let failure = condition(object, "ReplicaFailure");
    if is(failure, "True") {
        return Health::in_progress("Replica Failure condition. Check Pods");
    }
    let spec = desired_replicas(object);
    let status = count(object, "/status/replicas");
    let labelled = count(object, "/status/fullyLabeledReplicas");
    let available = count(object, "/status/availableReplicas");
    let ready = count(object, "/status/readyReplicas");
    first_missing([
        (spec > labelled, format!("Labelled: {labelled}/{spec}")),
        (spec > available, format!("Available: {available}/{spec}")),
        (spec > ready, format!("Ready: {ready}/{spec}")),
        (status > spec, format!("Pending termination: {}", status - spec)),
    ])
}

fn job(object: &Value) -> Health {
    if object["spec"]["suspend"] == true || is(condition(object, "Complete"), "True") {
        return Health::current();
    }
    let failed = condition(object, "Failed");
    if is(failed, "True") {
        return Health::failed(format!("Job Failed: {}", message(failed)));
    }
    if text(object, "/status/startTime").is_empty() {
        return Health::in_progress("Job not started");
    }
    Health::in_progress("Job in progress")
}

fn definition(object: &Value) -> Health {
    let accepted = condition(object, "NamesAccepted");
    if is(accepted, "False") {
        return Health::failed(message(accepted));
    }
    let established = condition(object, "Established");
    if is(established, "True") {
        return Health::current();
    }
    let installing = established.is_none_or(|it| it["reason"] == "Installing");
    if is(established, "False") && !installing {
        return Health::failed(message(established));
    }
    Health::in_progress("Install in progress")
}

fn first_missing<const N: usize>(checks: [(bool, String); N]) -> Health {
    let missing = checks.into_iter().find_map(|(missing, message)| missing.then_some(message));
    missing.map_or_else(Health::current, Health::in_progress)
}

#[cfg(test)]
mod tests;
