//! Servers over ssh.

use std::{error::Error as _, time::Duration};

use crate::world::World;
use git::{Auth, CheckoutOptions, Error, Reference, Remote, SshAuth, SshError};
use secrecy::SecretString;
use testkit::ssh_server::{Key, SshServer};

fn auth(identity: String, known_hosts: String) -> Auth {
    Auth::Ssh(SshAuth { identity: SecretString::from(identity), passphrase: None, known_hosts })
}

/// Returns a repository on a server that knows the key.
fn remote(server: &SshServer, key: &Key) -> anyhow::Result<Remote> {
    let mut remote = Remote::new(&server.url("fleet"))?;
    remote.auth = auth(key.private()?, server.known_hosts()?);
    Ok(remote)
}

async fn checkout(world: &World, remote: &Remote) -> Result<(), Error> {
    let options = CheckoutOptions::default();
    world.checkout_with(remote, &Reference::default(), &options).await.map(drop)
}

/// Checks out, and returns why the two sides did not come together.
async fn refusal(world: &World, remote: &Remote) -> SshError {
    match checkout(world, remote).await {
        Err(Error::Ssh { source, .. }) => source,
        other => SshError::Protocol(format!("expected a refusal, not {other:?}").into()),
    }
}

#[tokio::test]
async fn checks_out_as_git_does() {
    let world = World::new();
    let repository = world.repository("fleet");
    repository.annotated_tag("v1.0.0", "Release").unwrap();
    let first = repository.rev_parse("HEAD").unwrap();
    repository.commit_at("Build a", "@1700000100 +0000").unwrap();
    repository.tag("2.0.0+a").unwrap();
    repository.commit_at("Build b", "@1700000000 +0000").unwrap();
    repository.tag("2.0.0+b").unwrap();
    let key = Key::ed25519().unwrap();
    let builder = SshServer::builder(&world.root()).unwrap().authorize(&key);

    for server in [
        builder.clone().start().await.unwrap(),
        builder.only_oldest_protocol().start().await.unwrap(),
    ] {
        let remote = remote(&server, &key).unwrap();
        for (reference, revision) in [
            (Reference::default(), "origin/master"),
            (Reference::branch("feature/x"), "origin/feature/x"),
            (Reference::tag("v1.0.0"), "v1.0.0"),
            (Reference::semver("2.x"), "2.0.0+a"),
            (Reference::commit(&first), "v1.0.0"),
            (Reference { branch: Some("master".into()), ..Reference::commit(&first) }, "v1.0.0"),
        ] {
            let options = CheckoutOptions::default();
            let (_, tree) = world.checkout_with(&remote, &reference, &options).await.unwrap();
            assert_eq!(tree, world.cloned(&repository, revision), "{revision}");
        }
        let resolved = remote.resolve(&Reference::tag("v1.0.0")).await.unwrap();
        assert_eq!(resolved.revision.commit, first);
        assert_eq!(server.log()[..2], ["user git", "git-upload-pack '/fleet'"]);
    }
}

#[tokio::test]
async fn takes_the_user_from_the_url_and_unusual_paths() {
    let world = World::new();
    world.repository("it's a fleet");
    let key = Key::ed25519().unwrap();
    let server = SshServer::builder(&world.root()).unwrap().authorize(&key).start().await.unwrap();
    let url = server.url("it%27s%20a%20fleet").replace("git@", "alice:ignored@");
    let mut remote = Remote::new(&url).unwrap();
    remote.auth = auth(key.private().unwrap(), server.known_hosts().unwrap());

    // The server of the tests does not unquote; what it is asked for is what counts.
    checkout(&world, &remote).await.unwrap_err();

    assert_eq!(server.log(), ["user alice", r"git-upload-pack '/it'\''s a fleet'"]);
}

#[tokio::test]
async fn works_with_rsa_keys_on_both_sides() {
    let world = World::new();
    world.repository("fleet");
    let (host, user) = (Key::rsa().unwrap(), Key::rsa().unwrap());
    let server = SshServer::builder(&world.root())
        .unwrap()
        .host_key(&host)
        .authorize(&user)
        .start()
        .await
        .unwrap();
    assert!(server.known_hosts().unwrap().contains("ssh-rsa"));

    checkout(&world, &remote(&server, &user).unwrap()).await.unwrap();
}

#[tokio::test]
async fn opens_an_encrypted_key_with_its_passphrase() {
    let world = World::new();
    world.repository("fleet");
    let key = Key::ed25519().unwrap();
    let server = SshServer::builder(&world.root()).unwrap().authorize(&key).start().await.unwrap();
    let mut remote = remote(&server, &key).unwrap();
    let mut ssh = SshAuth {
        identity: SecretString::from(key.encrypted("sesame").unwrap()),
        passphrase: Some(SecretString::from("sesame".to_owned())),
        known_hosts: server.known_hosts().unwrap(),
    };

    remote.auth = Auth::Ssh(ssh.clone());
    checkout(&world, &remote).await.unwrap();

    ssh.passphrase = None;
    remote.auth = Auth::Ssh(ssh.clone());
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::EncryptedKey), "{error:?}");

    ssh.passphrase = Some(SecretString::from("wrong".to_owned()));
    remote.auth = Auth::Ssh(ssh);
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::WrongPassphrase), "{error:?}");

    remote.auth = auth("no key at all".into(), server.known_hosts().unwrap());
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::InvalidKey(_)), "{error:?}");
    assert!(!format!("{:?}", remote.auth).contains("no key at all"));
}

