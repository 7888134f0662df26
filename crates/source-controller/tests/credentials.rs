//! Secrets: what they give access to, and what is wrong with them.

use crate::support::{World, is_true, message};
use serde_json::{Value, json};
use testkit::certificate::Authority;
use testkit::git_server::GitServer;
use testkit::proxy::ProxyServer;
use testkit::ssh_server::{Key, SshServer};

/// Creates a Secret and a GitRepository that uses it.
async fn create(world: &World, name: &str, url: &str, data: Value) {
    world.create_secret(name, data).await;
    world.create(name, json!({"url": url, "secretRef": {"name": name}})).await;
}

#[tokio::test]
async fn gives_user_and_password_or_a_token() {
    let world = World::start().await;
    let builder = || GitServer::builder(world.repositories());
    let basic = builder().basic_auth("me", "secret").start().await.unwrap();
    let bearer = builder().bearer_auth("token").start().await.unwrap();
    let data = json!({"username": "me", "password": "secret"});
    create(&world, "basic", &basic.url("repo"), data).await;
    create(&world, "bearer", &bearer.url("repo"), json!({"bearerToken": "token"})).await;
    let url = basic.url("repo").replace("http://", "http://me:secret@");
    world.create("url", json!({"url": url})).await;
    for name in ["basic", "bearer", "url"] {
        world.until_ready(name).await;
    }
}

