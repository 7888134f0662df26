//! Repositories within repositories.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use cap_std::fs::Dir;
use gix::{
    ObjectId,
    bstr::{BStr, BString, ByteSlice as _},
    objs::{TreeRefIter, tree::EntryKind},
};
use redact::RedactedUrl;
use url::Url;

use crate::{
    Auth, Commit, Error, Limits, Remote,
    checkout::fetch_any_commit,
    connection::Connection,
    operation::Operation,
    store::Store,
    tree::{Budget, Sparse, Submodule, Writer},
};

/// How deep submodules may be within each other; those below stay empty folders.
///
/// Source: `DefaultSubmoduleRecursionDepth`, go-git `options.go`.
pub(crate) const MAX_DEPTH: usize = 10;

/// Writes submodules to the folders that stand for them.
pub(crate) struct Submodules<'a> {
    pub(crate) root: &'a Dir,
    pub(crate) sparse: &'a Sparse,
    pub(crate) limits: &'a Limits,
    pub(crate) budget: &'a mut Budget,
}

/// Where a repository comes from, and so its submodules.
pub(crate) enum Origin {
    /// A server.
    Remote {
        /// How to reach the repository.
        remote: Box<Remote>,
        /// The bounds of the call, which names the repository.
        operation: Arc<Operation>,
    },
    /// The folder of a local repository that has objects and references.
    Local {
        /// The folder.
        git_dir: PathBuf,
        /// The bounds of the call.
        operation: Arc<Operation>,
    },
}

impl Submodules<'_> {
    /// Writes the submodules of a tree, and those within them.
    ///
    /// A submodule without an entry in `.gitmodules` stays an empty folder.
    pub(crate) fn write(
        &mut self,
        origin: &Origin,
        store: &Store,
        tree: ObjectId,
        found: Vec<Submodule>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > MAX_DEPTH || found.is_empty() {
            return Ok(());
        }
        let modules = Modules::read(store, tree)?;
        for submodule in found {
            let Some(module) = modules.0.get(&submodule.inner_path) else { continue };
            self.write_one(origin, module, &submodule, depth).map_err(|source| match source {
                ended @ (Error::Timeout { .. } | Error::Cancelled) => ended,
                source => {
                    let path = submodule.path.to_string();
                    Error::Submodule { path, source: Box::new(source) }
                }
            })?;
        }
        Ok(())
    }

    fn write_one(
        &mut self,
        origin: &Origin,
        module: &Module,
        submodule: &Submodule,
        depth: usize,
    ) -> Result<(), Error> {
        let (origin, store) = origin.open(module, submodule.commit)?;
        let (_, tree) = Commit::read(&store, submodule.commit)?;
        let name = Path::new(OsStr::from_bytes(&submodule.path));
        let failed = |source| Error::Io { action: "open", path: name.to_owned(), source };
        let folder = self.root.open_dir(name).map_err(failed)?;
        let found = Writer::new(&store, origin.operation(), self.limits, self.sparse, self.budget)
            .write(tree, &folder, &submodule.path)?;
        self.write(&origin, &store, tree, found, depth + 1)
    }
}

impl Origin {
    /// Returns the objects of a submodule.
    fn open(&self, module: &Module, commit: ObjectId) -> Result<(Self, Store), Error> {
        match self {
            Self::Remote { remote, operation } => {
                let remote = Box::new(remote_of(remote, &module.url)?);
                let operation = operation.with_url(remote.redacted_url());
                let store = match remote.local()? {
                    Some(local) => local.store,
                    None => fetch_any_commit(&mut Connection::new(&remote, &operation)?, commit)?,
                };
                Ok((Self::Remote { remote, operation }, store))
            }
            Self::Local { git_dir, operation } => {
                let missing = || Error::SubmoduleNotFetched { commit: commit.to_string() };
                // The name is a path, and comes from the repository.
                let name = Path::new(&module.name);
                if !name.components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(missing());
                }
                let git_dir = git_dir.join("modules").join(name);
                let objects = git_dir.join("objects");
                if !objects.is_dir() {
                    return Err(missing());
                }
                let store = Store::open(&objects)?;
                if !store.contains(&commit) {
                    return Err(missing());
                }
                Ok((Self::Local { git_dir, operation: Arc::clone(operation) }, store))
            }
        }
    }

    fn operation(&self) -> &Operation {
        match self {
            Self::Remote { operation, .. } | Self::Local { operation, .. } => operation,
        }
    }
}

