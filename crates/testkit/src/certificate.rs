//! Certificate authorities and what they issue.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::PrivateKeyDer,
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// A certificate authority of one test.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its private key.
pub struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    /// Creates an authority that nobody knows yet.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Returns the authority's certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Issues a certificate for a host name or IP address, or for a client.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in a certificate.
    pub fn issue(&self, name: &str) -> anyhow::Result<Issued> {
        self.issue_as(name, |_| {})
    }

    /// Issues a certificate that differs from the usual one.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in a certificate.
    pub fn issue_as(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        change(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate, key })
    }
}

impl Issued {
    /// Creates a certificate that is its own authority, as servers on premises often have one.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in a certificate.
    pub fn by_itself(
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate, key })
    }

    /// Returns the certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns the private key.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Returns the configuration of a server that shows the certificate, and, given an authority,
    /// serves only clients that it has issued a certificate to.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be used.
    pub fn server_config(&self, clients: Option<&Authority>) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients: Arc<dyn ClientCertVerifier> = match clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.der().clone())?;
                let roots = Arc::new(roots);
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?
            }
            None => Arc::new(NoClientAuth),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.certificate.der().clone()], key)?;
        Ok(Arc::new(config))
    }
}
