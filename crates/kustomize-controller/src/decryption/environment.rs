//! What the environment says about key services, in the words of their own tools.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use secrecy::SecretString;
use url::Url;

use super::account::TOKEN_FILE;
use super::http::{Http, HttpError};
use super::services::Defaults;
use super::{Reference, aws, azure, gcp, vault};

/// What the environment says about key services.
#[derive(Debug, Clone, Default, Parser)]
#[group(skip)]
pub struct Environment {
    /// Token for every Vault.
    #[arg(long, env = "VAULT_TOKEN", hide = true, hide_env_values = true)]
    pub vault_token: Option<SecretString>,
    /// Namespace of Vault.
    #[arg(long, env = "VAULT_NAMESPACE", hide = true)]
    pub vault_namespace: Option<String>,
    /// File with the certificate authorities of Vault.
    #[arg(long, env = "VAULT_CACERT", hide = true)]
    pub vault_cacert: Option<PathBuf>,
    /// The Vaults that may be asked.
    #[arg(long, env = "SOPS_HC_VAULT_ALLOWLIST", default_value = "", hide = true)]
    pub vault_allowlist: String,
    /// Access key of AWS.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide = true)]
    pub aws_access_key_id: Option<String>,
    /// Its secret.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide = true, hide_env_values = true)]
    pub aws_secret_access_key: Option<SecretString>,
    /// Its session.
    #[arg(long, env = "AWS_SESSION_TOKEN", hide = true, hide_env_values = true)]
    pub aws_session_token: Option<SecretString>,
    /// Role of the controller in AWS.
    #[arg(long, env = "AWS_ROLE_ARN", hide = true)]
    pub aws_role_arn: Option<String>,
    /// File with the token for that role.
    #[arg(long, env = "AWS_WEB_IDENTITY_TOKEN_FILE", hide = true)]
    pub aws_web_identity_token_file: Option<PathBuf>,
    /// Where AWS is asked.
    #[arg(long, env = "AWS_ENDPOINT_URL", hide = true)]
    pub aws_endpoint_url: Option<Url>,
    /// Tenant of the controller in Azure.
    #[arg(long, env = "AZURE_TENANT_ID", hide = true)]
    pub azure_tenant_id: Option<String>,
    /// Identity of the controller in Azure.
    #[arg(long, env = "AZURE_CLIENT_ID", hide = true)]
    pub azure_client_id: Option<String>,
    /// File with the token for that identity.
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", hide = true)]
    pub azure_federated_token_file: Option<PathBuf>,
}

/// The environment cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The certificate authorities cannot be read.
    #[error("failed to read VAULT_CACERT")]
    Authorities(#[source] std::io::Error),
    /// There is no way to ask anyone.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Environment {
    /// Returns what all Kustomizations have in common.
    pub(crate) fn into_defaults(
        self,
        config_map: Option<Reference>,
    ) -> Result<Arc<Defaults>, EnvironmentError> {
        let authorities = self.vault_cacert.map(std::fs::read).transpose();
        let credentials = self.aws_access_key_id.zip(self.aws_secret_access_key);
        let session = self.aws_session_token;
        let client = self.azure_tenant_id.zip(self.azure_client_id);
        let federated = client.zip(self.azure_federated_token_file);
        Ok(Arc::new(Defaults {
            http: Http::new(authorities.map_err(EnvironmentError::Authorities)?)?,
            token_file: TOKEN_FILE.into(),
            vault: vault::Defaults {
                token: self.vault_token,
                namespace: self.vault_namespace,
                allowlist: vault::Allowlist::parse(&self.vault_allowlist),
                config_map,
            },
            aws: aws::Defaults {
                credentials: credentials.map(|(key_id, secret)| aws::Credentials {
                    key_id,
                    secret,
                    session,
                }),
                web_identity: self.aws_role_arn.zip(self.aws_web_identity_token_file),
                endpoint: self.aws_endpoint_url,
            },
            azure: azure::Defaults {
                federated: federated.map(|((tenant, client), file)| (tenant, client, file)),
                ..azure::Defaults::default()
            },
            gcp: gcp::Endpoints::default(),
        }))
    }
}
