//! What of a commit goes into an artifact.

use crate::support::{World, artifact, files, names};
use serde_json::json;

async fn world() -> World {
    let world = World::start().await;
    let repository = world.repository("repo");
    for path in ["apps/one/x.yaml", "apps/two/y.yaml", "docs/logo.png", ".github/ci.yaml"] {
        repository.0.write(path, path).unwrap();
    }
    repository.0.commit("Add files").unwrap();
    world
}

#[tokio::test]
async fn leaves_out_what_is_ignored() {
    let world = world().await;
    world.create("app", json!({})).await;
    let obj = world.until_ready("app").await;
    let expected = ["app.yaml", "apps/one/x.yaml", "apps/two/y.yaml"];
    assert_eq!(names(artifact(&obj).unwrap()).await, expected);
    world.create("spec", json!({"ignore": "/*\n!/apps\n*.png\n/apps/two"})).await;
    let obj = world.until_ready("spec").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["apps/one/x.yaml"]);
    world.repository("repo").commit_file(".sourceignore", "two/\n");
    world.create("file", json!({})).await;
    let obj = world.until_ready("file").await;
    let expected =
        [".github/ci.yaml", ".sourceignore", "app.yaml", "apps/one/x.yaml", "docs/logo.png"];
    assert_eq!(names(artifact(&obj).unwrap()).await, expected);
}

#[tokio::test]
async fn makes_another_artifact_of_the_same_commit_when_the_rules_change() {
    let world = world().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    world.merge("app", json!({"spec": {"ignore": "two/"}})).await;
    let after = world.until_ready("app").await;
    assert_eq!(after.status.as_ref().unwrap().observed_ignore.as_deref(), Some("two/"));
    let (before, after) = (artifact(&before).unwrap(), artifact(&after).unwrap());
    // The same file under the same address, with other content.
    assert_eq!((&after.revision, &after.url), (&before.revision, &before.url));
    assert_ne!(after.digest, before.digest);
    assert!(!files(after).await.contains_key("apps/two/y.yaml"));
    let event = world.until_event("app", "NewArtifact", "Add files").await;
    assert!(event.metadata.annotations.is_some());
}

#[tokio::test]
async fn checks_out_the_directories_that_are_asked_for() {
    let world = world().await;
    world.create("app", json!({"sparseCheckout": ["./apps/one"]})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["apps/one/x.yaml"]);
    let observed = obj.status.unwrap().observed_sparse_checkout.unwrap();
    assert_eq!(observed, ["./apps/one"]);
    world.merge("app", json!({"spec": {"sparseCheckout": ["apps"]}})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["apps/one/x.yaml", "apps/two/y.yaml"]);
}

#[tokio::test]
async fn takes_submodules_when_asked_to() {
    let world = world().await;
    world.repository("library").commit_file("x.yaml", "one");
    let repository = world.repository("repo");
    let url = world.server.url("library");
    // Git asks the server of this very test.
    let added = tokio::task::spawn_blocking(move || {
        repository.0.submodule(&url, "library")?;
        repository.0.commit("Add a submodule")
    });
    added.await.unwrap().unwrap();
    world.create("app", json!({"sparseCheckout": ["library"]})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, [""; 0]);
    world.merge("app", json!({"spec": {"recurseSubmodules": true}})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["library/x.yaml"]);
    assert_eq!(obj.status.unwrap().observed_recurse_submodules, Some(true));
}
