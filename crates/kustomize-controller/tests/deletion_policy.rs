//! What becomes of the objects when the Kustomization is deleted.

use crate::support::{World, config};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

async fn after_deletion(fields: Value) -> Option<String> {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", fields).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.delete("apps").await;
    world.config("a").await
}

#[tokio::test]
async fn mirrors_prune_by_default() {
    assert_eq!(after_deletion(json!({"prune": true})).await, None);
    assert!(after_deletion(json!({"prune": false})).await.is_some());
    let mirror = json!({"prune": true, "deletionPolicy": "MirrorPrune"});
    assert_eq!(after_deletion(mirror).await, None);
}

#[tokio::test]
async fn deletes_or_keeps_whatever_prune_says() {
    assert_eq!(after_deletion(json!({"prune": false, "deletionPolicy": "Delete"})).await, None);
    assert!(after_deletion(json!({"prune": true, "deletionPolicy": "Orphan"})).await.is_some());
}

#[tokio::test]
async fn keeps_objects_of_a_suspended_kustomization() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.merge("apps", json!({"spec": {"suspend": true}})).await;
    world.delete("apps").await;
    assert!(world.config("a").await.is_some());
}

#[tokio::test]
async fn waits_for_the_end_of_objects_when_told_to() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"deletionPolicy": "WaitForTermination"})).await;
    world.until_applied("apps", "main@sha1:1").await;
    let hold = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    let configs = world.configs();
    let params = PatchParams::default();
    configs.patch("a", &params, &Patch::Merge(&hold(json!(["example.com/hold"])))).await.unwrap();
    world.kustomizations().delete("apps", &kube::api::DeleteParams::default()).await.unwrap();
    let terminating = |obj: Option<&k8s_openapi::api::core::v1::ConfigMap>| {
        obj.is_some_and(|obj| obj.metadata.deletion_timestamp.is_some())
    };
    let wait = kube::runtime::wait::await_condition(configs.clone(), "a", terminating);
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.unwrap().unwrap();
    world.until_event("apps", "ReconciliationSucceeded", "ConfigMap/").await;
    assert!(world.kustomizations().get_opt("apps").await.unwrap().is_some());
    configs.patch("a", &params, &Patch::Merge(&hold(Value::Null))).await.unwrap();
    let gone = |obj: Option<&api::kustomize::Kustomization>| obj.is_none();
    let wait = kube::runtime::wait::await_condition(world.kustomizations(), "apps", gone);
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.unwrap().unwrap();
}
