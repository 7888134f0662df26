//! What an artifact declares is applied, and what was done is recorded.

use crate::support::{World, condition, config, inventory, is_true, message};
use serde_json::json;

#[tokio::test]
async fn applies_an_artifact_and_records_it() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("apps/a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"path": "./apps"})).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    assert_eq!(message(&obj, "Ready"), "Applied revision: main@sha1:1");
    assert_eq!(condition(&obj, "Reconciling"), None);
    assert_eq!(inventory(&obj), [format!("{}_a__ConfigMap", world.namespace)]);
    let status = obj.status.unwrap();
    assert_eq!(status.observed_generation, obj.metadata.generation);
    assert_eq!(status.last_attempted_revision.as_deref(), Some("main@sha1:1"));
    let history = status.history.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].last_reconciled_status, "ReconciliationSucceeded");
    assert!(history[0].digest.starts_with("sha256:"));
    assert_eq!(history[0].metadata.as_ref().unwrap()["revision"], "main@sha1:1");

    let created = format!("ConfigMap/{}/a created", world.namespace);
    world.until_event("apps", "Progressing", &created).await;
    let event = world.until_event("apps", "ReconciliationSucceeded", "next run in 1h0m0s").await;
    let annotations = event.metadata.annotations.unwrap();
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/revision"], "main@sha1:1");
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/commit_status"], "update");
}

#[tokio::test]
async fn applies_a_new_artifact_at_once() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.publish("main@sha1:2", &[("a.yaml", &config("a", "2"))]).await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(world.config("a").await.as_deref(), Some("2"));
    assert_eq!(obj.status.unwrap().history.unwrap().len(), 2);
}

#[tokio::test]
async fn merges_the_spec_into_the_build() {
    let world = World::start().await;
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  \
        selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
        spec:\n      containers:\n      - name: web\n        image: example.com/web:1\n";
    world.publish("main@sha1:1", &[("web.yaml", deployment)]).await;
    let fields = json!({
        "namePrefix": "x-", "nameSuffix": "-y",
        "images": [{"name": "example.com/web", "newTag": "2"}],
        "patches": [{
            "patch": "- op: add\n  path: /metadata/annotations\n  value: {patched: \"yes\"}\n",
            "target": {"kind": "Deployment"},
        }],
        "commonMetadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
    });
    world.create("apps", fields).await;
    world.until_applied("apps", "main@sha1:1").await;
    let api: kube::Api<k8s_openapi::api::apps::v1::Deployment> =
        kube::Api::namespaced(world.cluster.client.clone(), &world.namespace);
    let live = api.get("x-web-y").await.unwrap();
    let (labels, annotations) = (live.metadata.labels.unwrap(), live.metadata.annotations.unwrap());
    assert_eq!(labels["team"], "a");
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "apps");
    assert_eq!(annotations["note"], "b");
    assert_eq!(annotations["patched"], "yes");
    let pod = live.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("example.com/web:2"));
}

#[tokio::test]
async fn applies_a_definition_and_its_object_in_one_set() {
    let world = World::start().await;
    let group = format!("{}.example.com", world.namespace);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let object = format!("apiVersion: {group}/v1\nkind: Widget\nmetadata:\n  name: w\n");
    let files = [("crd.yaml", definition.to_string()), ("w.yaml", object)];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("main@sha1:1", &files).await;
    world.create("apps", json!({"wait": true})).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert!(is_true(&obj, "Healthy"));
    assert_eq!(inventory(&obj).len(), 2);
}

#[tokio::test]
async fn applies_again_when_asked_and_does_nothing_when_suspended() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.configs().delete("a", &kube::api::DeleteParams::default()).await.unwrap();
    world.request("apps", "first").await;
    world.until_handled("apps", "first").await;
    // The watch may be behind the run, which is then repeated.
    world.until_config("a", Some("1")).await;

    world.merge("apps", json!({"spec": {"suspend": true}})).await;
    world.publish("main@sha1:2", &[("a.yaml", &config("a", "2"))]).await;
    world.request("apps", "second").await;
    world.until_handled("apps", "second").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    world.merge("apps", json!({"spec": {"suspend": false}})).await;
    world.until_applied("apps", "main@sha1:2").await;
}
