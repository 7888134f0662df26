//! Downloads artifacts, checks their digest and unpacks them.

mod shared;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use api::source::Artifact;
use flate2::read::GzDecoder;
use futures::StreamExt as _;
use reqwest::StatusCode;
use sha2::{Sha256, Sha384, Sha512};
use tar::EntryType;
use tracing::debug;
use url::Url;

use shared::Shared;
pub use shared::Unpacked;

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The source does not serve it any more, or not yet.
    #[error("artifact not found")]
    NotFound,
    /// The address of the artifact is none.
    #[error("failed to download archive: '{0}' is not a URL")]
    Url(String),
    /// The server could not be reached, or refused.
    #[error("failed to download archive: {0}")]
    Download(String),
    /// The file is larger than an artifact may be.
    #[error("failed to download archive: it is larger than {limit} bytes")]
    TooLarge {
        /// The most that is downloaded.
        limit: u64,
    },
    /// The file is not the one that the source has advertised.
    #[error(
        "failed to verify archive: computed digest doesn't match provided '{expected}' (computed \
         '{computed}')"
    )]
    Digest {
        /// The digest that the source has advertised.
        expected: String,
        /// The digest of the file.
        computed: String,
    },
    /// The digest cannot be computed.
    #[error("failed to verify archive: unsupported digest '{0}'")]
    Algorithm(String),
    /// The file is no archive, or one that may not be unpacked.
    #[error("failed to untar archive")]
    Unpack(#[source] io::Error),
    /// The disk.
    #[error("tmp dir error")]
    Disk(#[source] io::Error),
}

/// How much is taken from a server that is trusted to serve artifacts, and not with the disk.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of an archive; default 1 GiB.
    pub archive: u64,
    /// Most bytes of all its files; default 4 GiB.
    pub content: u64,
    /// Most files and directories; default 500,000.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { archive: 1 << 30, content: 4 << 30, entries: 500_000 }
    }
}

/// Hosts to ask instead of those in the address of an artifact, for a controller that runs outside
/// of the cluster.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Hosts {
    /// Host and port of source-controller
    #[arg(long, env = "SOURCE_CONTROLLER_LOCALHOST", hide = true)]
    pub source_controller: Option<String>,
    /// Host and port of source-watcher
    #[arg(long, env = "SOURCE_WATCHER_LOCALHOST", hide = true)]
    pub source_watcher: Option<String>,
}

impl Hosts {
    fn resolve(&self, address: &str) -> Result<Url, FetchError> {
        let malformed = || FetchError::Url(address.to_owned());
        let mut url = Url::parse(address).map_err(|_| malformed())?;
        let host = if address.contains("//source-watcher") {
            &self.source_watcher
        } else {
            &self.source_controller
        };
        if let Some(host) = host {
            let replaced = Url::parse(&format!("{}://{host}", url.scheme()));
            let replaced = replaced.map_err(|_| malformed())?;
            url.set_host(replaced.host_str()).map_err(|_| malformed())?;
            url.set_port(replaced.port()).map_err(|()| malformed())?;
        }
        Ok(url)
    }
}

/// Downloads artifacts.
pub struct Fetcher {
    client: reqwest::Client,
    retries: u32,
    hosts: Hosts,
    limits: Limits,
    shared: Shared,
}

const FIRST_DELAY: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may say nothing.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

