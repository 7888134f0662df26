//! A dependant runs when what it depends on is ready, and at once then.

use crate::support::{World, args, condition, config};
use serde_json::json;

#[tokio::test]
async fn runs_at_once_when_the_dependency_becomes_ready() {
    let world = World::start().await;
    let files = [("base/a.yaml", config("a", "1")), ("apps/b.yaml", config("b", "1"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("main@sha1:1", &files).await;
    world.create("apps", json!({"path": "apps", "dependsOn": [{"name": "base"}]})).await;
    let message = world.until_failed("apps", "DependencyNotReady").await;
    let expected = format!("dependency '{}/base' not found: ", world.namespace);
    assert!(message.starts_with(&expected), "{message}");
    world
        .until_event(
            "apps",
            "DependencyNotReady",
            "Dependencies do not meet ready condition, retrying in 30s",
        )
        .await;
    assert_eq!(world.config("b").await, None);
    // Far sooner than in the 30s that the message promises.
    world.create("base", json!({"path": "base"})).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn waits_for_the_dependency_to_reach_the_revision() {
    let world = World::start().await;
    let files =
        |value: &str| [("base/a.yaml", config("a", value)), ("apps/b.yaml", config("b", value))];
    let first = files("1");
    let first: Vec<_> = first.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("main@sha1:1", &first).await;
    world.create("base", json!({"path": "base"})).await;
    world.create("apps", json!({"path": "apps", "dependsOn": [{"name": "base"}]})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.merge("base", json!({"spec": {"suspend": true}})).await;
    world.until("base", "suspended", |obj| obj.spec.suspend == Some(true)).await;
    let second = files("2");
    let second: Vec<_> = second.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("main@sha1:2", &second).await;
    world.until_failed("apps", "DependencyNotReady").await;
    assert_eq!(world.config("b").await.as_deref(), Some("1"));
    world.merge("base", json!({"spec": {"suspend": false}})).await;
    world.until_applied("apps", "main@sha1:2").await;
}

#[tokio::test]
async fn waits_without_holding_a_worker() {
    let world = World::without_controller(&api::crds()).await;
    world.run(kustomize_controller::Args { concurrent: 1, ..args() });
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("first", json!({"dependsOn": [{"name": "absent"}]})).await;
    world.until_failed("first", "DependencyNotReady").await;
    world.create("second", json!({})).await;
    world.until_applied("second", "main@sha1:1").await;
    let first = world.kustomizations().get("first").await.unwrap();
    let expected = ("True".to_owned(), "ProgressingWithRetry".to_owned());
    assert_eq!(condition(&first, "Reconciling"), Some(expected));
}
