//! What can go wrong with a remote repository.

use std::{fmt, path::PathBuf, time::Duration};

use redact::RedactedUrl;

use crate::KnownHostsError;

/// Why a remote repository could not be read.
///
/// A variant tells who has to do something: the user who wrote the reference or the credentials,
/// the one who runs the server, or nobody, because it may pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be parsed, or is not one of a remote repository.
    #[error("invalid URL {url}: {reason}")]
    InvalidUrl {
        /// The URL.
        url: RedactedUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// The credentials do not fit the URL.
    #[error("invalid credentials for {url}: {reason}")]
    InvalidCredentials {
        /// The repository.
        url: RedactedUrl,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The URL of the proxy cannot be used.
    #[error("invalid proxy {proxy}")]
    InvalidProxy {
        /// The proxy.
        proxy: RedactedUrl,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The reference is not well-formed.
    #[error("invalid reference {reference:?}: {reason}")]
    InvalidReference {
        /// The reference as it was given.
        reference: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The version range cannot be parsed.
    #[error("semver parse error")]
    InvalidRange(#[source] versions::ConstraintError),
    /// The repository has no commits.
    #[error("git repository {url} is empty")]
    EmptyRepository {
        /// The repository.
        url: RedactedUrl,
    },
    /// There is no repository, or it is hidden from those who may not read it.
    #[error("git repository {url} not found")]
    RepositoryNotFound {
        /// The repository.
        url: RedactedUrl,
    },
    /// The repository has no such branch, tag or other reference.
    #[error("couldn't find remote ref {reference:?} in {url}")]
    ReferenceNotFound {
        /// The full name of the reference.
        reference: String,
        /// The repository.
        url: RedactedUrl,
    },
    /// No tag is a version in the range.
    #[error("no match found for semver: {range}")]
    NoMatchingVersion {
        /// The range.
        range: String,
    },
    /// The repository has no such commit, or not on the branch it was looked for.
    #[error("couldn't find commit {commit} in {place}")]
    CommitNotFound {
        /// The hash.
        commit: String,
        /// Where it was looked for.
        place: String,
    },
    /// The reference names something else than a commit.
    #[error("{reference} is a {kind}, not a commit")]
    NotACommit {
        /// The reference, or the hash.
        reference: String,
        /// What it is.
        kind: String,
    },
    /// The server wants credentials, or does not accept those it was given.
    #[error("authentication required by {url}: the server answered {status}")]
    Authentication {
        /// The repository.
        url: RedactedUrl,
        /// The status of HTTP: 401 where they are missing or wrong, 403 where they do not suffice.
        status: u16,
    },
    /// The server cannot be reached.
    #[error("failed to connect to {url}")]
    Connect {
        /// The server or repository.
        url: RedactedUrl,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection ended too early.
    #[error("the connection to {url} broke")]
    Broken {
        /// The repository.
        url: RedactedUrl,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate or key cannot be used.
    #[error("failed to set up TLS for {url}")]
    Tls {
        /// The repository.
        url: RedactedUrl,
        /// What is wrong with it.
        #[source]
        source: tls::Error,
    },
    /// The two sides of an ssh connection did not come together.
    #[error("ssh: failed to connect to {url}")]
    Ssh {
        /// The repository.
        url: RedactedUrl,
        /// What happened.
        #[source]
        source: SshError,
    },
    /// The server answered with an error.
    #[error("{url} answered with status {status}")]
    Status {
        /// The repository.
        url: RedactedUrl,
        /// The status of HTTP.
        status: u16,
    },
    /// Something answered, but does not speak the protocol.
    #[error("{url} answered with {content_type} where Git's smart HTTP protocol was expected")]
    NotGit {
        /// The repository.
        url: RedactedUrl,
        /// The media type of the answer, or what stands in for it.
        content_type: String,
    },
    /// The server sends somewhere that must or need not be followed.
    #[error("refused to follow the redirect from {from} to {to}: {reason}")]
    Redirect {
        /// The repository.
        from: RedactedUrl,
        /// Where the server sends.
        to: RedactedUrl,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// The server refused a request in words of its own.
    #[error("{url} refused: {message}")]
    Refused {
        /// The repository.
        url: RedactedUrl,
        /// What the server says.
        message: String,
    },
    /// What the server sends is not what the protocol asks for.
    #[error("failed to understand {url}")]
    Protocol {
        /// The repository.
        url: RedactedUrl,
        /// What was not understood.
        #[source]
        source: gix::Error,
    },
    /// The repository is bigger than is allowed.
    #[error("git repository {url} is bigger than the limit of {limit}")]
    TooBig {
        /// The repository.
        url: RedactedUrl,
        /// The limit that was reached.
        limit: Limit,
    },
    /// Not done in time.
    #[error("timed out after {after:?} with {url}")]
    Timeout {
        /// The repository.
        url: RedactedUrl,
        /// The whole time that was allowed.
        after: Duration,
    },
    /// The caller is not interested any more.
    #[error("cancelled")]
    Cancelled,
    /// A folder that was asked for is not in the repository.
    #[error("sparse checkout directory {directory:?} does not exist in the repository")]
    SparseDirectoryNotFound {
        /// The folder as it was asked for.
        directory: String,
    },
    /// A submodule cannot be checked out.
    #[error("failed to check out submodule {path:?}")]
    Submodule {
        /// Where it is in the checkout.
        path: String,
        /// Why not.
        #[source]
        source: Box<Error>,
    },
    /// A submodule of a local folder was never received.
    #[error("commit {commit} is not there: run `git submodule update --init --recursive`")]
    SubmoduleNotFetched {
        /// The commit that its parent wants.
        commit: String,
    },
    /// A path of the repository must not be written.
    #[error("refused to check out {path:?}: {reason}")]
    UnsafePath {
        /// The path in the repository.
        path: String,
        /// Why it must not.
        reason: String,
    },
    /// An object of the repository is missing or broken.
    #[error("failed to read object {id}")]
    Object {
        /// The hash of the object.
        id: String,
        /// What is wrong with it.
        #[source]
        source: gix::Error,
    },
    /// The repository of a local folder cannot be read.
    #[error("failed to read the repository in {}", path.display())]
    WorkTree {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: gix::Error,
    },
    /// There are files where the checkout is to go.
    #[error("refused to check out into {}: the folder is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be written or read.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// Why the two sides of an ssh connection did not come together.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The private key cannot be parsed.
    #[error("failed to parse the private key")]
    InvalidKey(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The private key has a passphrase, which was not given.
    #[error("the private key is encrypted, and no passphrase was given")]
    EncryptedKey,
    /// The passphrase does not open the private key.
    #[error("failed to decrypt the private key: the passphrase is wrong")]
    WrongPassphrase,
    /// The known hosts cannot be parsed.
    #[error("failed to parse the known hosts")]
    KnownHosts(#[source] KnownHostsError),
    /// There is no key for the host.
    #[error("knownhosts: key is unknown: no key of {host} is known, it shows {key}")]
    UnknownHost {
        /// The host, with its port unless it is the usual one.
        host: String,
        /// The key that it shows: type and fingerprint.
        key: String,
    },
    /// The host is known by another key: it has a new one, or is another host.
    #[error("knownhosts: key mismatch: {host} shows {key}, which is not the known one")]
    KeyMismatch {
        /// The host, with its port unless it is the usual one.
        host: String,
        /// The key that it shows: type and fingerprint.
        key: String,
    },
    /// The host shows a key that is marked as revoked.
    #[error("knownhosts: key is revoked: {host} shows {key}")]
    RevokedKey {
        /// The host, with its port unless it is the usual one.
        host: String,
        /// The key that it shows: type and fingerprint.
        key: String,
    },
    /// The server does not let the private key in.
    #[error("unable to authenticate: the private key is not accepted for user {user}")]
    Refused {
        /// The user.
        user: String,
    },
    /// An algorithm of the options is not implemented.
    #[error("unknown algorithm {name:?}")]
    UnknownAlgorithm {
        /// The name as it was given.
        name: String,
    },
    /// The two sides know no algorithm in common.
    #[error("no common {kind} algorithm: offered {ours}, the server takes {theirs}")]
    NoCommonAlgorithm {
        /// What the algorithm is for.
        kind: &'static str,
        /// The names that were offered.
        ours: String,
        /// The names that the server offers.
        theirs: String,
    },
    /// The other side does not speak as it should, or ends the connection.
    #[error("the protocol failed")]
    Protocol(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A limit of [`crate::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes that the server sends.
    PackBytes(u64),
    /// Objects that the server sends.
    Objects(u32),
    /// Files that are checked out.
    Files(u64),
    /// Bytes that are checked out.
    CheckoutBytes(u64),
    /// Bytes of a list of references.
    ListBytes(u64),
    /// Folders within each other.
    Depth(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PackBytes(bytes) => write!(f, "{} to transfer", Bytes(*bytes)),
            Self::Objects(count) => write!(f, "{count} objects"),
            Self::Files(count) => write!(f, "{count} files"),
            Self::CheckoutBytes(bytes) => write!(f, "{} of files", Bytes(*bytes)),
            Self::ListBytes(bytes) => write!(f, "{} of references", Bytes(*bytes)),
            Self::Depth(count) => write!(f, "{count} nested folders"),
        }
    }
}

/// A number of bytes in the largest unit that divides it.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 > 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_limits_in_readable_units() {
        for (limit, expected) in [
            (Limit::PackBytes(3 << 30), "3 GiB to transfer"),
            (Limit::CheckoutBytes(1536 << 10), "1536 KiB of files"),
            (Limit::ListBytes(1000), "1000 bytes of references"),
            (Limit::PackBytes(0), "0 bytes to transfer"),
            (Limit::Files(7), "7 files"),
        ] {
            assert_eq!(limit.to_string(), expected);
        }
    }
}
