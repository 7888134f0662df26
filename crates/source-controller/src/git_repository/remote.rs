//! The remote repository of a GitRepository: its address, and how to reach it.

use std::collections::BTreeMap;

use api::reason::{
    AUTHENTICATION_FAILED, GIT_OPERATION_FAILED, INVALID_PROVIDER_CONFIGURATION, URL_INVALID,
};
use api::source::GitRepository;
use common::stop::{OrStop as _, Stop};
use git::{Auth, Proxy, Remote, SshAuth, WorkTree};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::Api;
use secrecy::SecretString;
use url::Url;

use super::checkout::{Place, Upstream};
use super::context::Context;

/// The longest address of a proxy.
const MAX_PROXY: usize = 2048;

const PROXY_SCHEMES: [&str; 3] = ["http", "https", "socks5"];

/// The content of a Secret.
type Data = BTreeMap<String, ByteString>;

/// Why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    /// The API does not give it.
    #[error("failed to get secret '{namespace}/{name}': {message}")]
    Get {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// What the API says.
        message: String,
    },
    /// The credentials are not complete.
    #[error("invalid '{scheme}' auth option: {problem}")]
    Auth {
        /// Scheme of the URL.
        scheme: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A value is no text.
    #[error("'{key}' of secret '{namespace}/{name}' is not valid UTF-8")]
    Text {
        /// The key.
        key: String,
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
    },
    /// There is no address of a proxy.
    #[error("secret '{namespace}/{name}': {problem}")]
    Proxy {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// A Secret that was read.
struct Credentials {
    namespace: String,
    name: String,
    data: Data,
}

impl Credentials {
    /// Returns a value that is not empty.
    fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty())
    }

    fn text(&self, key: &str) -> Result<Option<String>, SecretError> {
        let Some(bytes) = self.bytes(key) else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| SecretError::Text {
            key: key.to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        })?;
        Ok(Some(text.to_owned()))
    }

    fn secret(&self, key: &str) -> Result<Option<SecretString>, SecretError> {
        Ok(self.text(key)?.map(SecretString::from))
    }
}

impl Context {
    /// Returns where the content of a GitRepository comes from.
    ///
    /// Source: `getAuthOpts`, source-controller 1.9.1,
    /// `internal/controller/gitrepository_controller.go`, and `NewAuthOptions`, fluxcd/pkg
    /// `git/options.go`.
    pub(crate) async fn upstream(&self, obj: &GitRepository) -> Result<Upstream, Stop> {
        let spec = &obj.spec;
        if let Some(path) = self.settings.local_repositories.get(&spec.url) {
            let mut tree = WorkTree::open(path).or_retry(GIT_OPERATION_FAILED)?;
            tree.options.timeout = spec.timeout();
            return Ok(Upstream::new(Place::WorkTree(Box::new(tree)), spec, None));
        }
        let proxy = match &spec.proxy_secret_ref {
            Some(reference) => {
                let found = self.credentials(obj, &reference.name).await;
                let proxy = found.and_then(|found| proxy(&found));
                Some(proxy.map_err(|error| {
                    failed(format!("failed to configure proxy options: {error}"))
                })?)
            }
            None => None,
        };
        let mut remote = Remote::new(&spec.url).or_stall(URL_INVALID)?;
        let credentials = match &spec.secret_ref {
            Some(reference) => {
                Some(self.credentials(obj, &reference.name).await.or_retry(AUTHENTICATION_FAILED)?)
            }
            None => None,
        };
        if let Some(credentials) = &credentials
            && credentials.bytes("githubAppID").is_some()
        {
            let message = format!(
                "secretRef '{}/{}' has github app data but provider is not set to github",
                credentials.namespace, credentials.name
            );
            return Err(Stop::retry(INVALID_PROVIDER_CONFIGURATION, message));
        }
        authenticate(&mut remote, credentials.as_ref()).map_err(|error| {
            failed(format!("failed to configure authentication options: {error}"))
        })?;
        remote.proxy = proxy;
        remote.options.timeout = spec.timeout();
        remote.options.kex_algorithms.clone_from(&self.settings.ssh_kex_algos);
        remote.options.host_key_algorithms.clone_from(&self.settings.ssh_hostkey_algos);
        remote.options.limits.pack_bytes = self.settings.git_max_size;
        remote.options.limits.checkout_bytes = self.settings.git_max_size;
        let secret = credentials.map(|it| format!("{}/{}", it.namespace, it.name));
        Ok(Upstream::new(Place::Remote(Box::new(remote)), spec, secret))
    }

