//! Certificates and keys from PEM.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Error, Item};

/// Returns all certificates of a text, and skips other blocks.
pub(crate) fn certificates(pem: &[u8], item: Item) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| Error::Pem { item, source })?;
    if certificates.is_empty() {
        return Err(Error::Missing(item));
    }
    Ok(certificates)
}

/// Returns the first private key of a text.
pub(crate) fn private_key(pem: &SecretString) -> Result<PrivateKeyDer<'static>, Error> {
    let text = pem.expose_secret();
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|source| match source {
        PemError::NoItemsFound => Error::Missing(Item::ClientKey),
        source => Error::Pem { item: Item::ClientKey, source },
    })
}
