use super::*;
use serde_json::json;

fn status(object: &Value) -> Status {
    compute(object, Timestamp::from_second(1_000_000).unwrap()).status
}

#[expect(clippy::needless_pass_by_value, reason = "the callers write literals")]
fn kind(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": "x", "generation": 1},
        "spec": spec, "status": status,
    })
}

#[test]
fn calls_kinds_without_status_current() {
    for (version, name) in [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("batch/v1", "CronJob"),
        ("policy/v1", "PodDisruptionBudget"),
        ("example.com/v1", "Widget"),
    ] {
        assert_eq!(status(&kind(version, name, json!({}), json!({}))), Status::Current, "{name}");
    }
}

#[test]
fn waits_for_the_observed_generation() {
    let stale = kind("example.com/v1", "Widget", json!({}), json!({"observedGeneration": 0}));
    assert_eq!(status(&stale), Status::InProgress);
}

#[test]
fn reads_the_conditions_of_custom_resources() {
    let with = |r#type: &str, value: &str| {
        let conditions = json!({"conditions": [{"type": r#type, "status": value}]});
        status(&kind("example.com/v1", "Widget", json!({}), conditions))
    };
    assert_eq!(with("Ready", "True"), Status::Current);
    assert_eq!(with("Ready", "False"), Status::InProgress);
    assert_eq!(with("Ready", "Unknown"), Status::InProgress);
    assert_eq!(with("Reconciling", "True"), Status::InProgress);
    assert_eq!(with("Stalled", "True"), Status::Failed);
}

#[test]
fn calls_what_is_being_deleted_terminating() {
    let mut object = kind("v1", "ConfigMap", json!({}), json!({}));
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(status(&object), Status::Terminating);
}

#[test]
fn follows_the_rollout_of_a_deployment() {
    let of = |counts: Value| {
        status(&kind(
            "apps/v1",
            "Deployment",
            json!({"replicas": 2, "progressDeadlineSeconds": 600}),
            counts,
        ))
    };
    let full = json!({
        "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    });
    assert_eq!(of(full.clone()), Status::Current);
    for field in ["replicas", "updatedReplicas", "readyReplicas"] {
        let mut short = full.clone();
        short[field] = json!(1);
        assert_eq!(of(short), Status::InProgress, "{field}");
    }
    let mut surplus = full.clone();
    surplus["replicas"] = json!(3);
    assert_eq!(of(surplus), Status::InProgress);
    let mut unavailable = full.clone();
    unavailable["conditions"][0]["status"] = json!("False");
    assert_eq!(of(unavailable), Status::InProgress);
    let mut late = full;
    late["conditions"][1]["reason"] = json!("ProgressDeadlineExceeded");
    assert_eq!(of(late), Status::Failed);
    assert_eq!(of(json!({})), Status::InProgress);
}

#[test]
fn follows_a_stateful_set_with_its_strategy() {
    let of = |spec: Value, counts: Value| status(&kind("apps/v1", "StatefulSet", spec, counts));
    let full = json!({
        "replicas": 3, "readyReplicas": 3, "currentReplicas": 3, "updatedReplicas": 3,
        "currentRevision": "a", "updateRevision": "a",
    });
    assert_eq!(of(json!({"replicas": 3}), full.clone()), Status::Current);
    assert_eq!(of(json!({"replicas": 4}), full.clone()), Status::InProgress);
    assert_eq!(of(json!({"updateStrategy": {"type": "OnDelete"}}), json!({})), Status::Current);
    let mut rolling = full;
    rolling["updateRevision"] = json!("b");
    rolling["updatedReplicas"] = json!(1);
    assert_eq!(of(json!({"replicas": 3}), rolling.clone()), Status::InProgress);
    let partition =
        |at: i64| json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": at}}});
    assert_eq!(of(partition(2), rolling.clone()), Status::Current);
    assert_eq!(of(partition(1), rolling), Status::InProgress);
}

#[test]
fn counts_the_nodes_of_a_daemon_set() {
    let of = |counts: Value| status(&kind("apps/v1", "DaemonSet", json!({}), counts));
    let full = json!({
        "observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
        "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 2,
    });
    assert_eq!(of(full.clone()), Status::Current);
    assert_eq!(of(json!({})), Status::InProgress);
    let mut short = full;
    short["numberReady"] = json!(1);
    assert_eq!(of(short), Status::InProgress);
}

#[test]
fn follows_replica_sets() {
    let full = json!({
        "replicas": 1, "fullyLabeledReplicas": 1, "availableReplicas": 1, "readyReplicas": 1,
    });
    assert_eq!(status(&kind("apps/v1", "ReplicaSet", json!({}), full)), Status::Current);
    assert_eq!(status(&kind("apps/v1", "ReplicaSet", json!({}), json!({}))), Status::InProgress);
}

#[test]
fn ends_jobs_by_their_conditions() {
    let of = |spec: Value, state: Value| status(&kind("batch/v1", "Job", spec, state));
    let with = |r#type: &str| json!({"conditions": [{"type": r#type, "status": "True"}]});
    assert_eq!(of(json!({}), json!({})), Status::InProgress);
    assert_eq!(of(json!({}), json!({"startTime": "2026-01-01T00:00:00Z"})), Status::InProgress);
    assert_eq!(of(json!({}), with("Complete")), Status::Current);
    assert_eq!(of(json!({}), with("Failed")), Status::Failed);
    assert_eq!(of(json!({"suspend": true}), json!({})), Status::Current);
}

#[test]
fn waits_for_established_definitions() {
    let of = |conditions: Value| {
        let state = json!({"conditions": conditions});
        status(&kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), state))
    };
    assert_eq!(of(json!([])), Status::InProgress);
    assert_eq!(of(json!([{"type": "Established", "status": "True"}])), Status::Current);
    assert_eq!(of(json!([{"type": "NamesAccepted", "status": "False"}])), Status::Failed);
    let not = |reason: &str| json!([{"type": "Established", "status": "False", "reason": reason}]);
    assert_eq!(of(not("Installing")), Status::InProgress);
    assert_eq!(of(not("NotAccepted")), Status::Failed);
}

#[test]
fn tells_pods_that_wait_from_pods_that_fail() {
    let of = |state: Value| status(&kind("v1", "Pod", json!({}), state));
    let ready = |value: &str| json!([{"type": "Ready", "status": value}]);
    assert_eq!(of(json!({})), Status::InProgress);
    assert_eq!(of(json!({"phase": "Succeeded"})), Status::Current);
    assert_eq!(of(json!({"phase": "Failed"})), Status::Current);
    assert_eq!(of(json!({"phase": "Running", "conditions": ready("True")})), Status::Current);
    assert_eq!(of(json!({"phase": "Running", "conditions": ready("False")})), Status::InProgress);
    let crash = json!([{"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]);
    assert_eq!(
        of(json!({"phase": "Running", "conditions": ready("False"), "containerStatuses": crash})),
        Status::Failed
    );
    let unschedulable = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
    ]});
    let mut pod = kind("v1", "Pod", json!({}), unschedulable);
    pod["metadata"]["creationTimestamp"] = json!("1970-01-12T13:46:35Z");
    assert_eq!(
        compute(&pod, Timestamp::from_second(1_000_000).unwrap()).status,
        Status::InProgress
    );
    assert_eq!(compute(&pod, Timestamp::from_second(1_000_010).unwrap()).status, Status::Failed);
}

#[test]
fn waits_for_claims_and_load_balancers() {
    let claim = |phase: &str| {
        status(&kind("v1", "PersistentVolumeClaim", json!({}), json!({"phase": phase})))
    };
    assert_eq!(claim("Bound"), Status::Current);
    assert_eq!(claim("Pending"), Status::InProgress);
    let service = |spec: Value| status(&kind("v1", "Service", spec, json!({})));
    assert_eq!(service(json!({"type": "LoadBalancer"})), Status::InProgress);
    assert_eq!(service(json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"})), Status::Current);
    assert_eq!(service(json!({"type": "ClusterIP"})), Status::Current);
}
