//! The transit engine of Vault and OpenBao.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sops::{DataKey, KeyError};
use tokio::sync::Mutex;
use url::Url;

use super::Reference;
use super::account::Account;
use super::http::{self, Http, attempting};

/// Where the ConfigMap has its content.
const CONFIG: &str = "config.yaml";

/// The servers that may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Allowlist {
    /// All of them.
    #[default]
    All,
    /// Those whose address begins with one of these, each of which ends with `/`.
    Only(Vec<String>),
}

/// What the process was given for all Kustomizations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    /// The token for all servers.
    pub(crate) token: Option<SecretString>,
    /// The namespace of Vault that is asked.
    pub(crate) namespace: Option<String>,
    /// The servers that may be asked.
    pub(crate) allowlist: Allowlist,
    /// The ConfigMap with the servers that know the cluster, and where to log in there.
    pub(crate) config_map: Option<Reference>,
}

/// How a server is convinced, in the order of precedence.
pub(super) enum Access {
    /// A token.
    Token(SecretString),
    /// The identity of a ServiceAccount.
    Kubernetes(Box<Login>),
}

/// Logs in with the identity of a ServiceAccount.
pub(super) struct Login {
    pub(super) client: Client,
    pub(super) config_map: Reference,
    /// The account; that of the controller when there is none.
    pub(super) account: Option<Account>,
    pub(super) token_file: PathBuf,
    /// A token for each server, for one build.
    pub(super) tokens: Mutex<HashMap<String, SecretString>>,
}

/// A key of a server.
pub(super) struct Key<'a> {
    pub(super) address: &'a str,
    pub(super) engine_path: &'a str,
    pub(super) name: &'a str,
    pub(super) encrypted: &'a str,
}

impl Allowlist {
    /// Reads a list: `all`, `none`, or addresses with commas between them.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "" | "all" => Self::All,
            "none" => Self::Only(Vec::new()),
            text => {
                let addresses = text.split(',').map(str::trim).filter(|it| !it.is_empty());
                Self::Only(addresses.map(slashed).collect())
            }
        }
    }

    fn allows(&self, address: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.contains(&slashed(address)),
        }
    }
}

fn slashed(address: &str) -> String {
    format!("{}/", address.trim_end_matches('/'))
}

/// Decrypts a data key.
pub(super) async fn decrypt(
    http: &Http,
    defaults: &Defaults,
    access: &Access,
    key: Key<'_>,
) -> Result<DataKey, KeyError> {
    let path = format!("{}/decrypt/{}", key.engine_path.trim_matches('/'), key.name);
    let failed = || {
        attempting(format!("failed to decrypt sops data key from Vault transit backend '{path}'"))
    };
    if !defaults.allowlist.allows(key.address) {
        return Err(KeyError::new(format!("Allowlist does not allow {}", key.address)));
    }
    let token = match access {
        Access::Token(token) => token.clone(),
        Access::Kubernetes(login) => login.token(http, defaults, key.address).await?,
    };
    let url = endpoint(key.address, &path).map_err(failed())?;
    let request = request(http, defaults, &url).header("X-Vault-Token", token.expose_secret());
    let request = request.json(&json!({"ciphertext": key.encrypted}));
    let answer = http::send(request).await.map_err(failed())?;
    let plain = http::text(&answer, "/data/plaintext").map_err(failed())?;
    let plain = STANDARD.decode(plain.expose_secret());
    let wrong = |_| KeyError::new("cannot decode base64 plaintext into data key bytes");
    plain.map(DataKey::from).map_err(wrong).map_err(failed())
}

/// Returns the address of an operation, which documents may not lead elsewhere.
fn endpoint(address: &str, path: &str) -> Result<String, KeyError> {
    let mut url = Url::parse(address)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| KeyError::new(format!("'{address}' is no address of a server")))?;
    if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Err(KeyError::new(format!("'{path}' is no path")));
    }
    // What is put in piece by piece is escaped, dots behind a percent sign too.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("v1").extend(path.split('/'));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url.into())
}

fn request(http: &Http, defaults: &Defaults, url: &str) -> reqwest::RequestBuilder {
    let request = http.post(url).header("X-Vault-Request", "true");
    match &defaults.namespace {
        Some(namespace) => request.header("X-Vault-Namespace", namespace),
        None => request,
    }
}

