//! Stale objects are deleted, others are not.

use crate::support::{config, prepare, recorded};
use api::inventory::{Inventory, InventoryEntry};
use apply::Action;
use serde_json::json;

fn entry(id: &str) -> InventoryEntry {
    InventoryEntry { id: id.to_owned(), version: "v1".to_owned() }
}

#[tokio::test]
async fn deletes_what_it_owns() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![config(&namespace, "a", "1")]).await;
    let inventory = target.apply(&set).await.unwrap().inventory();
    let pruned = target.prune(&inventory.entries, &Inventory::default()).await;
    assert_eq!(
        pruned.changes.lines(&[Action::Deleted]),
        format!("ConfigMap/{namespace}/a deleted")
    );
    assert!(pruned.result.is_ok() && pruned.survivors.is_empty());
    assert_eq!(cluster.get("v1", "ConfigMap", &namespace, "a").await, None);
}

#[tokio::test]
async fn keeps_what_is_not_its_own_or_is_marked() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let mut kept = config(&namespace, "kept", "1");
    kept["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
    let set = prepare(&target, vec![kept, config(&namespace, "foreign", "1")]).await;
    let inventory = target.apply(&set).await.unwrap().inventory();
    let label = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}}});
    cluster.merge(&namespace, "foreign", label).await;
    let pruned = target.prune(&inventory.entries, &Inventory::default()).await;
    assert!(pruned.changes.changes.iter().all(|change| change.action == Action::Skipped));
    assert!(pruned.survivors.is_empty());
    for name in ["kept", "foreign"] {
        assert!(cluster.get("v1", "ConfigMap", &namespace, name).await.is_some(), "{name}");
    }
}

#[tokio::test]
async fn takes_what_is_gone_and_kinds_that_are_gone_for_deleted() {
    let cluster = recorded().await;
    let target = cluster.target();
    let stale = [entry("default_gone__ConfigMap"), entry("default_gone_example.com_Widget")];
    let pruned = target.prune(&stale, &Inventory::default()).await;
    assert!(pruned.changes.changes.iter().all(|change| change.action == Action::Deleted));
    assert!(pruned.result.is_ok());
}

#[tokio::test]
async fn keeps_in_the_inventory_what_it_cannot_read() {
    let cluster = recorded().await;
    let pruned = cluster.target().prune(&[entry("nonsense")], &Inventory::default()).await;
    assert_eq!(pruned.survivors, [entry("nonsense")]);
    let error = pruned.result.unwrap_err().to_string();
    assert!(error.starts_with("delete failed, errors: \"nonsense\""), "{error}");
    assert!(error.ends_with(';'), "{error}");
}

#[tokio::test]
async fn does_not_delete_a_declared_object_under_a_namespace_it_never_had() {
    let cluster = recorded().await;
    let target = cluster.target();
    let team = format!("{}-team", cluster.namespace());
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}});
    let declared = target.apply(&prepare(&target, vec![object]).await).await.unwrap().inventory();
    let pruned = target.prune(&[entry(&format!("bogus_{team}__Namespace"))], &declared).await;
    assert_eq!(pruned.changes.changes[0].action, Action::Skipped);
    assert!(cluster.get("v1", "Namespace", "", &team).await.is_some());
}
