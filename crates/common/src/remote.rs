//! Clusters other than the controller's own, as `spec.kubeConfig` names them: by a Secret with a
//! kubeconfig, or by a ConfigMap with an address and the identity to use there.
//!
//! Source: fluxcd/pkg `runtime/client/impersonator.go`, `runtime/client/kubeconfig.go` and
//! `auth/generic/provider.go`.

mod token;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::kustomize::KubeConfigReference;
use clap::ArgAction;
use http::{HeaderValue, header};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config, ResourceExt as _};
use secrecy::ExposeSecret as _;

use crate::stop::chain;
pub use token::TokenError;

use token::Tokens;

/// How long another cluster may take to answer a request that is no watch.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What the flags say about other clusters.
#[derive(Debug, Clone, Default)]
pub struct RemoteOptions {
    /// Whether a kubeconfig may name a program that gives credentials.
    pub insecure_exec: bool,
    /// Whether a kubeconfig may turn the verification of certificates off.
    pub insecure_tls: bool,
    /// The ServiceAccount whose identity is used when a ConfigMap names none.
    pub default_service_account: Option<String>,
    /// Whether the identity of a ServiceAccount may be used.
    pub object_level_identity: bool,
    /// How long a token is used at most; `None` asks for one with every request.
    pub token_lifetime: Option<Duration>,
}

/// The flags about other clusters.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct RemoteArgs {
    /// ServiceAccount whose identity other clusters are asked with, when their ConfigMap names none.
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// Lets kubeconfigs name a program that gives credentials.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = crate::args::bool)]
    pub insecure_kubeconfig_exec: bool,
    /// Lets kubeconfigs turn the verification of certificates off.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = crate::args::bool)]
    pub insecure_kubeconfig_tls: bool,
}

/// A flag is about what a feature gate turns on.
#[derive(Debug, thiserror::Error)]
#[error("--default-kubeconfig-service-account needs the feature gate ObjectLevelWorkloadIdentity")]
pub struct RemoteArgsError;

impl RemoteArgs {
    /// Returns what the flags say; the gate lets objects use the identity of a ServiceAccount.
    ///
    /// # Errors
    ///
    /// When there is a default account and the gate is off.
    pub fn into_options(
        self,
        object_level_identity: bool,
        args: &crate::Args,
    ) -> Result<RemoteOptions, RemoteArgsError> {
        let account = Some(self.default_kubeconfig_service_account).filter(|it| !it.is_empty());
        if account.is_some() && !object_level_identity {
            return Err(RemoteArgsError);
        }
        Ok(RemoteOptions {
            insecure_exec: self.insecure_kubeconfig_exec,
            insecure_tls: self.insecure_kubeconfig_tls,
            default_service_account: account,
            object_level_identity,
            token_lifetime: (args.token_cache_max_size > 0)
                .then(|| args.token_cache_max_duration.as_std()),
        })
    }
}

/// Why another cluster cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nothing says where the cluster is.
    #[error("invalid .spec.kubeConfig, neither configMapRef nor secretRef is set")]
    NoReference,
    /// The Secret could not be read.
    #[error("unable to read KubeConfig secret '{secret}' error")]
    ReadSecret {
        /// The Secret, e.g. `apps/staging`.
        secret: String,
        /// What the API said.
        #[source]
        source: kube::Error,
    },
    /// The Secret holds no kubeconfig.
    #[error("KubeConfig secret '{secret}' does not contain a '{key}' key with a kubeconfig")]
    MissingKey {
        /// The Secret.
        secret: String,
        /// The key that was looked for.
        key: String,
    },
    /// The kubeconfig cannot be read. What it says is secret.
    #[error("KubeConfig secret '{secret}' does not contain a valid kubeconfig at key '{key}'")]
    Parse {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// The kubeconfig does not lead anywhere.
    #[error("the kubeconfig of secret '{secret}' cannot be used")]
    Kubeconfig {
        /// The Secret.
        secret: String,
        /// What is wrong.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// No client can be made.
    #[error("failed to make a client for the cluster of '{reference}': {message}")]
    Client {
        /// The Secret or ConfigMap.
        reference: String,
        /// What is wrong.
        message: String,
    },
    /// The ConfigMap could not be read.
    #[error("failed to get configmap {config_map}")]
    ReadConfigMap {
        /// The ConfigMap, e.g. `apps/staging`.
        config_map: String,
        /// What the API said.
        #[source]
        source: kube::Error,
    },
    /// There is no such provider.
    #[error("provider '{0}' not implemented")]
    UnknownProvider(String),
    /// The provider is one of Flux's.
    #[error(
        "provider '{0}' is not supported by this version; use the provider 'generic', or a Secret \
         with a kubeconfig"
    )]
    UnsupportedProvider(String),
    /// Nobody says where the cluster is.
    #[error("cluster address is required to create a REST config")]
    NoAddress,
    /// The address is none.
    #[error("failed to parse cluster address {address}: {problem}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// The certificate authority is none.
    #[error("the ca.crt of configmap {config_map} holds no certificate")]
    Authority {
        /// The ConfigMap.
        config_map: String,
    },
    /// There is no token for the cluster.
    #[error("failed to get access token for cluster")]
    Token(#[source] TokenError),
}

