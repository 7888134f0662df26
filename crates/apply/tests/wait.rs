//! Health is waited for by watching.

use std::time::Duration;

use crate::support::{config, prepare, recorded};
use apply::{Check, Subject};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);

fn claim(namespace: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "disk", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

#[tokio::test]
async fn asks_nothing_when_everything_is_known_to_be_healthy() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![config(&namespace, "a", "1")]).await;
    let changes = target.apply(&set).await.unwrap();
    cluster.requests();
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    target.wait(&checks, SOON).await.unwrap();
    assert_eq!(cluster.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn sees_an_object_become_healthy() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![claim(&namespace)]).await;
    let changes = target.apply(&set).await.unwrap();
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    let api: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(cluster.cluster.client.clone(), &namespace);
    let bind = async {
        let status = json!({"status": {"phase": "Bound"}});
        api.patch_status("disk", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    };
    let (result, ()) = tokio::join!(target.wait(&checks, LONG), bind);
    result.unwrap();
}

#[tokio::test]
async fn names_what_is_not_healthy_in_time() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![claim(&namespace)]).await;
    let changes = target.apply(&set).await.unwrap();
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    let error = target.wait(&checks, SOON).await.unwrap_err().to_string();
    let expected = format!(
        "timeout waiting for: [PersistentVolumeClaim/{namespace}/disk status: 'InProgress']"
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn stops_early_at_what_has_failed() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "task", "namespace": namespace},
        "spec": {
            "managedBy": "example.com/test",
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}},
        },
    });
    let set = prepare(&target, vec![job]).await;
    let changes = target.apply(&set).await.unwrap();
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    let api: Api<k8s_openapi::api::batch::v1::Job> =
        Api::namespaced(cluster.cluster.client.clone(), &namespace);
    let met = |kind: &str| json!({"type": kind, "status": "True"});
    let conditions = [met("FailureTarget"), met("Failed")];
    let status = json!({"status": {"startTime": "2026-01-01T00:00:00Z", "conditions": conditions}});
    api.patch_status("task", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let error = target.wait(&checks, LONG).await.unwrap_err().to_string();
    let expected =
        format!("failed early due to stalled resources: [Job/{namespace}/task status: 'Failed']");
    assert_eq!(error, expected);
}

fn subject(namespace: &str, name: &str) -> Subject {
    Subject {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn check(subject: Subject) -> Check {
    Check { subject, health: None, is_ephemeral: false }
}

#[tokio::test]
async fn reports_what_does_not_exist() {
    let cluster = recorded().await;
    let target = cluster.target();
    let error = target.wait(&[check(subject("default", "x"))], SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "timeout waiting for: [ConfigMap/default/x status: 'NotFound']");
    let error = target.wait(&[check(subject("", "x"))], SOON).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "resource ConfigMap x is namespace scoped, but namespace is not set"
    );
}

#[tokio::test]
async fn sees_objects_go() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![config(&namespace, "a", "1")]).await;
    let inventory = target.apply(&set).await.unwrap().inventory();
    let gone = [subject(&namespace, "a")];
    assert!(target.wait_gone(&gone, SOON).await.is_err());
    let nothing = api::inventory::Inventory::default();
    let (result, _) =
        tokio::join!(target.wait_gone(&gone, LONG), target.prune(&inventory.entries, &nothing));
    result.unwrap();
}
