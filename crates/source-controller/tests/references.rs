//! Which revision a reference names.

use crate::support::{Repo, World, artifact, files, message};
use serde_json::json;

/// Makes branches, tags and a pull request, each with content of its own.
fn references(repository: &Repo) -> impl Fn(&str) -> String + use<> {
    let git = repository.0.clone();
    repository.commit_file("app.yaml", "v1.0.0");
    git.annotated_tag("v1.0.0", "One").unwrap();
    repository.commit_file("app.yaml", "v1.1.0");
    git.tag("v1.1.0").unwrap();
    repository.commit_file("app.yaml", "v2.0.0-rc.1");
    git.tag("v2.0.0-rc.1").unwrap();
    git.branch("feature/x").unwrap();
    repository.commit_file("app.yaml", "feature");
    git.git(&["update-ref", "refs/pull/1/head", "HEAD"]).unwrap();
    git.branch("master").unwrap();
    repository.commit_file("app.yaml", "head");
    move |revision| git.rev_parse(&format!("{revision}^{{commit}}")).unwrap()
}

#[tokio::test]
async fn fetches_every_kind_of_reference() {
    let world = World::start().await;
    let commit = references(&world.repository("repo"));
    let old = commit("v1.0.0");
    let other = commit("feature/x");
    for (number, (reference, revision, content)) in [
        (json!({}), format!("master@sha1:{}", commit("master")), "head"),
        (json!({"branch": "feature/x"}), format!("feature/x@sha1:{other}"), "feature"),
        (json!({"tag": "v1.0.0"}), format!("v1.0.0@sha1:{old}"), "v1.0.0"),
        (json!({"semver": "1.x"}), format!("v1.1.0@sha1:{}", commit("v1.1.0")), "v1.1.0"),
        (
            json!({"semver": ">=1.0.0-0"}),
            format!("v2.0.0-rc.1@sha1:{}", commit("v2.0.0-rc.1")),
            "v2.0.0-rc.1",
        ),
        (json!({"name": "refs/pull/1/head"}), format!("refs/pull/1/head@sha1:{other}"), "feature"),
        (
            json!({"name": "refs/heads/master"}),
            format!("refs/heads/master@sha1:{}", commit("master")),
            "head",
        ),
        (json!({"commit": old}), format!("sha1:{old}"), "v1.0.0"),
        (json!({"commit": old, "branch": "master"}), format!("master@sha1:{old}"), "v1.0.0"),
        // The tag wins over the range, the name over the tag, the commit over the name.
        (json!({"tag": "v1.0.0", "semver": "1.x"}), format!("v1.0.0@sha1:{old}"), "v1.0.0"),
        (
            json!({"name": "refs/pull/1/head", "tag": "v1.0.0", "branch": "master"}),
            format!("refs/pull/1/head@sha1:{other}"),
            "feature",
        ),
        (json!({"commit": old, "name": "refs/pull/1/head"}), format!("sha1:{old}"), "v1.0.0"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("app-{number}");
        world.create(&name, json!({"ref": reference})).await;
        let obj = world.until_at(&name, &revision).await;
        assert_eq!(files(artifact(&obj).unwrap()).await["app.yaml"], content, "{reference}");
    }
}

#[tokio::test]
async fn fetches_nothing_again_for_any_kind_of_reference() {
    let world = World::start().await;
    let commit = references(&world.repository("repo"));
    for (number, reference) in [
        json!({"branch": "master"}),
        json!({"tag": "v1.0.0"}),
        json!({"semver": "1.x"}),
        json!({"name": "refs/pull/1/head"}),
        json!({"commit": commit("v1.0.0")}),
        json!({"commit": commit("v1.0.0"), "branch": "master"}),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("app-{number}");
        world.create(&name, json!({"ref": reference})).await;
        world.until_ready(&name).await;
        world.server.forget_requests();
        world.request(&name, "now").await;
        world.until_handled(&name, "now").await;
        let requests = world.server.requests();
        assert!(!requests.is_empty());
        assert!(!requests.iter().any(|it| it.body.contains("command=fetch")), "{reference}");
    }
}

#[tokio::test]
async fn follows_a_range_to_a_new_tag() {
    let world = World::start().await;
    let repository = world.repository("repo");
    let _ = references(&repository);
    world.create("app", json!({"ref": {"semver": "1.x"}})).await;
    world.until_ready("app").await;
    let commit = repository.commit_file("app.yaml", "v1.2.0");
    repository.0.tag("v1.2.0").unwrap();
    world.request("app", "now").await;
    world.until_at("app", &format!("v1.2.0@sha1:{commit}")).await;
}

#[tokio::test]
async fn makes_a_new_revision_of_the_same_commit_under_another_name() {
    let world = World::start().await;
    world.create("app", json!({})).await;
    let before = world.until_ready("app").await;
    let before = artifact(&before).unwrap();
    world.merge("app", json!({"spec": {"ref": {"name": "refs/heads/master"}}})).await;
    let revision = before.revision.replace("master@", "refs/heads/master@");
    let after = world.until_at("app", &revision).await;
    let after = artifact(&after).unwrap();
    assert_eq!((&after.path, &after.digest), (&before.path, &before.digest));
}

#[tokio::test]
async fn says_which_reference_is_missing() {
    let world = World::start().await;
    for (number, (reference, part)) in [
        (json!({"branch": "nope"}), "couldn't find remote ref \"refs/heads/nope\""),
        (json!({"tag": "v9"}), "couldn't find remote ref \"refs/tags/v9\""),
        (json!({"semver": ">=9.0.0"}), "no match found for semver: >=9.0.0"),
        (json!({"semver": "!!"}), "semver parse error"),
        (json!({"name": "refs/pull/9/head"}), "couldn't find remote ref \"refs/pull/9/head\""),
        (json!({"commit": "1".repeat(40)}), "couldn't find commit 1111"),
        (json!({"commit": "abc"}), "invalid reference \"abc\""),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("app-{number}");
        world.create(&name, json!({"ref": reference})).await;
        let obj = world.until_failed(&name, "GitOperationFailed").await;
        let text = message(&obj, "FetchFailed");
        assert!(text.starts_with("failed to checkout and determine revision: "), "{text}");
        assert!(text.contains(part), "{text}");
    }
}
