//! Commits that are given by their hash.

use crate::world::World;
use git::{Error, Reference};
use testkit::{
    git_server::{GitServer, Record},
    repository::Repository,
};

/// A repository with some history; the second of its commits comes along.
fn with_history(world: &World) -> (Repository, String) {
    let repository = world.repository("fleet");
    repository.write("old.txt", "old\n").unwrap();
    let old = repository.commit("Old").unwrap();
    repository.remove("old.txt").unwrap();
    repository.commit("New").unwrap();
    (repository, old)
}

fn on_branch(branch: &str, commit: &str) -> Reference {
    Reference { branch: Some(branch.into()), ..Reference::commit(commit) }
}

fn fetches(server: &GitServer) -> Vec<Record> {
    let mut requests = server.requests();
    requests.retain(|request| request.body.contains("want "));
    requests
}

#[tokio::test]
async fn receives_the_commit_alone() {
    let world = World::new();
    let (repository, old) = with_history(&world);
    let server = GitServer::start(&world.root()).await.unwrap();

    let (checkout, tree) =
        world.checkout(&server.url("fleet"), Reference::commit(&old)).await.unwrap();

    assert_eq!(checkout.revision.to_string(), format!("sha1:{old}"));
    assert_eq!(tree, world.cloned(&repository, &old));
    let fetches = fetches(&server);
    assert_eq!(fetches.len(), 1);
    assert!(fetches[0].body.contains("deepen 1"));
    assert!(!server.requests().iter().any(|request| request.body.contains("ls-refs")));
}

#[tokio::test]
async fn receives_the_commit_of_a_branch_with_a_history_of_commits_alone() {
    let world = World::new();
    let (repository, old) = with_history(&world);
    repository.git(&["config", "uploadpack.allowFilter", "true"]).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    let (checkout, tree) =
        world.checkout(&server.url("fleet"), on_branch("master", &old)).await.unwrap();

    assert_eq!(checkout.revision.to_string(), format!("master@sha1:{old}"));
    assert_eq!(tree, world.cloned(&repository, &old));
    let fetches = fetches(&server);
    assert_eq!(fetches.len(), 2);
    assert!(fetches[0].body.contains("filter tree:0"));
    assert!(fetches[1].body.contains("deepen 1"));
}

#[tokio::test]
async fn receives_the_tip_of_a_branch_alone() {
    let world = World::new();
    let (repository, _) = with_history(&world);
    let tip = repository.rev_parse("master").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    world.checkout(&server.url("fleet"), on_branch("master", &tip)).await.unwrap();

    let fetches = fetches(&server);
    assert_eq!(fetches.len(), 1);
    assert!(fetches[0].body.contains("deepen 1"));
}

#[tokio::test]
async fn receives_the_whole_history_where_the_server_knows_no_other_way() {
    let world = World::new();
    let (repository, old) = with_history(&world);
    let server = GitServer::builder(&world.root()).only_oldest_protocol().start().await.unwrap();

    for reference in [Reference::commit(&old), on_branch("master", &old)] {
        let (_, tree) = world.checkout(&server.url("fleet"), reference).await.unwrap();
        assert_eq!(tree, world.cloned(&repository, &old));
    }
    assert!(fetches(&server).iter().all(|fetch| !fetch.body.contains("deepen 1")));
}

#[tokio::test]
async fn refuses_a_commit_of_another_branch() {
    let world = World::new();
    let (repository, _) = with_history(&world);
    let feature = repository.rev_parse("feature/x").unwrap();

    for allow_filter in ["true", "false"] {
        repository.git(&["config", "uploadpack.allowFilter", allow_filter]).unwrap();
        let server = GitServer::start(&world.root()).await.unwrap();

        let error =
            world.checkout(&server.url("fleet"), on_branch("master", &feature)).await.unwrap_err();

        assert!(matches!(error, Error::CommitNotFound { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn says_that_there_is_no_such_commit() {
    let world = World::new();
    let (_, old) = with_history(&world);
    let server = GitServer::start(&world.root()).await.unwrap();
    let none = "450796ddb2ab6724ee1cc32a4be56da032d1cca0";

    for reference in [Reference::commit(none), on_branch("master", none)] {
        let error = world.checkout(&server.url("fleet"), reference).await.unwrap_err();
        assert!(
            matches!(&error, Error::CommitNotFound { commit, .. } if commit == none),
            "{error:?}"
        );
    }
    let short = Reference::commit(&old[..7]);
    let error = world.checkout(&server.url("fleet"), short).await.unwrap_err();
    assert!(matches!(error, Error::InvalidReference { .. }), "{error:?}");
    let error = world.checkout(&server.url("fleet"), on_branch("none", &old)).await.unwrap_err();
    assert!(matches!(error, Error::ReferenceNotFound { .. }), "{error:?}");
}
