//! Downloads artifacts, checks their digest and unpacks them.

use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Component, Path};
use std::time::Duration;

use api::source::Artifact;
use flate2::read::GzDecoder;
use futures::StreamExt as _;
use reqwest::StatusCode;
use sha2::{Sha256, Sha384, Sha512};
use tar::EntryType;
use tempfile::TempDir;
use tracing::debug;

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The source does not serve it any more, or not yet.
    #[error("artifact not found")]
    NotFound,
    /// The server could not be reached, or refused.
    #[error("failed to download archive: {0}")]
    Download(String),
    /// The file is not the one that the source has advertised.
    #[error(
        "failed to verify archive: computed digest doesn't match provided '{expected}' (computed \
         '{computed}')"
    )]
    Digest { expected: String, computed: String },
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

/// Downloads artifacts.
pub(crate) struct Fetcher {
    client: reqwest::Client,
    retries: u32,
}

const FIRST_DELAY: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

impl Fetcher {
    pub(crate) fn new(retries: u32) -> Self {
        Self { client: reqwest::Client::new(), retries }
    }

    /// Downloads and unpacks an artifact into a directory that is removed when it is dropped.
    ///
    /// Connection failures and answers of a server in trouble are tried again.
    ///
    /// # Errors
    ///
    /// When the artifact cannot be had, is not the one that was advertised, or cannot be unpacked.
    pub(crate) async fn fetch(&self, artifact: &Artifact) -> Result<TempDir, FetchError> {
        let mut delay = FIRST_DELAY;
        let mut left = self.retries;
        let file = loop {
            match self.download(&artifact.url).await {
                Ok(file) => break file,
                Err((error, true)) if left > 0 => {
                    debug!(%error, after_ms = delay.as_millis(), "download failed");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LONGEST_DELAY);
                    left -= 1;
                }
                Err((error, _)) => return Err(error),
            }
        };
        let digest = artifact.digest.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            let mut file = file;
            file.seek(SeekFrom::Start(0)).map_err(FetchError::Disk)?;
            verify(&mut file, &digest)?;
            file.seek(SeekFrom::Start(0)).map_err(FetchError::Disk)?;
            let dir = tempfile::Builder::new().prefix("kustomization-").tempdir();
            let dir = dir.map_err(FetchError::Disk)?;
            unpack(file, dir.path()).map_err(FetchError::Unpack)?;
            Ok(dir)
        });
        unpacked.await.map_err(|error| FetchError::Disk(io::Error::other(error)))?
    }

    /// Downloads a file; an error comes with whether it may pass.
    async fn download(&self, url: &str) -> Result<std::fs::File, (FetchError, bool)> {
        // The URL is that of a source: no credentials in it, but no secrets in messages either.
        let refused =
            |error: reqwest::Error| (FetchError::Download(error.without_url().to_string()), true);
        let answer = self.client.get(url).send().await.map_err(refused)?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Err((FetchError::NotFound, false)),
            status if !status.is_success() => {
                let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                return Err((FetchError::Download(format!("status code {status}")), busy));
            }
            _ => {}
        }
        let mut file = tempfile::tempfile().map_err(|error| (FetchError::Disk(error), false))?;
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(refused)?;
            file.write_all(&chunk).map_err(|error| (FetchError::Disk(error), false))?;
        }
        Ok(file)
    }
}

fn verify(file: &mut impl Read, expected: &str) -> Result<(), FetchError> {
    let (algorithm, checksum) = expected.split_once(':').unwrap_or(("sha256", expected));
    let computed = match algorithm {
        "sha256" => sum::<Sha256>(file),
        "sha384" => sum::<Sha384>(file),
        "sha512" => sum::<Sha512>(file),
        "blake3" => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(file).map(|hasher| hasher.finalize().to_hex().to_string())
        }
        _ => return Err(FetchError::Algorithm(expected.to_owned())),
    };
    let computed = computed.map_err(FetchError::Disk)?;
    if checksum.is_empty() || computed != checksum {
        let expected = expected.to_owned();
        return Err(FetchError::Digest { expected, computed: format!("{algorithm}:{computed}") });
    }
    Ok(())
}

fn sum<D: sha2::Digest>(file: &mut impl Read) -> io::Result<String> {
    let mut hasher = D::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Unpacks an archive. Links are left out; whatever else is no file or directory is an error.
fn unpack(file: impl Read, dir: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    for entry in archive.entries()? {
        let mut entry = entry?;
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
                let mut file = std::fs::File::create(&to)?;
                io::copy(&mut entry, &mut file)?;
            }
            EntryType::Symlink | EntryType::XGlobalHeader => {}
            other => {
                let text =
                    format!("tar file entry {name} contained unsupported file type {other:?}");
                return Err(io::Error::other(text));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType)]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (name, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(0);
            header.set_cksum();
            archive.append(&header, io::empty()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn refuses_names_that_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../up", "/root", "a/../../up", "a\\b"] {
            let bytes = archive(&[(name, EntryType::Regular)]);
            assert!(unpack(&bytes[..], dir.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn leaves_links_out_and_refuses_devices() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = archive(&[("a/file", EntryType::Regular), ("link", EntryType::Symlink)]);
        unpack(&bytes[..], dir.path()).unwrap();
        assert!(dir.path().join("a/file").is_file());
        assert!(!dir.path().join("link").exists());
        assert!(unpack(&archive(&[("tty", EntryType::Char)])[..], dir.path()).is_err());
    }

    #[test]
    fn checks_digests_of_every_algorithm() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let blake3 = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        for digest in [sha256, &format!("sha256:{sha256}"), blake3] {
            verify(&mut &b"abc"[..], digest).unwrap();
            assert!(matches!(verify(&mut &b"abd"[..], digest), Err(FetchError::Digest { .. })));
        }
        assert!(matches!(verify(&mut &b"abc"[..], ""), Err(FetchError::Digest { .. })));
        assert!(matches!(verify(&mut &b"abc"[..], "md5:x"), Err(FetchError::Algorithm(_))));
    }
}
