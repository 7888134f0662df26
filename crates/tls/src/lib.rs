//! The one TLS client configuration.
//!
//! Everything that speaks TLS to a server outside, be it Git, a registry or a bucket, gets its
//! [`rustls::ClientConfig`] here, so that a certificate that one of them accepts is accepted by
//! all. The cryptography is that of aws-lc, and the protocol TLS 1.2 or 1.3.
//!
//! ```
//! let options = tls::Options { ca: None, ..tls::Options::default() };
//! let config = options.http_config()?;
//! # Ok::<_, tls::Error>(())
//! ```
//!
//! `reqwest::ClientBuilder::tls_backend_preconfigured` takes what [`Options::http_config`] returns.

mod error;
mod pem;
mod verifier;

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, RootCertStore,
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
};
use secrecy::SecretString;

pub use error::{Error, Item};
use verifier::{Blind, SelfSigned};

/// What a client trusts, and how it identifies itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Certificate authorities beside, or in place of, those of the system.
    pub ca: Option<Authorities>,
    /// The certificate that the client shows where a server asks for one.
    pub client: Option<ClientCertificate>,
    /// Accepts every server certificate. Whoever is on the way can then read and change
    /// everything that is sent.
    pub insecure_skip_verify: bool,
}

/// Certificate authorities.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// One or more certificates in PEM.
    pub pem: Vec<u8>,
    /// Whether those of the system are trusted as well.
    pub with_system: bool,
}

/// A certificate and its private key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its root, in PEM.
    pub certificates: Vec<u8>,
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: SecretString,
}

impl Options {
    /// Returns the configuration for a protocol of any kind.
    ///
    /// # Errors
    ///
    /// When a certificate or key cannot be read, or they do not belong together.
    pub fn client_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(system_roots, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some(client) = &self.client else { return Ok(builder.with_no_client_auth()) };
        let certificates = pem::certificates(&client.certificates, Item::ClientCertificate)?;
        let key = pem::private_key(&client.key)?;
        builder.with_client_auth_cert(certificates, key).map_err(|source| match source {
            rustls::Error::InconsistentKeys(_) => Error::KeyMismatch,
            source => Error::ClientCertificate(source),
        })
    }

    /// Returns the configuration for HTTP: it offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    ///
    /// As for [`Self::client_config`].
    pub fn http_config(&self) -> Result<ClientConfig, Error> {
        let mut config = self.client_config()?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(
        &self,
        system_roots: impl FnOnce() -> &'static [CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        if self.insecure_skip_verify {
            return Ok(Arc::new(Blind::trusting(provider)));
        }
        let mut roots = RootCertStore::empty();
        let given = match &self.ca {
            Some(ca) => pem::certificates(&ca.pem, Item::Authority)?,
            None => Vec::new(),
        };
        for certificate in &given {
            roots.add(certificate.clone()).map_err(Error::Authority)?;
        }
        if self.ca.as_ref().is_none_or(|ca| ca.with_system) {
            // The system's list is not ours to complain about: one that cannot be read is as good
            // as none.
            roots.add_parsable_certificates(system_roots().iter().cloned());
        }
        if roots.is_empty() {
            // Not an error yet: a client of plain http needs none.
            return Ok(Arc::new(Blind::refusing(provider)));
        }
        Ok(Arc::new(SelfSigned::new(roots, given, Arc::clone(provider))?))
    }
}

/// Returns the certificate authorities of the system, which are read once.
fn system_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    #[test]
    fn refuses_every_server_where_nobody_is_trusted() {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Options::default().verifier(|| &[], &provider).unwrap();
        let name = ServerName::try_from("example.com").unwrap();

        let refusal = verifier.verify_server_cert(
            &CertificateDer::from_slice(b"any"),
            &[],
            &name,
            &[],
            UnixTime::now(),
        );

        assert!(refusal.unwrap_err().to_string().contains("no CA certificates"));
    }
}