impl Fetcher {
    /// Returns a fetcher that tries a download that has failed up to `retries` times again.
    ///
    /// # Errors
    ///
    /// When the TLS of the machine is not usable.
    pub fn new(retries: u32, hosts: Hosts, limits: Limits) -> Result<Self, FetchError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| FetchError::Download(error.to_string()))?;
        Ok(Self { client, retries, hosts, limits, shared: Shared::default() })
    }

    /// Downloads and unpacks an artifact into a directory whose name starts with `prefix`. Who asks
    /// for the same artifact at the same time, or soon after, gets the same directory.
    ///
    /// Connection failures and answers of a server in trouble are tried again.
    ///
    /// # Errors
    ///
    /// When the artifact cannot be had, is not the one that was advertised, or cannot be unpacked.
    pub async fn fetch(
        &self,
        artifact: &Artifact,
        prefix: &str,
    ) -> Result<Arc<Unpacked>, FetchError> {
        self.shared.get(artifact, async || self.unpacked(artifact, prefix).await).await
    }

    async fn unpacked(&self, artifact: &Artifact, prefix: &str) -> Result<Unpacked, FetchError> {
        let url = self.hosts.resolve(&artifact.url)?;
        let mut delay = FIRST_DELAY;
        let mut left = self.retries;
        let file = loop {
            match self.download(&url, &artifact.digest).await {
                Ok(file) => break file,
                Err(Attempt { error, may_pass: true }) if left > 0 => {
                    debug!(%error, after_ms = delay.as_millis(), "download failed");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LONGEST_DELAY);
                    left -= 1;
                }
                Err(Attempt { error, .. }) => return Err(error),
            }
        };
        let (limits, prefix) = (self.limits, prefix.to_owned());
        let unpacked = tokio::task::spawn_blocking(move || {
            let dir = tempfile::Builder::new().prefix(&prefix).tempdir();
            let dir = dir.map_err(FetchError::Disk)?;
            let size = unpack(file, dir.path(), limits).map_err(FetchError::Unpack)?;
            Ok(Unpacked::new(dir, size))
        });
        unpacked.await.map_err(|error| FetchError::Disk(io::Error::other(error)))?
    }

    /// Downloads a file, which has the digest, and stands at its start.
    async fn download(&self, url: &Url, digest: &str) -> Result<File, Attempt> {
        let mut sum = Sum::of(digest)?;
        // What is in the address is said where the artifact is.
        let refused = |error: reqwest::Error| Attempt {
            error: FetchError::Download(crate::stop::chain(&error.without_url())),
            may_pass: true,
        };
        let answer = self.client.get(url.clone()).send().await.map_err(refused)?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Err(FetchError::NotFound.into()),
            status if !status.is_success() => {
                let error = FetchError::Download(format!("status code {status}"));
                let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                return Err(Attempt { error, may_pass });
            }
            _ => {}
        }
        let limit = self.limits.archive;
        let mut file = tempfile::tempfile().map_err(FetchError::Disk)?;
        let mut body = answer.bytes_stream();
        let mut size: u64 = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(refused)?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(FetchError::TooLarge { limit }.into());
            }
            sum.update(&chunk);
            file.write_all(&chunk).map_err(FetchError::Disk)?;
        }
        sum.check(digest)?;
        file.seek(SeekFrom::Start(0)).map_err(FetchError::Disk)?;
        Ok(file)
    }
}

/// A download that has failed, and whether another one may succeed.
struct Attempt {
    error: FetchError,
    may_pass: bool,
}

impl From<FetchError> for Attempt {
    fn from(error: FetchError) -> Self {
        Self { error, may_pass: false }
    }
}

/// The checksum of what has been read so far.
enum Sum {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
    Blake3(Box<blake3::Hasher>),
}

/// Splits a digest; one without an algorithm is of SHA-256.
fn split(digest: &str) -> (&str, &str) {
    digest.split_once(':').unwrap_or(("sha256", digest))
}

impl Sum {
    /// Returns the sum of nothing, by the algorithm of a digest.
    fn of(digest: &str) -> Result<Self, FetchError> {
        match split(digest).0 {
            "sha256" => Ok(Self::Sha256(Sha256::default())),
            "sha384" => Ok(Self::Sha384(Sha384::default())),
            "sha512" => Ok(Self::Sha512(Sha512::default())),
            "blake3" => Ok(Self::Blake3(Box::default())),
            _ => Err(FetchError::Algorithm(digest.to_owned())),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::Sha384(sum) => sum.update(bytes),
            Self::Sha512(sum) => sum.update(bytes),
            Self::Blake3(sum) => {
                sum.update(bytes);
            }
        }
    }

    fn check(self, expected: &str) -> Result<(), FetchError> {
        use sha2::Digest as _;
        let computed = match self {
            Self::Sha256(sum) => hex::encode(sum.finalize()),
            Self::Sha384(sum) => hex::encode(sum.finalize()),
            Self::Sha512(sum) => hex::encode(sum.finalize()),
            Self::Blake3(sum) => sum.finalize().to_hex().to_string(),
        };
        let (algorithm, checksum) = split(expected);
        if computed == checksum {
            return Ok(());
        }
        let computed = format!("{algorithm}:{computed}");
        Err(FetchError::Digest { expected: expected.to_owned(), computed })
    }
}

