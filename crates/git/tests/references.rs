//! Which commit is checked out, and what of it ends up on disk.

use std::path::PathBuf;

use crate::world::{Node, World};
use git::{Error, Pointer, Reference, Remote};
use testkit::git_server::GitServer;

#[tokio::test]
async fn checks_out_a_branch_as_git_does() {
    let world = World::new();
    let repository = world.repository("fleet");
    let server = GitServer::start(&world.root()).await.unwrap();

    for (reference, branch) in [
        (Reference::default(), "master"),
        (Reference::branch("master"), "master"),
        (Reference::branch("feature/x"), "feature/x"),
    ] {
        let (checkout, tree) = world.checkout(&server.url("fleet"), reference).await.unwrap();

        let head = repository.rev_parse(branch).unwrap();
        assert_eq!(checkout.revision.to_string(), format!("{branch}@sha1:{head}"));
        assert_eq!(tree, world.cloned(&repository, &format!("origin/{branch}")));
        assert_eq!(checkout.tag, None);
    }
}

#[tokio::test]
async fn writes_files_as_they_are_stored() {
    let world = World::new();
    let repository = world.empty("fleet");
    repository.write(".gitattributes", "*.txt text eol=crlf ident\n").unwrap();
    repository.write("x.txt", "$Id$\n").unwrap();
    repository.commit("Ask for conversions").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    let (_, tree) = world.checkout(&server.url("fleet"), Reference::default()).await.unwrap();

    // As Flux does, and unlike `git`.
    let stored = Node::File { executable: false, content: b"$Id$\n".to_vec() };
    assert_eq!(tree[&PathBuf::from("x.txt")], stored);
    assert_ne!(world.cloned(&repository, "master"), tree);
}

#[tokio::test]
async fn describes_the_commit() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.commit_at("Mend a thing\n\nWith a body.\n", "@1700000000 +0200").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    let (checkout, _) =
        world.checkout(&server.url("fleet"), Reference::branch("master")).await.unwrap();

    assert_eq!(checkout.commit.subject(), "Mend a thing");
    assert_eq!(checkout.commit.message, "Mend a thing\n\nWith a body.\n");
    assert_eq!(checkout.commit.author.name, "Demo");
    assert_eq!(checkout.commit.committer.email, "demo@example.com");
    assert_eq!(checkout.commit.committer.seconds, 1_700_000_000);
    assert_eq!(checkout.commit.signature, None);
}

#[tokio::test]
async fn checks_out_tags_of_both_kinds() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.tag("light").unwrap();
    let object = repository.annotated_tag("v1.0.0", "Release\n\nNotes.").unwrap();
    repository.write("later.txt", "later\n").unwrap();
    repository.commit("Go on").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let commit = repository.rev_parse("light").unwrap();

    let (checkout, tree) =
        world.checkout(&server.url("fleet"), Reference::tag("light")).await.unwrap();
    assert_eq!(checkout.revision.to_string(), format!("light@sha1:{commit}"));
    assert_eq!(checkout.tag, None);
    assert_eq!(tree, world.cloned(&repository, "light"));

    let (checkout, tree) =
        world.checkout(&server.url("fleet"), Reference::tag("v1.0.0")).await.unwrap();
    assert_eq!(checkout.revision.to_string(), format!("v1.0.0@sha1:{commit}"));
    assert_eq!(tree, world.cloned(&repository, "v1.0.0"));
    let tag = checkout.tag.unwrap();
    assert_eq!((tag.id, tag.name), (object, "v1.0.0".to_owned()));
    assert_eq!(tag.message, "Release\n\nNotes.\n");
    assert_eq!(tag.tagger.unwrap().name, "Demo");
}

#[tokio::test]
async fn follows_tags_of_tags() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.annotated_tag("inner", "Inner").unwrap();
    repository.git(&["tag", "--annotate", "--message", "Outer", "outer", "inner"]).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    let (checkout, _) =
        world.checkout(&server.url("fleet"), Reference::tag("outer")).await.unwrap();

    assert_eq!(checkout.revision.commit, repository.rev_parse("master").unwrap());
    assert_eq!(checkout.tag.unwrap().name, "outer");
}

#[tokio::test]
async fn refuses_a_tag_of_something_else_than_a_commit() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.git(&["tag", "tree", "master^{tree}"]).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    let error = world.checkout(&server.url("fleet"), Reference::tag("tree")).await.unwrap_err();

    assert!(matches!(&error, Error::NotACommit { kind, .. } if kind == "tree"), "{error:?}");
}

