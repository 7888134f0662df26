//! Tokens of ServiceAccounts of our own cluster, for another one that trusts them.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Where the controller finds a token of its own, in a cluster.
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How large a token may be.
const MAX_TOKEN: u64 = 64 * 1024;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// An object may not name the account.
    #[error("ObjectLevelWorkloadIdentity feature gate is not enabled")]
    GateDisabled,
    /// The API gives no token.
    #[error("failed to create kubernetes token for service account '{account}'")]
    Request {
        /// The account, e.g. `apps/deployer`.
        account: String,
        /// What the API said.
        #[source]
        source: kube::Error,
    },
    /// The API gives an empty answer.
    #[error("the answer to the request for a token holds none")]
    Empty,
    /// The account of the controller is not known.
    #[error("failed to read service account token file {OWN_TOKEN}: {0}")]
    Own(String),
}

/// Gives tokens, and keeps one while it lasts.
pub(super) struct Tokens {
    client: Client,
    /// Namespace and name; the controller's own when `None`.
    account: Option<(String, String)>,
    audiences: Vec<String>,
    lifetime: Option<Duration>,
    current: Mutex<Option<(SecretString, Instant)>>,
}

impl Tokens {
    pub(super) fn new(
        client: Client,
        account: Option<(String, String)>,
        audiences: Vec<String>,
        lifetime: Option<Duration>,
    ) -> Self {
        Self { client, account, audiences, lifetime, current: Mutex::default() }
    }

    /// Returns a token that is valid for a while.
    pub(super) async fn get(&self) -> Result<SecretString, TokenError> {
        let mut current = self.current.lock().await;
        if let Some((token, until)) = &*current
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let (token, valid) = self.request().await?;
        // Four fifths, so that none expires on its way.
        let kept = self.lifetime.map_or(Duration::ZERO, |most| most.min(valid * 4 / 5));
        *current = Some((token.clone(), Instant::now() + kept));
        Ok(token)
    }

    /// Forgets the token that was refused.
    pub(super) async fn forget(&self) {
        *self.current.lock().await = None;
    }

    async fn request(&self) -> Result<(SecretString, Duration), TokenError> {
        let (namespace, name) = match &self.account {
            Some(account) => account.clone(),
            None => own_account().await?,
        };
        let failed =
            |source| TokenError::Request { account: format!("{namespace}/{name}"), source };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &namespace);
        let request = TokenRequest {
            metadata: ObjectMeta::default(),
            spec: TokenRequestSpec { audiences: self.audiences.clone(), ..Default::default() },
            status: None,
        };
        let answer = api.create_token_request(&name, &PostParams::default(), &request).await;
        let status = answer.map_err(failed)?.status.ok_or(TokenError::Empty)?;
        let valid = status.expiration_timestamp.0.duration_since(Timestamp::now());
        Ok((status.token.into(), Duration::try_from(valid).unwrap_or_default()))
    }
}

/// Returns the account that the controller runs as.
async fn own_account() -> Result<(String, String), TokenError> {
    use tokio::io::AsyncReadExt as _;
    let failed = |error: std::io::Error| TokenError::Own(error.to_string());
    let file = tokio::fs::File::open(OWN_TOKEN).await.map_err(failed)?;
    let mut token = String::new();
    file.take(MAX_TOKEN).read_to_string(&mut token).await.map_err(failed)?;
    account_of(&token).ok_or_else(|| TokenError::Own("it names no service account".to_owned()))
}

/// Returns the account that a token was given to.
fn account_of(token: &str) -> Option<(String, String)> {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let subject = claims["sub"].as_str()?.strip_prefix("system:serviceaccount:")?;
    let (namespace, name) = subject.split_once(':')?;
    Some((namespace.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_account_of_a_token() {
        // {"sub":"system:serviceaccount:flux-system:controller"}
        let claims = "eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6Zmx1eC1zeXN0ZW06Y29udHJvbGxlciJ9";
        let token = format!("e30.{claims}.c2ln\n");
        let expected = ("flux-system".to_owned(), "controller".to_owned());
        assert_eq!(account_of(&token), Some(expected));
        for token in ["", "a.b.c", "e30.e30.x"] {
            assert_eq!(account_of(token), None, "{token}");
        }
    }
}
