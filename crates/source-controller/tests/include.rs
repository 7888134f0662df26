//! Artifacts of other repositories in an artifact.

use std::time::Duration;

use crate::support::{World, artifact, conditions, files, is_true, message, names};
use serde_json::json;

async fn world() -> World {
    let world = World::start().await;
    let library = world.repository("library");
    library.commit_file("base/x.yaml", "one");
    library.commit_file("README.md", "read me");
    world.create("library", json!({"url": world.server.url("library")})).await;
    world
}

#[tokio::test]
async fn puts_a_path_of_one_artifact_at_a_path_of_another() {
    let world = world().await;
    let include = json!([
        {"repository": {"name": "library"}},
        {"repository": {"name": "library"}, "fromPath": "base", "toPath": "deep/er/base"},
        {"repository": {"name": "library"}, "fromPath": "README.md", "toPath": "docs.md"},
    ]);
    world.create("app", json!({"include": include})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(conditions(&obj), ["Ready", "ArtifactInStorage"]);
    assert_eq!(
        names(artifact(&obj).unwrap()).await,
        ["app.yaml", "deep/er/base/x.yaml", "docs.md", "library/README.md", "library/base/x.yaml"]
    );
    let status = obj.status.unwrap();
    let library = world.until_ready("library").await;
    let included = status.included_artifacts.unwrap();
    assert_eq!(included.len(), 3);
    assert_eq!(&included[0], artifact(&library).unwrap());
    assert_eq!(status.observed_include, obj.spec.include);
}

#[tokio::test]
async fn follows_a_new_artifact_of_an_included_repository_at_once() {
    let world = world().await;
    let include = json!([{"repository": {"name": "library"}}]);
    world.create("app", json!({"include": include})).await;
    let before = world.until_ready("app").await;
    let before = artifact(&before).unwrap();
    world.repository("library").commit_file("base/x.yaml", "two");
    world.request("library", "now").await;
    let after = world
        .until("app", "made anew", |obj| {
            is_true(obj, "Ready") && artifact(obj).is_some_and(|it| it.digest != before.digest)
        })
        .await;
    let after = artifact(&after).unwrap();
    assert_eq!(after.revision, before.revision);
    assert_eq!(files(after).await["library/base/x.yaml"], "two");
}

#[tokio::test]
async fn waits_for_an_included_repository() {
    let world = World::without_controller().await;
    let mut args = world.args();
    args.requeue_dependency = Duration::from_hours(1).into();
    world.run(args);
    let include = json!([{"repository": {"name": "library"}}]);
    world.create("app", json!({"include": include})).await;
    let obj = world.until_failed("app", "NotFound").await;
    assert!(is_true(&obj, "IncludeUnavailable"));
    let text = message(&obj, "Ready");
    assert!(text.starts_with("could not get resource for include 'library': "), "{text}");
    // Nobody has to be told: it may be there in a moment.
    let event = world.until_event("app", "NotFound", "library").await;
    assert_eq!(event.type_.as_deref(), Some("Normal"));

    world.create("library", json!({"url": world.server.url("library")})).await;
    world.until_failed("library", "GitOperationFailed").await;
    world.request("app", "now").await;
    let obj = world.until_failed("app", "NoArtifact").await;
    assert_eq!(message(&obj, "Ready"), "no artifact available for include 'library'");

    // Its first artifact wakes those that wait for it.
    world.repository("library").commit_file("x.yaml", "one");
    world.request("library", "now").await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["app.yaml", "library/x.yaml"]);
}

#[tokio::test]
async fn applies_the_ignore_rules_of_both() {
    let world = world().await;
    world.repository("library").commit_file("base/.sourceignore", "*.txt");
    world.repository("library").commit_file("base/x.txt", "");
    world.request("library", "now").await;
    world.until_handled("library", "now").await;
    let include = json!([{"repository": {"name": "library"}}]);
    world.create("app", json!({"include": include, "ignore": "README.md"})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(
        names(artifact(&obj).unwrap()).await,
        ["app.yaml", "library/base/.sourceignore", "library/base/x.yaml"]
    );
}

#[tokio::test]
async fn says_what_cannot_be_included() {
    let world = world().await;
    world.until_ready("library").await;
    let link = world.repository("repo");
    std::os::unix::fs::symlink("/tmp", link.0.path().join("out")).unwrap();
    link.0.commit("Add a link").unwrap();
    for (name, from, to, reason, part) in [
        ("missing", "nope", "x", "CopyFailure", "include from nope to x: "),
        ("taken", "base", ".", "CopyFailure", "include from base to .: "),
        ("link", "base", "out/x", "IllegalPath", "leads out of its directory"),
    ] {
        let include = json!({"repository": {"name": "library"}, "fromPath": from, "toPath": to});
        world.create(name, json!({"include": [include]})).await;
        let obj = world.until_failed(name, reason).await;
        let text = message(&obj, "StorageOperationFailed");
        assert!(text.contains(part), "{text}");
    }
    assert!(!std::path::Path::new("/tmp/x").exists());
    // Paths that go up stay inside.
    let include =
        json!({"repository": {"name": "library"}, "fromPath": "../../base", "toPath": "../up"});
    world.create("up", json!({"include": [include]})).await;
    let obj = world.until_ready("up").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["app.yaml", "up/x.yaml"]);
}

#[tokio::test]
async fn makes_the_artifact_anew_when_the_includes_change() {
    let world = world().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    let include = json!([{"repository": {"name": "library"}, "toPath": "a"}]);
    world.merge("app", json!({"spec": {"include": include}})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["a/README.md", "a/base/x.yaml", "app.yaml"]);
    world.merge("app", json!({"spec": {"include": null}})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["app.yaml"]);
    let status = obj.status.unwrap();
    assert_eq!((status.included_artifacts, status.observed_include), (None, None));
}

#[tokio::test]
async fn does_not_grow_by_including_itself() {
    let world = World::without_controller().await;
    let mut args = world.args();
    args.requeue_dependency = Duration::from_millis(100).into();
    world.run(args);
    for name in ["one", "two"] {
        world.create(name, json!({})).await;
        world.until_ready(name).await;
    }
    let include = |name: &str| json!({"spec": {"include": [{"repository": {"name": name}}]}});
    world.merge("one", include("two")).await;
    world.until_ready("one").await;
    world.merge("two", include("one")).await;
    let obj = world.until_failed("two", "CircularInclude").await;
    assert_eq!(message(&obj, "Ready"), "the repository includes itself: two -> one -> two");
    assert!(is_true(&obj, "IncludeUnavailable"));
    world.merge("one", json!({"spec": {"include": null}})).await;
    let one = world.until_ready("one").await;
    let obj = world
        .until("two", "made of the latest", |obj| {
            let included = obj.status.as_ref().and_then(|it| it.included_artifacts.as_ref());
            is_true(obj, "Ready") && included.and_then(|it| it.first()) == artifact(&one)
        })
        .await;
    assert_eq!(names(artifact(&obj).unwrap()).await, ["app.yaml", "one/app.yaml"]);
}
