//! `ignore`: fields that are left to others.

use serde_json::json;

use crate::support::{World, config};

#[tokio::test]
async fn leaves_an_ignored_field_and_corrects_the_others() {
    let world = World::start().await;
    let file = config("a", "1") + "  other: x\n";
    world.publish("main@sha1:1", &[("a.yaml", &file), ("b.yaml", &config("b", "1"))]).await;
    let rule = json!({"paths": ["/data/key"], "target": {"kind": "ConfigMap", "name": "a"}});
    world.create("apps", json!({"ignore": [rule]})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    for name in ["a", "b"] {
        world.merge_object("v1", "ConfigMap", name, json!({"data": {"key": "mine"}})).await;
    }
    world.request("apps", "now").await;
    world.until_handled("apps", "now").await;
    assert_eq!(world.config("b").await.as_deref(), Some("1"));
    assert_eq!(world.config("a").await.as_deref(), Some("mine"));
    // Another difference of the same object leaves the field alone, too.
    world.merge_object("v1", "ConfigMap", "a", json!({"data": {"other": "mine"}})).await;
    world.request("apps", "again").await;
    world.until_handled("apps", "again").await;
    let data = world.configs().get("a").await.unwrap().data.unwrap();
    assert_eq!((data["key"].as_str(), data["other"].as_str()), ("mine", "x"));
    // Without the rule it is drift.
    world.merge("apps", json!({"spec": {"ignore": null}})).await;
    world.until_config("a", Some("1")).await;
}

#[tokio::test]
async fn refuses_a_target_that_is_no_selector_and_deletes_nonetheless() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    let rule = |target: serde_json::Value| json!({"spec": {"ignore": [{"paths": ["/data"], "target": target}]}});
    for (target, part) in [
        (json!({"kind": "("}), "invalid kind regex: "),
        (json!({"labelSelector": "a in"}), "invalid label selector: "),
    ] {
        world.merge("apps", rule(target)).await;
        let start = format!("failed to create ignore rule selector: {part}");
        world
            .until("apps", &start, |obj| crate::support::message(obj, "Ready").starts_with(&start))
            .await;
    }
    world.until_failed("apps", "ReconciliationFailed").await;
    world.delete("apps").await;
    assert_eq!(world.config("a").await, None);
}
