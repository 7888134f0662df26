//! What cannot be fetched is said, once, where users look for it, and costs nothing that was there.

use std::time::Duration;

use crate::support::{World, artifact, condition, conditions, download, is_true, message};
use api::source::GitRepository;
use serde_json::{Value, json};
use testkit::git_server::GitServer;

/// Makes the object fail by a change of its spec, and checks what has to hold after every failure:
/// reason and message are in the conditions and in an event, and the artifact is still there.
async fn fails(world: &World, spec: Value, reason: &str, part: &str) -> GitRepository {
    let repository = format!("app-{}", part.len());
    world.create(&repository, json!({})).await;
    let before = world.until_ready(&repository).await;
    world.merge(&repository, json!({"spec": spec})).await;
    let after = world.until_failed(&repository, reason).await;
    let text = message(&after, "Ready");
    assert!(text.contains(part), "{text}");
    let event = world.until_event(&repository, reason, part).await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.message.as_deref(), Some(text.as_str()));
    assert!(is_true(&after, "ArtifactInStorage"));
    assert_eq!(artifact(&after), artifact(&before));
    download(artifact(&after).unwrap()).await;
    after
}

/// Checks that it is tried again.
fn is_retried(obj: &GitRepository) {
    assert!(is_true(obj, "FetchFailed"));
    let retrying = ("True".to_owned(), "ProgressingWithRetry".to_owned());
    assert_eq!(condition(obj, "Reconciling"), Some(retrying));
    assert_eq!(condition(obj, "Stalled"), None);
    assert_ne!(obj.status.as_ref().unwrap().observed_generation, obj.metadata.generation);
}

/// Checks that it waits for a change.
fn is_stalled(obj: &GitRepository) {
    assert!(is_true(obj, "Stalled"));
    assert_eq!(condition(obj, "Reconciling"), None);
    assert_eq!(obj.status.as_ref().unwrap().observed_generation, obj.metadata.generation);
    assert_eq!(condition(obj, "Stalled").unwrap().1, condition(obj, "Ready").unwrap().1);
    assert_eq!(message(obj, "Stalled"), message(obj, "Ready"));
}

#[tokio::test]
async fn tells_an_unknown_branch() {
    let world = World::start().await;
    let part = "couldn't find remote ref \"refs/heads/nope\"";
    let spec = json!({"ref": {"branch": "nope"}});
    is_retried(&fails(&world, spec, "GitOperationFailed", part).await);
}

#[tokio::test]
async fn tells_a_repository_that_does_not_exist() {
    let world = World::start().await;
    let spec = json!({"url": world.server.url("nope")});
    is_retried(&fails(&world, spec, "GitOperationFailed", "not found").await);
}

#[tokio::test]
async fn tells_a_server_that_refuses_connections() {
    let world = World::start().await;
    // A port that was free just now.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/repo", listener.local_addr().unwrap());
    drop(listener);
    let spec = json!({"url": url});
    is_retried(&fails(&world, spec, "GitOperationFailed", "Connection refused").await);
}

#[tokio::test]
async fn gives_a_server_up_that_does_not_answer() {
    let world = World::start().await;
    let server = GitServer::builder(world.repositories()).hang().start().await.unwrap();
    let spec = json!({"url": server.url("repo"), "timeout": "100ms"});
    is_retried(&fails(&world, spec, "GitOperationFailed", "timed out after 100ms").await);
}

#[tokio::test]
async fn gives_a_server_up_that_stops_in_the_middle() {
    let world = World::start().await;
    let large: String = (0..200_000).map(|number: u32| number.to_string()).collect();
    world.repository("repo").commit_file("large", &large);
    let server = GitServer::builder(world.repositories()).hang_in_pack().start().await.unwrap();
    let spec =
        json!({"url": server.url("repo"), "timeout": "1s", "ref": {"name": "refs/heads/master"}});
    is_retried(&fails(&world, spec, "GitOperationFailed", "timed out after 1s").await);
}

#[tokio::test]
async fn tells_a_page_where_a_repository_should_be() {
    let world = World::start().await;
    let server = GitServer::builder(world.repositories()).html().start().await.unwrap();
    let spec = json!({"url": server.url("repo")});
    is_retried(&fails(&world, spec, "GitOperationFailed", "answered with text/html").await);
}

#[tokio::test]
async fn tells_a_server_in_trouble() {
    let world = World::start().await;
    let server = GitServer::builder(world.repositories()).status(503).start().await.unwrap();
    let spec = json!({"url": server.url("repo")});
    is_retried(&fails(&world, spec, "GitOperationFailed", "answered with status 503").await);
}

#[tokio::test]
async fn tells_an_empty_repository() {
    let world = World::start().await;
    world.repository("empty");
    let spec = json!({"url": world.server.url("empty")});
    is_retried(&fails(&world, spec, "EmptyGitRepository", "git repository is empty").await);
}

