//! Key services that are asked over a network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use sops::{DataKey, KeyError, MasterKey};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::account::Account;
use super::http::Http;
use super::{aws, azure, gcp, vault};

/// What all Kustomizations have in common.
#[derive(Debug)]
pub(crate) struct Defaults {
    pub(crate) http: Http,
    /// The token of the controller.
    pub(crate) token_file: PathBuf,
    pub(crate) vault: vault::Defaults,
    pub(crate) aws: aws::Defaults,
    pub(crate) azure: azure::Defaults,
    pub(crate) gcp: gcp::Endpoints,
}

/// Credentials that a Secret holds.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) vault: Option<secrecy::SecretString>,
    pub(super) aws: Option<aws::Credentials>,
    pub(super) azure: Option<azure::Credentials>,
    pub(super) gcp: Option<gcp::Credentials>,
}

/// Asks services on behalf of one Kustomization, during one build.
pub(super) struct Services {
    runtime: Handle,
    defaults: Arc<Defaults>,
    deadline: Instant,
    vault: Option<vault::Access>,
    aws: aws::Access,
    azure: azure::Access,
    gcp: gcp::Access,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    /// Returns the services as they are asked with what a Secret holds, or else with the identity
    /// of a ServiceAccount, or else that of the controller. Only within a runtime.
    pub(super) fn new(
        client: &Client,
        defaults: &Arc<Defaults>,
        given: Given,
        account: Option<&Account>,
        timeout: Duration,
    ) -> Self {
        let Given { vault, aws, azure, gcp } = given;
        let login = || {
            Some(vault::Access::Kubernetes(Box::new(vault::Login {
                client: client.clone(),
                config_map: defaults.vault.config_map.clone()?,
                account: account.cloned(),
                token_file: defaults.token_file.clone(),
                tokens: tokio::sync::Mutex::default(),
            })))
        };
        let token = || defaults.vault.token.clone().map(vault::Access::Token);
        let vault = vault.map(vault::Access::Token).or_else(login).or_else(token);
        let aws = aws.map(aws::Access::Static);
        let azure = azure.map(azure::Access::Static);
        let gcp = gcp.map(gcp::Access::Static);
        Self {
            runtime: Handle::current(),
            defaults: defaults.clone(),
            deadline: Instant::now() + timeout,
            vault,
            aws: aws.unwrap_or_else(|| {
                account.map_or(aws::Access::Controller, |it| aws::Access::Account(it.clone()))
            }),
            azure: azure.unwrap_or_else(|| {
                account.map_or(azure::Access::Controller, |it| azure::Access::Account(it.clone()))
            }),
            gcp: gcp.unwrap_or_else(|| {
                account.map_or(gcp::Access::Controller, |it| gcp::Access::Account(it.clone()))
            }),
        }
    }

    /// Decrypts a data key. Blocks, so it may not be called where futures are polled.
    pub(super) fn decrypt(&self, key: &MasterKey) -> Result<DataKey, KeyError> {
        let answer = timeout_at(self.deadline, self.ask(key));
        let late = |_| KeyError::new("the timeout of the Kustomization is over");
        self.runtime.block_on(answer).map_err(late)?
    }

    async fn ask(&self, key: &MasterKey) -> Result<DataKey, KeyError> {
        let Defaults { http, vault, aws, azure, gcp, .. } = &*self.defaults;
        match key {
            MasterKey::AwsKms { arn, role, context, encrypted, .. } => {
                let key = aws::Key { arn, role, context, encrypted };
                aws::decrypt(http, aws, &self.aws, key).await
            }
            MasterKey::GcpKms { resource_id, encrypted } => {
                gcp::decrypt(http, gcp, &self.gcp, (resource_id, encrypted)).await
            }
            MasterKey::AzureKeyVault { vault_url, name, version, encrypted } => {
                let key = azure::Key { vault_url, name, version, encrypted };
                azure::decrypt(http, azure, &self.azure, key).await
            }
            MasterKey::Vault { address, engine_path, key_name, encrypted } => {
                let access = self.vault.as_ref().ok_or_else(|| {
                    KeyError::new(
                        "no token: neither sops.vault-token in the Secret, nor \
                         --sops-vault-configmap, nor VAULT_TOKEN of the controller",
                    )
                })?;
                let key = vault::Key { address, engine_path, name: key_name, encrypted };
                vault::decrypt(http, vault, access, key).await
            }
            _ => Err(KeyError::new("this key service is not supported by this version")),
        }
    }
}