/// Where it is said how to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A Secret with a kubeconfig.
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key of the kubeconfig.
        key: Option<String>,
    },
    /// A ConfigMap with address and identity.
    ConfigMap {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Reference {
    /// Returns what an object of a namespace refers to.
    pub fn new(namespace: &str, reference: &KubeConfigReference) -> Option<Self> {
        let namespace = namespace.to_owned();
        if let Some(secret) = &reference.secret_ref {
            let key = secret.key.clone().filter(|key| !key.is_empty());
            return Some(Self::Secret { namespace, name: secret.name.clone(), key });
        }
        let config_map = reference.config_map_ref.as_ref()?;
        Some(Self::ConfigMap { namespace, name: config_map.name.clone() })
    }
}

/// The clusters that are known, each with what the caller makes of its client.
pub struct Remotes<T> {
    client: Client,
    options: RemoteOptions,
    known: Mutex<HashMap<Reference, Known<T>>>,
}

struct Known<T> {
    /// The version of the Secret or ConfigMap.
    version: (Option<String>, Option<String>),
    value: T,
}

impl<T: Clone> Remotes<T> {
    /// Returns clusters that objects of the client's own cluster name.
    pub fn new(client: Client, options: RemoteOptions) -> Self {
        Self { client, options, known: Mutex::default() }
    }

    /// Returns what was made of the client of a cluster. As long as the Secret or ConfigMap does not
    /// change, it is made once.
    ///
    /// # Errors
    ///
    /// When it is not said how to reach the cluster. Whether it answers is not looked at.
    pub async fn get(
        &self,
        namespace: &str,
        reference: &KubeConfigReference,
        make: impl FnOnce(Client) -> T,
    ) -> Result<T, RemoteError> {
        let reference = Reference::new(namespace, reference).ok_or(RemoteError::NoReference)?;
        match &reference {
            Reference::Secret { namespace, name, key } => {
                let id = format!("{namespace}/{name}");
                let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
                let read = |source| RemoteError::ReadSecret { secret: id.clone(), source };
                let secret = api.get(name).await.map_err(read)?;
                let version = (secret.uid(), secret.resource_version());
                if let Some(value) = self.known(&reference, &version) {
                    return Ok(value);
                }
                let config = self.kubeconfig(&id, &secret, key.as_deref()).await?;
                let client = build(&id, config, None).await?;
                Ok(self.remember(reference, version, make(client)))
            }
            Reference::ConfigMap { namespace, name } => {
                let id = format!("{namespace}/{name}");
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
                let read = |source| RemoteError::ReadConfigMap { config_map: id.clone(), source };
                let config_map = api.get(name).await.map_err(read)?;
                let version = (config_map.uid(), config_map.resource_version());
                if let Some(value) = self.known(&reference, &version) {
                    return Ok(value);
                }
                let data = config_map.data.unwrap_or_default();
                let (config, tokens) = self.generic(namespace, &id, &data)?;
                // What cannot be had is told now, rather than with the first request.
                tokens.get().await.map_err(RemoteError::Token)?;
                let client = build(&id, config, Some(tokens)).await?;
                Ok(self.remember(reference, version, make(client)))
            }
        }
    }

    /// Forgets the clusters that nobody refers to.
    pub fn retain(&self, is_used: impl Fn(&Reference) -> bool) {
        self.lock().retain(|reference, _| is_used(reference));
    }

    fn known(
        &self,
        reference: &Reference,
        version: &(Option<String>, Option<String>),
    ) -> Option<T> {
        let known = self.lock();
        let known = known.get(reference).filter(|known| known.version == *version)?;
        Some(known.value.clone())
    }

    fn remember(
        &self,
        reference: Reference,
        version: (Option<String>, Option<String>),
        value: T,
    ) -> T {
        self.lock().insert(reference, Known { version, value: value.clone() });
        value
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Reference, Known<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the kubeconfig of a Secret.
    async fn kubeconfig(
        &self,
        id: &str,
        secret: &Secret,
        key: Option<&str>,
    ) -> Result<Config, RemoteError> {
        let keys = key.map_or_else(|| vec!["value", "value.yaml"], |key| vec![key]);
        let find = |key: &&str| {
            let bytes = secret.data.as_ref()?.get(*key)?;
            Some(((*key).to_owned(), bytes))
        };
        let Some((key, bytes)) = keys.iter().find_map(find) else {
            let key = key.unwrap_or("value").to_owned();
            return Err(RemoteError::MissingKey { secret: id.to_owned(), key });
        };
        let parsed = std::str::from_utf8(&bytes.0).ok();
        let parsed = parsed.and_then(|text| Kubeconfig::from_yaml(text).ok());
        let Some(mut kubeconfig) = parsed else {
            return Err(RemoteError::Parse { secret: id.to_owned(), key });
        };
        sanitize(&mut kubeconfig, &self.options);
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.map_err(|source| RemoteError::Kubeconfig {
            secret: id.to_owned(),
            source: Box::new(source),
        })
    }

    /// Reads a ConfigMap.
    fn generic(
        &self,
        namespace: &str,
        id: &str,
        data: &BTreeMap<String, String>,
    ) -> Result<(Config, Tokens), RemoteError> {
        let text = |key: &str| data.get(key).map(String::as_str).unwrap_or_default();
        match text("provider") {
            "generic" => {}
            name @ ("aws" | "azure" | "gcp") => {
                return Err(RemoteError::UnsupportedProvider(name.to_owned()));
            }
            name => return Err(RemoteError::UnknownProvider(name.to_owned())),
        }
        let address = text("address");
        if address.is_empty() {
            return Err(RemoteError::NoAddress);
        }
        let failed = |problem| RemoteError::Address { address: address.to_owned(), problem };
        let canonical = canonical_address(address).map_err(failed)?;
        let uri = canonical.parse::<http::Uri>().map_err(|error| failed(error.to_string()))?;
        let mut config = Config::new(uri);
        if !text("ca.crt").is_empty() {
            let certificates = certificates(text("ca.crt"));
            if certificates.is_empty() {
                return Err(RemoteError::Authority { config_map: id.to_owned() });
            }
            config.root_cert = Some(certificates);
        }
        let audiences = text("audiences").lines().map(str::trim);
        let mut audiences: Vec<String> =
            audiences.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if audiences.is_empty() {
            audiences.push(address.to_owned());
        }
        let account = Some(text("serviceAccountName")).filter(|name| !name.is_empty());
        let account = account.map(str::to_owned);
        let account = account.or_else(|| self.options.default_service_account.clone());
        if account.is_some() && !self.options.object_level_identity {
            return Err(RemoteError::Token(TokenError::GateDisabled));
        }
        let account = account.map(|name| (namespace.to_owned(), name));
        let lifetime = self.options.token_lifetime;
        Ok((config, Tokens::new(self.client.clone(), account, audiences, lifetime)))
    }
}

/// Takes out of a kubeconfig what would reach the files, programs or rights of the controller.
fn sanitize(kubeconfig: &mut Kubeconfig, options: &RemoteOptions) {
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|it| it.cluster.as_mut()) {
        cluster.certificate_authority = None;
        if !options.insecure_tls {
            cluster.insecure_skip_tls_verify = None;
        }
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|it| it.auth_info.as_mut()) {
        user.token_file = None;
        user.client_certificate = None;
        user.client_key = None;
        user.impersonate = None;
        user.impersonate_uid = None;
        user.impersonate_groups = None;
        user.impersonate_user_extra = None;
        user.auth_provider = None;
        if !options.insecure_exec {
            user.exec = None;
        }
    }
}

/// Returns the form `https://<host>:<port>` of an address.
fn canonical_address(address: &str) -> Result<String, String> {
    let full =
        if address.starts_with("http") { address.to_owned() } else { format!("https://{address}") };
    let parsed = url::Url::parse(&full).map_err(|error| error.to_string())?;
    if parsed.scheme() != "https" {
        let problem = format!("the Kubernetes API server address '{full}' must use https scheme");
        return Err(problem);
    }
    let host = parsed.host_str().unwrap_or_default().to_lowercase();
    Ok(format!("https://{host}:{}", parsed.port().unwrap_or(443)))
}

/// Returns the certificates of a bundle in PEM.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    use rustls_pki_types::pem::PemObject as _;
    let read = rustls_pki_types::CertificateDer::pem_slice_iter(pem.as_bytes());
    read.filter_map(Result::ok).map(|certificate| certificate.to_vec()).collect()
}

