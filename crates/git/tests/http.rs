//! Servers over http and https, as they should be and as they are.

use crate::world::World;
use git::{Auth, CheckoutOptions, Error, Reference, Remote};
use secrecy::SecretString;
use testkit::{
    certificate::{Authority, Issued},
    git_server::GitServer,
};
use tls::{Authorities, ClientCertificate};

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn basic(username: &str, password: &str) -> Auth {
    Auth::Basic { username: username.into(), password: secret(password) }
}

fn trusting(pem: String) -> tls::Options {
    let ca = Authorities { pem: pem.into_bytes(), with_system: true };
    tls::Options { ca: Some(ca), ..tls::Options::default() }
}

async fn checkout(world: &World, remote: &Remote) -> Result<(), Error> {
    let options = CheckoutOptions::default();
    world.checkout_with(remote, &Reference::default(), &options).await.map(drop)
}

/// Returns an error with its causes, as it is shown.
fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn identifies_itself_with_user_and_password() {
    let world = World::new();
    world.repository("fleet");
    let server =
        GitServer::builder(&world.root()).basic_auth("flux", "p@ss:wörd").start().await.unwrap();

    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.auth = basic("flux", "p@ss:wörd");
    checkout(&world, &remote).await.unwrap();

    remote.auth = basic("flux", "wrong");
    let error = checkout(&world, &remote).await.unwrap_err();
    assert!(matches!(error, Error::Authentication { status: 401, .. }), "{error:?}");

    remote.auth = Auth::None;
    let error = checkout(&world, &remote).await.unwrap_err();
    assert!(matches!(error, Error::Authentication { status: 401, .. }), "{error:?}");
}

#[tokio::test]
async fn takes_user_and_password_from_the_url_and_never_shows_them() {
    let world = World::new();
    world.repository("fleet");
    let server =
        GitServer::builder(&world.root()).basic_auth("flux", "p@ss").start().await.unwrap();
    let url = server.url("fleet");

    let with_password = url.replace("http://", "http://flux:p%40ss@");
    checkout(&world, &Remote::new(&with_password).unwrap()).await.unwrap();

    let with_wrong_password = url.replace("http://", "http://flux:hush@");
    let remote = Remote::new(&with_wrong_password).unwrap();
    let error = checkout(&world, &remote).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("authentication required by {url}: the server answered 401")
    );
    assert!(!format!("{error:?}").contains("hush"));
}

#[tokio::test]
async fn identifies_itself_with_a_token() {
    let world = World::new();
    world.repository("fleet");
    let server = GitServer::builder(&world.root()).bearer_auth("token").start().await.unwrap();

    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.auth = Auth::Bearer(secret("token"));
    checkout(&world, &remote).await.unwrap();

    remote.auth = Auth::Bearer(secret("new\nline"));
    let error = checkout(&world, &remote).await.unwrap_err();
    assert!(matches!(error, Error::InvalidCredentials { .. }), "{error:?}");
}

#[tokio::test]
async fn names_itself_to_the_server() {
    let world = World::new();
    world.repository("fleet");
    let server = GitServer::start(&world.root()).await.unwrap();
    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.options.user_agent = "flux/v2".into();

    checkout(&world, &remote).await.unwrap();

    let requests = server.requests();
    assert_eq!(requests.len(), 3, "advertisement, list and pack");
    assert!(requests.iter().all(|request| request.headers["user-agent"] == "flux/v2"));
}

