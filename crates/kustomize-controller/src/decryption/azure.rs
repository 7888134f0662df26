//! Azure Key Vault.

use aws_lc_rs::rsa::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sops::{DataKey, KeyError};
use url::Url;

use super::account::Account;
use super::http::{self, Http, attempting};
use super::jwt;

/// The identity of a ServiceAccount that is proved to Azure.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The annotations of a ServiceAccount with the identity that it has in Azure.
const TENANT: &str = "azure.workload.identity/tenant-id";
const CLIENT: &str = "azure.workload.identity/client-id";

/// Where the identity of the machine is asked for.
const METADATA: &str = "http://169.254.169.254";

/// What the process was given for all Kustomizations.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    /// Tenant, client and the file with a token of the controller.
    pub(crate) federated: Option<(String, String, std::path::PathBuf)>,
    /// Where tokens are issued, unless the credentials say it.
    pub(crate) authority: String,
    /// The end of the hosts that tokens are sent to, and what they are for.
    pub(crate) vaults: Vec<(String, String)>,
    /// Where the identity of the machine is asked for.
    pub(crate) metadata: String,
}

impl Default for Defaults {
    fn default() -> Self {
        let vaults = [
            (".vault.azure.net", "https://vault.azure.net"),
            (".managedhsm.azure.net", "https://managedhsm.azure.net"),
            (".vault.azure.cn", "https://vault.azure.cn"),
            (".vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"),
        ];
        let owned = vaults.map(|(host, resource)| (host.to_owned(), resource.to_owned()));
        Self {
            federated: None,
            authority: "https://login.microsoftonline.com".to_owned(),
            vaults: owned.into(),
            metadata: METADATA.to_owned(),
        }
    }
}

/// Credentials as `sops.azure-kv` has them.
pub(super) enum Credentials {
    Secret {
        identity: Identity,
        secret: SecretString,
    },
    Certificate {
        identity: Identity,
        certificate: Box<Certificate>,
    },
    /// That of the machine.
    Managed {
        client_id: String,
    },
}

/// Who asks, and whom.
pub(super) struct Identity {
    tenant: String,
    client_id: String,
    authority: Option<String>,
}

/// A certificate and its key.
pub(super) struct Certificate {
    key: KeyPair,
    /// The certificate in DER, in base64.
    text: String,
    digest: String,
    send: bool,
}

/// Why credentials cannot be read. They are not in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// They are no YAML.
    #[error("failed to unmarshal Azure authentication file: {0}")]
    Yaml(#[from] goyaml::Error),
    /// The certificate and its key are not in PEM.
    #[error(
        "the certificate and its RSA key have to be in PEM without passphrase; PKCS#12 is not \
         supported by this version"
    )]
    Certificate,
    /// They say too little.
    #[error(
        "invalid data: requires a 'clientId' field, a combination of 'tenantId', 'clientId' and \
         'clientSecret', or 'tenantId', 'clientId' and 'clientCertificate'"
    )]
    Incomplete,
}

/// How Azure is convinced, in the order of precedence.
pub(super) enum Access {
    Static(Credentials),
    Account(Account),
    Controller,
}

/// A key of a vault.
pub(super) struct Key<'a> {
    pub(super) vault_url: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) encrypted: &'a str,
}

