//! The protocol over ssh.

use std::{
    borrow::Cow,
    io::{self, BufWriter, Read, Write},
    sync::Arc,
};

use bytes::Bytes;
use gix::protocol::transport::Protocol;
use gix_transport::client::{
    blocking_io::Transport,
    git::{ConnectMode, blocking_io::Connection},
};
use percent_encoding::percent_decode_str;
use russh::{
    AlgorithmKind, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Preferred,
    client::{self, AuthResult, Handle},
    kex,
    keys::{
        Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
        decode_secret_key,
    },
};
use secrecy::ExposeSecret;

use super::dial::dial;
use crate::{
    Auth, Error, Limit, Remote, SshAuth, SshError,
    known_hosts::{KnownHosts, Verdict},
    operation::Operation,
};

/// Who to be where the URL does not say.
const USER: &str = "git";

/// How much of what a server says on the side is kept.
const MAX_MESSAGE: usize = 8 << 10;

/// What the answers need beside packs: references, framing and messages.
const OVERHEAD: u64 = 64 << 20;

/// Returns a transport over ssh.
pub(super) fn connect(
    remote: &Remote,
    operation: &Arc<Operation>,
) -> Result<Box<dyn Transport + Send>, Error> {
    let url = remote.redacted_url();
    let Auth::Ssh(auth) = &remote.auth else {
        let reason = "ssh takes a private key and known hosts";
        return Err(Error::InvalidCredentials { url, reason });
    };
    let key = private_key(auth).map_err(|source| Error::Ssh { url: url.clone(), source })?;
    let path = path(remote)?;
    let (session, read, write) = operation.wait(open(remote, auth, key, &path))??;
    let limits = &remote.options.limits;
    let reader = Reader {
        _session: session,
        read,
        chunk: Bytes::new(),
        messages: Vec::new(),
        received: 0,
        most: limits.list_bytes.saturating_add(limits.pack_bytes).saturating_add(OVERHEAD),
        limit: Limit::PackBytes(limits.pack_bytes),
        operation: Arc::clone(operation),
    };
    let writer = BufWriter::new(Writer { write, operation: Arc::clone(operation) });
    Ok(Box::new(Connection::new(
        reader,
        writer,
        Protocol::V2,
        path,
        None::<(&str, Option<u16>)>,
        ConnectMode::Process,
        false,
    )))
}

/// Reads the private key.
fn private_key(auth: &SshAuth) -> Result<PrivateKey, SshError> {
    let text = auth.identity.expose_secret();
    let passphrase = auth.passphrase.as_ref().map(ExposeSecret::expose_secret);
    match decode_secret_key(text, passphrase.filter(|text| !text.is_empty())) {
        Ok(key) => Ok(key),
        Err(source) => {
            let is_encrypted = text.contains("ENCRYPTED")
                || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted());
            match (is_encrypted, passphrase) {
                (true, None | Some("")) => Err(SshError::EncryptedKey),
                (true, Some(_)) => Err(SshError::WrongPassphrase),
                (false, _) => Err(SshError::InvalidKey(Box::new(source))),
            }
        }
    }
}

/// Returns the path of the repository on the server; `/~user` is below that user's home.
fn path(remote: &Remote) -> Result<String, Error> {
    let path = percent_decode_str(remote.url().path()).decode_utf8().map_err(|_| {
        Error::InvalidUrl { url: remote.redacted_url(), reason: "the path is not UTF-8".into() }
    })?;
    let path = if path.starts_with("/~") { &path[1..] } else { &path };
    if path.contains(['\0', '\n']) {
        let reason = "the path has characters that it must not".into();
        return Err(Error::InvalidUrl { url: remote.redacted_url(), reason });
    }
    Ok(path.to_owned())
}

