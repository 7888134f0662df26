//! A build that would delete too much waits for confirmation.

use crate::support::{World, condition, config, inventory, is_true, message};
use serde_json::json;

const LIMIT: &str = "kustomize.tidegate.dev/prune-limit";
const CONFIRM: &str = "kustomize.tidegate.dev/confirm-prune";

/// Applies the ConfigMaps `a` to `d` of a Kustomization with a limit.
async fn world(limit: &str) -> World {
    let world = World::start().await;
    publish(&world, "main@sha1:1", &["a", "b", "c", "d"]).await;
    world.create("apps", json!({})).await;
    annotate(&world, LIMIT, limit).await;
    world.until_applied("apps", "main@sha1:1").await;
    world
}

async fn publish(world: &World, revision: &str, names: &[&str]) {
    let files: Vec<_> =
        names.iter().map(|name| (format!("{name}.yaml"), config(name, "1"))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.publish(revision, &files).await;
}

async fn annotate(world: &World, key: &str, value: &str) {
    world.merge("apps", json!({"metadata": {"annotations": {key: value}}})).await;
}

#[tokio::test]
async fn deletes_up_to_the_limit() {
    let world = world("50%").await;
    publish(&world, "main@sha1:2", &["a", "b"]).await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(inventory(&obj).len(), 2);
    assert_eq!(world.config("c").await, None);
}

#[tokio::test]
async fn deletes_nothing_beyond_the_limit_until_it_is_confirmed() {
    let world = world("50%").await;
    publish(&world, "main@sha1:2", &["d", "new", "more", "most"]).await;
    let text = world.until_failed("apps", "PruneFailed").await;
    assert!(text.starts_with("3 of 4 objects are no longer declared"), "{text}");
    assert!(text.contains(&format!("ConfigMap/{}/a, ", world.namespace)), "{text}");
    assert!(text.ends_with(&format!("{CONFIRM}: \"main@sha1:2\"")), "{text}");
    world.until_event("apps", "PruneFailed", "3 of 4 objects").await;
    // What is declared is applied, and nothing is lost.
    assert!(world.config("new").await.is_some() && world.config("a").await.is_some());
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert_eq!(inventory(&obj).len(), 7);
    assert_eq!(obj.status.as_ref().unwrap().last_applied_revision.as_deref(), Some("main@sha1:1"));
    assert_eq!(message(&obj, "PruneHeld"), "3 of 4 objects");

    // Another try, whose inventory has the new objects, is no way around it.
    world.request("apps", "again").await;
    let obj = world.until_handled("apps", "again").await;
    assert_eq!(message(&obj, "Ready"), text);
    // Neither is the confirmation of something else.
    annotate(&world, CONFIRM, "main@sha1:1").await;
    world.request("apps", "other").await;
    world.until_handled("apps", "other").await;
    assert!(world.config("a").await.is_some());

    annotate(&world, CONFIRM, "main@sha1:2").await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(inventory(&obj).len(), 4);
    assert_eq!(world.config("a").await, None);
    assert_eq!(condition(&obj, "PruneHeld"), None);
}

#[tokio::test]
async fn counts_objects_when_the_limit_is_a_number() {
    let world = world("1").await;
    publish(&world, "main@sha1:2", &["a", "b", "c"]).await;
    world.until_applied("apps", "main@sha1:2").await;
    publish(&world, "main@sha1:3", &["a"]).await;
    let text = world.until_failed("apps", "PruneFailed").await;
    assert!(text.starts_with("2 of 3 objects") && text.contains("the limit is 1 "), "{text}");
    // A higher limit is as good as a confirmation.
    annotate(&world, LIMIT, "2").await;
    world.until_applied("apps", "main@sha1:3").await;
    assert_eq!(world.config("b").await, None);
}

#[tokio::test]
async fn never_deletes_everything_without_confirmation() {
    let world = world("100%").await;
    world.publish("main@sha1:2", &[("README.md", "nothing here")]).await;
    let text = world.until_failed("apps", "PruneFailed").await;
    assert!(text.starts_with("4 of 4 objects"), "{text}");
    // When the objects are back, there is nothing to confirm.
    publish(&world, "main@sha1:3", &["a", "b", "c"]).await;
    let obj = world.until_applied("apps", "main@sha1:3").await;
    assert_eq!(condition(&obj, "PruneHeld"), None);
    assert_eq!(world.config("d").await, None);
    // Other objects in the place of all are everything, too.
    publish(&world, "main@sha1:4", &["x", "y", "z"]).await;
    world.until_failed("apps", "PruneFailed").await;
    world.kill().await;
    world.run(crate::support::args());
    world.request("apps", "again").await;
    let obj = world.until_handled("apps", "again").await;
    assert!(message(&obj, "Ready").starts_with("3 of 3 objects"));
    annotate(&world, CONFIRM, "main@sha1:4").await;
    world.until_applied("apps", "main@sha1:4").await;
    assert_eq!(world.config("a").await, None);
}

#[tokio::test]
async fn refuses_a_limit_that_is_none() {
    let world = world("50%").await;
    annotate(&world, LIMIT, "half").await;
    let text = world.until_failed("apps", "InvalidAnnotation").await;
    assert!(text.ends_with(
        "annotation kustomize.tidegate.dev/prune-limit has the value \"half\", expected a number of \
         objects such as \"10\" or a share such as \"50%\""
    ));
    publish(&world, "main@sha1:2", &["a"]).await;
    annotate(&world, LIMIT, "3").await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert!(!is_true(&obj, "Stalled"));
}
