//! What can be wrong with certificates and keys.

use std::fmt;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not PEM, or broken.
    #[error("failed to parse the {item} as PEM")]
    Pem {
        /// What was to be read.
        item: Item,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The text is PEM, or empty, but holds nothing of the kind.
    #[error("the {0} holds no PEM block of that kind")]
    Missing(Item),
    /// The private key has a passphrase, and nothing to open it with.
    #[error("the client key is encrypted: give it without a passphrase")]
    EncryptedKey,
    /// The private key is not that of the certificate.
    #[error("the client key does not belong to the client certificate")]
    KeyMismatch,
    /// The client certificate or key is of a kind that cannot be used.
    #[error("failed to use the client certificate and key")]
    ClientCertificate(#[source] rustls::Error),
    /// A certificate of the authorities is broken.
    #[error("failed to use the CA certificate")]
    Authority(#[source] rustls::Error),
    /// What was given makes no configuration.
    #[error("failed to configure TLS")]
    Unusable(#[source] rustls::Error),
}

/// A part of the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Certificate authorities.
    Authority,
    /// The client's certificate.
    ClientCertificate,
    /// The client's private key.
    ClientKey,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "CA certificate",
            Self::ClientCertificate => "client certificate",
            Self::ClientKey => "client key",
        })
    }
}
