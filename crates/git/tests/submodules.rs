//! Repositories within repositories.

use std::{collections::BTreeMap, path::PathBuf};

use crate::world::{Node, World, tree};
use git::{Auth, CheckoutOptions, Error, Reference, Remote, WorkTree};
use secrecy::SecretString;
use testkit::{git_server::GitServer, repository::Repository};

/// `fleet` has `lib` at `vendor/lib`, and that has `base` at `base`, both by relative URLs.
fn nested(world: &World) -> anyhow::Result<Repository> {
    let base = world.empty("base");
    base.write("base.txt", "base\n")?;
    base.commit("Add base")?;
    let lib = world.repository("lib");
    lib.git(&["config", "protocol.file.allow", "always"])?;
    lib.submodule("../base", "base")?;
    lib.commit("Use base")?;
    // The next commit is not the one that is wanted.
    let fleet = world.repository("fleet");
    fleet.submodule("../lib", "vendor/lib")?;
    fleet.commit("Use lib")?;
    lib.write("README.md", "# Later\n")?;
    lib.commit("Go on")?;
    Ok(fleet)
}

/// Returns what `git clone --recurse-submodules` makes.
fn cloned(world: &World, fleet: &Repository) -> anyhow::Result<BTreeMap<PathBuf, Node>> {
    let clone = tempfile::tempdir_in(world.scratch.path())?;
    let clone = clone.path().join("clone");
    let (from, to) = (fleet.path().display().to_string(), clone.display().to_string());
    fleet.git(&[
        "-c",
        "protocol.file.allow=always",
        "clone",
        "--quiet",
        "--recurse-submodules",
        &from,
        &to,
    ])?;
    let mut nodes = tree(&clone);
    nodes.retain(|path, _| !path.components().any(|part| part.as_os_str() == ".git"));
    Ok(nodes)
}

fn with_submodules() -> CheckoutOptions {
    CheckoutOptions { submodules: true, ..CheckoutOptions::default() }
}

#[tokio::test]
async fn checks_out_submodules_of_submodules_as_git_does() {
    let world = World::new();
    let fleet = nested(&world).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    let (checkout, tree) =
        world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap();

    assert_eq!(tree, cloned(&world, &fleet).unwrap());
    let files = tree.values().filter(|node| !matches!(node, Node::Folder)).count();
    assert_eq!(checkout.files, files as u64);

    let options = CheckoutOptions::default();
    let (_, without) = world.checkout_with(&remote, &Reference::default(), &options).await.unwrap();
    assert_eq!(without[&PathBuf::from("vendor/lib")], Node::Folder);
    assert!(!without.keys().any(|path| path.starts_with("vendor/lib/README.md")));
}

#[tokio::test]
async fn checks_out_the_wanted_folders_of_submodules_alone() {
    let world = World::new();
    let fleet = nested(&world).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();
    let sparse = vec!["vendor/lib/apps/".to_owned(), "vendor/lib/base".to_owned()];
    let options = CheckoutOptions { sparse, submodules: true };

    let (_, tree) = world.checkout_with(&remote, &Reference::default(), &options).await.unwrap();

    let mut expected = cloned(&world, &fleet).unwrap();
    let wanted = ["vendor/lib/apps", "vendor/lib/base"];
    expected.retain(|path, _| {
        wanted.iter().any(|wanted| {
            path.starts_with(wanted) || std::path::Path::new(wanted).starts_with(path)
        })
    });
    assert_eq!(tree, expected);
}

#[tokio::test]
async fn uses_the_credentials_of_the_parent() {
    let world = World::new();
    nested(&world).unwrap();
    let server =
        GitServer::builder(&world.root()).basic_auth("flux", "secret").start().await.unwrap();
    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    let password = SecretString::from("secret".to_owned());
    remote.auth = Auth::Basic { username: "flux".into(), password };

    world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap();
}

