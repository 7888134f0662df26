//! Local folders that stand in for remote repositories.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::world::{Node, World, tree};
use git::{CheckoutOptions, Error, Pointer, Reference, WorkTree};
use testkit::repository::Repository;

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
async fn checkout(
    world: &World,
    repository: &Repository,
    reference: Reference,
) -> Result<(git::Checkout, BTreeMap<PathBuf, Node>), Error> {
    let into = tempfile::tempdir_in(world.scratch.path()).unwrap();
    let local = WorkTree::open(repository.path())?;
    let checkout = local.checkout(&reference, &CheckoutOptions::default(), into.path()).await?;
    let resolved = local.resolve(&reference).await?;
    assert_eq!(resolved.revision, checkout.revision, "both say the same");
    Ok((checkout, tree(into.path())))
}

#[tokio::test]
async fn is_the_commit_when_nothing_has_changed() {
    let world = World::new();
    let repository = world.repository("fleet");
    let head = repository.rev_parse("HEAD").unwrap();

    for (reference, revision) in [
        (Reference::default(), format!("master@sha1:{head}")),
        (Reference::branch("master"), format!("master@sha1:{head}")),
        (Reference::name("refs/heads/master"), format!("refs/heads/master@sha1:{head}")),
        (Reference::name("HEAD"), format!("HEAD@sha1:{head}")),
    ] {
        let (checkout, tree) = checkout(&world, &repository, reference).await.unwrap();
        assert_eq!(checkout.revision.to_string(), revision);
        assert_eq!(checkout.commit.subject(), "Add files");
        assert_eq!(tree, world.cloned(&repository, "master"));
    }
}

#[tokio::test]
async fn takes_changes_along_that_are_not_committed() {
    let world = World::new();
    let repository = world.repository("fleet");
    let head = repository.rev_parse("HEAD").unwrap();
    repository.write(".gitignore", "*.log\n/build/\n").unwrap();
    repository.commit("Ignore").unwrap();

    repository.write("README.md", "# Changed\n").unwrap();
    repository.remove("apps-dev/x.yaml").unwrap();
    repository.write("new/untracked.yaml", "kind: New\n").unwrap();
    repository.write("staged.yaml", "kind: Staged\n").unwrap();
    repository.git(&["add", "staged.yaml"]).unwrap();
    repository.write("debug.log", "ignored\n").unwrap();
    repository.write("build/out", "ignored\n").unwrap();
    let script = repository.path().join("bin/deploy.sh");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::remove_file(repository.path().join("apps/link")).unwrap();
    repository.write("apps/link", "a file now\n").unwrap();

    let (checkout, tree) = checkout(&world, &repository, Reference::default()).await.unwrap();

    // The oracle: what a commit of everything would hold.
    repository.commit("Everything").unwrap();
    assert_eq!(tree, world.cloned(&repository, "master"));
    assert!(!tree.contains_key(&PathBuf::from("debug.log")));
    let expected = repository.rev_parse("HEAD^{tree}").unwrap();
    assert!(
        String::from_utf8_lossy(&checkout.commit.raw).starts_with(&format!("tree {expected}\n"))
    );
    assert_ne!(checkout.revision.commit, head);
    assert_eq!(checkout.commit.subject(), "Uncommitted changes");
}

#[tokio::test]
async fn has_equal_revisions_for_equal_content() {
    let world = World::new();
    let repository = world.repository("fleet");
    let revision = async || {
        let (checkout, _) = checkout(&world, &repository, Reference::default()).await.unwrap();
        checkout.revision.to_string()
    };

    let clean = revision().await;
    repository.write("README.md", "# Changed\n").unwrap();
    let changed = revision().await;
    assert_eq!(revision().await, changed);
    repository.write("README.md", "# Changed again\n").unwrap();
    assert_ne!(revision().await, changed);
    repository.write("README.md", "# Changed\n").unwrap();
    assert_eq!(revision().await, changed);
    repository.git(&["add", "--all"]).unwrap();
    assert_eq!(revision().await, changed, "staging changes nothing");
    repository.write("README.md", "# Fleet\n").unwrap();
    assert_eq!(revision().await, clean);
}