#[tokio::test]
async fn checks_out_any_reference_by_its_full_name() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.git(&["update-ref", "refs/pull/1/head", "feature/x"]).unwrap();
    repository.annotated_tag("v1.0.0", "Release").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    for (name, revision) in [
        ("refs/pull/1/head", "feature/x"),
        ("refs/heads/feature/x", "feature/x"),
        ("refs/tags/v1.0.0", "v1.0.0^{commit}"),
        ("refs/tags/v1.0.0^{}", "v1.0.0^{commit}"),
        ("HEAD", "master"),
    ] {
        let (checkout, _) =
            world.checkout(&server.url("fleet"), Reference::name(name)).await.unwrap();
        let commit = repository.rev_parse(revision).unwrap();
        assert_eq!(checkout.revision.to_string(), format!("{name}@sha1:{commit}"));
    }
}

#[tokio::test]
async fn takes_the_highest_version_in_the_range() {
    let world = World::new();
    let repository = world.repository("fleet");
    for tag in ["0.9.0", "v1.0.0", "1.1.0-rc.1", "v1.10.0", "1.9.0", "2.0.0", "v3", "latest"] {
        repository.commit(tag).unwrap();
        repository.tag(tag).unwrap();
    }
    let server = GitServer::start(&world.root()).await.unwrap();

    for (range, tag) in [
        (">=1.0.0 <2.0.0", "v1.10.0"),
        ("~1.9", "1.9.0"),
        ("*", "2.0.0"),
        (">=1.1.0-0 <1.2.0", "1.1.0-rc.1"),
    ] {
        let (checkout, _) =
            world.checkout(&server.url("fleet"), Reference::semver(range)).await.unwrap();
        assert_eq!(checkout.revision.pointer, Pointer::Tag(tag.to_owned()), "{range}");
        assert_eq!(checkout.commit.subject(), tag);
    }
    let error = world.checkout(&server.url("fleet"), Reference::semver(">3")).await.unwrap_err();
    assert_eq!(error.to_string(), "no match found for semver: >3");
    let error = world.checkout(&server.url("fleet"), Reference::semver("x y")).await.unwrap_err();
    assert!(matches!(error, Error::InvalidRange(_)), "{error:?}");
}

#[tokio::test]
async fn takes_the_later_commit_of_equal_versions() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.commit_at("Build b", "@1700000300 +0000").unwrap();
    repository.tag("1.0.0+b").unwrap();
    repository.commit_at("Build a", "@1700000100 +0000").unwrap();
    repository.tag("1.0.0+a").unwrap();
    repository.commit_at("Build c", "@1700000200 +0000").unwrap();
    repository.annotated_tag("v1.0.0", "c").unwrap();

    for allow_filter in ["true", "false"] {
        repository.git(&["config", "uploadpack.allowFilter", allow_filter]).unwrap();
        let server = GitServer::start(&world.root()).await.unwrap();
        let remote = Remote::new(&server.url("fleet")).unwrap();

        let (checkout, _) =
            world.checkout(&server.url("fleet"), Reference::semver("1.x")).await.unwrap();
        assert_eq!(checkout.commit.subject(), "Build b");

        let resolved = remote.resolve(&Reference::semver("1.x")).await.unwrap();
        assert_eq!(resolved.revision, checkout.revision);
    }
}

#[tokio::test]
async fn prefers_the_tag_to_the_version_and_the_name_to_both() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.tag("1.0.0").unwrap();
    repository.commit("Later").unwrap();
    repository.tag("2.0.0").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let mut reference = Reference {
        branch: Some("feature/x".into()),
        tag: Some("1.0.0".into()),
        semver: Some("*".into()),
        ..Reference::default()
    };

    let (checkout, _) = world.checkout(&server.url("fleet"), reference.clone()).await.unwrap();
    assert_eq!(checkout.revision.pointer, Pointer::Tag("1.0.0".into()));

    reference.name = Some("refs/heads/master".into());
    let (checkout, _) = world.checkout(&server.url("fleet"), reference).await.unwrap();
    assert_eq!(checkout.revision.pointer, Pointer::Name("refs/heads/master".into()));
}

