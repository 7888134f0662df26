//! Creating, reading, changing and listing objects.

use crate::support::client;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Error;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "data": {"key": "value"},
    }))
    .expect("the literal is a ConfigMap")
}

#[tokio::test]
async fn creates_reads_and_replaces_an_object() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let created = api.create(&PostParams::default(), &config_map("one")).await.unwrap();
    assert!(created.metadata.uid.is_some());
    let mut changed = created.clone();
    changed.data.as_mut().unwrap().insert("key".into(), "other".into());
    let replaced = api.replace("one", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(replaced.metadata.resource_version, created.metadata.resource_version);
    assert_eq!(replaced.metadata.uid, created.metadata.uid);
    assert_eq!(api.get("one").await.unwrap().data.unwrap()["key"], "other");
}

#[tokio::test]
async fn refuses_to_replace_what_changed_meanwhile() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let stale = api.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"key": "newer"}}));
    api.patch("one", &PatchParams::default(), &patch).await.unwrap();
    let mut changed = stale.clone();
    changed.data = None;
    let error = api.replace("one", &PostParams::default(), &changed).await.unwrap_err();
    let Error::Api(status) = error else { panic!("{error}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Operation cannot be fulfilled on configmaps \"one\": the object has been modified; \
         please apply your changes to the latest version and try again"
    );
}

#[tokio::test]
async fn does_not_write_what_did_not_change() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let created = api.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"key": "value"}}));
    let patched = api.patch("one", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.resource_version, created.metadata.resource_version);
}

#[tokio::test]
async fn lists_in_pages_of_one_snapshot() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name)).await.unwrap();
    }
    let labelled = ListParams::default().labels("app in (a,b,c)").limit(2);
    let first = api.list(&labelled).await.unwrap();
    assert_eq!(first.items.len(), 2);
    api.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = api.list(&labelled.continue_token(&token)).await.unwrap();
    let names: Vec<_> = second.items.iter().map(|item| item.metadata.name.as_deref()).collect();
    assert_eq!(names, [Some("c")], "the second page shows the time of the first");
}

#[tokio::test]
async fn refuses_objects_in_missing_namespaces() {
    let client = client().await;
    let nowhere = &format!("{}-nowhere", client.default_namespace());
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), nowhere);
    let error = api.create(&PostParams::default(), &config_map("one")).await.unwrap_err();
    let Error::Api(status) = error else { panic!("{error}") };
    let missing = format!("namespaces \"{nowhere}\" not found");
    assert_eq!((status.code, status.message.as_str()), (404, missing.as_str()));
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": nowhere}})).unwrap();
    let created = Api::all(client).create(&PostParams::default(), &namespace).await.unwrap();
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Active"));
    api.create(&PostParams::default(), &config_map("one")).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&dry, &config_map("one")).await.unwrap();
    assert!(api.get_opt("one").await.unwrap().is_none());
}

#[tokio::test]
async fn makes_names_up() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let object: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "job-"}})).unwrap();
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    let name = created.metadata.name.unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
}