/// The submodules that `.gitmodules` tells of, by their paths.
#[derive(Debug, Default)]
struct Modules(BTreeMap<BString, Module>);

#[derive(Debug)]
struct Module {
    name: String,
    url: String,
}

impl Modules {
    /// Reads the file of a tree; without one there are no submodules.
    fn read(store: &Store, tree: ObjectId) -> Result<Self, Error> {
        let broken = |source| Error::Object { id: tree.to_string(), source };
        let mut content = Vec::new();
        store.read(&tree, &mut content)?;
        let mut file = None;
        for entry in TreeRefIter::from_bytes(&content, tree.kind()) {
            let entry = entry.map_err(broken)?;
            if entry.filename == ".gitmodules"
                && matches!(entry.mode.kind(), EntryKind::Blob | EntryKind::BlobExecutable)
            {
                file = Some(entry.oid.to_owned());
            }
        }
        let Some(file) = file else { return Ok(Self::default()) };
        store.read(&file, &mut content)?;
        Self::parse(&content).map_err(|source| Error::Object { id: file.to_string(), source })
    }

    fn parse(content: &[u8]) -> gix::Result<Self> {
        let file = gix::submodule::File::from_bytes(content, None, &gix::config::File::default())?;
        let names: Vec<&BStr> = file.names().collect();
        Ok(Self(
            names
                .into_iter()
                .filter_map(|name| {
                    let path = file.path(name).ok()?;
                    let url = file.config().string_by("submodule", Some(name), "url")?;
                    let url = url.to_str().ok()?.to_owned();
                    Some((path, Module { name: name.to_str().ok()?.to_owned(), url }))
                })
                .collect(),
        ))
    }
}

/// Returns the repository of a submodule, reached as its parent is.
///
/// A password or token goes along to the same server alone: whoever can write to a repository
/// could otherwise send it to a server of their own. A private key is shown to every server that
/// is known.
fn remote_of(parent: &Remote, url: &str) -> Result<Remote, Error> {
    let invalid =
        |reason: &str| Error::InvalidUrl { url: RedactedUrl::new(url), reason: reason.to_owned() };
    let absolute = if url.starts_with("./") || url.starts_with("../") {
        relative(parent.url(), url).ok_or_else(|| invalid("it leads out of the server"))?
    } else {
        from_scp(url).unwrap_or_else(|| url.to_owned())
    };
    let mut remote = Remote::new(&absolute)?;
    let (from, to) = (parent.url().clone(), remote.url().clone());
    let same_server = from.scheme() == to.scheme()
        && from.host() == to.host()
        && from.port_or_known_default() == to.port_or_known_default();
    let names_user = !to.username().is_empty() || to.password().is_some();
    if same_server && !names_user {
        remote.set_user(from.username(), from.password());
    }
    remote.auth = match &parent.auth {
        auth @ Auth::Ssh(_) if to.scheme() == "ssh" => auth.clone(),
        Auth::Ssh(_) => Auth::None,
        auth if same_server => auth.clone(),
        _ => Auth::None,
    };
    remote.tls = parent.tls.clone();
    if !same_server {
        remote.tls.client = None;
    }
    remote.proxy.clone_from(&parent.proxy);
    remote.options = parent.options.clone();
    Ok(remote)
}