    /// Reads a Secret beside a GitRepository.
    async fn credentials(
        &self,
        obj: &GitRepository,
        name: &str,
    ) -> Result<Credentials, SecretError> {
        let namespace = obj.namespace().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        match api.get(name).await {
            Ok(secret) => Ok(Credentials {
                namespace,
                name: name.to_owned(),
                data: secret.data.unwrap_or_default(),
            }),
            Err(error) => {
                let message = match error {
                    kube::Error::Api(status) => status.message,
                    error => common::stop::chain(&error),
                };
                Err(SecretError::Get { namespace, name: name.to_owned(), message })
            }
        }
    }
}

fn failed(message: String) -> Stop {
    Stop::retry(AUTHENTICATION_FAILED, message)
}

/// Gives a remote the credentials that its scheme takes.
fn authenticate(remote: &mut Remote, credentials: Option<&Credentials>) -> Result<(), SecretError> {
    let url = remote.url().clone();
    if url.scheme() == "ssh" {
        remote.auth = Auth::Ssh(ssh(credentials)?);
        return Ok(());
    }
    let Some(credentials) = credentials else { return Ok(()) };
    let ca = credentials.bytes("ca.crt").or_else(|| credentials.bytes("caFile"));
    remote.tls.ca = ca.map(|pem| tls::Authorities { pem: pem.to_owned(), with_system: true });
    if let (Some(certificates), Some(key)) =
        (credentials.bytes("tls.crt"), credentials.secret("tls.key")?)
    {
        let certificates = certificates.to_owned();
        remote.tls.client = Some(tls::ClientCertificate { certificates, key });
    }
    remote.auth = match (basic(&url, credentials)?, credentials.secret("bearerToken")?) {
        (auth, None) => auth,
        (Auth::None, Some(token)) => Auth::Bearer(token),
        (_, Some(_)) => {
            let problem = "basic auth and bearer token cannot be set at the same time";
            return Err(SecretError::Auth { scheme: url.scheme().to_owned(), problem });
        }
    };
    Ok(())
}

/// Returns the private key, without which there is no way in over SSH.
fn ssh(credentials: Option<&Credentials>) -> Result<SshAuth, SecretError> {
    let missing = |problem| SecretError::Auth { scheme: "ssh".to_owned(), problem };
    let no_identity = || missing("'identity' is required");
    let credentials = credentials.ok_or_else(no_identity)?;
    Ok(SshAuth {
        identity: credentials.secret("identity")?.ok_or_else(no_identity)?,
        passphrase: credentials.secret("password")?,
        known_hosts: credentials
            .text("known_hosts")?
            .ok_or_else(|| missing("'known_hosts' is required"))?,
    })
}

/// Returns user name and password; what the Secret lacks may be in the URL.
fn basic(url: &Url, credentials: &Credentials) -> Result<Auth, SecretError> {
    let username = credentials.text("username")?;
    let password = credentials.secret("password")?;
    if username.is_none() && password.is_none() {
        return Ok(Auth::None);
    }
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let username = username.unwrap_or_else(|| decode(url.username()));
    let password = password.unwrap_or_else(|| decode(url.password().unwrap_or_default()).into());
    if username.is_empty() {
        let problem = "'password' requires 'username' to be set";
        return Err(SecretError::Auth { scheme: url.scheme().to_owned(), problem });
    }
    Ok(Auth::Basic { username, password })
}

