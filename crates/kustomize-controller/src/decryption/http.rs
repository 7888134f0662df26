//! Requests to key services.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use secrecy::SecretString;
use serde_json::Value;
use sops::KeyError;

/// How long a service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many bytes an answer may have.
const MAX_ANSWER: usize = 1 << 20;

/// How much of what a service says about a failure is shown.
const MAX_REASON: usize = 512;

/// Asks services, which are never followed to where they send us: credentials are for them alone.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
}

/// There is no way to ask anyone.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No TLS.
    #[error("failed to set up TLS for key services")]
    Tls(#[from] tls::Error),
    /// No client.
    #[error("failed to set up a client for key services")]
    Client(#[from] reqwest::Error),
}

impl Http {
    /// Returns a client that trusts the authorities of the system, and others in PEM.
    pub(crate) fn new(authorities: Option<Vec<u8>>) -> Result<Self, HttpError> {
        let ca = authorities.map(|pem| tls::Authorities { pem, with_system: true });
        let tls = tls::Options { ca, ..tls::Options::default() }.http_config()?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client })
    }

    pub(super) fn get(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: &str) -> RequestBuilder {
        self.client.post(url)
    }
}

/// Sends a request, and returns the JSON that comes back.
pub(super) async fn send(request: RequestBuilder) -> Result<Value, KeyError> {
    let lost = |error: reqwest::Error| KeyError::new(common::stop::chain(&error.without_url()));
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(KeyError::new("the answer is too long"));
        }
        body.extend(chunk);
    }
    let answer: Option<Value> = serde_json::from_slice(&body).ok();
    if status.is_success() {
        return answer.ok_or_else(|| KeyError::new(format!("{status}: the answer is no JSON")));
    }
    match answer.as_ref().and_then(reason) {
        Some(reason) => Err(KeyError::new(format!("{status}: {reason}"))),
        None => Err(KeyError::new(status.to_string())),
    }
}

/// Returns what a service says about a failure; each has its own place for it.
fn reason(answer: &Value) -> Option<String> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let pairs = [
        ("/__type", "/message"),
        ("/__type", "/Message"),
        ("/Error/Code", "/Error/Message"),
        ("/error/status", "/error/message"),
        ("/error/code", "/error/message"),
        ("/error", "/error_description"),
    ];
    let found = pairs
        .into_iter()
        .find_map(|(code, message)| Some(format!("{}: {}", text(code)?, text(message)?)));
    let found = found.or_else(|| Some(text("/errors/0")?.to_owned()))?;
    let first = found.lines().next().unwrap_or_default();
    Some(first.chars().take(MAX_REASON).collect())
}

/// Returns a text of an answer, which may be secret.
pub(super) fn text(answer: &Value, pointer: &str) -> Result<SecretString, KeyError> {
    let found = answer.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing =
        || KeyError::new(format!("the answer has no {}", pointer.trim_start_matches('/')));
    found.map(SecretString::from).ok_or_else(missing)
}

/// Says what was attempted when something failed.
pub(super) fn attempting(what: impl Into<String>) -> impl FnOnce(KeyError) -> KeyError {
    let what = what.into();
    move |error| KeyError::new(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_services_say() {
        for (answer, expected) in [
            (json!({"__type": "AccessDenied", "message": "no"}), Some("AccessDenied: no")),
            (json!({"Error": {"Code": "a", "Message": "b\nc"}}), Some("a: b")),
            (json!({"error": {"status": "a", "message": "b"}}), Some("a: b")),
            (json!({"error": {"code": "a", "message": "b"}}), Some("a: b")),
            (json!({"error": "a", "error_description": "b"}), Some("a: b")),
            (json!({"errors": ["permission denied"]}), Some("permission denied")),
            (json!({"x": "secret"}), None),
        ] {
            assert_eq!(reason(&answer).as_deref(), expected);
        }
    }
}