#[tokio::test]
async fn trusts_a_given_authority() {
    let world = World::new();
    world.repository("fleet");
    let authority = Authority::new().unwrap();
    let issued = authority.issue("localhost").unwrap();
    let server =
        GitServer::builder(&world.root()).tls(&issued, None).unwrap().start().await.unwrap();

    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    let error = checkout(&world, &remote).await.unwrap_err();
    assert!(chain(&error).contains("certificate"), "{}", chain(&error));

    remote.tls = trusting(authority.pem());
    checkout(&world, &remote).await.unwrap();
    let versions: Vec<String> =
        server.requests().iter().map(|request| format!("{:?}", request.version)).collect();
    assert_eq!(versions, ["HTTP/2.0"; 3]);

    remote.tls = trusting("no certificate".into());
    let error = checkout(&world, &remote).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn trusts_a_server_that_is_its_own_authority() {
    let world = World::new();
    world.repository("fleet");
    let issued = Issued::by_itself("localhost", |_| {}).unwrap();
    let server =
        GitServer::builder(&world.root()).tls(&issued, None).unwrap().start().await.unwrap();

    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.tls = trusting(issued.pem());

    checkout(&world, &remote).await.unwrap();
}

#[tokio::test]
async fn shows_a_client_certificate() {
    let world = World::new();
    world.repository("fleet");
    let authority = Authority::new().unwrap();
    let issued = authority.issue("localhost").unwrap();
    let server = GitServer::builder(&world.root())
        .tls(&issued, Some(&authority))
        .unwrap()
        .start()
        .await
        .unwrap();

    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.tls = trusting(authority.pem());
    checkout(&world, &remote).await.unwrap_err();

    let client = authority.issue("controller").unwrap();
    remote.tls.client = Some(ClientCertificate {
        certificates: client.pem().into_bytes(),
        key: secret(&client.key_pem()),
    });
    checkout(&world, &remote).await.unwrap();
}

#[tokio::test]
async fn follows_a_redirect_without_taking_the_password_along() {
    let world = World::new();
    world.repository("fleet");
    let target = GitServer::start(&world.root()).await.unwrap();
    let server = GitServer::builder(&world.root()).redirect(&target.url("")).start().await.unwrap();
    let mut remote = Remote::new(&server.url("fleet")).unwrap();
    remote.auth = basic("flux", "secret");

    checkout(&world, &remote).await.unwrap();

    assert_eq!(server.requests().len(), 1, "the rest goes to the target at once");
    assert!(server.requests()[0].headers.contains_key("authorization"));
    assert_eq!(target.requests().len(), 3);
    assert!(target.requests().iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn takes_the_password_along_within_a_server() {
    let world = World::new();
    world.repository("fleet");
    let server = GitServer::builder(&world.root())
        .basic_auth("flux", "secret")
        .moved("/old", "/fleet")
        .start()
        .await
        .unwrap();
    let mut remote = Remote::new(&server.url("old")).unwrap();
    remote.auth = basic("flux", "secret");

    checkout(&world, &remote).await.unwrap();
}

#[tokio::test]
async fn refuses_redirects_that_lead_nowhere_good() {
    let world = World::new();
    world.repository("fleet");
    let authority = Authority::new().unwrap();
    let issued = authority.issue("localhost").unwrap();
    let plain = GitServer::start(&world.root()).await.unwrap();

    for (to, reason) in [
        (plain.url(""), "it leads from https to http"),
        ("file:///etc".to_owned(), "it does not lead to https or http"),
        ("https://example.com/login?next=".to_owned(), "it does not lead to a repository"),
    ] {
        let server = GitServer::builder(&world.root())
            .tls(&issued, None)
            .unwrap()
            .redirect(&to)
            .start()
            .await
            .unwrap();
        let mut remote = Remote::new(&server.url("fleet")).unwrap();
        remote.tls = trusting(authority.pem());

        let error = checkout(&world, &remote).await.unwrap_err();

        assert!(
            matches!(&error, Error::Redirect { reason: actual, .. } if *actual == reason),
            "{error:?}"
        );
    }
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn ends_a_circle_of_redirects() {
    let world = World::new();
    let server = GitServer::builder(&world.root()).redirect("").start().await.unwrap();

    let remote = Remote::new(&server.url("fleet")).unwrap();
    let error = checkout(&world, &remote).await.unwrap_err();

    assert!(
        matches!(error, Error::Redirect { reason: "there are too many redirects", .. }),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn says_when_a_page_answers_instead_of_git() {
    let world = World::new();
    let server = GitServer::builder(&world.root()).html().start().await.unwrap();
    let url = server.url("fleet");

    let error = checkout(&world, &Remote::new(&url).unwrap()).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        format!("{url} answered with text/html where Git's smart HTTP protocol was expected")
    );
}

#[tokio::test]
async fn says_what_a_server_answers() {
    let world = World::new();
    for (status, expected) in [
        (403, "authentication required by {url}: the server answered 403"),
        (404, "git repository {url} not found"),
        (500, "{url} answered with status 500"),
        (429, "{url} answered with status 429"),
    ] {
        let server = GitServer::builder(&world.root()).status(status).start().await.unwrap();
        let url = server.url("fleet");

        let error = checkout(&world, &Remote::new(&url).unwrap()).await.unwrap_err();

        assert_eq!(error.to_string(), expected.replace("{url}", &url));
    }
}

#[tokio::test]
async fn says_when_nobody_answers() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/fleet", listener.local_addr().unwrap());
    drop(listener);

    let error = checkout(&world, &Remote::new(&url).unwrap()).await.unwrap_err();

    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(chain(&error).contains("Connection refused"), "{}", chain(&error));
}

#[test]
fn refuses_what_is_no_url_of_a_repository() {
    for url in ["git@github.com:fluxcd/flux2", "ftp://example.com/x", "fleet", "https://", ""] {
        assert!(matches!(Remote::new(url), Err(Error::InvalidUrl { .. })), "{url}");
    }
}
