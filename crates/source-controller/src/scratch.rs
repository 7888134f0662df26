//! Where sources are unpacked before they are stored.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::CONTROLLER;

/// A directory for everything that is gone after a reconciliation.
///
/// It is that of a storage, which only one process has: so what a killed one has left can be told
/// from what another one works on, and is removed.
#[derive(Debug)]
pub(crate) struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// Returns the path of the directory that belongs to a storage.
    pub(crate) fn path_for(storage: &Path) -> PathBuf {
        let id = hex::encode(Sha256::digest(storage.as_os_str().as_bytes()));
        std::env::temp_dir().join(format!("{CONTROLLER}-{}", &id[..8]))
    }

    /// Makes a directory, anew if it is there.
    pub(crate) fn make(root: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => create(&root)?,
        }
        Ok(Self { root })
    }

    /// Returns a directory whose name begins in some way; it is gone when it is dropped.
    pub(crate) fn dir(&self, prefix: &str) -> io::Result<TempDir> {
        let dir = || tempfile::Builder::new().prefix(prefix).tempdir_in(&self.root);
        match dir() {
            // Systems remove what lies about for long.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(&self.root)?;
                dir()
            }
            result => result,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is at the next start.
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn create(root: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_was_left_and_what_it_leaves() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("scratch");
        fs::create_dir_all(root.join("left")).unwrap();
        let scratch = Scratch::make(root.clone()).unwrap();
        assert!(root.is_dir() && !root.join("left").exists());
        let dir = scratch.dir("app-").unwrap();
        assert!(dir.path().starts_with(&root));
        fs::remove_dir_all(&root).unwrap();
        assert!(scratch.dir("app-").unwrap().path().is_dir());
        drop(scratch);
        assert!(!root.exists());
    }

    #[test]
    fn has_a_directory_for_each_storage() {
        let path = |storage: &str| Scratch::path_for(Path::new(storage));
        assert_eq!(path("/data"), path("/data"));
        assert_ne!(path("/data"), path("/other"));
    }
}
