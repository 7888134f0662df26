//! Artifacts are kept as long as they are needed, and made anew when they are lost.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::{World, artifact, condition, download, is_true};
use kube::api::{Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn keeps_the_number_of_records_and_removes_the_oldest() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    let mut revisions = Vec::new();
    for number in 0..4 {
        let revision = world.repository("repo").change(&format!("commit {number}"));
        world.request("app", &number.to_string()).await;
        world.until_at("app", &revision).await;
        revisions.push(revision);
    }
    // What is too much goes at the beginning of the next reconciliation.
    world.request("app", "last").await;
    world.until_handled("app", "last").await;
    let file = |revision: &str| format!("{}.tar.gz", revision.rsplit_once(':').unwrap().1);
    let mut expected: Vec<_> = revisions[2..].iter().map(|it| file(it)).collect();
    expected.sort();
    assert_eq!(world.stored("app"), expected);
    world.until_event("app", "GarbageCollectionSucceeded", "garbage collected 1 artifacts").await;
}

#[tokio::test]
async fn removes_what_is_older_than_the_ttl() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let first = world.until_ready("app").await;
    let first = artifact(&first).unwrap();
    let revision = world.repository("repo").change("two");
    world.request("app", "one").await;
    world.until_at("app", &revision).await;
    assert_eq!(world.stored("app").len(), 2);
    let old = SystemTime::now() - Duration::from_secs(61);
    fs::File::open(world.place(first)).unwrap().set_modified(old).unwrap();
    world.request("app", "two").await;
    world.until_handled("app", "two").await;
    assert_eq!(world.stored("app").len(), 1);
    assert!(!world.place(first).exists());
}

#[tokio::test]
async fn makes_an_artifact_anew_after_a_restart_with_an_empty_storage() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    let before = artifact(&before).unwrap();
    world.kill().await;
    fs::remove_dir_all(world.storage.path().join("gitrepository")).unwrap();
    world.run(world.args());
    let after = world
        .until("app", "served again", |obj| {
            is_true(obj, "Ready") && artifact(obj).is_some_and(|it| it.url != before.url)
        })
        .await;
    let after = artifact(&after).unwrap();
    assert_eq!((&after.revision, &after.digest), (&before.revision, &before.digest));
    download(after).await;
}

#[tokio::test]
async fn goes_on_with_what_is_stored_after_a_restart() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    world.kill().await;
    world.server.forget_requests();
    world.run(world.args());
    let before = artifact(&before).unwrap();
    let after = world
        .until("app", "served elsewhere", |obj| {
            artifact(obj).is_some_and(|it| it.url != before.url)
        })
        .await;
    let after = artifact(&after).unwrap();
    assert_eq!(after.last_update_time, before.last_update_time);
    download(after).await;
    let requests = world.server.requests();
    assert!(!requests.iter().any(|it| it.body.contains("command=fetch")), "{requests:?}");
}

#[tokio::test]
async fn says_that_an_artifact_is_gone_when_it_cannot_be_made_anew() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    world.until_ready("app").await;
    fs::remove_dir_all(world.storage.path().join("gitrepository")).unwrap();
    fs::remove_dir_all(world.repositories().join("repo")).unwrap();
    world.request("app", "now").await;
    let obj = world.until_failed("app", "GitOperationFailed").await;
    assert_eq!(artifact(&obj), None);
    assert_eq!(condition(&obj, "ArtifactInStorage"), None);
    let text = crate::support::message(&obj, "Reconciling");
    assert_eq!(text, "building artifact: disappeared from storage");
}

#[tokio::test]
async fn replaces_a_damaged_artifact() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    let before = artifact(&before).unwrap();
    fs::write(world.place(before), "damaged").unwrap();
    world.request("app", "now").await;
    let event = world.until_event("app", "ArtifactVerificationFailed", "doesn't match").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let message = event.message.unwrap();
    assert!(message.starts_with("failed to verify integrity of artifact: "), "{message}");
    let after = world.until_handled("app", "now").await;
    let after = artifact(&after).unwrap();
    assert_eq!(after.digest, before.digest);
    assert_eq!(i64::try_from(download(after).await.len()).ok(), after.size);
}

#[tokio::test]
async fn does_not_follow_a_path_out_of_the_storage() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let obj = world.until_ready("app").await;
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "keep").unwrap();
    let up = "../".repeat(20);
    let path = format!("{up}{}", outside.path().display());
    world.kill().await;
    let mut status = serde_json::to_value(&obj.status).unwrap();
    status["artifact"]["path"] = path.into();
    let applied = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "status": status,
    });
    // As if the controller itself had written it.
    let params = PatchParams::apply("source-controller").force();
    world.objects().patch_status("app", &params, &Patch::Apply(&applied)).await.unwrap();
    world.run(world.args());
    let expected = artifact(&obj).unwrap().path.clone();
    world
        .until("app", "stored again", |obj| {
            artifact(obj).is_some_and(|it| it.path == expected) && is_true(obj, "Ready")
        })
        .await;
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "keep");
}

#[tokio::test]
async fn removes_the_files_of_a_deleted_object() {
    let world = World::start().await;
    for name in ["app", "other"] {
        world.create(name, json!({})).await;
        world.until_ready(name).await;
    }
    world.delete("app").await;
    assert_eq!(world.stored("app"), [""; 0]);
    assert_eq!(world.stored("other").len(), 1);
    let part = "garbage collected artifacts for deleted resource";
    world.until_event("app", "GarbageCollectionSucceeded", part).await;
    world.until_metrics("without the object", |text| !text.contains("name=\"app\"")).await;
}

#[tokio::test]
async fn starts_with_what_a_killed_process_has_left() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let obj = world.until_ready("app").await;
    world.kill().await;
    let place = world.place(artifact(&obj).unwrap());
    fs::write(place.with_file_name(".tmp-abc"), "half").unwrap();
    world.run(world.args());
    world.request("app", "now").await;
    world.until_handled("app", "now").await;
    assert_eq!(world.stored("app").len(), 1);
}