#[tokio::test]
async fn refuses_a_server_that_is_not_known() {
    let world = World::new();
    world.repository("fleet");
    let (key, other) = (Key::ed25519().unwrap(), Key::ed25519().unwrap());
    let server = SshServer::builder(&world.root()).unwrap().authorize(&key).start().await.unwrap();
    let mut remote = remote(&server, &key).unwrap();
    let (identity, own) = (key.private().unwrap(), server.known_hosts().unwrap());
    let host = format!("[localhost]:{}", server.port());

    remote.auth = auth(identity.clone(), String::new());
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::UnknownHost { .. }), "{error:?}");

    remote.auth = auth(identity.clone(), format!("{host} {}\n", other.public().unwrap()));
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::KeyMismatch { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("knownhosts: key mismatch: {host} shows")));

    remote.auth = auth(identity.clone(), format!("{own}@revoked * {}\n", &own[host.len() + 1..]));
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::RevokedKey { .. }), "{error:?}");

    remote.auth = auth(identity, "localhost\n".into());
    let error = refusal(&world, &remote).await;
    let reason = error.source().map(ToString::to_string);
    assert_eq!(reason.as_deref(), Some("line 1: expected hosts, a key type and a key"));

    assert!(server.log().is_empty(), "nobody logged in");
}

#[tokio::test]
async fn says_when_the_server_does_not_let_it_in() {
    let world = World::new();
    world.repository("fleet");
    let (key, other) = (Key::ed25519().unwrap(), Key::ed25519().unwrap());
    let server =
        SshServer::builder(&world.root()).unwrap().authorize(&other).start().await.unwrap();

    let error = refusal(&world, &remote(&server, &key).unwrap()).await;

    assert!(matches!(&error, SshError::Refused { user } if user == "git"), "{error:?}");
}

#[tokio::test]
async fn offers_the_algorithms_of_the_options() {
    let world = World::new();
    world.repository("fleet");
    let key = Key::ed25519().unwrap();
    let server = SshServer::builder(&world.root()).unwrap().authorize(&key).start().await.unwrap();
    let mut remote = remote(&server, &key).unwrap();

    remote.options.kex_algorithms = vec!["curve25519-sha256".into()];
    remote.options.host_key_algorithms = vec!["ssh-ed25519".into()];
    checkout(&world, &remote).await.unwrap();

    remote.options.host_key_algorithms = vec!["ecdsa-sha2-nistp256".into()];
    let error = refusal(&world, &remote).await;
    assert!(matches!(&error, SshError::NoCommonAlgorithm { kind: "host key", .. }), "{error:?}");

    remote.options.kex_algorithms = vec!["diffie-hellman-none".into()];
    let error = refusal(&world, &remote).await;
    assert!(matches!(error, SshError::UnknownAlgorithm { .. }), "{error:?}");
}

#[tokio::test]
async fn says_what_the_server_says() {
    let world = World::new();
    world.repository("fleet");
    let key = Key::ed25519().unwrap();
    let builder = SshServer::builder(&world.root()).unwrap().authorize(&key);

    let server = builder.clone().start().await.unwrap();
    let mut missing = Remote::new(&server.url("none")).unwrap();
    missing.auth = auth(key.private().unwrap(), server.known_hosts().unwrap());
    let error = checkout(&world, &missing).await.unwrap_err();
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");

    let server = builder.clone().refuse("ERROR: Repository not found.\n").start().await.unwrap();
    let error = checkout(&world, &remote(&server, &key).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");

    let server = builder.refuse("Your account\nis locked.\n").start().await.unwrap();
    let error = checkout(&world, &remote(&server, &key).unwrap()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { message, .. } if message == "Your account is locked."),
        "{error:?}"
    );
}

#[tokio::test]
async fn wants_the_right_kind_of_credentials() {
    let world = World::new();
    let key = Key::ed25519().unwrap();
    let server = SshServer::builder(&world.root()).unwrap().authorize(&key).start().await.unwrap();

    let error = checkout(&world, &Remote::new(&server.url("fleet")).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidCredentials { .. }), "{error:?}");

    let mut http = Remote::new("http://localhost/fleet").unwrap();
    http.auth = auth(key.private().unwrap(), String::new());
    let error = checkout(&world, &http).await.unwrap_err();
    assert!(matches!(error, Error::InvalidCredentials { .. }), "{error:?}");
}

#[tokio::test]
async fn ends_in_time_when_a_server_says_nothing() {
    let world = World::new();
    let key = Key::ed25519().unwrap();
    // Connections are accepted by the system, and nobody takes them up.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut remote = Remote::new(&format!("ssh://git@localhost:{port}/fleet")).unwrap();
    remote.auth = auth(key.private().unwrap(), String::new());
    remote.options.timeout = Duration::from_millis(500);

    let error = checkout(&world, &remote).await.unwrap_err();

    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}
