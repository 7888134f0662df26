//! A remote repository and how to reach it.

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use redact::RedactedUrl;
use secrecy::SecretString;
use url::Url;

use crate::{
    Checkout, CheckoutOptions, Error, Reference, RemoteRef, Resolved, checkout,
    connection::Connection,
    operation,
    resolve::{self, Source as _},
    submodule::Origin,
    worktree::local::Local,
};

/// A remote repository, and how to reach it.
#[derive(Debug, Clone)]
pub struct Remote {
    url: Url,
    /// How to identify oneself. Without, a user name and password in the URL are used.
    pub auth: Auth,
    /// Which servers to trust over https, and the client's own certificate.
    pub tls: tls::Options,
    /// Where to connect instead of the server itself.
    ///
    /// Without, http and https follow `HTTPS_PROXY` and its like.
    pub proxy: Option<Proxy>,
    /// Timeout, limits and names.
    pub options: Options,
}

/// How a client identifies itself.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// With a user name and password, over https and http.
    Basic {
        /// The user.
        username: String,
        /// The password, or a token.
        password: SecretString,
    },
    /// With a token, over https and http.
    Bearer(SecretString),
    /// With a private key, over ssh.
    Ssh(SshAuth),
}

/// A private key, and the servers it may be shown to.
///
/// The user is that of the URL, or `git`.
#[derive(Debug, Clone)]
pub struct SshAuth {
    /// The private key in OpenSSH's format or in PEM.
    pub identity: SecretString,
    /// What the private key is encrypted with.
    pub passphrase: Option<SecretString>,
    /// The keys of servers, in the format of OpenSSH's `known_hosts`.
    pub known_hosts: String,
}

/// A proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The address: `http://`, `https://` or `socks5://`, host and port.
    pub address: String,
    /// The user name and password.
    pub credentials: Option<(String, SecretString)>,
}

/// Timeout, limits and names.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a call may take as a whole.
    pub timeout: Duration,
    /// How much is read and written.
    pub limits: Limits,
    /// How the client names itself over http.
    pub user_agent: String,
    /// Algorithms of host keys to offer over ssh, most wanted first; those of the known keys of the
    /// host if empty.
    pub host_key_algorithms: Vec<String>,
    /// Key exchange algorithms to offer over ssh, most wanted first; the usual ones if empty.
    pub kex_algorithms: Vec<String>,
    /// Whether `file://` URLs are read.
    ///
    /// Whoever can choose the URL could then read every repository on the machine.
    pub allow_file: bool,
    /// Where objects are kept during a call; the system's folder for temporary files if not set.
    pub scratch: Option<PathBuf>,
}

/// How much is read from a server and written to disk, at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a pack, compressed as the server sends it.
    pub pack_bytes: u64,
    /// Objects of a pack.
    pub objects: u32,
    /// Files that are checked out.
    pub files: u64,
    /// Bytes that are checked out.
    pub checkout_bytes: u64,
    /// Bytes of a list of references.
    pub list_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(1),
            limits: Limits::default(),
            user_agent: concat!("tidegate/", env!("CARGO_PKG_VERSION")).to_owned(),
            host_key_algorithms: Vec::new(),
            kex_algorithms: Vec::new(),
            allow_file: false,
            scratch: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pack_bytes: 2 << 30,
            objects: 20_000_000,
            files: 1_000_000,
            checkout_bytes: 4 << 30,
            list_bytes: 256 << 20,
        }
    }
}

