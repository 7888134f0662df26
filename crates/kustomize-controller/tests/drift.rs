//! What was changed behind our back is corrected; what was not is left alone.

use crate::support::{World, config};
use kube::api::{Patch, PatchParams};
use serde_json::json;

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
    let mut requests = world.requests();
    requests.sort_unstable();
    // The object is read because the request to reconcile is a change that is not our own; the
    // event is published in the background, and watches of sources may start late.
    let watches = "GET /apis/source.toolkit.fluxcd.io/v1/";
    let is_watch =
        |request: &str| request.starts_with(watches) && !request.contains("/namespaces/");
    requests.retain(|request| !request.starts_with("POST") && !is_watch(request));
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