/// Connects, identifies both sides, and starts the program that answers.
async fn open(
    remote: &Remote,
    auth: &SshAuth,
    key: PrivateKey,
    path: &str,
) -> Result<(Handle<Verifier>, ChannelReadHalf, ChannelWriteHalf<client::Msg>), Error> {
    let url = remote.redacted_url();
    let failed = |source: SshError| Error::Ssh { url: url.clone(), source };
    let host = match remote.url().host() {
        Some(url::Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    };
    let port = remote.url().port().unwrap_or(22);
    let known_hosts =
        KnownHosts::parse(&auth.known_hosts).map_err(SshError::KnownHosts).map_err(failed)?;
    let config = client::Config {
        preferred: preferred(remote, &known_hosts, &host, port).map_err(failed)?,
        nodelay: true,
        ..client::Config::default()
    };
    let stream = dial(remote, &host, port).await?;
    let verifier = Verifier { known_hosts, host, port };
    let mut session =
        client::connect_stream(Arc::new(config), stream, verifier).await.map_err(failed)?;
    authenticate(&mut session, remote, key).await.map_err(failed)?;

    let channel = session.channel_open_session().await.map_err(SshError::from).map_err(failed)?;
    // Servers that do not take it speak the older protocol.
    channel
        .set_env(false, "GIT_PROTOCOL", "version=2")
        .await
        .map_err(SshError::from)
        .map_err(failed)?;
    let command = format!("git-upload-pack {}", quoted(path));
    channel.exec(true, command).await.map_err(SshError::from).map_err(failed)?;
    let (read, write) = channel.split();
    Ok((session, read, write))
}

/// Returns the algorithms to offer.
fn preferred(
    remote: &Remote,
    known_hosts: &KnownHosts,
    host: &str,
    port: u16,
) -> Result<Preferred, SshError> {
    let options = &remote.options;
    let unknown = |name: &String| SshError::UnknownAlgorithm { name: name.clone() };
    let mut preferred = Preferred::default();
    let known = known_hosts.algorithms(host, port);
    if !options.host_key_algorithms.is_empty() {
        preferred.key = options
            .host_key_algorithms
            .iter()
            .map(|name| Algorithm::new(name).map_err(|_| unknown(name)))
            .collect::<Result<_, _>>()?;
    } else if !known.is_empty() {
        preferred.key = Cow::Owned(known);
    }
    if !options.kex_algorithms.is_empty() {
        let mut names = options
            .kex_algorithms
            .iter()
            .map(|name| kex::Name::try_from(name.as_str()).map_err(|()| unknown(name)))
            .collect::<Result<Vec<_>, _>>()?;
        // Not key exchanges, but what makes them safe travels in the same list.
        names.extend([
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]);
        preferred.kex = Cow::Owned(names);
    }
    Ok(preferred)
}

async fn authenticate(
    session: &mut Handle<Verifier>,
    remote: &Remote,
    key: PrivateKey,
) -> Result<(), SshError> {
    let user = match remote.url().username() {
        "" => USER.to_owned(),
        user => percent_decode_str(user).decode_utf8_lossy().into_owned(),
    };
    let hash = if key.algorithm().is_rsa() {
        // Servers that do not say which they take are asked with what all current ones take.
        session.best_supported_rsa_hash().await?.unwrap_or(Some(HashAlg::Sha256))
    } else {
        None
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    match session.authenticate_publickey(user.clone(), key).await? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => Err(SshError::Refused { user }),
    }
}

/// Quotes a path for the shell of the server.
///
/// Source: `sq_quote_buf`, git `quote.c`.
fn quoted(path: &str) -> String {
    let escaped = path.replace('\'', r"'\''").replace('!', r"'\!'");
    format!("'{escaped}'")
}

/// Accepts a server only if it is known.
struct Verifier {
    known_hosts: KnownHosts,
    host: String,
    port: u16,
}

impl client::Handler for Verifier {
    type Error = SshError;

    async fn check_server_key(
        &mut self,
        server: &PublicKeyOrCertificate,
    ) -> Result<bool, SshError> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = server else { return Ok(false) };
        let host = || {
            if self.port == 22 {
                self.host.clone()
            } else {
                format!("[{}]:{}", self.host, self.port)
            }
        };
        let shown = || format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        match self.known_hosts.check(&self.host, self.port, key) {
            Verdict::Known => Ok(true),
            Verdict::UnknownHost => Err(SshError::UnknownHost { host: host(), key: shown() }),
            Verdict::Mismatch => Err(SshError::KeyMismatch { host: host(), key: shown() }),
            Verdict::Revoked => Err(SshError::RevokedKey { host: host(), key: shown() }),
        }
    }
}

