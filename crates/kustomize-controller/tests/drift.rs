//! What was changed behind our back is corrected; what was not is left alone.

use crate::support::{World, args, config};
use kube::api::{DeleteParams, Patch, PatchParams};
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
    // The watch may be behind the run, which is then repeated.
    world.until_config("a", Some("1")).await;
    let configured = format!("ConfigMap/{}/a configured", world.namespace);
    world.until_event("apps", "Progressing", &configured).await;
}

/// Asks for runs until one makes no dry run: what was written has been seen. Returns the requests of
/// that run.
async fn until_known(world: &World, name: &str) -> Vec<String> {
    for round in 0..200 {
        // The event is published in the background, after the run.
        world.until_event(name, "ReconciliationSucceeded", "").await;
        world.requests();
        world.request(name, &format!("known-{round}")).await;
        world.until_handled(name, &format!("known-{round}")).await;
        let requests = own_requests(world);
        if !requests.iter().any(|request| request.contains("dryRun")) {
            return requests;
        }
    }
    panic!("objects stay unknown");
}

#[tokio::test]
async fn makes_no_dry_run_and_one_status_write_when_nothing_changed() {
    let world = World::start().await;
    let files = [("a.yaml", config("a", "1")), ("b.yaml", config("b", "1"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.publish("main@sha1:1", &files).await;
    world.create("apps", json!({"wait": true})).await;
    world.until_applied("apps", "main@sha1:1").await;
    let requests = until_known(&world, "apps").await;
    let namespace = &world.namespace;
    let own =
        format!("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations/apps");
    assert_eq!(requests, [format!("PATCH {own}/status")]);
}

#[tokio::test]
async fn finds_what_was_edited_while_the_controller_was_away() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    until_known(&world, "apps").await;
    world.stop().await;
    let edit = json!({"data": {"key": "edited"}});
    world.configs().patch("a", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    world.run(args());
    world.until_config("a", Some("1")).await;
}

#[tokio::test]
async fn corrects_an_edit_in_moments_when_asked_to_watch() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    let annotations = json!({"kustomize.tidegate.dev/drift": "watch"});
    world.merge("apps", json!({"metadata": {"annotations": annotations}})).await;
    until_known(&world, "apps").await;
    let edit = json!({"data": {"key": "edited"}});
    world.configs().patch("a", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let configured = format!("ConfigMap/{}/a configured", world.namespace);
    world.until_event("apps", "Progressing", &configured).await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    world.configs().delete("a", &DeleteParams::default()).await.unwrap();
    world.until_config("a", Some("1")).await;
}

#[tokio::test]
async fn an_edit_is_found_at_the_next_run_where_watches_are_forbidden() {
    let world = World::start().await;
    world.forbid_label_selectors();
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.requests();
    world.request("apps", "first").await;
    world.until_handled("apps", "first").await;
    assert!(own_requests(&world).iter().any(|request| request.contains("dryRun")));
    let edit = json!({"data": {"key": "edited"}});
    world.configs().patch("a", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    world.request("apps", "second").await;
    world.until_handled("apps", "second").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn asks_for_nothing_but_what_has_changed_in_an_upgrade() {
    let world = World::start().await;
    let publish = async |revision: &str, value: &str| {
        let files = [("a.yaml", config("a", "1")), ("b.yaml", config("b", value))];
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        world.publish(revision, &files).await;
    };
    publish("main@sha1:1", "1").await;
    world.create("apps", json!({"wait": true})).await;
    world.until_applied("apps", "main@sha1:1").await;
    until_known(&world, "apps").await;
    world.requests();
    publish("main@sha1:2", "2").await;
    world.until_applied("apps", "main@sha1:2").await;
    let namespace = &world.namespace;
    let configs = format!("/api/v1/namespaces/{namespace}/configmaps");
    let own =
        format!("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations/apps");
    assert_eq!(
        own_requests(&world),
        [
            format!("PATCH {configs}/b"),
            format!("PATCH {configs}/b (dryRun)"),
            format!("PATCH {own}/status"),
        ]
    );
}

#[tokio::test]
async fn deletes_without_reading_what_is_known() {
    let world = World::start().await;
    world
        .publish("main@sha1:1", &[("a.yaml", &config("a", "1")), ("b.yaml", &config("b", "1"))])
        .await;
    world.create("apps", json!({})).await;
    world.until_applied("apps", "main@sha1:1").await;
    until_known(&world, "apps").await;
    let kept =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    world.configs().patch("b", &PatchParams::default(), &Patch::Merge(&kept)).await.unwrap();
    world.requests();
    world.delete("apps").await;
    world.stop().await;
    let namespace = &world.namespace;
    let configs = format!("/api/v1/namespaces/{namespace}/configmaps");
    // The mark may have led to another look at b before.
    let requests = own_requests(&world);
    assert!(requests.contains(&format!("DELETE {configs}/a")), "{requests:?}");
    assert!(!requests.contains(&format!("GET {configs}/a")), "{requests:?}");
    assert_eq!(world.config("a").await, None);
    assert_eq!(world.config("b").await.as_deref(), Some("1"));
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