#[tokio::test]
async fn never_sends_a_password_to_another_server() {
    let world = World::new();
    world.repository("lib");
    let other = GitServer::start(&world.root()).await.unwrap();
    let fleet = world.repository("fleet");
    fleet.submodule("../lib", "lib").unwrap();
    fleet.git(&["config", "-f", ".gitmodules", "submodule.lib.url", &other.url("lib")]).unwrap();
    fleet.commit("Use lib").unwrap();
    let server =
        GitServer::builder(&world.root()).basic_auth("flux", "secret").start().await.unwrap();
    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    let password = SecretString::from("secret".to_owned());
    remote.auth = Auth::Basic { username: "flux".into(), password };

    world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap();

    assert!(!other.requests().is_empty());
    assert!(other.requests().iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn says_which_submodule_fails() {
    let world = World::new();
    let fleet = nested(&world).unwrap();
    std::fs::remove_dir_all(world.root().join("base")).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    let error =
        world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap_err();

    assert!(matches!(&error, Error::Submodule { path, .. } if path == "vendor/lib"), "{error:?}");
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    let mut chain = Vec::new();
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    assert_eq!(chain[1], "failed to check out submodule \"vendor/lib/base\"");
    assert_eq!(chain[2], format!("git repository {} not found", server.url("base")));
    drop(fleet);
}

#[tokio::test]
async fn ends_where_repositories_contain_themselves() {
    let world = World::new();
    let fleet = world.empty("fleet");
    fleet.write("x.txt", "x\n").unwrap();
    let commit = fleet.commit("Start").unwrap();
    fleet.write(".gitmodules", "[submodule \"self\"]\n\tpath = self\n\turl = ../fleet\n").unwrap();
    fleet.git(&["add", ".gitmodules"]).unwrap();
    // Each commit wants the one before it, twelve deep.
    let mut inner = commit;
    for _ in 0..12 {
        let entry = format!("160000,{inner},self");
        fleet.git(&["update-index", "--add", "--cacheinfo", &entry]).unwrap();
        fleet.git(&["commit", "--quiet", "--message", "Contain"]).unwrap();
        inner = fleet.rev_parse("HEAD").unwrap();
    }
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    let (_, tree) =
        world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap();

    let deepest = PathBuf::from(["self"; 10].join("/"));
    assert!(tree.contains_key(&deepest.join("x.txt")));
    assert_eq!(tree[&deepest.join("self")], Node::Folder);
    assert!(!tree.contains_key(&deepest.join("self/x.txt")));
}

#[tokio::test]
async fn takes_submodules_of_a_local_folder_as_they_are() {
    let world = World::new();
    let fleet = nested(&world).unwrap();
    let file = ["-c", "protocol.file.allow=always"];
    let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
    fleet.git(&[&file[..], &update].concat()).unwrap();
    let local = WorkTree::open(fleet.path()).unwrap();
    let head = fleet.rev_parse("HEAD").unwrap();
    let checkout = async |reference: Reference| {
        let into = tempfile::tempdir_in(world.scratch.path()).unwrap();
        let checkout = local.checkout(&reference, &with_submodules(), into.path()).await?;
        Ok::<_, Error>((checkout.revision.commit, tree(into.path())))
    };

    let (revision, files) = checkout(Reference::default()).await.unwrap();
    assert_eq!(revision, head);
    assert_eq!(files, cloned(&world, &fleet).unwrap());
    let (revision, from_objects) = checkout(Reference::commit(&head)).await.unwrap();
    assert_eq!((revision, from_objects), (head.clone(), files));

    let changed = fleet.path().join("vendor/lib/base/base.txt");
    std::fs::write(&changed, "changed\n").unwrap();
    let (revision, files) = checkout(Reference::default()).await.unwrap();
    assert_ne!(revision, head);
    assert_eq!(local.resolve(&Reference::default()).await.unwrap().revision.commit, revision);
    let expected = Node::File { executable: false, content: b"changed\n".to_vec() };
    assert_eq!(files[&PathBuf::from("vendor/lib/base/base.txt")], expected);

    fleet.git(&["submodule", "--quiet", "deinit", "--all", "--force"]).unwrap();
    std::fs::remove_dir_all(fleet.path().join(".git/modules")).unwrap();
    let error = checkout(Reference::commit(&head)).await.unwrap_err();
    assert!(matches!(error, Error::Submodule { .. }), "{error:?}");
}

#[tokio::test]
async fn reads_files_of_this_machine_only_when_told_to() {
    let world = World::new();
    let fleet = nested(&world).unwrap();
    let url = format!("file://{}", fleet.path().display());
    let mut remote = Remote::new(&url).unwrap();

    let error =
        world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("invalid URL {url}: file:// is not allowed"));

    remote.options.allow_file = true;
    let (_, tree) =
        world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap();
    assert_eq!(tree, cloned(&world, &fleet).unwrap());
    assert_eq!(remote.list_refs(&["refs/heads/"]).await.unwrap().len(), 2);
    let resolved = remote.resolve(&Reference::default()).await.unwrap();
    assert_eq!(resolved.revision.commit, fleet.rev_parse("HEAD").unwrap());
}

#[tokio::test]
async fn refuses_a_submodule_that_is_a_file_of_this_machine() {
    let world = World::new();
    let fleet = nested(&world).unwrap();
    let lib = format!("file://{}", world.root().join("lib").display());
    fleet.git(&["config", "-f", ".gitmodules", "submodule.vendor/lib.url", &lib]).unwrap();
    fleet.commit("Reach out").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    let error =
        world.checkout_with(&remote, &Reference::default(), &with_submodules()).await.unwrap_err();

    assert!(
        matches!(&error, Error::Submodule { source, .. }
            if matches!(&**source, Error::InvalidUrl { .. })),
        "{error:?}"
    );
}
