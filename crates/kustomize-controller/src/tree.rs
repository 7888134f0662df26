//! The directory of an unpacked artifact, as a tree.

use std::path::{Path, PathBuf};
use std::{fs, io};

use kustomize::{FileKind, Tree, TreeError};

/// A directory on disk. What a path leads to is inside of it, or not there.
pub(crate) struct DiskTree {
    root: PathBuf,
}

impl DiskTree {
    /// Returns the tree below a directory.
    ///
    /// # Errors
    ///
    /// When there is no such directory.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    /// Follows links, which may not lead out of the tree.
    fn locate(&self, path: &str) -> Result<PathBuf, TreeError> {
        let found = self.root.join(path).canonicalize().map_err(|error| read_error(path, error))?;
        if found.starts_with(&self.root) {
            Ok(found)
        } else {
            Err(TreeError::Escapes(path.to_owned()))
        }
    }
}

fn read_error(path: &str, error: io::Error) -> TreeError {
    if error.kind() == io::ErrorKind::NotFound {
        return TreeError::NotFound(path.to_owned());
    }
    TreeError::Read { path: path.to_owned(), source: Box::new(error) }
}

impl Tree for DiskTree {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        fs::read(self.locate(path)?).map_err(|error| read_error(path, error))
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        let metadata = fs::metadata(self.locate(path).ok()?).ok()?;
        if metadata.is_dir() {
            Some(FileKind::Directory)
        } else {
            metadata.is_file().then_some(FileKind::File)
        }
    }

    fn real_path(&self, path: &str) -> Result<String, TreeError> {
        let found = self.locate(path)?;
        let inside = found.strip_prefix(&self.root).ok().and_then(Path::to_str);
        inside.map(str::to_owned).ok_or_else(|| TreeError::NotFound(path.to_owned()))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let error = |error| read_error(dir, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.locate(dir)?).map_err(error)? {
            // A name that is no text cannot be written in a kustomization either.
            names.extend(entry.map_err(error)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_follow_links_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        fs::write(root.join("own"), "y").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("own", root.join("in")).unwrap();
        let tree = DiskTree::open(&root).unwrap();
        assert_eq!(tree.read("in").unwrap(), b"y");
        assert_eq!(tree.real_path("in").unwrap(), "own");
        assert!(matches!(tree.read("out"), Err(TreeError::Escapes(_))));
        assert_eq!(tree.kind("out"), None);
        assert_eq!(tree.kind("missing"), None);
        assert_eq!(tree.list("").unwrap(), ["in", "out", "own"]);
    }
}
