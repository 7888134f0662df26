//! Which servers a client connects to.

use crate::server::{Server, connect};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use testkit::certificate::{Authority, Issued};
use tls::{Authorities, Options};

fn trusting(pem: String) -> Options {
    let ca = Authorities { pem: pem.into_bytes(), with_system: false };
    Options { ca: Some(ca), ..Options::default() }
}

/// Connects, and returns the error with its causes.
async fn refusal(server: &Server, name: &str, options: &Options) -> String {
    connect(server, name, options).await.expect_err("the server is refused").to_string()
}

#[tokio::test]
async fn accepts_a_server_of_a_given_authority() {
    let authority = Authority::new().unwrap();
    let server = Server::start(&authority.issue("git.example.com").unwrap(), None).await;

    connect(&server, "git.example.com", &trusting(authority.pem())).await.unwrap();
}

#[tokio::test]
async fn keeps_trusting_the_system_when_told_to() {
    let authority = Authority::new().unwrap();
    let server = Server::start(&authority.issue("git.example.com").unwrap(), None).await;
    let mut options = trusting(authority.pem());
    options.ca.as_mut().unwrap().with_system = true;

    connect(&server, "git.example.com", &options).await.unwrap();
}

#[tokio::test]
async fn refuses_a_server_of_another_authority() {
    let server =
        Server::start(&Authority::new().unwrap().issue("git.example.com").unwrap(), None).await;

    let error =
        refusal(&server, "git.example.com", &trusting(Authority::new().unwrap().pem())).await;
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn refuses_a_server_under_another_name() {
    let authority = Authority::new().unwrap();
    let server = Server::start(&authority.issue("git.example.com").unwrap(), None).await;

    let error = refusal(&server, "other.example.com", &trusting(authority.pem())).await;
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn accepts_a_given_authority_as_the_server_itself() {
    let certificate = Issued::by_itself("git.example.com", |_| {}).unwrap();
    let pem = certificate.pem();
    let server = Server::start(&certificate, None).await;

    connect(&server, "git.example.com", &trusting(pem)).await.unwrap();
}

#[tokio::test]
async fn refuses_a_given_authority_under_another_name() {
    let certificate = Issued::by_itself("git.example.com", |_| {}).unwrap();
    let pem = certificate.pem();
    let server = Server::start(&certificate, None).await;

    let error = refusal(&server, "other.example.com", &trusting(pem)).await;
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn refuses_a_given_authority_out_of_its_dates() {
    let expired = Issued::by_itself("git.example.com", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    })
    .unwrap();
    let pem = expired.pem();
    let server = Server::start(&expired, None).await;
    let error = refusal(&server, "git.example.com", &trusting(pem)).await;
    assert!(error.contains("expired"), "{error}");

    let future = Issued::by_itself("git.example.com", |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(3000, 1, 1);
    })
    .unwrap();
    let pem = future.pem();
    let server = Server::start(&future, None).await;
    let error = refusal(&server, "git.example.com", &trusting(pem)).await;
    assert!(error.contains("not valid yet"), "{error}");
}

#[tokio::test]
async fn refuses_an_authority_that_was_not_given_as_the_server_itself() {
    let given = Issued::by_itself("git.example.com", |_| {}).unwrap();
    let server = Server::start(&Issued::by_itself("git.example.com", |_| {}).unwrap(), None).await;

    let error = refusal(&server, "git.example.com", &trusting(given.pem())).await;
    assert!(error.contains("CaUsedAsEndEntity"), "{error}");
}

#[tokio::test]
async fn refuses_a_certificate_for_clients_alone() {
    let authority = Authority::new().unwrap();
    let issued = authority
        .issue_as("git.example.com", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
        .unwrap();
    let server = Server::start(&issued, None).await;

    let error = refusal(&server, "git.example.com", &trusting(authority.pem())).await;
    assert!(error.contains("extended key usage"), "{error}");
}

#[tokio::test]
async fn accepts_anything_without_verification() {
    let server =
        Server::start(&Authority::new().unwrap().issue("git.example.com").unwrap(), None).await;
    let options = Options { insecure_skip_verify: true, ..Options::default() };

    connect(&server, "other.example.com", &options).await.unwrap();
}

#[tokio::test]
async fn configures_an_http_client() {
    let authority = Authority::new().unwrap();
    let server = Server::start(&authority.issue("localhost").unwrap(), None).await;
    let config = trusting(authority.pem()).http_config().unwrap();
    let client = reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap();

    let url = format!("https://localhost:{}/", server.address.port());
    let text = client.get(url).send().await.unwrap().text().await.unwrap();

    assert_eq!(text, "hello");
}