#[tokio::test]
async fn says_what_is_missing() {
    let world = World::new();
    world.repository("fleet");
    world.empty("empty");
    let server = GitServer::start(&world.root()).await.unwrap();
    let fleet = server.url("fleet");

    for (reference, name) in [
        (Reference::branch("main"), "refs/heads/main"),
        (Reference::branch("feature"), "refs/heads/feature"),
        (Reference::tag("v1"), "refs/tags/v1"),
        (Reference::name("refs/pull/7/head"), "refs/pull/7/head"),
    ] {
        let error = world.checkout(&fleet, reference).await.unwrap_err();
        assert!(
            matches!(&error, Error::ReferenceNotFound { reference, .. } if reference == name),
            "{error:?}"
        );
    }
    let error = world.checkout(&fleet, Reference::name("/refs/heads/x")).await.unwrap_err();
    assert!(matches!(error, Error::InvalidReference { .. }), "{error:?}");

    for reference in [
        Reference::default(),
        Reference::tag("v1"),
        Reference::semver("*"),
        Reference::name("refs/heads/master"),
        Reference::commit("450796ddb2ab6724ee1cc32a4be56da032d1cca0"),
    ] {
        let error = world.checkout(&server.url("empty"), reference).await.unwrap_err();
        assert!(matches!(error, Error::EmptyRepository { .. }), "{error:?}");
    }
    let error = world.checkout(&server.url("none"), Reference::default()).await.unwrap_err();
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn lists_references_with_what_tags_point_to() {
    let world = World::new();
    let repository = world.repository("fleet");
    let tag = repository.annotated_tag("v1.0.0", "Release").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    let refs = remote.list_refs(&["refs/heads/", "refs/tags/"]).await.unwrap();

    let rows: Vec<(String, String, String)> =
        refs.iter().map(|found| (found.name.clone(), found.id(), found.commit())).collect();
    let (master, feature) =
        (repository.rev_parse("master").unwrap(), repository.rev_parse("feature/x").unwrap());
    assert_eq!(
        rows,
        [
            ("refs/heads/feature/x".to_owned(), feature.clone(), feature),
            ("refs/heads/master".to_owned(), master.clone(), master.clone()),
            ("refs/tags/v1.0.0".to_owned(), tag, master),
        ]
    );
    assert_eq!(remote.list_refs(&[]).await.unwrap().len(), 4, "HEAD is a reference, too");
}

#[tokio::test]
async fn resolves_without_receiving_objects() {
    let world = World::new();
    let repository = world.repository("fleet");
    let tag = repository.annotated_tag("v1.0.0", "Release").unwrap();
    let master = repository.rev_parse("master").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    for (reference, revision) in [
        (Reference::branch("master"), format!("master@sha1:{master}")),
        (Reference::tag("v1.0.0"), format!("v1.0.0@sha1:{master}")),
        (Reference::semver("*"), format!("v1.0.0@sha1:{master}")),
        (Reference::name("refs/heads/master"), format!("refs/heads/master@sha1:{master}")),
        (Reference::commit(&master), format!("sha1:{master}")),
    ] {
        let resolved = remote.resolve(&reference).await.unwrap();
        assert_eq!(resolved.revision.to_string(), revision);
        let has_tag = reference.tag.is_some() || reference.semver.is_some();
        assert_eq!(resolved.tag, has_tag.then(|| tag.clone()));
    }
    let requests = server.requests();
    assert!(requests.iter().all(|request| !request.body.contains("command=fetch")));
    // Only what is needed is asked for.
    let listed = &requests.iter().find(|request| request.body.contains("ls-refs")).unwrap().body;
    assert!(listed.contains("ref-prefix refs/heads/master\n"), "{listed:?}");
}

#[tokio::test]
async fn works_with_the_oldest_protocol() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.annotated_tag("v1.0.0", "Release").unwrap();
    repository.commit_at("Build a", "@1700000100 +0000").unwrap();
    repository.tag("2.0.0+a").unwrap();
    repository.commit_at("Build b", "@1700000000 +0000").unwrap();
    repository.tag("2.0.0+b").unwrap();
    let server = GitServer::builder(&world.root()).only_oldest_protocol().start().await.unwrap();

    for (reference, revision) in [
        (Reference::branch("feature/x"), "origin/feature/x"),
        (Reference::tag("v1.0.0"), "v1.0.0"),
        (Reference::semver("2.x"), "2.0.0+a"),
        (Reference::commit(repository.rev_parse("v1.0.0^{commit}").unwrap()), "v1.0.0"),
    ] {
        let (_, tree) = world.checkout(&server.url("fleet"), reference).await.unwrap();
        assert_eq!(tree, world.cloned(&repository, revision), "{revision}");
    }
}

#[tokio::test]
async fn takes_the_whole_history_where_the_server_sends_no_less() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.commit("Later").unwrap();
    let builder = GitServer::builder(&world.root()).without_depth();

    for server in [
        builder.clone().start().await.unwrap(),
        builder.only_oldest_protocol().start().await.unwrap(),
    ] {
        let (_, tree) = world.checkout(&server.url("fleet"), Reference::default()).await.unwrap();

        assert_eq!(tree, world.cloned(&repository, "master"));
        assert!(server.requests().iter().all(|request| !request.body.contains("deepen 1")));
    }
}
