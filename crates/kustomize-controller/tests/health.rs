//! Ready means healthy, for those who ask for it.

use crate::support::{World, condition, config, is_true, message};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: disk\nspec:\n  \
    accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";

async fn bind(world: &World) {
    let api: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(world.cluster.client.clone(), &world.namespace);
    let status = json!({"status": {"phase": "Bound"}});
    api.patch_status("disk", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

fn is_checking(obj: &api::kustomize::Kustomization) -> bool {
    condition(obj, "Healthy") == Some(("Unknown".to_owned(), "Progressing".to_owned()))
}

#[tokio::test]
async fn is_ready_once_everything_is_healthy() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("disk.yaml", CLAIM)]).await;
    world.create("apps", json!({"wait": true, "timeout": "40s"})).await;
    let obj = world.until("apps", "checking", is_checking).await;
    let text = "Running health checks for revision main@sha1:1 with a timeout of 40s";
    assert_eq!(message(&obj, "Healthy"), text);
    assert_eq!(message(&obj, "Reconciling"), text);
    assert!(!is_true(&obj, "Ready"));
    bind(&world).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(condition(&obj, "Healthy"), Some(("True".to_owned(), "Succeeded".to_owned())));
    world.until_event("apps", "Progressing", "Health check passed in ").await;
}

#[tokio::test]
async fn checks_what_the_spec_names() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("disk.yaml", CLAIM), ("a.yaml", &config("a", "1"))]).await;
    let check =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": world.namespace});
    world.create("apps", json!({"healthChecks": [check]})).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert!(is_true(&obj, "Healthy"));
}

#[tokio::test]
async fn fails_at_once_when_an_object_cannot_become_healthy() {
    let world = World::start().await;
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: task\nspec:\n  \
        managedBy: example.com/test\n  template:\n    spec:\n      restartPolicy: Never\n      \
        containers:\n      - name: a\n        image: a\n";
    world.publish("main@sha1:1", &[("job.yaml", job)]).await;
    world.create("apps", json!({"wait": true})).await;
    world.until("apps", "checking", is_checking).await;
    let api: Api<k8s_openapi::api::batch::v1::Job> =
        Api::namespaced(world.cluster.client.clone(), &world.namespace);
    let met = |kind: &str| json!({"type": kind, "status": "True"});
    let conditions = [met("FailureTarget"), met("Failed")];
    let status = json!({"status": {"startTime": "2026-01-01T00:00:00Z", "conditions": conditions}});
    api.patch_status("task", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let message = world.until_failed("apps", "HealthCheckFailed").await;
    let end = format!(
        "failed early due to stalled resources: [Job/{}/task status: 'Failed']",
        world.namespace
    );
    assert!(
        message.starts_with("health check failed after ") && message.ends_with(&end),
        "{message}"
    );
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert_eq!(
        condition(&obj, "Healthy"),
        Some(("False".to_owned(), "HealthCheckFailed".to_owned()))
    );
    assert_ne!(obj.status.unwrap().observed_generation, obj.metadata.generation);
    world.until_event("apps", "HealthCheckFailed", &end).await;
}

#[tokio::test]
async fn leaves_a_wait_for_a_new_revision() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("disk.yaml", CLAIM)]).await;
    world.create("apps", json!({"wait": true})).await;
    world.until("apps", "checking", is_checking).await;
    world.publish("main@sha1:2", &[("a.yaml", &config("a", "1"))]).await;
    world.until_applied("apps", "main@sha1:2").await;
    let cause = format!("GitRepository/{}/repo", world.namespace);
    let text = format!("Health checks canceled due to new reconciliation triggered by {cause}");
    world.until_event("apps", "HealthCheckCanceled", &text).await;
}

#[tokio::test]
async fn hands_a_wait_over_to_the_next_process() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("disk.yaml", CLAIM)]).await;
    world.create("apps", json!({"wait": true})).await;
    world.until("apps", "checking", is_checking).await;
    world.stop().await;
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert!(is_checking(&obj));
    bind(&world).await;
    world.run(crate::support::args());
    world.until_applied("apps", "main@sha1:1").await;
}
