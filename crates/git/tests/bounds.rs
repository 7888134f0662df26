//! Time, sizes, and calls that nobody waits for any more.

use std::time::{Duration, Instant};

use crate::world::World;
use git::{CheckoutOptions, Error, Limit, Reference, Remote};
use testkit::git_server::GitServer;

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

async fn checkout(world: &World, remote: &Remote) -> Result<(), Error> {
    let options = CheckoutOptions::default();
    world.checkout_with(remote, &Reference::default(), &options).await.map(drop)
}

#[tokio::test]
async fn ends_in_time_when_a_server_says_nothing() {
    let world = World::new();
    world.repository("fleet");
    for server in [
        GitServer::builder(&world.root()).hang().start().await.unwrap(),
        GitServer::builder(&world.root()).hang_in_pack().start().await.unwrap(),
    ] {
        let mut remote = Remote::new(&server.url("fleet")).unwrap();
        remote.options.timeout = Duration::from_millis(500);
        let started = Instant::now();

        let error = checkout(&world, &remote).await.unwrap_err();

        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert!(started.elapsed() < PATIENCE);
        assert!(!server.requests().is_empty());
    }
}

#[tokio::test]
async fn ends_when_nobody_waits_any_more() {
    let world = World::new();
    let server = GitServer::builder(&world.root()).hang().start().await.unwrap();
    let remote = Remote::new(&server.url("fleet")).unwrap();
    let scratch = tempfile::tempdir_in(world.scratch.path()).unwrap();
    let into = scratch.path().join("tree");

    let call = tokio::spawn(async move {
        remote.checkout(&Reference::default(), &CheckoutOptions::default(), &into).await
    });
    let asked = async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    call.abort();

    // The runtime waits for its blocking threads; the test would hang if one did not end.
    assert!(call.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn refuses_more_than_the_limits_allow() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.write("big.txt", &"no secrets here\n".repeat(1 << 16)).unwrap();
    let noise: Vec<String> =
        (0..20_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(0x9e37_79b9))).collect();
    repository.write("noise.txt", &noise.concat()).unwrap();
    repository.commit("Grow").unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();
    let url = server.url("fleet");

    let refusal = async |change: fn(&mut git::Limits)| {
        let mut remote = Remote::new(&url).unwrap();
        change(&mut remote.options.limits);
        checkout(&world, &remote).await.unwrap_err()
    };

    let error = refusal(|limits| limits.pack_bytes = 4 << 10).await;
    assert_eq!(
        error.to_string(),
        format!("git repository {url} is bigger than the limit of 4 KiB to transfer")
    );
    let error = refusal(|limits| limits.objects = 5).await;
    assert!(matches!(error, Error::TooBig { limit: Limit::Objects(5), .. }), "{error:?}");
    let error = refusal(|limits| limits.files = 3).await;
    assert!(matches!(error, Error::TooBig { limit: Limit::Files(3), .. }), "{error:?}");
    let error = refusal(|limits| limits.checkout_bytes = 1 << 20).await;
    assert!(matches!(error, Error::TooBig { limit: Limit::CheckoutBytes(_), .. }), "{error:?}");
    let error = refusal(|limits| limits.list_bytes = 100).await;
    assert!(matches!(error, Error::TooBig { limit: Limit::ListBytes(100), .. }), "{error:?}");

    checkout(&world, &Remote::new(&url).unwrap()).await.unwrap();
}

#[tokio::test]
async fn refuses_a_folder_with_files() {
    let world = World::new();
    world.repository("fleet");
    let server = GitServer::start(&world.root()).await.unwrap();
    let into = tempfile::tempdir_in(world.scratch.path()).unwrap();
    std::fs::write(into.path().join("mine.txt"), "mine").unwrap();

    let error = Remote::new(&server.url("fleet"))
        .unwrap()
        .checkout(&Reference::default(), &CheckoutOptions::default(), into.path())
        .await
        .unwrap_err();

    assert!(matches!(error, Error::NotEmpty { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn leaves_no_objects_behind() {
    let world = World::new();
    world.repository("fleet");
    let server = GitServer::start(&world.root()).await.unwrap();
    let scratch = tempfile::tempdir_in(world.scratch.path()).unwrap();
    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.options.scratch = Some(scratch.path().to_owned());

    checkout(&world, &remote).await.unwrap();
    remote.options.limits.files = 1;
    checkout(&world, &remote).await.unwrap_err();

    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}
