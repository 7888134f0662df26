//! What clients know an API by: its certificate authority, and the token of the administrator.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::auth;
use crate::storage::{OpenError, private};
use crate::tls::Authority;

const NAME: &str = "identity.json";

/// Made when first asked for, or kept in a folder.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    authority: OnceLock<Authority>,
    token: Option<SecretString>,
}

/// An identity as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The certificate of the authority, in PEM.
    certificate: String,
    /// Its private key, in PEM.
    key: String,
    /// The token of the administrator.
    token: String,
}

impl Identity {
    /// Returns the identity that is kept in a folder; makes one if there is none.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(NAME);
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let kept: Kept = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|_| OpenError::Unknown { path: path.clone() })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Kept::new().map_err(|error| failed(std::io::Error::other(error)))?;
                made.write(folder).map_err(failed)?;
                made
            }
            Err(error) => return Err(failed(error)),
        };
        let authority = Authority::restore(kept.certificate, &kept.key)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(Self { authority: authority.into(), token: Some(kept.token.into()) })
    }

    /// Returns the authority behind the certificates of this API.
    pub(crate) fn authority(&self) -> Result<&Authority, rcgen::Error> {
        if let Some(authority) = self.authority.get() {
            return Ok(authority);
        }
        let authority = Authority::new()?;
        Ok(self.authority.get_or_init(|| authority))
    }

    /// Returns the token of the administrator, if it is a lasting one.
    pub(crate) fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }
}

impl Kept {
    fn new() -> Result<Self, rcgen::Error> {
        let authority = Authority::new()?;
        let token = auth::random_token().expose_secret().to_owned();
        Ok(Self { certificate: authority.pem().to_owned(), key: authority.key_pem(), token })
    }

    /// Writes it whole or not at all.
    fn write(&self, folder: &Path) -> std::io::Result<()> {
        let new = folder.join(format!("{NAME}.new"));
        let mut file = private().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(new, folder.join(NAME))
    }
}
