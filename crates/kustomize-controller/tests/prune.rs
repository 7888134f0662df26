//! What leaves its declaration is deleted, unless pruning is off.

use crate::support::{World, config, inventory, is_true};
use serde_json::json;

#[tokio::test]
async fn deletes_what_left_the_artifact() {
    let world = World::start().await;
    let (a, b) = (config("a", "1"), config("b", "1"));
    world.publish("main@sha1:1", &[("a.yaml", &a), ("b.yaml", &b)]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.publish("main@sha1:2", &[("a.yaml", &a)]).await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(world.config("b").await, None);
    assert_eq!(inventory(&obj), [format!("{}_a__ConfigMap", world.namespace)]);
    let deleted = format!("ConfigMap/{}/b deleted", world.namespace);
    world.until_event("apps", "Progressing", &deleted).await;
}

#[tokio::test]
async fn keeps_objects_when_prune_is_disabled() {
    let world = World::start().await;
    let (a, b) = (config("a", "1"), config("b", "1"));
    world.publish("main@sha1:1", &[("a.yaml", &a), ("b.yaml", &b)]).await;
    world.create("apps", json!({"prune": false})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.publish("main@sha1:2", &[("a.yaml", &a)]).await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(world.config("b").await.as_deref(), Some("1"));
    assert_eq!(inventory(&obj).len(), 1);
}

#[tokio::test]
async fn deletes_everything_when_the_artifact_is_empty() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.publish("main@sha1:2", &[("README.md", "nothing here")]).await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert!(is_true(&obj, "Ready"));
    assert_eq!(world.config("a").await, None);
    assert_eq!(inventory(&obj), Vec::<String>::new());
}
