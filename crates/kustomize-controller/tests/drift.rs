//! What was changed behind our back is corrected; what was not is left alone.

use crate::support::{World, config};
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// Returns the requests of runs. The object is read when a request to reconcile has changed it; events
/// are published in the background, and watches may start late.
fn own_requests(world: &World) -> Vec<String> {
    // What is read has a name, after the namespace and the kind.
    let is_of_one = |path: &str| path.split('/').count() == 3;
    let is_watch = |request: &str| {
        let path = request.split_once("/namespaces/").map(|(_, path)| path);
        request.starts_with("GET") && !path.is_some_and(is_of_one)
    };
    let mut requests = world.requests();
    requests.retain(|request| !request.starts_with("POST") && !is_watch(request));
    requests.sort_unstable();
    requests
}

#[tokio::test]
async fn corrects_an_object_that_was_edited() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    let edit = json!({"data": {"key": "edited"}});
    let params = PatchParams::default();
    world.configs().patch("a", &params, &Patch::Merge(&edit)).await.unwrap();
    world.request("apps", "now").await;
    world.until_handled("apps", "now").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    let configured = format!("ConfigMap/{}/a configured", world.namespace);
    world.until_event("apps", "Progressing", &configured).await;
}

#[tokio::test]
async fn makes_a_dry_run_for_each_object_and_one_status_write_when_nothing_changed() {
    let world = World::start().await;
    let files = [("a.yaml", config("a", "1")), ("b.yaml", config("b", "1"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("main@sha1:1", &files).await;
    world.create("apps", json!({"wait": true})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.until_event("apps", "ReconciliationSucceeded", "").await;
    world.requests();
    world.request("apps", "now").await;
    world.until_handled("apps", "now").await;
    world.stop().await;
    let namespace = &world.namespace;
    let requests = own_requests(&world);
    let configs = format!("/api/v1/namespaces/{namespace}/configmaps");
    let own =
        format!("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations/apps");
    assert_eq!(
        requests,
        [
            format!("GET {own}"),
            format!("PATCH {configs}/a (dryRun)"),
            format!("PATCH {configs}/b (dryRun)"),
            format!("PATCH {own}/status"),
        ]
    );
}

#[tokio::test]
async fn a_first_run_makes_few_requests() {
    let world = World::start().await;
    world
        .publish("main@sha1:1", &[("a.yaml", &config("a", "1")), ("b.yaml", &config("b", "1"))])
        .await;
    world.requests();
    world.create("apps", json!({"wait": true})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.stop().await;
    let namespace = &world.namespace;
    let configs = format!("/api/v1/namespaces/{namespace}/configmaps");
    let own =
        format!("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations/apps");
    let requests = own_requests(&world);
    assert_eq!(
        requests,
        [
            format!("PATCH {configs}/a"),
            format!("PATCH {configs}/a (dryRun)"),
            format!("PATCH {configs}/b"),
            format!("PATCH {configs}/b (dryRun)"),
            // The finalizer, the inventory, and the outcome.
            format!("PATCH {own}"),
            format!("PATCH {own}/status"),
            format!("PATCH {own}/status"),
        ]
    );
}
