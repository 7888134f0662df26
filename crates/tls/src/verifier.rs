//! Which server certificates are accepted.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::Error;

/// Verifies as rustls does, but also accepts a given authority as the server's own certificate.
///
/// Servers on premises often have one self-signed certificate, marked as an authority, that is
/// handed out as "the CA" as well. Go and OpenSSL accept it; rustls refuses every authority as a
/// server with `CaUsedAsEndEntity`. Only byte-equal certificates are let through, and their name
/// and dates have to be right.
#[derive(Debug)]
pub(crate) struct SelfSigned {
    verifier: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl SelfSigned {
    pub(crate) fn new(
        roots: RootCertStore,
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|source| {
                Error::Unusable(rustls::Error::Other(OtherError(Arc::new(source))))
            })?;
        Ok(Self { verifier, given })
    }
}

impl ServerCertVerifier for SelfSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(err) if is_authority(&err) && self.given.iter().any(|ca| ca == end_entity) => {
                // The dates come before what this error is about, so they have been checked; the
                // name has not. A test holds the library to that order.
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Returns whether a certificate was refused because it is that of an authority.
fn is_authority(err: &rustls::Error) -> bool {
    // rustls has no variant of its own for it, and passes on that of the library below.
    matches!(
        err,
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(source)))
            if matches!(source.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
    )
}

/// Accepts every certificate, or none; that the server has its key is checked all the same.
#[derive(Debug)]
pub(crate) struct Blind {
    trusts: bool,
    provider: Arc<CryptoProvider>,
}

impl Blind {
    /// Returns what accepts every certificate.
    pub(crate) fn trusting(provider: &Arc<CryptoProvider>) -> Self {
        Self { trusts: true, provider: Arc::clone(provider) }
    }

    /// Returns what accepts no certificate, because there is no authority to trust.
    pub(crate) fn refusing(provider: &Arc<CryptoProvider>) -> Self {
        Self { trusts: false, provider: Arc::clone(provider) }
    }
}

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trusts {
            return Ok(ServerCertVerified::assertion());
        }
        let message = "no CA certificates: none were given, and the system has none";
        Err(rustls::Error::General(message.to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
