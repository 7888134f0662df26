//! Google Cloud KMS.

use aws_lc_rs::rsa::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sops::{DataKey, KeyError};

use super::account::Account;
use super::http::{self, Http, attempting};
use super::jwt;

/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The annotation of a ServiceAccount with the pool that trusts the cluster.
const POOL: &str = "gcp.auth.fluxcd.io/workload-identity-provider";

/// The annotation of a ServiceAccount with the account of Google that it can act as.
const EMAIL: &str = "iam.gke.io/gcp-service-account";

/// Where services are asked.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) kms: String,
    pub(crate) sts: String,
    pub(crate) iam: String,
    pub(crate) metadata: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            kms: "https://cloudkms.googleapis.com".to_owned(),
            sts: "https://sts.googleapis.com".to_owned(),
            iam: "https://iamcredentials.googleapis.com".to_owned(),
            metadata: "http://metadata.google.internal".to_owned(),
        }
    }
}

/// Credentials as `sops.gcp-kms` has them.
pub(super) enum Credentials {
    /// The key of an account of Google.
    Key { email: String, key_id: String, key: Box<KeyPair>, token_uri: String },
    /// A permission that a user gave.
    User { client_id: String, client_secret: SecretString, refresh_token: SecretString },
}

/// Why credentials cannot be read. They are not in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// They are no JSON.
    #[error("invalid JSON")]
    Json,
    /// They are of a kind that cannot be used.
    #[error("credentials of this type are not supported, only service_account and authorized_user")]
    Type,
    /// The private key is none.
    #[error("private key should be a PEM or plain PKCS1 or PKCS8")]
    Key,
}

/// How Google is convinced, in the order of precedence.
pub(super) enum Access {
    Static(Credentials),
    Account(Account),
    Controller,
}

impl Credentials {
    /// Reads credentials in JSON.
    pub(super) fn parse(content: &[u8]) -> Result<Self, CredentialsError> {
        let fields: Value = serde_json::from_slice(content).map_err(|_| CredentialsError::Json)?;
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        match text("type").as_str() {
            "service_account" => {
                let key = jwt::rsa_key(&text("private_key")).ok_or(CredentialsError::Key)?;
                let token_uri = match text("token_uri") {
                    uri if uri.is_empty() => "https://oauth2.googleapis.com/token".to_owned(),
                    uri => uri,
                };
                Ok(Self::Key {
                    email: text("client_email"),
                    key_id: text("private_key_id"),
                    key: Box::new(key),
                    token_uri,
                })
            }
            "authorized_user" => Ok(Self::User {
                client_id: text("client_id"),
                client_secret: text("client_secret").into(),
                refresh_token: text("refresh_token").into(),
            }),
            _ => Err(CredentialsError::Type),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Decrypts a data key.
pub(super) async fn decrypt(
    http: &Http,
    endpoints: &Endpoints,
    access: &Access,
    (resource_id, encrypted): (&str, &str),
) -> Result<DataKey, KeyError> {
    if !is_key(resource_id) {
        return Err(KeyError::new(format!("no valid resource ID found in {resource_id:?}")));
    }
    let failed = || attempting("failed to decrypt sops data key with GCP KMS key");
    let token = token(http, endpoints, access).await.map_err(failed())?;
    let request = http.post(&format!("{}/v1/{resource_id}:decrypt", endpoints.kms));
    let request =
        request.bearer_auth(token.expose_secret()).json(&json!({"ciphertext": encrypted}));
    let answer = http::send(request).await.map_err(failed())?;
    let plain = http::text(&answer, "/plaintext").map_err(failed())?;
    let plain = STANDARD.decode(plain.expose_secret());
    plain.map(DataKey::from).map_err(|_| KeyError::new("the plaintext is not base64"))
}

/// Says whether this is `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
fn is_key(resource_id: &str) -> bool {
    let parts: Vec<_> = resource_id.split('/').collect();
    let is_name = |name: &str| {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        !name.is_empty() && !matches!(name, "." | "..") && name.bytes().all(is_valid)
    };
    let names = ["projects", "locations", "keyRings", "cryptoKeys"];
    parts.len() == 8
        && parts.chunks(2).zip(names).all(|(pair, name)| pair[0] == name && is_name(pair[1]))
}

async fn token(
    http: &Http,
    endpoints: &Endpoints,
    access: &Access,
) -> Result<SecretString, KeyError> {
    let answer = match access {
        Access::Static(Credentials::Key { email, key_id, key, token_uri }) => {
            let now = Timestamp::now().as_second();
            let header = json!({"alg": "RS256", "typ": "JWT", "kid": key_id});
            let claims = json!({
                "iss": email, "scope": SCOPE, "aud": token_uri, "iat": now, "exp": now + 3600,
            });
            let proof = jwt::sign(&header, &claims, key)?;
            let form = form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", proof.expose_secret()),
            ]);
            http::send(posted(http, token_uri, form)).await?
        }
        Access::Static(Credentials::User { client_id, client_secret, refresh_token }) => {
            let form = form(&[
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose_secret()),
                ("refresh_token", refresh_token.expose_secret()),
            ]);
            http::send(posted(http, "https://oauth2.googleapis.com/token", form)).await?
        }
        Access::Account(account) => return exchange(http, endpoints, account).await,
        Access::Controller => {
            let path = "/computeMetadata/v1/instance/service-accounts/default/token";
            let request = http.get(&format!("{}{path}", endpoints.metadata));
            let request = request.header("Metadata-Flavor", "Google");
            http::send(request).await.map_err(attempting(
                "no credentials: neither sops.gcp-kms in the Secret, nor a service account, nor a \
                 metadata server",
            ))?
        }
    };
    http::text(&answer, "/access_token")
}

