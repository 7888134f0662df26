//! What survives the end of the process: a journal of transactions in a folder.
//!
//! Each line is a transaction: a checksum, the revision, and what became of the objects.
//!
//! ```text
//! tidegate-journal 1
//! 9ae0daaf {"revision":7,"changes":[{"resource":"configmaps","namespace":"default","name":"a","object":{…}}]}
//! ```
//!
//! A line is written before anybody can see the transaction, so no revision is given out twice. The
//! end of the process loses nothing. Lines reach the disk within a second: the end of the machine
//! loses that second at most, and never a part of a transaction. A journal that consists mostly of
//! what has changed since is written anew, beside the old one, and takes its place when it is whole.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Key, Stored};

const NAME: &str = "journal";

/// The journal that is being written anew.
const NEW_NAME: &str = "journal.new";

/// Held by the process that uses the folder.
const LOCK: &str = "lock";

const HEADER: &str = "tidegate-journal 1\n";

/// A journal up to this size in bytes is left as it is.
const SMALL: u64 = 8 * 1024 * 1024;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read or written.
    #[error("failed to use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{} is in use by another process", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It was written by another version, or by somebody else.
    #[error("{} is not a journal that this version can read", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// It was changed or damaged; nothing is read past the damage, since it would be incomplete.
    #[error("{}:{line} is damaged: restore the file, or remove it to begin anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// A transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    /// The revision after it.
    pub(super) revision: u64,
    pub(super) changes: Vec<Change<'a>>,
}

/// What became of an object.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change<'a> {
    pub(super) resource: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub(super) namespace: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    /// Its state; absent when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<Cow<'a, Value>>,
}

impl<'a> Change<'a> {
    pub(super) fn new(resource: &'a str, key: &'a Key, object: Option<&'a Value>) -> Self {
        Self {
            resource: resource.into(),
            namespace: key.namespace.as_str().into(),
            name: key.name.as_str().into(),
            object: object.map(Cow::Borrowed),
        }
    }
}

impl Record<'_> {
    fn line(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
        line.extend(json);
        line.push(b'\n');
        Ok(line)
    }
}

/// Returns the transaction of a line, if the line is whole.
fn parse(line: &[u8]) -> Option<Record<'static>> {
    let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.strip_suffix(' ')?, 16).ok()?;
    if sum != crc32fast::hash(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// A journal that is open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: Arc<File>,
    length: u64,
    /// How long it was when it last held nothing but the objects.
    live: u64,
    /// What was written since the journal began to be written anew.
    meanwhile: Option<Vec<u8>>,
    /// Ends with the process.
    _lock: File,
}

impl Journal {
    /// Opens the journal of a folder, and hands what it holds to `replay`, oldest first.
    pub(super) fn open(
        folder: &Path,
        mut replay: impl FnMut(Record<'static>),
    ) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        // Secrets are among the objects.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(failed(folder))?;
        let lock = folder.join(LOCK);
        let held = private().write(true).create(true).open(&lock).map_err(failed(&lock))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { folder: folder.to_owned() });
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(&lock)(error)),
        }
        let path = folder.join(NAME);
        let file = private().read(true).append(true).create(true).open(&path);
        let mut file = file.map_err(failed(&path))?;
        let length = read(&file, &path, &mut replay)?;
        // What was cut off while it was written was seen by nobody.
        file.set_len(length).map_err(failed(&path))?;
        let length = if length == 0 {
            file.write_all(HEADER.as_bytes()).map_err(failed(&path))?;
            HEADER.len() as u64
        } else {
            length
        };
        let (folder, file) = (folder.to_owned(), Arc::new(file));
        Ok(Self { folder, file, length, live: 0, meanwhile: None, _lock: held })
    }

    /// Adds a transaction.
    pub(super) fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let line = record.line()?;
        self.file.as_ref().write_all(&line)?;
        self.length += line.len() as u64;
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.extend(line);
        }
        Ok(())
    }

    /// Returns the file, which can be synced without the journal.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Says whether most of it has changed since.
    pub(super) fn is_wasteful(&self) -> bool {
        self.length > SMALL && self.length > self.live.saturating_mul(2)
    }

    /// Begins to write it anew: what is written from now on goes into both.
    pub(super) fn begin_anew(&mut self) -> PathBuf {
        self.meanwhile = Some(Vec::new());
        self.folder.clone()
    }

    /// Puts a new journal into the place of this one.
    pub(super) fn replace(&mut self, new: File, live: u64) -> io::Result<()> {
        let meanwhile = self.meanwhile.take().unwrap_or_default();
        (&new).write_all(&meanwhile)?;
        new.sync_data()?;
        fs::rename(self.folder.join(NEW_NAME), self.folder.join(NAME))?;
        File::open(&self.folder)?.sync_all()?;
        self.file = Arc::new(new);
        self.live = live;
        self.length = live + meanwhile.len() as u64;
        Ok(())
    }

    /// Gives up writing it anew; the journal goes on as it is.
    pub(super) fn keep(&mut self) {
        self.meanwhile = None;
        // Only after twice as much, or every transaction would try again.
        self.live = self.length;
    }
}

/// Writes a journal that holds nothing but objects, and returns it with its length in bytes.
pub(super) fn write_anew(
    folder: &Path,
    revision: u64,
    objects: &[(Arc<str>, Vec<Stored>)],
) -> io::Result<(File, u64)> {
    let path = folder.join(NEW_NAME);
    // Left behind by a process that has ended.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = private().append(true).create_new(true).open(path)?;
    let mut writer = BufWriter::new(file);
    let mut length = HEADER.len() as u64;
    writer.write_all(HEADER.as_bytes())?;
    for (resource, stored) in objects {
        for (key, entry) in stored {
            let change = Change::new(resource, key, Some(&entry.value));
            let line = Record { revision: entry.revision, changes: vec![change] }.line()?;
            length += line.len() as u64;
            writer.write_all(&line)?;
        }
    }
    // Whatever was removed had a revision, too.
    let line = Record { revision, changes: Vec::new() }.line()?;
    length += line.len() as u64;
    writer.write_all(&line)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    Ok((file, length))
}

/// Reads a journal, and returns how much of it is whole.
fn read(
    file: &File,
    path: &Path,
    replay: &mut impl FnMut(Record<'static>),
) -> Result<u64, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut length = reader.read_until(b'\n', &mut line).map_err(failed)? as u64;
    if line != HEADER.as_bytes() {
        // Also the header may have been cut off.
        let is_cut = HEADER.as_bytes().starts_with(&line);
        return if is_cut { Ok(0) } else { Err(OpenError::Unknown { path: path.to_owned() }) };
    }
    for number in 2.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            break;
        }
        let Some(record) = parse(&line) else {
            if reader.fill_buf().map_err(failed)?.is_empty() {
                break;
            }
            return Err(OpenError::Damaged { path: path.to_owned(), line: number });
        };
        length += read as u64;
        replay(record);
    }
    Ok(length)
}

/// Returns options for files that only their user can read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
