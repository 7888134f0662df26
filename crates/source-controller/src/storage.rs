//! The files that artifacts are kept in.
//!
//! An artifact is `<kind>/<namespace>/<name>/<file>` below one directory. It is written beside its
//! place, synced and renamed, so it is there as a whole or not at all, also after a crash. Only the
//! leader writes, so nothing is locked.
//!
//! The functions block; call them where that is allowed.

mod garbage;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use api::source::Artifact;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tempfile::NamedTempFile;

use crate::address::Advertised;
use crate::digest::{Algorithm, Digest, Hasher, ParseDigestError};

pub(crate) use garbage::Retention;

/// How the names of files begin that are not complete yet. They are not served.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// The kinds whose artifacts are stored, as they stand in paths.
const KINDS: [&str; 5] =
    ["gitrepository", "ocirepository", "helmrepository", "helmchart", "bucket"];

/// The object that an artifact belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// The files that artifacts are kept in.
#[derive(Debug)]
pub(crate) struct Storage {
    root: PathBuf,
    advertised: Advertised,
    algorithm: Algorithm,
    retention: Retention,
    /// The files that are known to have a digest.
    verified: Mutex<HashMap<String, (Fingerprint, String)>>,
}

/// The storage cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("invalid storage path {}, expected an existing directory", .path.display())]
pub(crate) struct OpenError {
    path: PathBuf,
    #[source]
    source: Option<io::Error>,
}

/// A path that leads out of the storage.
#[derive(Debug, thiserror::Error)]
#[error("path '{0}' is not one of the storage")]
pub(crate) struct InvalidPath(String);

/// Why a stored file is not the artifact that it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// There is no such file.
    #[error("artifact is not in storage")]
    Missing,
    /// The artifact has a path that is none.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// The recorded digest is none.
    #[error("failed to parse artifact digest '{digest}'")]
    Parse { digest: String, source: ParseDigestError },
    /// The file is another one.
    #[error("computed digest doesn't match '{0}'")]
    Mismatch(String),
    /// The file cannot be read.
    #[error("failed to read the artifact")]
    Read(#[source] io::Error),
}

