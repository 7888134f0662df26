//! Decrypts what SOPS has encrypted: files that generators and patches read, and built objects.
//!
//! `keys` reads private keys and credentials before a build; `sources` and `object` use them in it.
//! `services` asks those that hold keys themselves: `aws`, `azure`, `gcp` and `vault`, with
//! credentials or with the identity of a ServiceAccount (`account`).

mod account;
mod aws;
mod azure;
mod environment;
mod gcp;
mod http;
mod jwt;
mod keys;
mod object;
mod services;
mod sources;
mod vault;

use std::sync::Arc;

use api::kustomize::{Kustomization, KustomizationSpec};
use kube::{Client, ResourceExt as _};
use kustomize::{MemoryTree, Tree};
use serde_json::Value;

pub use environment::{Environment, EnvironmentError};
pub use keys::KeysError;
pub use object::ObjectError;
pub use sources::SourcesError;

pub(crate) use object::is_disabled;

use account::Account;
use keys::Keys;
use services::{Defaults, Services};

/// What the flags say about decryption.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The Secret with age keys for Kustomizations that name none.
    pub(crate) age_secret: Option<Reference>,
    /// Whether key services may be asked as a ServiceAccount.
    pub(crate) workload_identity: bool,
    /// The ServiceAccount for Kustomizations that name none.
    pub(crate) default_account: Option<String>,
    /// How key services are asked.
    pub(crate) services: Arc<Defaults>,
}

/// An object of some namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A ServiceAccount is named, and may not be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "to use spec.decryption.serviceAccountName for decryption authentication please enable the \
     ObjectLevelWorkloadIdentity feature gate in the controller"
)]
pub(crate) struct GateDisabled;

/// Decrypts for one build.
#[derive(Debug)]
pub struct Decryptor {
    keys: Keys,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Settings {
    /// Checks that a Kustomization asks for nothing that is switched off.
    pub(crate) fn check(&self, spec: &KustomizationSpec) -> Result<(), GateDisabled> {
        let account = spec.decryption.as_ref().and_then(|it| it.service_account_name.as_deref());
        if account.is_some_and(|name| !name.is_empty()) && !self.workload_identity {
            return Err(GateDisabled);
        }
        Ok(())
    }
}

impl Decryptor {
    /// Reads the keys of a Kustomization. Returns `None` if it decrypts nothing.
    ///
    /// # Errors
    ///
    /// When the Secret cannot be read, or what it holds is no key.
    pub(crate) async fn load(
        client: &Client,
        obj: &Kustomization,
        settings: &Settings,
    ) -> Result<Option<Self>, KeysError> {
        let Some(decryption) = &obj.spec.decryption else { return Ok(None) };
        let namespace = obj.namespace().unwrap_or_default();
        let secret = decryption.secret_ref.as_ref();
        let mut keys = match (secret, &settings.age_secret) {
            (Some(secret), _) => {
                let (namespace, name) = (namespace.clone(), secret.name.clone());
                Keys::of_secret(client, &Reference { namespace, name }).await?
            }
            (None, Some(reference)) => Keys::of_age_secret(client, reference).await?,
            (None, None) => Keys::default(),
        };
        let account = decryption.service_account_name.clone().filter(|name| !name.is_empty());
        let account = account.or_else(|| settings.default_account.clone());
        let account =
            account.map(|name| Account::new(client.clone(), Reference { namespace, name }));
        keys.ask(|given| {
            let timeout = obj.spec.timeout();
            Services::new(client, &settings.services, given, account.as_ref(), timeout)
        });
        Ok(Some(Self { keys }))
    }

    /// Returns the files that are encrypted in a tree, decrypted: those that the kustomization of a
    /// directory, and those that it builds on, name as input of generators of Secrets and as
    /// patches. May block.
    pub(crate) fn sources(&self, tree: &dyn Tree, dir: &str) -> Result<MemoryTree, SourcesError> {
        sources::decrypt(tree, dir, &self.keys)
    }

    /// Decrypts an object in place, unless it asks to be left as it is. May block.
    pub(crate) fn object(&self, object: &mut Value) -> Result<(), ObjectError> {
        object::decrypt(object, &self.keys)
    }
}

#[cfg(test)]
mod tests;