impl Remote {
    /// Returns a remote repository without credentials.
    ///
    /// # Errors
    ///
    /// When the URL is not an absolute one with the scheme `https`, `http`, `ssh` or `file`. The
    /// form `git@host:path` is not a URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let invalid =
            |reason: &str| Error::InvalidUrl { url: RedactedUrl::new(url), reason: reason.into() };
        let parsed = Url::parse(url).map_err(|err| invalid(&err.to_string()))?;
        match parsed.scheme() {
            "http" | "https" | "ssh" if parsed.has_host() => {}
            "file" => {}
            _ => return Err(invalid("expected https://, http:// or ssh:// and a host")),
        }
        Ok(Self {
            url: parsed,
            auth: Auth::None,
            tls: tls::Options::default(),
            proxy: None,
            options: Options::default(),
        })
    }

    /// Returns the URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the URL as it may be shown.
    pub fn redacted_url(&self) -> RedactedUrl {
        RedactedUrl::from(&self.url)
    }

    /// Opens the repository of a `file://` URL, if it is one and that is allowed.
    pub(crate) fn local(&self) -> Result<Option<Local>, Error> {
        if self.url.scheme() != "file" {
            return Ok(None);
        }
        let url = self.redacted_url();
        if !self.options.allow_file {
            return Err(Error::InvalidUrl { url, reason: "file:// is not allowed".to_owned() });
        }
        let path = self.url.to_file_path().map_err(|()| Error::InvalidUrl {
            url: url.clone(),
            reason: "not a path".to_owned(),
        })?;
        Local::open(&path)?.map(Some).ok_or(Error::RepositoryNotFound { url })
    }

    /// Puts a user name and password into the URL.
    pub(crate) fn set_user(&mut self, user: &str, password: Option<&str>) {
        // Both fail only for URLs without a host, which have no user either.
        let _ = self.url.set_username(user);
        let _ = self.url.set_password(password);
    }

    /// Lists the references whose full names start with one of some prefixes, with the commits
    /// that tags point to.
    ///
    /// Without prefixes, all are listed. Servers of the current protocol send only those that
    /// were asked for.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or does not answer as it should. An empty repository is
    /// an empty list.
    pub async fn list_refs(&self, prefixes: &[&str]) -> Result<Vec<RemoteRef>, Error> {
        let remote = self.clone();
        let prefixes: Vec<String> = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        operation::run(self.redacted_url(), self.options.timeout, move |operation| {
            let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            match remote.local()? {
                Some(mut local) => local.list(&prefixes),
                None => Connection::new(&remote, operation)?.list(&prefixes),
            }
        })
        .await
    }

    /// Returns the commit that a reference names at this time.
    ///
    /// This takes a list of references alone, except where several tags have the same version:
    /// then the commits of those tags are read, and the latest wins.
    ///
    /// A commit that is given by its hash is not looked for. The server is contacted all the same,
    /// so that missing access shows.
    ///
    /// # Errors
    ///
    /// When the server does not have the reference, or does not answer as it should.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        let (remote, reference) = (self.clone(), reference.clone());
        operation::run(self.redacted_url(), self.options.timeout, move |operation| {
            if let Some(mut local) = remote.local()? {
                return resolve::resolve(&mut local, reference.target());
            }
            let mut connection = Connection::new(&remote, operation)?;
            resolve::resolve(&mut connection, reference.target())
        })
        .await
    }

    /// Writes the files of the commit that a reference names to a folder.
    ///
    /// The folder is created, and must be empty if it exists. Files are written as they are stored
    /// in the repository, without the conversions of `.gitattributes`; there is no `.git`.
    /// Symbolic links are written, and never followed.
    ///
    /// # Errors
    ///
    /// When the server does not have the reference, does not answer as it should, or has more than
    /// the limits allow. The folder may then hold a part of the files.
    pub async fn checkout(
        &self,
        reference: &Reference,
        options: &CheckoutOptions,
        into: &Path,
    ) -> Result<Checkout, Error> {
        let (remote, reference) = (self.clone(), reference.clone());
        let (options, into) = (options.clone(), into.to_owned());
        operation::run(self.redacted_url(), self.options.timeout, move |operation| {
            let target = reference.target();
            if let Some(mut local) = remote.local()? {
                let limits = remote.options.limits;
                let remote = Box::new(remote);
                let origin = Origin::Remote { remote, operation: Arc::clone(operation) };
                return local.checkout(target, &origin, &options, &limits, operation, &into);
            }
            let mut connection = Connection::new(&remote, operation)?;
            checkout::checkout(&mut connection, target, &options, &into)
        })
        .await
    }
}
