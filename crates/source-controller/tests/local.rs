//! Working trees that stand in for remote repositories.

use crate::support::{World, artifact, files, message};
use serde_json::json;

#[tokio::test]
async fn takes_a_working_tree_in_place_of_a_url() {
    let world = World::without_controller().await;
    let repository = world.repository("repo");
    let url = "https://github.com/stefanprodan/podinfo";
    let mut args = world.args();
    let path = repository.0.path().to_owned();
    args.local_repositories.insert(url.to_owned(), path);
    args.local_repositories.insert("https://nowhere".to_owned(), "/nowhere".into());
    world.run(args);
    let head = repository.0.rev_parse("HEAD").unwrap();
    world.create("app", json!({"url": url, "ref": {"branch": "master"}})).await;
    world.until_at("app", &format!("master@sha1:{head}")).await;

    // A change counts before it is committed.
    repository.0.write("app.yaml", "changed").unwrap();
    world.request("app", "now").await;
    let obj = world.until_handled("app", "now").await;
    let changed = artifact(&obj).unwrap();
    assert_ne!(changed.revision, format!("master@sha1:{head}"));
    assert!(changed.revision.starts_with("master@sha1:"), "{}", changed.revision);
    assert_eq!(files(changed).await["app.yaml"], "changed");

    world.create("nowhere", json!({"url": "https://nowhere"})).await;
    let obj = world.until_failed("nowhere", "GitOperationFailed").await;
    assert!(message(&obj, "Ready").contains("/nowhere"));
    world.server.forget_requests();
    assert!(world.server.requests().is_empty());
}