#[tokio::test]
async fn tells_credentials_that_are_refused_without_showing_them() {
    let world = World::start().await;
    let server = GitServer::builder(world.repositories());
    let server = server.basic_auth("me", "secret").start().await.unwrap();
    let data = json!({"username": "me", "password": "hunter2"});
    create(&world, "wrong", &server.url("repo"), data).await;
    world.create("none", json!({"url": server.url("repo")})).await;
    let url = server.url("repo").replace("http://", "http://me:hunter2@");
    world.create("url", json!({"url": url})).await;
    for name in ["wrong", "none", "url"] {
        let obj = world.until_failed(name, "GitOperationFailed").await;
        let text = message(&obj, "Ready");
        assert!(text.contains("authentication required"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn trusts_the_authority_and_shows_the_certificate_of_the_secret() {
    let world = World::start().await;
    let authority = Authority::new().unwrap();
    let issued = authority.issue("localhost").unwrap();
    let builder = GitServer::builder(world.repositories()).tls(&issued, Some(&authority)).unwrap();
    let server = builder.start().await.unwrap();
    let client = authority.issue("client").unwrap();
    let url = server.url("repo");
    let data = json!({
        "ca.crt": authority.pem(), "tls.crt": client.pem(), "tls.key": client.key_pem(),
    });
    create(&world, "both", &url, data).await;
    create(&world, "authority", &url, json!({"ca.crt": authority.pem()})).await;
    create(&world, "broken", &url, json!({"ca.crt": "nonsense"})).await;
    world.create("none", json!({"url": url})).await;
    world.until_ready("both").await;
    for name in ["authority", "broken", "none"] {
        let obj = world.until_failed(name, "GitOperationFailed").await;
        assert!(is_true(&obj, "FetchFailed"), "{name}");
    }
}

#[tokio::test]
async fn tells_secrets_that_are_missing_or_do_not_fit() {
    let world = World::start().await;
    let url = world.server.url("repo");
    world.create("missing", json!({"secretRef": {"name": "nope"}})).await;
    create(&world, "password", &url, json!({"password": "hunter2"})).await;
    world.create("proxy", json!({"proxySecretRef": {"name": "password"}})).await;
    for (name, part) in [
        ("missing", "nope': secrets \"nope\" not found"),
        ("password", "'password' requires 'username' to be set"),
        ("proxy", "failed to configure proxy options: secret"),
    ] {
        let obj = world.until_failed(name, "AuthenticationFailed").await;
        let text = message(&obj, "FetchFailed");
        assert!(text.contains(part), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let data = json!({"githubAppID": "1", "githubAppPrivateKey": "x"});
    create(&world, "github", &url, data).await;
    let obj = world.until_failed("github", "InvalidProviderConfiguration").await;
    let text = message(&obj, "FetchFailed");
    assert!(text.contains("has github app data but provider is not set to github"), "{text}");
}

#[tokio::test]
async fn goes_on_once_a_missing_secret_is_there() {
    let world = World::start().await;
    let server = GitServer::builder(world.repositories());
    let server = server.basic_auth("me", "secret").start().await.unwrap();
    let spec = json!({"url": server.url("repo"), "secretRef": {"name": "auth"}});
    world.create("app", spec).await;
    world.until_failed("app", "AuthenticationFailed").await;
    world.create_secret("auth", json!({"username": "me", "password": "secret"})).await;
    world.until_ready("app").await;
}

#[tokio::test]
async fn shows_a_private_key_to_a_known_host() {
    let world = World::start().await;
    let (key, stranger) = (Key::ed25519().unwrap(), Key::ed25519().unwrap());
    let server = SshServer::builder(world.repositories()).unwrap().authorize(&key);
    let server = server.start().await.unwrap();
    let url = server.url("repo");
    let known_hosts = server.known_hosts().unwrap();
    let data = |identity: String, known_hosts: &str| json!({"identity": identity, "known_hosts": known_hosts});
    create(&world, "key", &url, data(key.private().unwrap(), &known_hosts)).await;
    let mut encrypted = data(key.encrypted("phrase").unwrap(), &known_hosts);
    encrypted["password"] = "phrase".into();
    create(&world, "encrypted", &url, encrypted).await;
    for name in ["key", "encrypted"] {
        world.until_ready(name).await;
    }

    let other = format!("[localhost]:{} {}", server.port(), stranger.public().unwrap());
    create(&world, "mismatch", &url, data(key.private().unwrap(), &other)).await;
    let elsewhere = format!("example.com {}", stranger.public().unwrap());
    create(&world, "unknown", &url, data(key.private().unwrap(), &elsewhere)).await;
    create(&world, "stranger", &url, data(stranger.private().unwrap(), &known_hosts)).await;
    create(&world, "locked", &url, data(key.encrypted("phrase").unwrap(), &known_hosts)).await;
    create(&world, "broken", &url, data("nonsense".to_owned(), &known_hosts)).await;
    world.create("none", json!({"url": url})).await;
    let locked = format!(
        "SSH identity key is encrypted but no 'password' field was provided in the secret '{}/locked'",
        world.namespace
    );
    for (name, reason, part) in [
        ("mismatch", "GitOperationFailed", "knownhosts: key mismatch"),
        ("unknown", "GitOperationFailed", "knownhosts: key is unknown"),
        ("stranger", "GitOperationFailed", "unable to authenticate"),
        ("broken", "GitOperationFailed", "failed to parse the private key"),
        ("locked", "AuthenticationFailed", locked.as_str()),
        ("none", "AuthenticationFailed", "'identity' is required"),
    ] {
        let obj = world.until_failed(name, reason).await;
        let text = message(&obj, "FetchFailed");
        assert!(text.contains(part), "{name}: {text}");
    }
}

#[tokio::test]
async fn goes_through_the_proxy_of_the_secret() {
    let world = World::start().await;
    let proxy = ProxyServer::http(Some(("me", "secret"))).await.unwrap();
    let data = json!({"address": proxy.address(), "username": "me", "password": "secret"});
    world.create_secret("proxy", data).await;
    let data = json!({"address": proxy.address(), "username": "me", "password": "hunter2"});
    world.create_secret("wrong", data).await;
    for name in ["proxy", "wrong"] {
        world.create(name, json!({"proxySecretRef": {"name": name}})).await;
    }
    world.until_ready("proxy").await;
    assert!(!proxy.targets().is_empty());
    let obj = world.until_failed("wrong", "GitOperationFailed").await;
    assert!(!message(&obj, "Ready").contains("hunter2"), "{}", message(&obj, "Ready"));
}