#[tokio::test]
async fn refuses_a_repository_that_is_bigger_than_the_limit() {
    let world = World::without_controller().await;
    let mut args = world.args();
    args.git_max_size = 100_000;
    world.run(args);
    let large: String = (0..100_000_u64).map(|it| (it * 2_654_435_761).to_string()).collect();
    let repository = world.repository("large");
    repository.commit_file("large", &large);
    let spec = json!({"url": world.server.url("large")});
    is_retried(&fails(&world, spec, "GitOperationFailed", "is bigger than the limit of").await);
}

#[tokio::test]
async fn refuses_an_artifact_that_is_bigger_than_the_limit() {
    let world = World::without_controller().await;
    let mut args = world.args();
    args.artifact_max_size = 1000;
    world.run(args);
    world.repository("repo").commit_file("large", &"x".repeat(1001));
    world.create("app", json!({})).await;
    let obj = world.until_failed("app", "ArchiveOperationFailed").await;
    let text = message(&obj, "StorageOperationFailed");
    assert!(text.contains("more than 1000 bytes"), "{text}");
    assert_eq!(world.stored("app"), [""; 0]);
    world.merge("app", json!({"spec": {"ignore": "large"}})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(conditions(&obj), ["Ready", "ArtifactInStorage"]);
}

#[tokio::test]
async fn tells_sparse_directories_that_do_not_exist() {
    let world = World::start().await;
    let part = "sparse checkout dir 'nope' does not exist in repository";
    let spec = json!({"sparseCheckout": ["nope"]});
    is_retried(&fails(&world, spec, "GitOperationFailed", part).await);
}

#[tokio::test]
async fn stalls_on_what_only_a_change_can_help() {
    let world = World::start().await;
    for (spec, part) in [
        (json!({"verify": {"secretRef": {"name": "keys"}}}), "spec.verify is not supported"),
        (json!({"provider": "github"}), "spec.provider is not supported by"),
        (
            json!({"provider": "aws", "serviceAccountName": "x"}),
            "spec.provider is not supported by this",
        ),
    ] {
        let obj = fails(&world, spec, "UnsupportedField", part).await;
        is_stalled(&obj);
        assert_eq!(condition(&obj, "FetchFailed"), None);
    }
    let obj = fails(&world, json!({"url": "https://"}), "URLInvalid", "invalid URL").await;
    is_stalled(&obj);
    assert!(is_true(&obj, "FetchFailed"));
}

#[tokio::test]
async fn goes_on_once_a_stalled_object_has_changed() {
    let world = World::start().await;
    world.create("app", json!({"provider": "github"})).await;
    world.until_failed("app", "UnsupportedField").await;
    world.merge("app", json!({"spec": {"provider": null}})).await;
    let obj = world.until_ready("app").await;
    assert_eq!(conditions(&obj), ["Ready", "ArtifactInStorage"]);
}

#[tokio::test]
async fn tries_again_with_longer_and_longer_delays_and_tells_the_recovery() {
    let world = World::without_controller().await;
    let mut args = world.args();
    args.common.min_retry_delay = Duration::from_millis(20).into();
    args.common.max_retry_delay = Duration::from_millis(200).into();
    world.run(args);
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    world.until_event("app", "NewArtifact", "").await;

    let git = world.repositories().join("repo");
    std::fs::rename(&git, world.repositories().join("away")).unwrap();
    world.request("app", "now").await;
    let obj = world.until_failed("app", "GitOperationFailed").await;
    assert!(is_true(&obj, "FetchFailed"));
    std::fs::rename(world.repositories().join("away"), &git).unwrap();
    let obj = world.until_ready("app").await;
    assert_eq!(conditions(&obj), ["Ready", "ArtifactInStorage"]);
    let event = world.until_event("app", "Succeeded", "stored artifact for commit").await;
    assert_eq!(event.type_.as_deref(), Some("Normal"));
    let annotations = event.metadata.annotations.unwrap();
    let artifact = artifact(&obj).unwrap();
    assert_eq!(annotations["source.toolkit.fluxcd.io/digest"], artifact.digest);
}

#[tokio::test]
async fn gives_a_fetch_up_when_the_process_ends() {
    let world = World::start().await;
    let server = GitServer::builder(world.repositories()).hang().start().await.unwrap();
    world.create("app", json!({"url": server.url("repo"), "timeout": "1m"})).await;
    world.until("app", "being fetched", |obj| is_true(obj, "Reconciling")).await;
    let started = std::time::Instant::now();
    world.stop().await;
    assert!(started.elapsed() < Duration::from_secs(30));
    // The next process takes over.
    world.merge("app", json!({"spec": {"url": world.server.url("repo")}})).await;
    world.run(world.args());
    world.until_ready("app").await;
}
