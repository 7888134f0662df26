//! Keys of age: X25519, and those of SSH.

use std::io::Read as _;

use ::age::armor::ArmoredReader;
use ::age::{DecryptError, Decryptor, Identity, ssh, x25519};

use crate::data_key::{DataKey, KeyError};

/// How long a data key can be. Any other is none.
const MAX_KEY: u64 = 4096;

/// The private keys of age.
#[derive(Default)]
pub struct Identities {
    identities: Vec<Box<dyn Identity + Send + Sync>>,
}

/// Why private keys cannot be read. No text of them is in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A line is no private key.
    #[error("failed to parse and add to age identities: unknown identity type")]
    Unknown,
    /// A line looks like a private key and is none.
    #[error("failed to parse and add to age identities: malformed secret key")]
    Malformed,
    /// A key of the hybrid type, which cannot be used.
    #[error(
        "failed to parse and add to age identities: post-quantum identities (AGE-SECRET-KEY-PQ-1…) \
         are not supported by this version"
    )]
    PostQuantum,
    /// A key that a program holds.
    #[error("failed to parse and add to age identities: identities of plugins are not supported")]
    Plugin,
    /// A key of SSH that needs a passphrase, or is of another kind than RSA or Ed25519.
    #[error(
        "failed to parse and add to age identities: the SSH key has a passphrase, or a type other than RSA and Ed25519"
    )]
    Ssh,
}

impl Identities {
    /// Adds the private keys in a text: one of age on every line, or one of SSH.
    ///
    /// # Errors
    ///
    /// When a line is neither a private key nor a comment.
    pub fn import(&mut self, text: &str) -> Result<(), IdentityError> {
        if text.trim_start().starts_with("-----BEGIN ") {
            let key = ssh::Identity::from_buffer(text.trim_start().as_bytes(), None);
            match key.map_err(|_| IdentityError::Malformed)? {
                key @ ssh::Identity::Unencrypted(_) => self.identities.push(Box::new(key)),
                _ => return Err(IdentityError::Ssh),
            }
            return Ok(());
        }
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            self.identities.push(identity(line)?);
        }
        Ok(())
    }

    /// Decrypts a data key.
    ///
    /// # Errors
    ///
    /// When none of the private keys fits.
    pub fn decrypt(&self, encrypted: &str) -> Result<DataKey, KeyError> {
        if self.identities.is_empty() {
            return Err(KeyError::new("failed to load age identities"));
        }
        let failed = |error: DecryptError| {
            let reason = match error {
                DecryptError::NoMatchingKeys if self.identities.len() == 1 => {
                    "identity did not match any of the recipients: incorrect identity for \
                     recipient block"
                }
                DecryptError::NoMatchingKeys => "no identity matched any of the recipients",
                DecryptError::InvalidHeader | DecryptError::InvalidMac => "bad header MAC",
                DecryptError::UnknownFormat => "unknown format",
                _ => "failed to read header",
            };
            let what = "failed to create reader for decrypting sops data key with age";
            KeyError::new(format!("{what}: {reason}"))
        };
        let reader = Decryptor::new(ArmoredReader::new(encrypted.as_bytes())).map_err(failed)?;
        let identities = self.identities.iter().map(|identity| &**identity as &dyn Identity);
        let reader = reader.decrypt(identities).map_err(failed)?;
        let mut key = Vec::new();
        reader
            .take(MAX_KEY)
            .read_to_end(&mut key)
            .map_err(|_| KeyError::new("failed to copy age decrypted data into bytes.Buffer"))?;
        Ok(DataKey::from(key))
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("count", &self.identities.len()).finish()
    }
}

fn identity(line: &str) -> Result<Box<dyn Identity + Send + Sync>, IdentityError> {
    if line.starts_with("AGE-SECRET-KEY-PQ-1") {
        return Err(IdentityError::PostQuantum);
    }
    if line.starts_with("AGE-PLUGIN-") {
        return Err(IdentityError::Plugin);
    }
    if !line.starts_with("AGE-SECRET-KEY-1") {
        return Err(IdentityError::Unknown);
    }
    let key: x25519::Identity = line.parse().map_err(|_| IdentityError::Malformed)?;
    Ok(Box::new(key))
}