/// What the server's program writes.
struct Reader {
    /// Ends the connection when it is dropped.
    _session: Handle<Verifier>,
    read: ChannelReadHalf,
    chunk: Bytes,
    /// What the program, or the server in its place, says to people.
    messages: Vec<u8>,
    received: u64,
    most: u64,
    limit: Limit,
    operation: Arc<Operation>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            let message =
                self.operation.wait(self.read.wait()).map_err(|err| self.operation.fail(err))?;
            match message {
                Some(ChannelMsg::Data { data }) => self.chunk = data,
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = MAX_MESSAGE.saturating_sub(self.messages.len());
                    self.messages.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::Failure) => {
                    self.messages.extend_from_slice(b"git-upload-pack may not be run");
                    return self.end();
                }
                Some(ChannelMsg::Close) | None => return self.end(),
                Some(_) => {}
            }
        }
        let count = self.chunk.as_ref().read(buffer)?;
        let _ = self.chunk.split_to(count);
        self.received += count as u64;
        if self.received > self.most {
            let url = self.operation.url.clone();
            return Err(self.operation.fail(Error::TooBig { url, limit: self.limit }));
        }
        Ok(count)
    }
}

impl Reader {
    /// A program that wrote nothing has failed, and has said why.
    fn end(&mut self) -> io::Result<usize> {
        let messages = String::from_utf8_lossy(&self.messages);
        let message = messages.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.received > 0 {
            if !message.is_empty() {
                tracing::debug!(url = %self.operation.url, message, "server ended");
            }
            return Ok(0);
        }
        let url = self.operation.url.clone();
        let err = if says_not_found(&message) {
            Error::RepositoryNotFound { url }
        } else {
            Error::Refused { url, message }
        };
        Err(self.operation.fail(err))
    }
}

/// Returns whether a server says in its own words that there is no repository.
///
/// Source: `isRepoNotFoundError`, go-git `plumbing/transport/internal/common/common.go`.
fn says_not_found(message: &str) -> bool {
    const WORDS: [&str; 7] = [
        "Repository not found",                                // GitHub
        "repository does not exist",                           // Bitbucket
        "does not appear to be a git repository",              // git itself
        "The project you were looking for could not be found", // GitLab
        "Gogs: Repository does not exist",                     // Gogs
        "Cannot find repository",                              // Gitea
        "No such repository",
    ];
    WORDS.iter().any(|words| message.contains(words))
}

/// What the server's program reads.
struct Writer {
    write: ChannelWriteHalf<client::Msg>,
    operation: Arc<Operation>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.operation.wait(self.write.data(bytes));
        sent.map_err(|err| self.operation.fail(err))?.map_err(|source| {
            let url = self.operation.url.clone();
            self.operation.fail(Error::Broken { url, source: Box::new(source) })
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<russh::Error> for SshError {
    fn from(source: russh::Error) -> Self {
        match source {
            russh::Error::NoCommonAlgo { kind, ours, theirs } => Self::NoCommonAlgorithm {
                kind: match kind {
                    AlgorithmKind::Kex => "key exchange",
                    AlgorithmKind::Key => "host key",
                    AlgorithmKind::Cipher => "cipher",
                    AlgorithmKind::Compression => "compression",
                    AlgorithmKind::Mac => "MAC",
                },
                ours: ours.join(", "),
                theirs: theirs.join(", "),
            },
            source => Self::Protocol(Box::new(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_paths_for_a_shell() {
        assert_eq!(quoted("/srv/a b"), "'/srv/a b'");
        assert_eq!(quoted("/it's!"), r"'/it'\''s'\!''");
    }
}