impl Credentials {
    /// Reads credentials in YAML or JSON, which may be UTF-16.
    pub(super) fn parse(content: &[u8]) -> Result<Self, CredentialsError> {
        let documents = goyaml::parse_documents(&decode(content))?;
        let fields = documents.into_iter().next().unwrap_or_default();
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        let authority = Some(text("authorityHost")).filter(|host| !host.is_empty());
        let (tenant, client_id) = (text("tenantId"), text("clientId"));
        if !tenant.is_empty() && !client_id.is_empty() {
            let identity =
                Identity { tenant, client_id: client_id.clone(), authority: authority.clone() };
            let (secret, pem) = (text("clientSecret"), text("clientCertificate"));
            if !secret.is_empty() {
                return Ok(Self::Secret { identity, secret: secret.into() });
            }
            if !pem.is_empty() {
                let send = fields["clientCertificateSendChain"].as_bool().unwrap_or_default();
                let certificate = Certificate::parse(&pem, send);
                let certificate = Box::new(certificate.ok_or(CredentialsError::Certificate)?);
                return Ok(Self::Certificate { identity, certificate });
            }
        }
        let (tenant, id, password) = (text("tenant"), text("appId"), text("password"));
        if !tenant.is_empty() && !id.is_empty() && !password.is_empty() {
            let identity = Identity { tenant, client_id: id, authority };
            return Ok(Self::Secret { identity, secret: password.into() });
        }
        if client_id.is_empty() {
            return Err(CredentialsError::Incomplete);
        }
        Ok(Self::Managed { client_id })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Certificate {
    fn parse(pem: &str, send: bool) -> Option<Self> {
        let der = jwt::block(pem, "CERTIFICATE")?;
        Some(Self {
            key: jwt::rsa_key(pem)?,
            text: STANDARD.encode(&der),
            digest: URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
            send,
        })
    }
}

/// Decodes text by its byte order mark.
fn decode(content: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match content {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        content => String::from_utf8_lossy(content).into_owned(),
    }
}

/// Decrypts a data key.
pub(super) async fn decrypt(
    http: &Http,
    defaults: &Defaults,
    access: &Access,
    key: Key<'_>,
) -> Result<DataKey, KeyError> {
    let Key { vault_url, name, version, encrypted } = key;
    let base = vault_url.trim_end_matches('/');
    let shown = format!("{base}/keys/{name}/{version}");
    let failed = || {
        attempting(format!("failed to decrypt sops data key with Azure Key Vault key '{shown}'"))
    };
    let (mut url, resource) = defaults.vault(base).map_err(failed())?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !is_name(name) || !is_name(version) {
        return Err(failed()(KeyError::new("the name or version of the key is none")));
    }
    let token = token(http, defaults, access, &resource)
        .await
        .map_err(attempting("failed to get Azure token credential to decrypt"))?;
    url.set_path(&format!("/keys/{name}/{version}/decrypt"));
    url.set_query(Some("api-version=7.4"));
    let request = http.post(url.as_str()).bearer_auth(token.expose_secret());
    let request = request.json(&json!({"alg": "RSA-OAEP-256", "value": encrypted}));
    let answer = http::send(request).await.map_err(failed())?;
    let plain = http::text(&answer, "/value").map_err(failed())?;
    let plain = URL_SAFE_NO_PAD.decode(plain.expose_secret().trim_end_matches('='));
    plain.map(DataKey::from).map_err(|_| KeyError::new("the plaintext is not base64"))
}

impl Defaults {
    /// Returns the address of a vault, and what a token for it is for. Documents say which vault
    /// it is, and no token of ours may be sent to anyone else.
    fn vault(&self, address: &str) -> Result<(Url, String), KeyError> {
        let url = Url::parse(address).ok().filter(|url| url.username().is_empty());
        let found = url.and_then(|url| {
            let host = url.host_str()?;
            let is_local = |suffix: &str| host == suffix;
            let known = |(suffix, _): &&(String, String)| {
                is_local(suffix) || (url.scheme() == "https" && host.ends_with(suffix.as_str()))
            };
            let (_, resource) = self.vaults.iter().find(known)?;
            Some((url.clone(), resource.clone()))
        });
        found.ok_or_else(|| KeyError::new(format!("'{address}' is no vault of a known cloud")))
    }
}

async fn token(
    http: &Http,
    defaults: &Defaults,
    access: &Access,
    resource: &str,
) -> Result<SecretString, KeyError> {
    let (identity, proof) = match access {
        Access::Static(Credentials::Secret { identity, secret }) => {
            (identity, vec![("client_secret", secret.clone())])
        }
        Access::Static(Credentials::Certificate { identity, certificate }) => {
            let url = address(defaults, identity);
            (identity, assertion(certificate.prove(identity, &url)?))
        }
        Access::Static(Credentials::Managed { client_id }) => {
            let url = format!("{}/metadata/identity/oauth2/token", defaults.metadata);
            let query = form(&[
                ("api-version", "2018-02-01"),
                ("resource", resource),
                ("client_id", client_id),
            ]);
            let request = http.get(&format!("{url}?{query}")).header("Metadata", "true");
            return http::text(&http::send(request).await?, "/access_token");
        }
        Access::Account(account) => {
            let annotations = account.annotations().await?;
            let text = |name: &str, what: &str| {
                annotations.get(name).cloned().ok_or_else(|| {
                    KeyError::new(format!(
                        "azure {what} ID is not set in the service account annotation {name}"
                    ))
                })
            };
            let identity = Identity {
                tenant: text(TENANT, "tenant")?,
                client_id: text(CLIENT, "client")?,
                authority: None,
            };
            let proof = assertion(account.token(AUDIENCE).await?);
            return ask(http, defaults, &identity, proof, resource).await;
        }
        Access::Controller => {
            let Some((tenant, client_id, file)) = &defaults.federated else {
                return Err(KeyError::new(
                    "no credentials: neither sops.azure-kv in the Secret, nor a service account, \
                     nor AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE of the \
                     controller",
                ));
            };
            let token = tokio::fs::read_to_string(file).await.map_err(|error| {
                KeyError::new(format!("failed to read {}: {error}", file.display()))
            })?;
            let (tenant, client_id) = (tenant.clone(), client_id.clone());
            let identity = Identity { tenant, client_id, authority: None };
            let proof = assertion(token.trim().into());
            return ask(http, defaults, &identity, proof, resource).await;
        }
    };
    ask(http, defaults, identity, proof, resource).await
}

/// Returns where a token is issued.
fn address(defaults: &Defaults, identity: &Identity) -> String {
    let authority = identity.authority.as_ref().unwrap_or(&defaults.authority);
    format!("{}/{}/oauth2/v2.0/token", authority.trim_end_matches('/'), identity.tenant)
}

fn assertion(token: SecretString) -> Vec<(&'static str, SecretString)> {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    vec![("client_assertion_type", kind.into()), ("client_assertion", token)]
}

async fn ask(
    http: &Http,
    defaults: &Defaults,
    identity: &Identity,
    proof: Vec<(&'static str, SecretString)>,
    resource: &str,
) -> Result<SecretString, KeyError> {
    let is_tenant = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if !identity.tenant.bytes().all(is_tenant) {
        return Err(KeyError::new("the tenant is none"));
    }
    let scope = format!("{resource}/.default");
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", identity.client_id.as_str()),
        ("scope", scope.as_str()),
    ];
    fields.extend(proof.iter().map(|(name, value)| (*name, value.expose_secret())));
    let request = http.post(&address(defaults, identity));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = http::send(request.body(form(&fields))).await?;
    http::text(&answer, "/access_token")
}

impl Certificate {
    /// Returns a proof of holding the key.
    fn prove(&self, identity: &Identity, url: &str) -> Result<SecretString, KeyError> {
        let mut header = json!({"alg": "RS256", "typ": "JWT", "x5t#S256": self.digest});
        if self.send {
            header["x5c"] = Value::from(vec![self.text.clone()]);
        }
        let now = Timestamp::now().as_second();
        let id = &identity.client_id;
        let claims = json!({
            "iss": id, "sub": id, "aud": url, "nbf": now, "exp": now + 600,
            "jti": format!("{id}-{}", Timestamp::now().as_nanosecond()),
        });
        jwt::sign(&header, &claims, &self.key)
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_tokens_to_vaults_of_azure_alone() {
        let defaults = Defaults::default();
        let resource = |url: &str| defaults.vault(url).map(|(_, resource)| resource);
        assert_eq!(resource("https://app.vault.azure.net").unwrap(), "https://vault.azure.net");
        assert_eq!(resource("https://app.vault.azure.cn").unwrap(), "https://vault.azure.cn");
        for url in [
            "http://app.vault.azure.net",
            "https://evil.example.com",
            "https://app.vault.azure.net.example.com",
            "https://x@app.vault.azure.net",
            "https://evil.example.com/.vault.azure.net",
        ] {
            assert!(resource(url).is_err(), "{url}");
        }
    }

    #[test]
    fn takes_the_first_credentials_that_are_complete() {
        let kind = |text: &str| match Credentials::parse(text.as_bytes()) {
            Ok(Credentials::Secret { identity, .. }) => format!("secret of {}", identity.client_id),
            Ok(Credentials::Certificate { .. }) => "certificate".to_owned(),
            Ok(Credentials::Managed { client_id }) => format!("managed {client_id}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(kind("tenantId: t\nclientId: c\nclientSecret: s"), "secret of c");
        assert_eq!(kind(r#"{"appId": "a", "tenant": "t", "password": "p"}"#), "secret of a");
        assert_eq!(kind("clientId: c"), "managed c");
        assert_eq!(kind("tenantId: t"), CredentialsError::Incomplete.to_string());
        let certificate = "tenantId: t\nclientId: c\nclientCertificate: x";
        assert_eq!(kind(certificate), CredentialsError::Certificate.to_string());
        let wide: Vec<u8> = "clientId: c".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide = [&[0xff, 0xfe], wide.as_slice()].concat();
        assert!(matches!(Credentials::parse(&wide), Ok(Credentials::Managed { .. })));
    }
}
