//! The disk as a tree, for tests and examples of the pure crate. Paths are absolute, without their
//! first slash.

use std::fs;
use std::io;

use kustomize::{FileKind, Tree, TreeError};

/// The whole disk.
pub(crate) struct Disk;

fn locate(path: &str) -> String {
    format!("/{path}")
}

fn read_error(path: &str, error: io::Error) -> TreeError {
    if error.kind() == io::ErrorKind::NotFound {
        return TreeError::NotFound(path.to_owned());
    }
    TreeError::Read { path: path.to_owned(), source: error.into() }
}

impl Tree for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        fs::read(locate(path)).map_err(|error| read_error(path, error))
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        let metadata = fs::metadata(locate(path)).ok()?;
        if metadata.is_dir() {
            return Some(FileKind::Directory);
        }
        metadata.is_file().then_some(FileKind::File)
    }

    fn real_path(&self, path: &str) -> Result<String, TreeError> {
        let found = fs::canonicalize(locate(path)).map_err(|error| read_error(path, error))?;
        let text = found.to_str().ok_or_else(|| TreeError::NotFound(path.to_owned()))?;
        Ok(text.trim_start_matches('/').to_owned())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let error = |error| read_error(dir, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(locate(dir)).map_err(error)? {
            names.extend(entry.map_err(error)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Returns an error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