/// Returns the proxy that a Secret describes.
///
/// Source: `ProxyURLFromSecret`, fluxcd/pkg `runtime/secrets/converter.go`.
fn proxy(credentials: &Credentials) -> Result<Proxy, SecretError> {
    let problem = |problem: String| SecretError::Proxy {
        namespace: credentials.namespace.clone(),
        name: credentials.name.clone(),
        problem,
    };
    let address = match credentials.data.get("address") {
        None => return Err(problem("key 'address' not found".to_owned())),
        Some(_) => credentials.text("address")?.unwrap_or_default(),
    };
    if address.is_empty() {
        return Err(problem("proxy address is empty".to_owned()));
    }
    if address.len() > MAX_PROXY {
        let text = format!("proxy URL exceeds maximum length of {MAX_PROXY} characters");
        return Err(problem(text));
    }
    let parsed = Url::parse(&address);
    let parsed =
        parsed.map_err(|error| problem(format!("failed to parse proxy address: {error}")))?;
    if !PROXY_SCHEMES.contains(&parsed.scheme()) {
        return Err(problem(format!(
            "proxy URL must use one of the supported schemes ({}), got '{}'",
            PROXY_SCHEMES.join(", "),
            parsed.scheme()
        )));
    }
    let username = credentials.text("username")?;
    let password = credentials.secret("password")?;
    let credentials = username.map(|username| (username, password.unwrap_or_default()));
    Ok(Proxy { address, credentials })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn credentials(data: &[(&str, &str)]) -> Credentials {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_owned())));
        Credentials { namespace: "apps".into(), name: "auth".into(), data: data.collect() }
    }

    fn authenticated(url: &str, data: &[(&str, &str)]) -> Result<Remote, String> {
        let mut remote = Remote::new(url).unwrap();
        authenticate(&mut remote, Some(&credentials(data))).map_err(|error| error.to_string())?;
        Ok(remote)
    }

    fn basic_of(remote: &Remote) -> (&str, &str) {
        match &remote.auth {
            Auth::Basic { username, password } => (username, password.expose_secret()),
            auth => panic!("{auth:?}"),
        }
    }

    #[test]
    fn takes_user_and_password_from_the_secret_before_the_url() {
        let both = [("username", "me"), ("password", "secret")];
        let remote = authenticated("https://you:other@example.com/x", &both).unwrap();
        assert_eq!(basic_of(&remote), ("me", "secret"));
        let remote = authenticated("https://you%40x@example.com/x", &[("password", "s")]).unwrap();
        assert_eq!(basic_of(&remote), ("you@x", "s"));
        let remote = authenticated("https://example.com/x", &[("username", "token")]).unwrap();
        assert_eq!(basic_of(&remote), ("token", ""));
        let error = authenticated("https://example.com/x", &[("password", "s")]).unwrap_err();
        assert_eq!(error, "invalid 'https' auth option: 'password' requires 'username' to be set");
    }

    #[test]
    fn takes_a_token_or_user_and_password_but_not_both() {
        let data = [("bearerToken", "t"), ("username", "me"), ("password", "s")];
        let remote = authenticated("https://example.com/x", &data[..1]).unwrap();
        assert!(matches!(&remote.auth, Auth::Bearer(token) if token.expose_secret() == "t"));
        let error = authenticated("https://example.com/x", &data).unwrap_err();
        assert_eq!(
            error,
            "invalid 'https' auth option: basic auth and bearer token cannot be set at the same time"
        );
    }

    #[test]
    fn needs_a_key_and_known_hosts_for_ssh() {
        let url = "ssh://git@example.com/x";
        let data = [("identity", "key"), ("known_hosts", "hosts"), ("password", "phrase")];
        let remote = authenticated(url, &data).unwrap();
        let Auth::Ssh(ssh) = remote.auth else { panic!("{:?}", remote.auth) };
        assert_eq!(ssh.identity.expose_secret(), "key");
        assert_eq!(ssh.known_hosts, "hosts");
        assert_eq!(ssh.passphrase.unwrap().expose_secret(), "phrase");
        for (data, problem) in [(&data[1..], "'identity'"), (&data[..1], "'known_hosts'")] {
            let error = authenticated(url, data).unwrap_err();
            assert_eq!(error, format!("invalid 'ssh' auth option: {problem} is required"));
        }
        let mut remote = Remote::new(url).unwrap();
        assert!(authenticate(&mut remote, None).is_err());
    }

    #[test]
    fn trusts_an_authority_beside_those_of_the_system() {
        let data = [("ca.crt", "one"), ("caFile", "two"), ("tls.crt", "c"), ("tls.key", "k")];
        let remote = authenticated("https://example.com/x", &data).unwrap();
        let ca = remote.tls.ca.unwrap();
        assert_eq!((ca.pem.as_slice(), ca.with_system), (&b"one"[..], true));
        assert_eq!(remote.tls.client.unwrap().key.expose_secret(), "k");
        assert!(matches!(remote.auth, Auth::None));
        let remote = authenticated("https://example.com/x", &[("caFile", "two")]).unwrap();
        assert_eq!(remote.tls.ca.unwrap().pem, b"two");
    }

    #[test]
    fn refuses_what_is_no_text() {
        let mut credentials = credentials(&[("username", "me")]);
        credentials.data.insert("password".into(), ByteString(vec![0xff]));
        let mut remote = Remote::new("https://example.com").unwrap();
        let error = authenticate(&mut remote, Some(&credentials)).unwrap_err();
        assert_eq!(error.to_string(), "'password' of secret 'apps/auth' is not valid UTF-8");
    }

    #[test]
    fn reads_proxies() {
        let found = proxy(&credentials(&[("address", "http://proxy:3128"), ("username", "me")]));
        let found = found.unwrap();
        assert_eq!(found.address, "http://proxy:3128");
        assert_eq!(found.credentials.unwrap().0, "me");
        for (data, part) in [
            (vec![], "secret 'apps/auth': key 'address' not found"),
            (vec![("address", "")], "proxy address is empty"),
            (vec![("address", "proxy:3128")], "(http, https, socks5), got 'proxy'"),
            (vec![("address", "::")], "failed to parse proxy address"),
        ] {
            let error = proxy(&credentials(&data)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let long = format!("http://{}", "x".repeat(2048));
        assert!(proxy(&credentials(&[("address", &long)])).is_err());
    }
}