/// Makes a client that answers in time, and that shows a token of ours where the configuration holds
/// no credentials.
async fn build(
    reference: &str,
    config: Config,
    tokens: Option<Tokens>,
) -> Result<Client, RemoteError> {
    let failed = |message| RemoteError::Client { reference: reference.to_owned(), message };
    let runs_program = config.auth_info.exec.is_some();
    let namespace = config.default_namespace.clone();
    // A program that gives credentials is run here.
    let built = tokio::task::spawn_blocking(move || ClientBuilder::try_from(config));
    let built = built.await.map_err(|error| failed(error.to_string()))?;
    let built = built.map_err(|error| {
        // What a program has printed may be a token.
        let hidden = || "the program that gives credentials has failed".to_owned();
        failed(if runs_program { hidden() } else { chain(&error) })
    })?;
    let client = built.build();
    let tokens = tokens.map(Arc::new);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        send(client.clone(), tokens.clone(), request)
    });
    Ok(Client::new(service, namespace))
}

async fn send(
    client: Client,
    tokens: Option<Arc<Tokens>>,
    mut request: http::Request<Body>,
) -> Result<http::Response<Body>, tower::BoxError> {
    if let Some(tokens) = &tokens {
        let token = tokens.get().await?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let sent = client.send(request);
    let response =
        if is_watch { sent.await? } else { tokio::time::timeout(REQUEST_TIMEOUT, sent).await?? };
    if response.status() == http::StatusCode::UNAUTHORIZED
        && let Some(tokens) = &tokens
    {
        tokens.forget().await;
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters:
- name: c
  cluster:
    server: https://127.0.0.1:1
    certificate-authority: /etc/passwd
    insecure-skip-tls-verify: true
    tls-server-name: api.example.com
    proxy-url: http://proxy.example.com:3128
users:
- name: u
  user:
    token: secret
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
    client-certificate: /a
    client-key: /b
    as: system:admin
    as-groups: [system:masters]
    auth-provider: {name: gcp}
    exec: {apiVersion: client.authentication.k8s.io/v1, command: "false"}
"#;

    fn sanitized(options: &RemoteOptions) -> (kube::config::Cluster, kube::config::AuthInfo) {
        let mut kubeconfig = Kubeconfig::from_yaml(FULL).unwrap();
        sanitize(&mut kubeconfig, options);
        let cluster = kubeconfig.clusters.remove(0).cluster.unwrap();
        (cluster, kubeconfig.auth_infos.remove(0).auth_info.unwrap())
    }

    #[test]
    fn files_programs_and_rights_of_the_controller_are_out_of_reach() {
        let (cluster, user) = sanitized(&RemoteOptions::default());
        assert_eq!(cluster.certificate_authority, None);
        assert_eq!(cluster.insecure_skip_tls_verify, None);
        assert_eq!(cluster.tls_server_name.as_deref(), Some("api.example.com"));
        assert_eq!(cluster.proxy_url.as_deref(), Some("http://proxy.example.com:3128"));
        assert_eq!(user.token.unwrap().expose_secret(), "secret");
        assert_eq!(user.token_file, None);
        assert_eq!((user.client_certificate, user.client_key), (None, None));
        assert_eq!((user.impersonate, user.impersonate_groups), (None, None));
        assert!(user.auth_provider.is_none() && user.exec.is_none());
    }

    #[test]
    fn flags_let_programs_and_unverified_servers_through() {
        let options =
            RemoteOptions { insecure_exec: true, insecure_tls: true, ..RemoteOptions::default() };
        let (cluster, user) = sanitized(&options);
        assert_eq!(cluster.insecure_skip_tls_verify, Some(true));
        assert!(user.exec.is_some() && user.auth_provider.is_none());
    }

    #[test]
    fn addresses_have_one_form() {
        for (address, expected) in [
            ("Api.Example.com", "https://api.example.com:443"),
            ("https://api.example.com:6443/x", "https://api.example.com:6443"),
            ("10.0.0.1:6443", "https://10.0.0.1:6443"),
            ("https://[::1]:6443", "https://[::1]:6443"),
        ] {
            assert_eq!(canonical_address(address).as_deref(), Ok(expected));
        }
        let error = canonical_address("http://api.example.com").unwrap_err();
        assert!(error.ends_with("must use https scheme"), "{error}");
        assert!(canonical_address("https://").is_err());
    }
}
