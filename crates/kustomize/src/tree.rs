//! Where files come from.

use std::collections::{BTreeMap, BTreeSet};

/// Files in directories. Paths are relative to the root of the tree, with `/` between names and
/// without `.` or `..`; the root is the empty path.
pub trait Tree {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When there is no such file or it may not be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError>;
    /// Returns what is at a path, following links; `None` when nothing is.
    fn kind(&self, path: &str) -> Option<FileKind>;
    /// Lists the names in a directory, sorted.
    ///
    /// # Errors
    ///
    /// When there is no such directory or it may not be read.
    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError>;
    /// Returns the path without links that a path leads to. Trees without links return it as it is.
    ///
    /// # Errors
    ///
    /// When nothing is there, or it is outside of the tree.
    fn real_path(&self, path: &str) -> Result<String, TreeError> {
        Ok(path.to_owned())
    }
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Nothing is there.
    #[error("no such file or directory: {0}")]
    NotFound(String),
    /// The path leaves the tree.
    #[error("path {0} leaves the root")]
    Escapes(String),
    /// It is there and could not be read.
    #[error("failed to read {path}")]
    Read {
        /// The path in the tree.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A tree in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemoryTree {
    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }
}

impl<P: Into<String>, C: Into<Vec<u8>>> FromIterator<(P, C)> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        Self { files: files.into_iter().map(|(path, text)| (path.into(), text.into())).collect() }
    }
}

impl Tree for MemoryTree {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.files.get(path).cloned().ok_or_else(|| TreeError::NotFound(path.to_owned()))
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        if self.files.contains_key(path) {
            return Some(FileKind::File);
        }
        let below = inside(path);
        let mut after = self.files.range(below.clone()..);
        let found = path.is_empty() || after.next().is_some_and(|(key, _)| key.starts_with(&below));
        found.then_some(FileKind::Directory)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let below = inside(dir);
        let names: BTreeSet<_> = self
            .files
            .range(below.clone()..)
            .map_while(|(key, _)| key.strip_prefix(&below))
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        if names.is_empty() && !dir.is_empty() {
            return Err(TreeError::NotFound(dir.to_owned()));
        }
        Ok(names.into_iter().collect())
    }
}

/// A tree with files in memory laid over another.
pub struct OverlayTree<'a> {
    below: &'a dyn Tree,
    above: MemoryTree,
}

impl<'a> OverlayTree<'a> {
    /// Lays files over a tree.
    pub fn new(below: &'a dyn Tree, above: MemoryTree) -> Self {
        Self { below, above }
    }
}

impl Tree for OverlayTree<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.above.read(path).or_else(|_| self.below.read(path))
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        match self.above.kind(path) {
            Some(FileKind::File) => Some(FileKind::File),
            above => self.below.kind(path).or(above),
        }
    }

    fn real_path(&self, path: &str) -> Result<String, TreeError> {
        match self.above.kind(path) {
            Some(FileKind::File) => Ok(path.to_owned()),
            _ => self.below.real_path(path),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let mut names = match (self.above.list(dir), self.below.list(dir)) {
            (Ok(above), Ok(below)) => [above, below].concat(),
            (Ok(names), Err(_)) if !names.is_empty() => names,
            (_, below) => below?,
        };
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// Resolves a path named in a directory; a leading `/` means the root of the tree.
pub(crate) fn resolve(dir: &str, path: &str) -> Result<String, TreeError> {
    let mut names: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { dir };
    for name in base.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or_else(|| TreeError::Escapes(path.to_owned()))?;
            }
            name => names.push(name),
        }
    }
    Ok(names.join("/"))
}

/// Says whether a path is a directory or in it.
pub(crate) fn is_in(path: &str, dir: &str) -> bool {
    dir.is_empty() || path == dir || path.starts_with(&inside(dir))
}

fn inside(dir: &str) -> String {
    if dir.is_empty() { String::new() } else { format!("{dir}/") }
}
