//! Sources come and go, and so do their kinds.

use crate::support::{World, args, config, kustomization_alone};
use kustomize_controller::Args;
use serde_json::json;

#[tokio::test]
async fn starts_without_any_kind_of_source_and_notices_one() {
    let world = World::alone(&kustomization_alone()).await;
    world.run(args());
    world.create("apps", json!({})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    assert_eq!(message, format!("Source 'GitRepository/{}/repo' not found", world.namespace));
    world.cluster.define(&api::crds()).await.unwrap();
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn starts_before_its_own_kind_exists() {
    let world = World::alone(&[]).await;
    world.run(args());
    world.cluster.define(&api::crds()).await.unwrap();
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn takes_external_artifacts_when_the_gate_is_on() {
    let world = World::without_controller(&api::crds()).await;
    let mut args = args();
    args.common.feature_gates = "ExternalArtifact=true".to_owned();
    world.run(args);
    let artifact =
        world.artifacts.publish("latest@sha256:1", &[("a.yaml", &config("a", "1"))]).unwrap();
    world.advertise("ExternalArtifact", "own", &artifact).await;
    world.create("apps", json!({"sourceRef": {"kind": "ExternalArtifact", "name": "own"}})).await;
    world.until_applied("apps", "latest@sha256:1").await;
}

#[tokio::test]
async fn refuses_external_artifacts_when_the_gate_is_off() {
    let world = World::start().await;
    world.create("apps", json!({"sourceRef": {"kind": "ExternalArtifact", "name": "own"}})).await;
    let message = world.until_failed("apps", "AccessDenied").await;
    assert_eq!(
        message,
        format!(
            "can't access 'ExternalArtifact/{}/own', ExternalArtifact feature gate is disabled",
            world.namespace
        )
    );
}

#[tokio::test]
async fn refuses_sources_of_other_namespaces_when_told_to() {
    let world = World::without_controller(&api::crds()).await;
    world.run(Args { no_cross_namespace_refs: true, ..args() });
    let source = json!({"kind": "GitRepository", "name": "repo", "namespace": "other"});
    world.create("apps", json!({"sourceRef": source})).await;
    let message = world.until_failed("apps", "AccessDenied").await;
    assert_eq!(
        message,
        "can't access 'GitRepository/other/repo', cross-namespace references have been blocked"
    );
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert!(crate::support::is_true(&obj, "Stalled"));
}

#[tokio::test]
async fn applies_other_content_of_the_same_revision() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "2"))]).await;
    world.until_config("a", Some("2")).await;
}
