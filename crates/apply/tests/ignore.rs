//! Fields can be left to others.

use std::sync::Arc;

use apply::{Action, Cluster, IgnoreRule, IgnoreRules, Matches, Options, Target};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Recorded, options, prepare, recorded};

fn deployment(namespace: &str, replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

fn target(cluster: &Recorded, target: Option<Matches>) -> Target {
    let rule = IgnoreRule { paths: vec!["/spec/replicas".to_owned()], target };
    let ignore = IgnoreRules::new(vec![rule], &1);
    Target::new(Cluster::new(cluster.client.clone()), Options { ignore, ..options() })
}

/// Changes the number of replicas as another manager.
async fn scale(cluster: &Recorded, patch: Patch<Value>, params: PatchParams) {
    let kind = Cluster::new(cluster.client.clone()).kind("apps/v1", "Deployment").await.unwrap();
    let client = cluster.cluster.client.clone();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client, &cluster.namespace(), &kind.resource);
    api.patch("web", &params, &patch).await.unwrap();
}

async fn applied(cluster: &Recorded, target: &Target, image: &str) -> (Action, Value) {
    let set = prepare(target, vec![deployment(&cluster.namespace(), 1, image)]).await;
    let changes = target.apply(&set).await.unwrap();
    let live = cluster.get("apps/v1", "Deployment", &cluster.namespace(), "web").await.unwrap();
    (changes.changes[0].action, live)
}

fn owns_replicas(live: &Value, manager: &str) -> bool {
    live["metadata"]["managedFields"].as_array().unwrap().iter().any(|entry| {
        entry["manager"] == manager && entry["fieldsV1"]["f:spec"]["f:replicas"].is_object()
    })
}

#[tokio::test]
async fn an_ignored_field_is_set_at_first_and_is_no_drift_later() {
    let cluster = recorded().await;
    let target = target(&cluster, None);
    let (action, live) = applied(&cluster, &target, "a").await;
    assert_eq!((action, &live["spec"]["replicas"]), (Action::Created, &json!(1)));
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    scale(&cluster, patch, PatchParams::default()).await;
    let (action, live) = applied(&cluster, &target, "a").await;
    assert_eq!((action, &live["spec"]["replicas"]), (Action::Unchanged, &json!(3)));
    // Another change keeps what somebody else has updated.
    let (action, live) = applied(&cluster, &target, "b").await;
    assert_eq!((action, &live["spec"]["replicas"]), (Action::Configured, &json!(3)));
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "b");
    assert!(owns_replicas(&live, "kustomize-controller"));
}

#[tokio::test]
async fn an_ignored_field_that_another_manager_has_applied_becomes_theirs() {
    let cluster = recorded().await;
    let target = target(&cluster, None);
    applied(&cluster, &target, "a").await;
    let scaled = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 3},
    });
    scale(&cluster, Patch::Apply(scaled), PatchParams::apply("scaler").force()).await;
    let (action, _) = applied(&cluster, &target, "a").await;
    assert_eq!(action, Action::Unchanged);
    let (action, live) = applied(&cluster, &target, "b").await;
    assert_eq!((action, &live["spec"]["replicas"]), (Action::Configured, &json!(3)));
    assert!(owns_replicas(&live, "scaler") && !owns_replicas(&live, "kustomize-controller"));
}

#[tokio::test]
async fn what_is_not_the_target_of_a_rule_is_corrected() {
    let cluster = recorded().await;
    let other: Matches = Arc::new(|object| object["kind"] == "StatefulSet");
    let target = target(&cluster, Some(other));
    applied(&cluster, &target, "a").await;
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    scale(&cluster, patch, PatchParams::default()).await;
    let (action, live) = applied(&cluster, &target, "a").await;
    assert_eq!((action, &live["spec"]["replicas"]), (Action::Configured, &json!(1)));
}

#[tokio::test]
async fn a_rule_that_goes_makes_its_field_drift() {
    let cluster = recorded().await;
    let shared = Cluster::new(cluster.client.clone());
    let rule = IgnoreRule { paths: vec!["/spec/replicas".to_owned()], target: None };
    let ignore = IgnoreRules::new(vec![rule], &1);
    let ignoring = Target::new(shared.clone(), Options { ignore, ..options() });
    applied(&cluster, &ignoring, "a").await;
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    scale(&cluster, patch, PatchParams::default()).await;
    // It is known that nothing differs, by the rules of that time.
    assert_eq!(applied(&cluster, &ignoring, "a").await.0, Action::Unchanged);
    let strict = Target::new(shared, options());
    let (action, live) = applied(&cluster, &strict, "a").await;
    assert_eq!((action, &live["spec"]["replicas"]), (Action::Configured, &json!(1)));
}
