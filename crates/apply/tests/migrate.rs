//! Managed fields of an older version of a kind.

use apply::{Action, Cluster, Options, Target};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::support::{Recorded, options, prepare, recorded};

/// Defines a kind with two versions, in a group of the test's own.
async fn define(cluster: &Recorded) -> String {
    let group = format!("{}.example.com", cluster.namespace());
    let version = |name: &str, stored: bool| {
        let spec = json!({"type": "object", "properties": {"size": {"type": "integer"}}});
        json!({
            "name": name, "served": true, "storage": stored,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        })
    };
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [version("v1", true), version("v2", false)],
        },
    }))
    .unwrap();
    cluster.cluster.define(&[definition]).await.unwrap();
    group
}

fn versions(live: &Value) -> Vec<&str> {
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().map(|entry| entry["apiVersion"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn brings_every_manager_to_the_applied_version() {
    let cluster = recorded().await;
    let (group, namespace) = (define(&cluster).await, cluster.namespace());
    let widget = |version: &str| {
        json!({
            "apiVersion": format!("{group}/{version}"), "kind": "Widget",
            "metadata": {"name": "a", "namespace": namespace}, "spec": {"size": 1},
        })
    };
    let shared = Cluster::new(cluster.client.clone());
    let other = Options { field_manager: "other".to_owned(), ..options() };
    for options in [other, options()] {
        let target = Target::new(shared.clone(), options);
        let set = prepare(&target, vec![widget("v1")]).await;
        target.apply(&set).await.unwrap();
    }
    let (old, new) = (format!("{group}/v1"), format!("{group}/v2"));
    let live = cluster.get(&new, "Widget", &namespace, "a").await.unwrap();
    assert!(versions(&live).contains(&old.as_str()));

    let migrating = Options { migrate_api_version: true, ..options() };
    let target = Target::new(shared, migrating);
    let set = prepare(&target, vec![widget("v2")]).await;
    let changes = target.apply(&set).await.unwrap();
    assert_eq!(changes.changes[0].action, Action::Configured);
    let live = cluster.get(&new, "Widget", &namespace, "a").await.unwrap();
    assert!(versions(&live).iter().all(|version| *version == new), "{:?}", versions(&live));
    let changes = target.apply(&set).await.unwrap();
    assert_eq!(changes.changes[0].action, Action::Unchanged);
}