/// Why an artifact could not be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError<E> {
    /// The directory of the object could not be made.
    #[error("failed to create artifact directory")]
    Directory(#[source] io::Error),
    /// What gives the content has failed.
    #[error(transparent)]
    Content(E),
    /// The file could not be put in its place.
    #[error("failed to write the artifact")]
    Write(#[source] io::Error),
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    // Cannot be set back, as the time of modification can.
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Owner<'_> {
    fn dir(self) -> String {
        format!("{}/{}/{}", self.kind.to_lowercase(), self.namespace, self.name)
    }
}

impl Storage {
    /// Opens the storage in a directory, which has to exist.
    pub(crate) fn open(
        root: &Path,
        advertised: Advertised,
        algorithm: Algorithm,
        retention: Retention,
    ) -> Result<Self, OpenError> {
        let error = |source| OpenError { path: root.to_owned(), source };
        let root = root.canonicalize().map_err(|source| error(Some(source)))?;
        if !root.is_dir() {
            return Err(error(None));
        }
        Ok(Self { root, advertised, algorithm, retention, verified: Mutex::default() })
    }

    /// Returns the directory that everything is in.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the address of an artifact as it is advertised now.
    pub(crate) fn url(&self, path: &str) -> String {
        self.advertised.url(path)
    }

    /// Stores what `content` writes as the artifact `<file>` of an object.
    ///
    /// A file that is there already is replaced at the end, and stays as it is after a failure.
    pub(crate) fn store<E>(
        &self,
        owner: Owner<'_>,
        file: &str,
        revision: &str,
        content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Artifact, StoreError<E>> {
        let path = format!("{}/{file}", owner.dir());
        let place = self.locate(&path).map_err(|error| {
            StoreError::Directory(io::Error::new(io::ErrorKind::InvalidInput, error))
        })?;
        let dir = place.parent().unwrap_or(&self.root);
        make_dir(dir).map_err(StoreError::Directory)?;
        let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir);
        // Readable by the owner alone, as `tempfile` makes them.
        let mut temporary = Counted::new(temporary.map_err(StoreError::Write)?, self.algorithm);
        content(&mut temporary).map_err(StoreError::Content)?;
        let (digest, size, stored) = temporary.keep(&place).map_err(StoreError::Write)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::Write)?;

        let digest = digest.to_string();
        self.remember(&path, Fingerprint::of(&stored), &digest);
        Ok(Artifact {
            url: self.url(&path),
            path,
            revision: revision.to_owned(),
            digest,
            last_update_time: Time(
                Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default(),
            ),
            size: i64::try_from(size).ok(),
            metadata: None,
        })
    }

    /// Checks that an artifact is in storage, with the digest that was recorded.
    ///
    /// A file is read once: as long as it is the same file, unchanged, its digest is known.
    pub(crate) fn verify(&self, artifact: &Artifact) -> Result<(), VerifyError> {
        let place = self.locate(&artifact.path)?;
        let metadata = match place.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Err(VerifyError::Missing),
            Err(error) if is_absent(&error) => return Err(VerifyError::Missing),
            Err(error) => return Err(VerifyError::Read(error)),
        };
        let fingerprint = Fingerprint::of(&metadata);
        let known = self.lock().get(&artifact.path).cloned();
        if known.is_some_and(|known| known == (fingerprint, artifact.digest.clone())) {
            return Ok(());
        }
        let expected: Digest = artifact
            .digest
            .parse()
            .map_err(|source| VerifyError::Parse { digest: artifact.digest.clone(), source })?;
        let file = File::open(&place).map_err(VerifyError::Read)?;
        let opened = Fingerprint::of(&file.metadata().map_err(VerifyError::Read)?);
        if expected.of_same_kind(file).map_err(VerifyError::Read)? != expected {
            return Err(VerifyError::Mismatch(artifact.digest.clone()));
        }
        self.remember(&artifact.path, opened, &artifact.digest);
        Ok(())
    }

    /// Opens the file of an artifact.
    pub(crate) fn read(&self, artifact: &Artifact) -> io::Result<File> {
        let place = self.locate(&artifact.path);
        File::open(place.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?)
    }

    /// Removes the file of an artifact; one that is not there is no error.
    pub(crate) fn remove(&self, artifact: &Artifact) -> io::Result<()> {
        self.lock().remove(&artifact.path);
        // What is not in the storage cannot be removed from it.
        let Ok(place) = self.locate(&artifact.path) else { return Ok(()) };
        match fs::remove_file(place) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes everything of an object. Returns whether there was anything.
    pub(crate) fn remove_all(&self, owner: Owner<'_>) -> io::Result<bool> {
        let dir = owner.dir();
        self.lock().retain(|path, _| !is_in(&dir, path));
        let Ok(place) = self.locate(&dir) else { return Ok(false) };
        match fs::remove_dir_all(place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what a process has left behind that ended while it was writing. Returns how many
    /// files there were; what cannot be read or removed is left, and does no harm.
    pub(crate) fn sweep(&self) -> usize {
        let mut count = 0;
        for kind in KINDS {
            for namespace in directories(&self.root.join(kind)) {
                for object in directories(&namespace) {
                    for entry in fs::read_dir(object).into_iter().flatten().flatten() {
                        let is_temporary =
                            entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes());
                        if is_temporary && fs::remove_file(entry.path()).is_ok() {
                            count += 1;
                        }
                    }
                }
            }
        }
        count
    }

    /// Returns where a path of the storage is on disk.
    fn locate(&self, path: &str) -> Result<PathBuf, InvalidPath> {
        let parts = Path::new(path).components();
        let is_inside =
            !path.is_empty() && parts.clone().all(|it| matches!(it, Component::Normal(_)));
        if is_inside { Ok(self.root.join(path)) } else { Err(InvalidPath(path.to_owned())) }
    }

    fn remember(&self, path: &str, fingerprint: Fingerprint, digest: &str) {
        self.lock().insert(path.to_owned(), (fingerprint, digest.to_owned()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Fingerprint, String)>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A temporary file whose content is counted and digested on the way.
struct Counted {
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Counted {
    fn new(file: NamedTempFile, algorithm: Algorithm) -> Self {
        Self { file, hasher: algorithm.hasher(), size: 0 }
    }

    /// Makes the file durable, and then the one at a place.
    fn keep(self, place: &Path) -> io::Result<(Digest, u64, fs::Metadata)> {
        self.file.as_file().sync_all()?;
        let file = self.file.persist(place)?;
        Ok((self.hasher.finish(), self.size, file.metadata()?))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_in(dir: &str, path: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests;
