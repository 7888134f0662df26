//! Variables in manifests get values from the spec, ConfigMaps and Secrets.

use serde_json::{Value, json};

use crate::support::{World, config, is_true};

fn values(kind: &str, name: &str, data: &Value) -> Value {
    let field = if kind == "Secret" { "stringData" } else { "data" };
    json!({
        "apiVersion": "v1", "kind": kind, field: data,
        "metadata": {"name": name, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
    })
}

#[tokio::test]
async fn later_values_win_and_those_of_the_spec_last() {
    let world = World::start().await;
    world.apply(values("ConfigMap", "one", &json!({"a": "1", "b": "1", "c": "1"}))).await;
    world.apply(values("Secret", "two", &json!({"b": "2\n", "c": "2"}))).await;
    world.publish("main@sha1:1", &[("x.yaml", &config("x", "${a}-${b}-${c}-${d:=4}"))]).await;
    let post_build = json!({
        "substituteFrom": [
            {"kind": "ConfigMap", "name": "one"}, {"kind": "Secret", "name": "two"},
            {"kind": "Secret", "name": "none", "optional": true},
        ],
        "substitute": {"c": "3"},
    });
    world.create("apps", json!({"postBuild": post_build})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("x").await.as_deref(), Some("1-2-3-4"));
}

#[tokio::test]
async fn a_changed_value_is_applied_at_once() {
    let world = World::start().await;
    world.apply(values("ConfigMap", "one", &json!({"a": "one"}))).await;
    world.publish("main@sha1:1", &[("x.yaml", &config("x", "${a}"))]).await;
    let from = json!([{"kind": "ConfigMap", "name": "one"}]);
    world.create("apps", json!({"postBuild": {"substituteFrom": from}})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.apply(values("ConfigMap", "one", &json!({"a": "two"}))).await;
    world.until_config("x", Some("two")).await;
}

#[tokio::test]
async fn what_has_no_value_is_refused() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("x.yaml", &config("x", "${a}"))]).await;
    let missing = json!([{"kind": "Secret", "name": "none"}]);
    for (name, post_build, expected) in [
        (
            "unset",
            json!({"substitute": {"b": "1"}}),
            "envsubst error: variable substitution failed: variable not set (strict mode): \"a\"",
        ),
        (
            "missing",
            json!({"substituteFrom": missing}),
            "substitute from 'Secret/none' error: secrets \"none\" not found",
        ),
        (
            "name",
            json!({"substitute": {"a-b": "1"}}),
            "envsubst error: 'a-b' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'",
        ),
    ] {
        world.create(name, json!({"postBuild": post_build})).await;
        let message = world.until_failed(name, "BuildFailed").await;
        assert!(message.contains(expected), "{message}");
        assert_eq!(world.config("x").await, None);
    }
}

#[tokio::test]
async fn without_variables_text_stays_as_it_is() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("x.yaml", &config("x", "$${a} ${b:=1}"))]).await;
    world.create("apps", json!({"postBuild": {}})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("x").await.as_deref(), Some("$${a} ${b:=1}"));
    world.merge("apps", json!({"spec": {"postBuild": {"substituteStrategy": "Always"}}})).await;
    let obj = world.until("apps", "done", |obj| {
        is_true(obj, "Ready") && obj.status.as_ref().unwrap().observed_generation == Some(2)
    });
    obj.await;
    assert_eq!(world.config("x").await.as_deref(), Some("${a} 1"));
}
