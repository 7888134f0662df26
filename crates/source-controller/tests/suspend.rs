//! Objects that are not to be reconciled.

use crate::support::{World, artifact, conditions, download};
use serde_json::json;

#[tokio::test]
async fn does_nothing_while_suspended_and_catches_up_after() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    world.merge("app", json!({"spec": {"suspend": true}})).await;
    let revision = world.repository("repo").change("two");
    world.server.forget_requests();
    world.request("app", "now").await;
    let obj = world.until_handled("app", "now").await;
    assert_eq!(artifact(&obj), artifact(&before));
    assert_eq!(obj.status.as_ref().unwrap().observed_generation, obj.metadata.generation);
    assert_eq!(conditions(&obj), ["Ready", "ArtifactInStorage"]);
    download(artifact(&obj).unwrap()).await;
    assert!(world.server.requests().is_empty());
    world.merge("app", json!({"spec": {"suspend": false}})).await;
    world.until_at("app", &revision).await;
}

#[tokio::test]
async fn does_not_stay_stalled_while_suspended() {
    let world = World::start().await;
    world.create("app", json!({"provider": "github"})).await;
    world.until_failed("app", "UnsupportedField").await;
    world.merge("app", json!({"spec": {"suspend": true}})).await;
    world.until("app", "observed", crate::support::is_observed).await;
    let obj = world
        .until("app", "not stalled", |obj| crate::support::condition(obj, "Stalled").is_none())
        .await;
    assert_eq!(artifact(&obj), None);
}

#[tokio::test]
async fn removes_the_files_of_a_suspended_object_that_is_deleted() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    world.merge("app", json!({"spec": {"suspend": true}})).await;
    world.delete("app").await;
    assert_eq!(world.stored("app"), [""; 0]);
}
