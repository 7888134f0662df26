//! Private keys, and credentials of key services.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use sops::age::{Identities, IdentityError};
use sops::pgp::{Keyring, KeyringError};
use sops::{DataKey, KeyError, KeyService, MasterKey};

use super::services::{Given, Services};
use super::{Reference, aws, azure, gcp};

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no such Secret.
    #[error("{0}")]
    NotFound(String),
    /// The Secret could not be read.
    #[error("cannot get sops {what}decryption Secret '{secret}'")]
    Read {
        /// What kind of keys it should hold.
        what: &'static str,
        /// The Secret.
        secret: String,
        /// What the API said.
        #[source]
        source: kube::Error,
    },
    /// A value of the Secret is no key.
    #[error("failed to import '{field}' data from sops {what}decryption Secret '{secret}'")]
    Import {
        /// The key of the value.
        field: String,
        /// What kind of keys the Secret should hold.
        what: &'static str,
        /// The Secret.
        secret: String,
        /// What is wrong.
        #[source]
        source: ImportError,
    },
}

/// Why a value of a Secret is no key. The value is not in the message.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not text.
    #[error("it is not valid UTF-8")]
    Utf8,
    /// It holds no age keys.
    #[error(transparent)]
    Age(#[from] IdentityError),
    /// It holds no OpenPGP keys.
    #[error(transparent)]
    Pgp(#[from] KeyringError),
    /// It holds no credentials of AWS.
    #[error("failed to unmarshal AWS credentials file")]
    Aws(#[source] goyaml::Error),
    /// It holds no credentials of Azure.
    #[error(transparent)]
    Azure(#[from] azure::CredentialsError),
    /// It holds no credentials of Google.
    #[error(transparent)]
    Gcp(#[from] gcp::CredentialsError),
}

/// The keys of one Kustomization.
#[derive(Debug, Default)]
pub(super) struct Keys {
    age: Identities,
    pgp: Keyring,
    given: Given,
    services: Option<Services>,
}

impl Keys {
    /// Reads the keys of every kind in a Secret.
    pub(super) async fn of_secret(
        client: &Client,
        reference: &Reference,
    ) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        for (field, ByteString(value)) in read(client, reference, "").await? {
            keys.import(&field, &value).map_err(|source| {
                let secret = reference.to_string();
                KeysError::Import { field, what: "", secret, source }
            })?;
        }
        Ok(keys)
    }

    /// Reads the age keys in a Secret, and nothing else: other services have other ways to be
    /// shared.
    pub(super) async fn of_age_secret(
        client: &Client,
        reference: &Reference,
    ) -> Result<Self, KeysError> {
        let what = "SOPS age ";
        let mut keys = Self::default();
        for (field, ByteString(value)) in read(client, reference, what).await? {
            if field.ends_with(AGE) {
                keys.import(&field, &value).map_err(|source| {
                    let secret = reference.to_string();
                    KeysError::Import { field, what, secret, source }
                })?;
            }
        }
        Ok(keys)
    }

    fn import(&mut self, field: &str, value: &[u8]) -> Result<(), ImportError> {
        if field.ends_with(PGP) {
            self.pgp.import(value)?;
        } else if field.ends_with(AGE) {
            self.age.import(std::str::from_utf8(value).map_err(|_| ImportError::Utf8)?)?;
        }
        let given = &mut self.given;
        match field {
            "sops.vault-token" => {
                let token = std::str::from_utf8(value).map_err(|_| ImportError::Utf8)?.trim();
                given.vault = Some(token).filter(|it| !it.is_empty()).map(Into::into);
            }
            "sops.aws-kms" => {
                given.aws = Some(aws::Credentials::parse(value).map_err(ImportError::Aws)?);
            }
            "sops.azure-kv" => given.azure = Some(azure::Credentials::parse(value)?),
            "sops.gcp-kms" => given.gcp = Some(gcp::Credentials::parse(value.trim_ascii())?),
            _ => {}
        }
        Ok(())
    }

    /// Lets services be asked, with the credentials that were read.
    pub(super) fn ask(&mut self, services: impl FnOnce(Given) -> Services) {
        self.services = Some(services(std::mem::take(&mut self.given)));
    }
}

/// The end of the names of values with age keys.
const AGE: &str = ".agekey";

/// The end of the names of values with OpenPGP keys.
const PGP: &str = ".asc";

async fn read(
    client: &Client,
    Reference { namespace, name }: &Reference,
    what: &'static str,
) -> Result<std::collections::BTreeMap<String, ByteString>, KeysError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match api.get(name).await {
        Ok(secret) => Ok(secret.data.unwrap_or_default()),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Err(KeysError::NotFound(status.message))
        }
        Err(source) => Err(KeysError::Read { what, secret: format!("{namespace}/{name}"), source }),
    }
}

impl KeyService for Keys {
    fn decrypt(&self, key: &MasterKey) -> Result<DataKey, KeyError> {
        match key {
            MasterKey::Age { encrypted, .. } => self.age.decrypt(encrypted),
            MasterKey::Pgp { fingerprint, encrypted } => self.pgp.decrypt(fingerprint, encrypted),
            MasterKey::HuaweiKms { .. } => Err(KeyError::new("Huawei Cloud KMS is not supported")),
            key => match &self.services {
                Some(services) => services.decrypt(key),
                None => Err(KeyError::new("key services are not asked")),
            },
        }
    }
}
