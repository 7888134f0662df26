//! Repositories that were made to do harm.

use crate::world::World;
use git::{Error, Limit, Reference};
use testkit::{git_server::GitServer, repository::Repository};

const FILE: &str = "100644";
const FOLDER: &str = "40000";
const LINK: &str = "120000";

/// Stores an object whose content `git` itself would not write, and returns its hash.
fn store(repository: &Repository, kind: &str, content: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let path = file.path().to_str().unwrap();
    let hash = repository.git(&["hash-object", "-t", kind, "-w", "--literally", path]).unwrap();
    hash.trim().to_owned()
}

/// Stores a tree with any entries.
fn tree(repository: &Repository, entries: &[(&str, &str, &str)]) -> String {
    let mut content = Vec::new();
    for (mode, name, hash) in entries {
        content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let digits = hash.as_bytes().chunks(2);
        content.extend(
            digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
    }
    store(repository, "tree", &content)
}

/// Commits a tree to a branch and checks that out, which is to fail.
async fn refusal(world: &World, repository: &Repository, tree: &str) -> Error {
    let commit = repository.git(&["commit-tree", tree, "-m", "Harm"]).unwrap();
    repository.git(&["update-ref", "refs/heads/harm", commit.trim()]).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    world.checkout(&server.url("harm"), Reference::branch("harm")).await.unwrap_err()
}

#[tokio::test]
async fn never_writes_through_a_link() {
    let world = World::new();
    let repository = world.empty("harm");
    let outside = world.scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let file = store(&repository, "blob", b"harm");
    let link = store(&repository, "blob", outside.to_str().unwrap().as_bytes());
    let inner = tree(&repository, &[(FILE, "harm.txt", &file)]);

    for entries in [
        [(LINK, "x", link.as_str()), (FOLDER, "x", &inner)],
        [(FOLDER, "x", inner.as_str()), (LINK, "x", &link)],
        [(LINK, "x", link.as_str()), (FILE, "x", &file)],
    ] {
        let root = tree(&repository, &entries);
        let error = refusal(&world, &repository, &root).await;
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test]
async fn refuses_names_that_mean_something_else() {
    let world = World::new();
    let repository = world.empty("harm");
    let file = store(&repository, "blob", b"harm");
    let inner = tree(&repository, &[(FILE, "config", &file)]);

    for (mode, name, hash) in [
        (FOLDER, ".git", &inner),
        (FOLDER, ".GIT", &inner),
        (FOLDER, "..", &inner),
        (FOLDER, ".", &inner),
        (FILE, "../harm.txt", &file),
        (FILE, "a/b", &file),
        (LINK, ".gitmodules", &file),
    ] {
        let root = tree(&repository, &[(mode, name, hash)]);
        let error = refusal(&world, &repository, &root).await;
        assert!(matches!(&error, Error::UnsafePath { path, .. } if path == name), "{error:?}");
    }
}

#[tokio::test]
async fn refuses_folders_without_end() {
    let world = World::new();
    let repository = world.empty("harm");
    let file = store(&repository, "blob", b"harm");
    let mut folder = tree(&repository, &[(FILE, "x", &file)]);
    for _ in 0..300 {
        folder = tree(&repository, &[(FOLDER, "x", &folder)]);
    }

    let error = refusal(&world, &repository, &folder).await;

    assert!(matches!(error, Error::TooBig { limit: Limit::Depth(_), .. }), "{error:?}");
}

#[tokio::test]
async fn counts_what_is_written_and_not_what_is_sent() {
    let world = World::new();
    let repository = world.empty("harm");
    let file = store(&repository, "blob", &vec![b'x'; 1 << 20]);
    let names: Vec<String> = (0..16).map(|n| format!("{n:02}")).collect();
    // Two objects of a few bytes make 16 times 16 times as much.
    let few: Vec<_> = names.iter().map(|name| (FILE, name.as_str(), file.as_str())).collect();
    let few = tree(&repository, &few);
    let many: Vec<_> = names.iter().map(|name| (FOLDER, name.as_str(), few.as_str())).collect();
    let many = tree(&repository, &many);
    let commit = repository.git(&["commit-tree", &many, "-m", "Harm"]).unwrap();
    repository.git(&["update-ref", "refs/heads/harm", commit.trim()]).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let mut remote = git::Remote::new(&server.url("harm")).unwrap();
    remote.options.limits.checkout_bytes = 64 << 20;

    let error = world
        .checkout_with(&remote, &Reference::branch("harm"), &git::CheckoutOptions::default())
        .await
        .unwrap_err();

    assert!(matches!(error, Error::TooBig { limit: Limit::CheckoutBytes(_), .. }), "{error:?}");
}

#[tokio::test]
async fn says_what_a_server_says_when_it_gives_up() {
    let world = World::new();
    let repository = world.repository("harm");
    let blob = repository.rev_parse("master:README.md").unwrap();
    let (folder, name) = blob.split_at(2);
    let object = repository.path().join(".git/objects").join(folder).join(name);
    std::fs::remove_file(object).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    let error = world.checkout(&server.url("harm"), Reference::branch("master")).await.unwrap_err();

    assert!(
        matches!(&error, Error::Refused { message, .. } if message.contains("corruption")),
        "{error:?}"
    );
}
