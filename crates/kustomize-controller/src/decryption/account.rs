//! The ServiceAccount whose identity services are asked with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use secrecy::SecretString;
use sops::KeyError;

use super::Reference;

/// The token of the controller, which says who it is.
pub(super) const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Someone whose identity can be proved.
#[derive(Clone)]
pub(super) struct Account {
    client: Client,
    reference: Reference,
}

impl Account {
    /// Returns a ServiceAccount of a namespace.
    pub(super) fn new(client: Client, reference: Reference) -> Self {
        Self { client, reference }
    }

    /// Returns the ServiceAccount that the controller runs as.
    pub(super) async fn of_controller(client: Client, file: &PathBuf) -> Result<Self, KeyError> {
        let token = tokio::fs::read_to_string(file).await.map_err(|error| {
            let file = file.display();
            KeyError::new(format!("failed to read service account token file {file}: {error}"))
        })?;
        let reference = subject(token.trim())?;
        Ok(Self { client, reference })
    }

    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    fn api(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &self.reference.namespace)
    }

    /// Returns what is written on the account about other identities that it has.
    pub(super) async fn annotations(&self) -> Result<BTreeMap<String, String>, KeyError> {
        let account = self.api().get(&self.reference.name).await.map_err(|error| {
            let reference = &self.reference;
            KeyError::new(format!("failed to get service account '{reference}': {}", said(error)))
        })?;
        Ok(account.metadata.annotations.unwrap_or_default())
    }

    /// Returns a proof of the identity for an audience.
    pub(super) async fn token(&self, audience: &str) -> Result<SecretString, KeyError> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![audience.to_owned()],
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let (api, params) = (self.api(), PostParams::default());
        let answer = api.create_token_request(&self.reference.name, &params, &request);
        let answer = answer.await.map_err(|error| {
            let reference = &self.reference;
            let what = "failed to create kubernetes token for service account";
            KeyError::new(format!("{what} '{reference}': {}", said(error)))
        })?;
        let token = answer.status.map(|status| status.token).filter(|token| !token.is_empty());
        token.map(SecretString::from).ok_or_else(|| KeyError::new("the API returned no token"))
    }
}

/// Returns the ServiceAccount that a token is of. Its signature is for others to check.
fn subject(token: &str) -> Result<Reference, KeyError> {
    let claims = || {
        let mut parts = token.split('.');
        let (Some(_), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        serde_json::from_slice::<serde_json::Value>(&claims).ok()
    };
    let claims = claims().ok_or_else(|| KeyError::new("the service account token is no JWT"))?;
    let subject = claims["sub"].as_str().unwrap_or_default();
    let account = || {
        let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        let filled = !namespace.is_empty() && !name.is_empty();
        filled.then(|| Reference { namespace: namespace.to_owned(), name: name.to_owned() })
    };
    account().ok_or_else(|| KeyError::new(format!("unexpected token subject '{subject}'")))
}

fn said(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        error => common::stop::chain(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_who_a_token_is_of() {
        let token = |claims: &str| format!("a.{}.b", URL_SAFE_NO_PAD.encode(claims));
        let account =
            subject(&token(r#"{"sub": "system:serviceaccount:flux-system:kc"}"#)).unwrap();
        assert_eq!(account.to_string(), "flux-system/kc");
        for wrong in
            ["", "a.b", "a.b.c", &token("{}"), &token(r#"{"sub": "system:serviceaccount::x"}"#)]
        {
            assert!(subject(wrong).is_err(), "{wrong}");
        }
    }
}
