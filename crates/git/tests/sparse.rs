//! Checkouts of a part of the folders.

use crate::world::World;
use git::{CheckoutOptions, Error, Reference, Remote};
use testkit::git_server::GitServer;

fn folders(folders: &[&str]) -> CheckoutOptions {
    let sparse = folders.iter().map(|&folder| folder.to_owned()).collect();
    CheckoutOptions { sparse, ..CheckoutOptions::default() }
}

#[tokio::test]
async fn writes_the_wanted_folders_alone() {
    let world = World::new();
    let repository = world.repository("fleet");
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();
    let all = world.cloned(&repository, "master");

    for (wanted, starts) in [
        (&["apps/"][..], &["apps"][..]),
        (&["./apps/podinfo"], &["apps/podinfo"]),
        (&["apps/podinfo", "bin"], &["apps/podinfo", "bin"]),
        // The comparison is one of text, as Flux has it.
        (&["apps"], &["apps", "apps-dev"]),
    ] {
        let options = folders(wanted);
        let (checkout, tree) =
            world.checkout_with(&remote, &Reference::default(), &options).await.unwrap();

        let mut expected = world.cloned(&repository, "master");
        expected.retain(|path, _| {
            starts.iter().any(|start| {
                path.starts_with(start) || std::path::Path::new(start).starts_with(path)
            })
        });
        assert_eq!(tree, expected, "{wanted:?}");
        assert!(tree.len() < all.len());
        assert_eq!(checkout.revision.commit, repository.rev_parse("master").unwrap());
    }
}

#[tokio::test]
async fn refuses_folders_that_do_not_exist() {
    let world = World::new();
    world.repository("fleet");
    let server = GitServer::start(&world.root()).await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();

    // `outside` is a link that leads out of the checkout.
    for missing in ["none", "apps/none", "../etc", "/etc", "outside"] {
        let options = folders(&["apps", missing]);
        let error =
            world.checkout_with(&remote, &Reference::default(), &options).await.unwrap_err();
        assert!(
            matches!(&error, Error::SparseDirectoryNotFound { directory } if directory == missing),
            "{missing}: {error:?}"
        );
    }
}