#[tokio::test]
async fn reads_other_references_from_the_repository() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.annotated_tag("v1.0.0", "Release").unwrap();
    let released = repository.rev_parse("HEAD").unwrap();
    repository.write("later.txt", "later\n").unwrap();
    repository.commit("Go on").unwrap();
    repository.tag("1.1.0-rc.1").unwrap();
    repository.write("README.md", "# Changed\n").unwrap();

    for (reference, revision) in [
        (Reference::branch("feature/x"), "feature/x"),
        (Reference::tag("v1.0.0"), "v1.0.0"),
        (Reference::semver("*"), "v1.0.0"),
        (Reference::commit(&released), "v1.0.0"),
        (Reference { branch: Some("master".into()), ..Reference::commit(&released) }, "v1.0.0"),
    ] {
        let (checkout, tree) = checkout(&world, &repository, reference.clone()).await.unwrap();
        let commit = repository.rev_parse(&format!("{revision}^{{commit}}")).unwrap();
        assert_eq!(checkout.revision.commit, commit);
        assert_eq!(tree, world.cloned(&repository, &commit));
        let has_tag = reference.tag.is_some() || reference.semver.is_some();
        assert_eq!(checkout.tag.is_some(), has_tag);
    }
    let feature = repository.rev_parse("feature/x").unwrap();
    let elsewhere = Reference { branch: Some("master".into()), ..Reference::commit(feature) };
    let error = checkout(&world, &repository, elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::CommitNotFound { .. }), "{error:?}");
    let error = checkout(&world, &repository, Reference::branch("none")).await.unwrap_err();
    assert!(matches!(error, Error::ReferenceNotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn lists_references_as_a_remote_does() {
    let world = World::new();
    let repository = world.repository("fleet");
    let tag = repository.annotated_tag("v1.0.0", "Release").unwrap();
    repository.git(&["pack-refs", "--all"]).unwrap();
    let local = WorkTree::open(repository.path()).unwrap();

    let refs = local.list_refs(&["refs/tags/"]).await.unwrap();

    assert_eq!(refs.len(), 1);
    assert_eq!((refs[0].id(), refs[0].commit()), (tag, repository.rev_parse("HEAD").unwrap()));
    let names: Vec<String> =
        local.list_refs(&[]).await.unwrap().into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["HEAD", "refs/heads/feature/x", "refs/heads/master", "refs/tags/v1.0.0"]);
}

#[tokio::test]
async fn takes_a_folder_that_is_no_repository() {
    let world = World::new();
    let folder = world.scratch.path().join("plain");
    std::fs::create_dir_all(folder.join("apps")).unwrap();
    std::fs::create_dir_all(folder.join("objects/empty")).unwrap();
    std::fs::write(folder.join("apps/x.yaml"), "kind: X\n").unwrap();
    std::os::unix::fs::symlink("apps/x.yaml", folder.join("link")).unwrap();
    let local = WorkTree::open(&folder).unwrap();
    let into = tempfile::tempdir_in(world.scratch.path()).unwrap();

    let checkout = local
        .checkout(&Reference::branch("main"), &CheckoutOptions::default(), into.path())
        .await
        .unwrap();

    assert_eq!(checkout.revision.pointer, Pointer::Branch("main".into()));
    assert_eq!(checkout.files, 2);
    std::fs::remove_dir_all(folder.join("objects")).unwrap();
    assert_eq!(tree(into.path()), tree(&folder));

    let again = local.resolve(&Reference::branch("main")).await.unwrap();
    assert_eq!(again.revision, checkout.revision);
    std::fs::write(folder.join("apps/x.yaml"), "kind: Y\n").unwrap();
    let changed = local.resolve(&Reference::branch("main")).await.unwrap();
    assert_ne!(changed.revision, checkout.revision);

    let error = local.resolve(&Reference::tag("v1")).await.unwrap_err();
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");
    let none = WorkTree::open(&world.scratch.path().join("none")).unwrap_err();
    assert!(matches!(none, Error::Io { .. }), "{none:?}");
}

#[tokio::test]
async fn takes_a_repository_without_commits() {
    let world = World::new();
    let repository = world.empty("fresh");
    repository.write("x.yaml", "kind: X\n").unwrap();

    let (checkout, tree) = checkout(&world, &repository, Reference::default()).await.unwrap();

    assert_eq!(checkout.files, 1);
    assert_eq!(tree.len(), 1);
}

#[tokio::test]
async fn reads_a_bare_repository_and_a_second_worktree() {
    let world = World::new();
    let repository = world.repository("fleet");
    let bare = world.scratch.path().join("bare.git");
    let second = world.scratch.path().join("second");
    let (from, to) = (repository.path().to_str().unwrap(), bare.to_str().unwrap());
    repository.git(&["clone", "--quiet", "--bare", from, to]).unwrap();
    repository.git(&["worktree", "add", "--quiet", second.to_str().unwrap(), "feature/x"]).unwrap();
    std::fs::write(second.join("more.txt"), "more\n").unwrap();

    let into = tempfile::tempdir_in(world.scratch.path()).unwrap();
    let options = CheckoutOptions::default();
    WorkTree::open(&bare)
        .unwrap()
        .checkout(&Reference::default(), &options, &into.path().join("bare"))
        .await
        .unwrap();
    assert_eq!(tree(&into.path().join("bare")), world.cloned(&repository, "master"));

    WorkTree::open(&second)
        .unwrap()
        .checkout(&Reference::branch("feature/x"), &options, &into.path().join("second"))
        .await
        .unwrap();
    let mut expected = world.cloned(&repository, "origin/feature/x");
    let more = Node::File { executable: false, content: b"more\n".to_vec() };
    expected.insert("more.txt".into(), more);
    assert_eq!(tree(&into.path().join("second")), expected);
}

#[tokio::test]
async fn writes_the_wanted_folders_alone() {
    let world = World::new();
    let repository = world.repository("fleet");
    let local = WorkTree::open(repository.path()).unwrap();
    let into = tempfile::tempdir_in(world.scratch.path()).unwrap();

    let checkout = local
        .checkout(
            &Reference::default(),
            &CheckoutOptions { sparse: vec!["apps/".into()], ..CheckoutOptions::default() },
            into.path(),
        )
        .await
        .unwrap();

    assert_eq!(checkout.revision.commit, repository.rev_parse("HEAD").unwrap());
    let mut expected = world.cloned(&repository, "master");
    expected.retain(|path, _| path.starts_with("apps"));
    assert_eq!(tree(into.path()), expected);
}