/// Resolves a relative URL against that of the parent.
///
/// Source: `relative_url`, git `remote.c`.
fn relative(base: &Url, url: &str) -> Option<String> {
    let path = base.path().trim_end_matches('/');
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            segments.pop()?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else {
            break;
        }
    }
    segments.extend(rest.split('/').filter(|segment| !segment.is_empty()));
    if segments.contains(&"..") {
        return None;
    }
    let mut url = base.clone();
    url.set_path(&format!("/{}", segments.join("/")));
    Some(url.into())
}

/// Turns `git@host:path` into a URL.
fn from_scp(url: &str) -> Option<String> {
    if url.contains("://") {
        return None;
    }
    let (host, path) = url.split_once(':')?;
    if host.is_empty() || host.contains('/') || path.is_empty() || path.starts_with(':') {
        return None;
    }
    Some(format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::SshAuth;

    #[test]
    fn resolves_relative_urls() {
        for (base, url, expected) in [
            ("https://example.com/team/fleet", "../lib", Some("https://example.com/team/lib")),
            (
                "https://example.com/team/fleet/",
                "../lib.git",
                Some("https://example.com/team/lib.git"),
            ),
            ("https://example.com/team/fleet", "./lib", Some("https://example.com/team/fleet/lib")),
            ("https://example.com/team/fleet", "../../o/lib", Some("https://example.com/o/lib")),
            ("https://example.com/team/fleet", "../../../lib", None),
            ("https://example.com/team/fleet", "../a/../../lib", None),
            (
                "ssh://git@example.com:22/team/fleet",
                "../lib",
                Some("ssh://git@example.com:22/team/lib"),
            ),
        ] {
            assert_eq!(relative(&Url::parse(base).unwrap(), url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn understands_addresses_without_a_scheme() {
        assert_eq!(
            from_scp("git@github.com:team/lib.git").as_deref(),
            Some("ssh://git@github.com/team/lib.git")
        );
        assert_eq!(from_scp("https://github.com/team/lib"), None);
        assert_eq!(from_scp("/srv/lib"), None);
        assert_eq!(from_scp("./a:b"), None);
    }

    #[test]
    fn keeps_secrets_on_their_server() {
        let mut parent = Remote::new("https://example.com/team/fleet").unwrap();
        parent.auth = Auth::Basic { username: "flux".into(), password: "secret".to_owned().into() };
        let auth = |url: &str| remote_of(&parent, url).unwrap().auth;

        assert!(matches!(auth("../lib"), Auth::Basic { .. }));
        assert!(matches!(auth("https://example.com/lib"), Auth::Basic { .. }));
        assert!(matches!(auth("https://example.org/lib"), Auth::None));
        assert!(matches!(auth("http://example.com/lib"), Auth::None));
        assert!(matches!(auth("https://example.com:8443/lib"), Auth::None));
        assert!(matches!(auth("git@example.com:lib"), Auth::None));

        let mut parent = Remote::new("https://flux:secret@example.com/team/fleet").unwrap();
        let url = |parent: &Remote, url: &str| remote_of(parent, url).unwrap().url().to_string();
        assert_eq!(url(&parent, "https://example.com/lib"), "https://flux:secret@example.com/lib");
        assert_eq!(url(&parent, "https://example.org/lib"), "https://example.org/lib");

        parent = Remote::new("ssh://git@example.com/team/fleet").unwrap();
        parent.auth = Auth::Ssh(SshAuth {
            identity: SecretString::default(),
            passphrase: None,
            known_hosts: String::new(),
        });
        assert!(matches!(remote_of(&parent, "git@github.com:lib").unwrap().auth, Auth::Ssh(_)));
        assert!(matches!(remote_of(&parent, "https://github.com/lib").unwrap().auth, Auth::None));
    }

    #[test]
    fn refuses_urls_that_are_not_of_a_server() {
        let parent = Remote::new("https://example.com/fleet").unwrap();
        for url in ["/etc", "ext::sh -c id", "../../lib"] {
            assert!(matches!(remote_of(&parent, url), Err(Error::InvalidUrl { .. })), "{url}");
        }
    }
}
