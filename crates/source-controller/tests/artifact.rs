//! Commits become artifacts.

use std::time::Duration;

use crate::support::{World, artifact, condition, conditions, download, files, is_true, message};
use serde_json::json;
use sha2::{Digest as _, Sha256};

#[tokio::test]
async fn stores_and_serves_the_head_of_a_branch() {
    let world = World::start().await;
    let repository = world.repository("repo");
    let commit = repository.commit_file("app.yaml", "two");
    world.create("app", json!({})).await;
    let obj = world.until_ready("app").await;
    let artifact = artifact(&obj).unwrap();
    assert_eq!(artifact.revision, format!("master@sha1:{commit}"));
    let path = format!("gitrepository/{}/app/{commit}.tar.gz", world.namespace);
    assert_eq!(artifact.path, path);
    assert!(artifact.url.starts_with("http://127.0.0.1:"), "{}", artifact.url);
    assert!(artifact.url.ends_with(&path), "{}", artifact.url);
    let bytes = download(artifact).await;
    assert_eq!(artifact.digest, format!("sha256:{}", hex::encode(Sha256::digest(&bytes))));
    assert_eq!(artifact.size, Some(bytes.len().try_into().unwrap()));
    assert_eq!(files(artifact).await["app.yaml"], "two");

    let text = format!("stored artifact for revision 'master@sha1:{commit}'");
    assert_eq!(conditions(&obj), ["Ready", "ArtifactInStorage"]);
    for r#type in ["Ready", "ArtifactInStorage"] {
        let succeeded = ("True".to_owned(), "Succeeded".to_owned());
        assert_eq!(condition(&obj, r#type), Some(succeeded));
        assert_eq!(message(&obj, r#type), text);
    }
    let event = world.until_event("app", "NewArtifact", "Change app.yaml to two").await;
    let message = "stored artifact for commit 'Change app.yaml to two'";
    assert_eq!(event.message.as_deref(), Some(message));
    let annotations = event.metadata.annotations.unwrap();
    assert_eq!(annotations["source.toolkit.fluxcd.io/revision"], artifact.revision);
    assert_eq!(annotations["source.toolkit.fluxcd.io/digest"], artifact.digest);
}

#[tokio::test]
async fn fetches_a_new_commit_at_once_when_asked_to() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    let revision = world.repository("repo").change("two");
    world.request("app", "now").await;
    let obj = world.until_at("app", &revision).await;
    let handled = obj.status.as_ref().unwrap().last_handled_reconcile_at.as_deref();
    assert_eq!(handled, Some("now"));
    assert_eq!(files(artifact(&obj).unwrap()).await["app.yaml"], "two");
}

#[tokio::test]
async fn looks_for_new_commits_at_the_interval() {
    let world = World::start().await;
    world.create("app", json!({"interval": "100ms"})).await;
    world.until_ready("app").await;
    let revision = world.repository("repo").change("two");
    world.until_at("app", &revision).await;
}

#[tokio::test]
async fn writes_and_fetches_nothing_when_nothing_is_new() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    let stored = world.place(artifact(&before).unwrap()).metadata().unwrap().modified().unwrap();
    world.until_event("app", "NewArtifact", "").await;
    world.server.forget_requests();
    world.requests();
    world.request("app", "now").await;
    let after = world.until_handled("app", "now").await;
    assert_eq!(artifact(&after), artifact(&before));
    let event = world.until_event("app", "GitOperationSucceeded", "no changes since last").await;
    assert_eq!(event.type_.as_deref(), Some("Normal"));
    let place = world.place(artifact(&after).unwrap());
    assert_eq!(place.metadata().unwrap().modified().unwrap(), stored);
    let requests = world.server.requests();
    assert!(!requests.iter().any(|it| it.body.contains("command=fetch")), "{requests:?}");

    // At the interval, nobody waits for an answer: the status stays as it is.
    world.merge("app", json!({"spec": {"interval": "50ms"}})).await;
    world.until("app", "observed", crate::support::is_observed).await;
    world.server.forget_requests();
    world.requests();
    let rounds = || world.server.requests().iter().filter(|it| it.line.starts_with("GET")).count();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while rounds() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", world.server.requests());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let statuses = world.requests().into_iter().filter(|it| it.ends_with("/status"));
    assert_eq!(statuses.collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn works_through_many_commits_in_a_row() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    for number in 0..5 {
        let revision = world.repository("repo").change(&format!("commit {number}"));
        world.request("app", &format!("request {number}")).await;
        let obj = world.until_at("app", &revision).await;
        assert!(is_true(&obj, "ArtifactInStorage"));
    }
}

#[tokio::test]
async fn digests_with_the_algorithm_of_the_flag() {
    let world = World::without_controller().await;
    let mut args = world.args();
    args.artifact_digest_algo = source_controller::Algorithm::Blake3;
    world.run(args);
    world.create("app", json!({})).await;
    let obj = world.until_ready("app").await;
    let digest = &artifact(&obj).unwrap().digest;
    assert!(digest.starts_with("blake3:"), "{digest}");

    // Another flag is no reason to make the artifact anew.
    world.stop().await;
    world.run(world.args());
    world.request("app", "now").await;
    let obj = world.until_handled("app", "now").await;
    assert_eq!(&artifact(&obj).unwrap().digest, digest);
}

#[tokio::test]
async fn advertises_the_address_of_the_flag() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    world.stop().await;
    let mut args = world.args();
    args.storage_adv_addr = "https://artifacts.example.com".to_owned();
    world.run(args);
    let advertised = "https://artifacts.example.com/gitrepository/";
    world
        .until("app", "advertised elsewhere", |obj| {
            artifact(obj).is_some_and(|it| it.url.starts_with(advertised))
        })
        .await;
}

#[tokio::test]
async fn counts_what_it_does() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    world.stop().await;
    let text = world.metrics.to_text().unwrap();
    let labels = format!("kind=\"GitRepository\",name=\"app\",namespace=\"{}\"", world.namespace);
    for series in [
        format!("gotk_reconcile_duration_seconds_count{{{labels}}}"),
        "controller_runtime_max_concurrent_reconciles{controller=\"gitrepository\"} 2".to_owned(),
    ] {
        assert!(text.contains(&series), "{series} in {text}");
    }
}
