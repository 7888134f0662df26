//! Several controllers share the objects out between them.

use crate::support::{World, args, config};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn reconciles_only_objects_with_the_labels() {
    let world = World::without_controller(&api::crds()).await;
    let mut args = args();
    args.common.watch_label_selector = "sharding.fluxcd.io/key=shard1".to_owned();
    world.run(args);
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("other", json!({})).await;
    world.create("mine", json!({"targetNamespace": null, "path": "./"})).await;
    let label = json!({"metadata": {"labels": {"sharding.fluxcd.io/key": "shard1"}}});
    world.merge("mine", label).await;
    world.until_failed("mine", "ReconciliationFailed").await;
    let other = world.kustomizations().get("other").await.unwrap();
    assert_eq!(other.metadata.finalizers, None);
    assert!(other.status.is_none_or(|status| status.conditions.is_empty()));
}

#[tokio::test]
async fn looks_at_its_own_namespace_alone_when_told_to() {
    let world = World::without_controller(&api::crds()).await;
    let elsewhere = world.cluster.namespace("elsewhere").await.unwrap();
    let mut args = args();
    args.common.watch_all_namespaces = false;
    args.common.runtime_namespace.clone_from(&world.namespace);
    world.run(args);
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    let foreign = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "apps"},
        "spec": {
            "interval": "1h", "prune": true, "targetNamespace": elsewhere,
            "sourceRef": {
                "kind": "GitRepository", "name": "repo", "namespace": world.namespace,
            },
        },
    });
    let api: Api<api::kustomize::Kustomization> =
        Api::namespaced(world.cluster.client.clone(), &elsewhere);
    let params = PatchParams::apply("test").force();
    api.patch("apps", &params, &Patch::Apply(&foreign)).await.unwrap();
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(api.get("apps").await.unwrap().metadata.finalizers, None);
}
