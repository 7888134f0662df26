//! Patches in their four forms, and what they may not do.

use crate::support::{client, create, embedded, refusal};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

async fn config_maps() -> Api<ConfigMap> {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    create(&api, json!({"metadata": {"name": "a"}, "data": {"key": "value"}})).await;
    api
}

fn operations(patch: Value) -> Patch<()> {
    Patch::Json(serde_json::from_value(patch).expect("the literal is a JSON patch"))
}

#[tokio::test]
async fn a_json_patch_adds_the_first_finalizer() {
    let api = config_maps().await;
    let patch = operations(json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/held"]},
    ]));
    let params = PatchParams::default();
    let held = api.patch("a", &params, &patch).await.unwrap();
    assert_eq!(held.metadata.finalizers.unwrap(), ["example.com/held"]);
    // Now there is something, and the test fails.
    let status = refusal(api.patch("a", &params, &patch).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
}

#[tokio::test]
async fn a_failed_operation_changes_nothing() {
    let api = config_maps().await;
    let patch = operations(json!([
        {"op": "replace", "path": "/data/key", "value": "other"},
        {"op": "remove", "path": "/data/none"},
    ]));
    let status = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!(status.code, 422);
    assert_eq!(api.get("a").await.unwrap().data.unwrap()["key"], "value");
}

#[tokio::test]
async fn a_merge_patch_removes_what_is_null() {
    let api = config_maps().await;
    let patch = Patch::Merge(json!({"data": {"key": null, "other": "1"}}));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(json!(patched.data), json!({"other": "1"}));
}

#[tokio::test]
async fn a_patch_with_an_old_version_is_a_conflict() {
    let api = config_maps().await;
    let old = api.get("a").await.unwrap().metadata.resource_version;
    let touch = Patch::Merge(json!({"data": {"key": "newer"}}));
    api.patch("a", &PatchParams::default(), &touch).await.unwrap();
    let patch = Patch::Merge(json!({"metadata": {"resourceVersion": old}, "data": {"key": "x"}}));
    let status = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
}

#[tokio::test]
async fn the_server_alone_writes_identity_and_generation() {
    // The controller of a real cluster writes the status too.
    let api: Api<Deployment> = Api::default_namespaced(embedded().await);
    let object = json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    });
    let made = create(&api, object).await;
    assert_eq!(made.metadata.generation, Some(1));
    let params = PatchParams::default();
    let patch = Patch::Merge(json!({
        "metadata": {"generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z"},
        "spec": {"replicas": 2},
    }));
    let patched = api.patch("web", &params, &patch).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
    assert_eq!(patched.metadata.creation_timestamp, made.metadata.creation_timestamp);
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let labelled = api.patch("web", &params, &label).await.unwrap();
    assert_eq!(labelled.metadata.generation, Some(2), "metadata is not the spec");
    let status = Patch::Merge(json!({"status": {"replicas": 7}, "spec": {"replicas": 3}}));
    let reported = api.patch_status("web", &params, &status).await.unwrap();
    assert_eq!(reported.metadata.generation, Some(2));
    assert_eq!(reported.spec.unwrap().replicas, Some(2), "the spec is not the status");
    assert_eq!(reported.status.unwrap().replicas, Some(7));
    let ignored = api.patch("web", &params, &Patch::Merge(json!({"status": null}))).await.unwrap();
    assert_eq!(ignored.status.unwrap().replicas, Some(7), "the status is not the object's");
}

#[tokio::test]
async fn an_apply_needs_a_manager_and_creates_what_is_missing() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "b"}, "data": {"key": "value"},
    });
    let anonymous = PatchParams::default();
    assert!(api.patch("b", &anonymous, &Patch::Apply(&config)).await.is_err());
    let made = api.patch("b", &PatchParams::apply("me"), &Patch::Apply(&config)).await.unwrap();
    assert_eq!(made.data.unwrap()["key"], "value");
}

#[tokio::test]
async fn a_patch_of_nothing_is_not_found() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let patch = Patch::Merge(json!({"data": {"key": "x"}}));
    let status = refusal(api.patch("none", &PatchParams::default(), &patch).await);
    assert_eq!((status.code, status.message.as_str()), (404, "configmaps \"none\" not found"));
}