/// Unpacks an archive, and returns how many bytes its files have. Links are left out; whatever else
/// is no file or directory is an error.
///
/// Source: `Untar`, fluxcd/pkg `tar/untar.go`.
fn unpack(file: impl Read, dir: &Path, limits: Limits) -> io::Result<u64> {
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut left = limits.content;
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if count >= limits.entries {
            return Err(io::Error::other(format!("more than {} entries", limits.entries)));
        }
        let path = entry.path()?.into_owned();
        let name = path.to_string_lossy().into_owned();
        let climbs =
            path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
        if name.is_empty() || name.contains('\\') || climbs {
            return Err(io::Error::other(format!("tar contained invalid name {name:?}")));
        }
        let to = dir.join(&path);
        match entry.header().entry_type() {
            EntryType::Directory => std::fs::create_dir_all(&to)?,
            EntryType::Regular => {
                if let Some(parent) = to.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                let mut file = File::create(&to)?;
                let size = io::copy(&mut (&mut entry).take(left + 1), &mut file)?;
                left = left.checked_sub(size).ok_or_else(|| {
                    io::Error::other(format!("more than {} bytes of content", limits.content))
                })?;
                let is_executable = entry.header().mode()? & 0o100 != 0;
                if is_executable {
                    use std::os::unix::fs::PermissionsExt as _;
                    file.set_permissions(std::fs::Permissions::from_mode(0o700))?;
                }
            }
            EntryType::Symlink | EntryType::XGlobalHeader => {}
            other => {
                let text =
                    format!("tar file entry {name} contained unsupported file type {other:?}");
                return Err(io::Error::other(text));
            }
        }
    }
    Ok(limits.content - left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType)]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (name, kind) in entries {
            let content: &[u8] = if *kind == EntryType::Regular { b"content" } else { b"" };
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append(&header, content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    fn unpacked(entries: &[(&str, EntryType)], limits: Limits) -> io::Result<tempfile::TempDir> {
        let dir = tempfile::tempdir()?;
        unpack(&archive(entries)[..], dir.path(), limits)?;
        Ok(dir)
    }

    #[test]
    fn refuses_names_that_leave_the_directory() {
        for name in ["../up", "/root", "a/../../up", "a\\b"] {
            let result = unpacked(&[(name, EntryType::Regular)], Limits::default());
            assert!(result.is_err(), "{name}");
        }
    }

    #[test]
    fn leaves_links_out_and_refuses_devices() {
        let entries = [("a/file", EntryType::Regular), ("link", EntryType::Symlink)];
        let dir = unpacked(&entries, Limits::default()).unwrap();
        assert!(dir.path().join("a/file").is_file());
        assert!(!dir.path().join("link").exists());
        assert!(unpacked(&[("tty", EntryType::Char)], Limits::default()).is_err());
    }

    #[test]
    fn stops_at_the_limits() {
        let entries = [("a", EntryType::Regular), ("b", EntryType::Regular)];
        let few = Limits { entries: 1, ..Limits::default() };
        let small = Limits { content: 13, ..Limits::default() };
        let enough = Limits { entries: 2, content: 14, ..Limits::default() };
        assert!(unpacked(&entries, few).is_err());
        assert!(unpacked(&entries, small).is_err());
        assert!(unpacked(&entries, enough).is_ok());
    }

    #[test]
    fn checks_digests_of_every_algorithm() {
        let check = |digest: &str, content: &[u8]| {
            let mut sum = Sum::of(digest)?;
            sum.update(content);
            sum.check(digest)
        };
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let blake3 = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        for digest in [sha256, &format!("sha256:{sha256}"), blake3] {
            check(digest, b"abc").unwrap();
            assert!(matches!(check(digest, b"abd"), Err(FetchError::Digest { .. })));
        }
        assert!(matches!(check("", b"abc"), Err(FetchError::Digest { .. })));
        assert!(matches!(check("md5:x", b"abc"), Err(FetchError::Algorithm(_))));
    }

    #[test]
    fn asks_the_host_that_stands_in_for_another() {
        let hosts = Hosts {
            source_controller: Some("localhost:8080".to_owned()),
            source_watcher: Some("127.0.0.1".to_owned()),
        };
        let resolved = |address: &str| hosts.resolve(address).map(|url| url.to_string());
        assert_eq!(
            resolved("http://source-controller.flux-system.svc./a/b.tar.gz").unwrap(),
            "http://localhost:8080/a/b.tar.gz"
        );
        assert_eq!(
            resolved("http://source-watcher.flux-system.svc:9090/a").unwrap(),
            "http://127.0.0.1/a"
        );
        assert!(matches!(resolved("a/b"), Err(FetchError::Url(_))));
    }
}