/// Exchanges the identity of a ServiceAccount for a token.
async fn exchange(
    http: &Http,
    endpoints: &Endpoints,
    account: &Account,
) -> Result<SecretString, KeyError> {
    let mut annotations = account.annotations().await?;
    let (pool, email) = (annotations.remove(POOL), annotations.remove(EMAIL));
    let invalid =
        |name: &str, value: &str| KeyError::new(format!("invalid {name} annotation: '{value}'"));
    let pool = pool.unwrap_or_default();
    if !pool.starts_with("projects/") || !pool.contains("/workloadIdentityPools/") {
        let error = invalid(POOL, &pool);
        return Err(KeyError::new(format!(
            "{error}; the pool of a GKE cluster is not looked up by this version"
        )));
    }
    let audience = format!("//iam.googleapis.com/{pool}");
    let proof = account.token(&audience).await?;
    let form = form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", &audience),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", proof.expose_secret()),
    ]);
    let answer = http::send(posted(http, &format!("{}/v1/token", endpoints.sts), form)).await?;
    let token = http::text(&answer, "/access_token")?;
    let Some(email) = email.filter(|email| !email.is_empty()) else { return Ok(token) };
    if !is_email(&email) {
        return Err(invalid(EMAIL, &email));
    }
    let path = format!("/v1/projects/-/serviceAccounts/{email}:generateAccessToken");
    let request = http.post(&format!("{}{path}", endpoints.iam));
    let request = request.bearer_auth(token.expose_secret()).json(&json!({"scope": [SCOPE]}));
    http::text(&http::send(request).await?, "/accessToken")
}

fn is_email(email: &str) -> bool {
    let is_name = |name: &str| {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=100).contains(&name.len()) && name.bytes().all(is_valid)
    };
    let parts = email.strip_suffix(".iam.gserviceaccount.com").and_then(|it| it.split_once('@'));
    parts.is_some_and(|(name, project)| is_name(name) && is_name(project))
}

fn posted(http: &Http, url: &str, form: String) -> reqwest::RequestBuilder {
    let request = http.post(url);
    request.header("content-type", "application/x-www-form-urlencoded").body(form)
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_of_keys_and_accounts() {
        assert!(is_key("projects/p/locations/global/keyRings/r/cryptoKeys/k"));
        assert!(is_key("projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k"));
        for id in ["", "projects/../locations/a/keyRings/b/cryptoKeys/c", "projects/p/locations/a"]
        {
            assert!(!is_key(id), "{id}");
        }
        assert!(!is_key("projects/p/locations/a/keyRings/b/cryptoKeys/c?x"));
        assert!(is_email("app@project.iam.gserviceaccount.com"));
        assert!(
            !is_email("a/../b@project.iam.gserviceaccount.com") && !is_email("a@b.example.com")
        );
    }

    #[test]
    fn refuses_what_are_no_credentials() {
        let parse = |text: &str| Credentials::parse(text.as_bytes()).unwrap_err();
        assert_eq!(parse("secret"), CredentialsError::Json);
        assert_eq!(parse(r#"{"type": "external_account"}"#), CredentialsError::Type);
        let key = r#"{"type": "service_account", "private_key": "x"}"#;
        assert_eq!(parse(key), CredentialsError::Key);
    }
}