impl Login {
    /// Returns a token for a server that the ConfigMap trusts.
    async fn token(
        &self,
        http: &Http,
        defaults: &Defaults,
        address: &str,
    ) -> Result<SecretString, KeyError> {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(address) {
            return Ok(token.clone());
        }
        let paths = self.paths().await?;
        let path = paths.get(address).filter(|path| !path.is_empty()).ok_or_else(|| {
            let map = &self.config_map;
            KeyError::new(format!(
                "no Vault login path configured for address '{address}' in ConfigMap '{map}'"
            ))
        })?;
        let issue = "failed to issue Kubernetes token for Vault authentication";
        let account = match &self.account {
            Some(account) => account.clone(),
            None => Account::of_controller(self.client.clone(), &self.token_file)
                .await
                .map_err(attempting(issue))?,
        };
        let proof = account.token(address).await.map_err(attempting(issue))?;
        let Reference { namespace, name } = account.reference();
        let role = format!("{namespace}_{name}");
        let failed = || {
            attempting(format!(
                "failed to authenticate with Vault '{address}' at login path '{path}' as role \
                 '{role}'"
            ))
        };
        let url = endpoint(address, path.trim_matches('/')).map_err(failed())?;
        let body = json!({"role": role, "jwt": proof.expose_secret()});
        let answer =
            http::send(request(http, defaults, &url).json(&body)).await.map_err(failed())?;
        let token = http::text(&answer, "/auth/client_token").map_err(|_| {
            KeyError::new(format!(
                "Vault '{address}' returned no token for login at '{path}' as role '{role}'"
            ))
        })?;
        tokens.insert(address.to_owned(), token.clone());
        Ok(token)
    }

    /// Reads where to log in, by address.
    async fn paths(&self) -> Result<BTreeMap<String, String>, KeyError> {
        let Reference { namespace, name } = &self.config_map;
        let map = &self.config_map;
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get(name).await.map_err(|error| {
            let error = common::stop::chain(&error);
            KeyError::new(format!("failed to get Vault ConfigMap '{map}': {error}"))
        })?;
        let text = found.data.and_then(|mut data| data.remove(CONFIG)).ok_or_else(|| {
            KeyError::new(format!("Vault ConfigMap '{map}' is missing the '{CONFIG}' key"))
        })?;
        let documents = goyaml::parse_documents(&text).map_err(|error| {
            KeyError::new(format!("failed to parse '{CONFIG}' in Vault ConfigMap '{map}': {error}"))
        })?;
        let config = documents.into_iter().next().unwrap_or_default();
        let instances = config["instances"].as_array().into_iter().flatten();
        let paths = instances.filter_map(|instance| {
            let address = instance["address"].as_str()?.to_owned();
            Some((address, instance["loginPath"].as_str()?.to_owned()))
        });
        Ok(paths.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_cannot_lead_to_other_operations() {
        let url = endpoint("https://vault.example.com:8200/", "transit/decrypt/app").unwrap();
        assert_eq!(url, "https://vault.example.com:8200/v1/transit/decrypt/app");
        for path in ["../sys/decrypt/app", "transit//decrypt/app", "transit/decrypt/.."] {
            assert!(endpoint("https://vault.example.com", path).is_err(), "{path}");
        }
        let url = endpoint("https://vault.example.com", "t/decrypt/a?b#c").unwrap();
        assert_eq!(url, "https://vault.example.com/v1/t/decrypt/a%3Fb%23c");
        let url = endpoint("https://vault.example.com", "%2e%2e/decrypt/a").unwrap();
        assert_eq!(url, "https://vault.example.com/v1/%252e%252e/decrypt/a");
        assert!(endpoint("file:///etc", "transit/decrypt/app").is_err());
    }

    #[test]
    fn asks_only_servers_that_are_listed() {
        let list = Allowlist::parse("https://a.example.com, https://b.example.com/");
        assert!(list.allows("https://a.example.com/") && list.allows("https://b.example.com"));
        assert!(!list.allows("https://a.example.com.evil") && !list.allows("https://a.example"));
        assert!(Allowlist::parse("").allows("x") && !Allowlist::parse("none").allows("x"));
    }
}
