//! Keys of OpenPGP.

use ::pgp::composed::{Deserializable as _, Message, SignedSecretKey};
use ::pgp::types::{KeyDetails as _, Password};

use crate::data_key::{DataKey, KeyError};

/// How many keys a keyring may have.
const MAX_KEYS: usize = 256;

/// The private keys of OpenPGP. They may not have passphrases.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<SignedSecretKey>,
}

/// Why private keys cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The text holds no armored private key.
    #[error(
        "cannot import armored key data into GnuPG keyring: no valid OpenPGP private key found"
    )]
    NoKey,
    /// There are too many keys.
    #[error("cannot import armored key data into GnuPG keyring: more than {MAX_KEYS} keys")]
    TooMany,
}

impl Keyring {
    /// Adds armored private keys.
    ///
    /// # Errors
    ///
    /// When there is none in the text.
    pub fn import(&mut self, armored: &[u8]) -> Result<(), KeyringError> {
        let (keys, _) =
            SignedSecretKey::from_armor_many(armored).map_err(|_| KeyringError::NoKey)?;
        let before = self.keys.len();
        for key in keys.flatten() {
            if self.keys.len() == MAX_KEYS {
                return Err(KeyringError::TooMany);
            }
            self.keys.push(key);
        }
        if self.keys.len() == before { Err(KeyringError::NoKey) } else { Ok(()) }
    }

    /// Decrypts a data key.
    ///
    /// # Errors
    ///
    /// When none of the private keys fits.
    pub fn decrypt(&self, fingerprint: &str, encrypted: &str) -> Result<DataKey, KeyError> {
        let failed = |reason: &str| {
            KeyError::new(format!("could not decrypt data key with PGP key: {reason}"))
        };
        let missing =
            || failed(&format!("no private key for fingerprint '{fingerprint}' was imported"));
        if self.keys.is_empty() {
            return Err(missing());
        }
        let (message, _) = Message::from_armor(encrypted.as_bytes())
            .map_err(|_| failed("the message is no OpenPGP message"))?;
        let keys: Vec<_> = self.keys.iter().collect();
        let password = Password::empty();
        let message = message.decrypt_with_keys(vec![&password], keys).map_err(|_| {
            if self.has(fingerprint) {
                failed("the private key does not fit, or has a passphrase")
            } else {
                missing()
            }
        })?;
        let message = if message.is_compressed() {
            message.decompress().map_err(|_| failed("the message is broken"))?
        } else {
            message
        };
        let mut message = message;
        let key = message.as_data_vec().map_err(|_| failed("the message is broken"))?;
        if key.is_empty() {
            return Err(failed("zero bytes returned"));
        }
        Ok(DataKey::from(key))
    }

    fn has(&self, fingerprint: &str) -> bool {
        let wanted = fingerprint.to_lowercase();
        self.keys.iter().any(|key| {
            let own = [key.primary_key.fingerprint()];
            let subkeys = key.secret_subkeys.iter().map(|key| key.key.fingerprint());
            own.into_iter()
                .chain(subkeys)
                .any(|it| it.to_string().to_lowercase().ends_with(&wanted))
        })
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("count", &self.keys.len()).finish()
    }
}
