//! How a client identifies itself, and what is said of certificates that cannot be used.

use crate::server::{Server, connect};
use secrecy::SecretString;
use testkit::certificate::Authority;
use tls::{Authorities, ClientCertificate, Error, Item, Options};

fn options(authority: &Authority, client: Option<ClientCertificate>) -> Options {
    let ca = Authorities { pem: authority.pem().into_bytes(), with_system: false };
    Options { ca: Some(ca), client, insecure_skip_verify: false }
}

fn client_certificate(certificates: String, key: &str) -> ClientCertificate {
    let key = SecretString::from(key.to_owned());
    ClientCertificate { certificates: certificates.into_bytes(), key }
}

#[tokio::test]
async fn shows_the_client_certificate() {
    let authority = Authority::new().unwrap();
    let issued = authority.issue("git.example.com").unwrap();
    let server = Server::start(&issued, Some(&authority)).await;
    let client = authority.issue("controller").unwrap();
    let client = client_certificate(client.pem(), &client.key_pem());

    connect(&server, "git.example.com", &options(&authority, Some(client))).await.unwrap();
    assert!(connect(&server, "git.example.com", &options(&authority, None)).await.is_err());
}

#[test]
fn refuses_a_key_of_another_certificate() {
    let authority = Authority::new().unwrap();
    let (one, other) = (authority.issue("one").unwrap(), authority.issue("other").unwrap());
    let options = options(&authority, Some(client_certificate(one.pem(), &other.key_pem())));

    let error = options.client_config().unwrap_err();

    assert!(matches!(error, Error::KeyMismatch), "{error:?}");
}

#[test]
fn refuses_an_encrypted_key() {
    let authority = Authority::new().unwrap();
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let options = options(
        &authority,
        Some(client_certificate(authority.issue("client").unwrap().pem(), key)),
    );

    let error = options.client_config().unwrap_err();

    assert!(matches!(error, Error::EncryptedKey), "{error:?}");
}

#[test]
fn says_what_is_missing_or_broken() {
    let authority = Authority::new().unwrap();
    let issued = authority.issue("client").unwrap();

    let missing = options(&authority, Some(client_certificate(issued.pem(), "")));
    let error = missing.client_config().unwrap_err();
    assert!(matches!(error, Error::Missing(Item::ClientKey)), "{error:?}");

    let missing = options(&authority, Some(client_certificate(String::new(), &issued.key_pem())));
    let error = missing.client_config().unwrap_err();
    assert!(matches!(error, Error::Missing(Item::ClientCertificate)), "{error:?}");

    let broken = "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n";
    let ca = Authorities { pem: broken.into(), with_system: true };
    let error = Options { ca: Some(ca), ..Options::default() }.client_config().unwrap_err();
    assert!(matches!(error, Error::Pem { item: Item::Authority, .. }), "{error:?}");
    assert_eq!(error.to_string(), "failed to parse the CA certificate as PEM");

    let no_certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let ca = Authorities { pem: no_certificate.into(), with_system: true };
    let error = Options { ca: Some(ca), ..Options::default() }.client_config().unwrap_err();
    assert!(matches!(error, Error::Authority(_)), "{error:?}");
}

#[test]
fn hides_the_key() {
    let authority = Authority::new().unwrap();
    let issued = authority.issue("client").unwrap();
    let options = options(&authority, Some(client_certificate(issued.pem(), &issued.key_pem())));
    assert!(!format!("{options:?}").contains("PRIVATE KEY"));
}
