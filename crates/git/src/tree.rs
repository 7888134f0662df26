//! Files on disk from trees of a repository.

use std::{
    ffi::OsStr,
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt as _},
};
use gix::{
    ObjectId,
    bstr::{BString, ByteSlice as _},
    error::ErrorExt as _,
    objs::{Kind, TreeRefIter, tree::EntryKind},
    validate::path::component::{self, Mode},
};

use crate::{Error, Limit, Limits, operation::Operation, store::Store};

/// How many folders may be within each other: each is open while its content is written.
const MAX_DEPTH: usize = 256;

/// Writes trees to a folder that they have for themselves.
///
/// Everything is created anew, through the handle of the folder it is in. A tree that names the
/// same path twice, as a symbolic link and as a folder, fails rather than writing through the
/// link.
pub(crate) struct Writer<'a> {
    store: &'a Store,
    operation: &'a Operation,
    limits: &'a Limits,
    sparse: &'a Sparse,
    budget: &'a mut Budget,
    content: Vec<u8>,
    submodules: Vec<Submodule>,
    /// How long the start of each path is that is not of this tree.
    outer: usize,
}

/// How much was written so far, of a repository and its submodules.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Files and symbolic links.
    pub(crate) files: u64,
    bytes: u64,
}

/// A submodule that a tree names.
#[derive(Debug)]
pub(crate) struct Submodule {
    /// Where it is in the checkout.
    pub(crate) path: BString,
    /// Where it is in its parent.
    pub(crate) inner_path: BString,
    /// The commit that its parent wants.
    pub(crate) commit: ObjectId,
}

struct Entry {
    name: BString,
    kind: EntryKind,
    id: ObjectId,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        store: &'a Store,
        operation: &'a Operation,
        limits: &'a Limits,
        sparse: &'a Sparse,
        budget: &'a mut Budget,
    ) -> Self {
        let (content, submodules) = (Vec::new(), Vec::new());
        Self { store, operation, limits, sparse, budget, content, submodules, outer: 0 }
    }

    /// Writes a tree to an empty folder, and returns the submodules it has.
    ///
    /// The path is where the folder is in the checkout.
    pub(crate) fn write(
        mut self,
        tree: ObjectId,
        folder: &Dir,
        path: &BString,
    ) -> Result<Vec<Submodule>, Error> {
        self.outer = if path.is_empty() { 0 } else { path.len() + 1 };
        self.write_folder(tree, folder, path, 0)?;
        Ok(self.submodules)
    }

    fn write_folder(
        &mut self,
        tree: ObjectId,
        folder: &Dir,
        path: &BString,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(self.too_big(Limit::Depth(MAX_DEPTH)));
        }
        for entry in self.entries(tree)? {
            self.operation.check()?;
            let mut path = path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&entry.name);
            let is_folder = matches!(entry.kind, EntryKind::Tree | EntryKind::Commit);
            if !self.sparse.wants(&path, is_folder) {
                continue;
            }
            let mode = (entry.kind == EntryKind::Link).then_some(Mode::Symlink);
            gix::validate::path::component(entry.name.as_bstr(), mode, PROTECTED).map_err(
                |source| Error::UnsafePath { path: path.to_string(), reason: source.to_string() },
            )?;
            self.write_entry(&entry, folder, &path, depth)?;
        }
        Ok(())
    }

    fn write_entry(
        &mut self,
        entry: &Entry,
        folder: &Dir,
        path: &BString,
        depth: usize,
    ) -> Result<(), Error> {
        let name = Path::new(OsStr::from_bytes(&entry.name));
        let failed = |action| {
            move |source| Error::Io { action, path: OsStr::from_bytes(path).into(), source }
        };
        match entry.kind {
            EntryKind::Tree => {
                folder.create_dir(name).map_err(failed("create"))?;
                let inner = folder.open_dir(name).map_err(failed("open"))?;
                self.write_folder(entry.id, &inner, path, depth + 1)
            }
            EntryKind::Commit => {
                folder.create_dir(name).map_err(failed("create"))?;
                self.submodules.push(Submodule {
                    path: path.clone(),
                    inner_path: path[self.outer..].into(),
                    commit: entry.id,
                });
                Ok(())
            }
            EntryKind::Link => {
                self.read_content(entry.id)?;
                let target = Path::new(OsStr::from_bytes(&self.content));
                folder.symlink_contents(target, name).map_err(failed("link"))
            }
            EntryKind::Blob | EntryKind::BlobExecutable => {
                self.read_content(entry.id)?;
                let executable = entry.kind == EntryKind::BlobExecutable;
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                options.mode(if executable { 0o755 } else { 0o644 });
                let mut file = folder.open_with(name, &options).map_err(failed("create"))?;
                file.write_all(&self.content).map_err(failed("write"))
            }
        }
    }

    fn entries(&mut self, tree: ObjectId) -> Result<Vec<Entry>, Error> {
        let broken = |source| Error::Object { id: tree.to_string(), source };
        let kind = self.store.read(&tree, &mut self.content)?;
        if kind != Kind::Tree {
            return Err(broken(gix::error::message!("expected a tree, found a {kind}").raise()));
        }
        TreeRefIter::from_bytes(&self.content, tree.kind())
            .map(|entry| {
                entry.map(|entry| Entry {
                    name: entry.filename.to_owned(),
                    kind: entry.mode.kind(),
                    id: entry.oid.to_owned(),
                })
            })
            .collect::<Result<_, _>>()
            .map_err(broken)
    }

    /// Reads the content of a file, as far as the limits allow.
    fn read_content(&mut self, id: ObjectId) -> Result<(), Error> {
        let (_, size) = self.store.header(&id)?;
        self.budget.files += 1;
        if self.budget.files > self.limits.files {
            return Err(self.too_big(Limit::Files(self.limits.files)));
        }
        self.budget.bytes = self.budget.bytes.saturating_add(size);
        if self.budget.bytes > self.limits.checkout_bytes {
            return Err(self.too_big(Limit::CheckoutBytes(self.limits.checkout_bytes)));
        }
        let kind = self.store.read(&id, &mut self.content)?;
        if kind != Kind::Blob {
            let source = gix::error::message!("expected a file, found a {kind}").raise();
            return Err(Error::Object { id: id.to_string(), source });
        }
        Ok(())
    }

    fn too_big(&self, limit: Limit) -> Error {
        Error::TooBig { url: self.operation.url.clone(), limit }
    }
}

/// Creates a folder, which may exist if it is empty, and returns its handle.
pub(crate) fn create_folder(path: &Path) -> Result<Dir, Error> {
    let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(failed("create"))?;
    let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(failed("open"))?;
    if folder.entries().map_err(failed("read"))?.next().is_some() {
        return Err(Error::NotEmpty { path: path.to_owned() });
    }
    Ok(folder)
}

/// Names that mean something to Windows are just names here.
const PROTECTED: component::Options =
    component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };

/// The folders of a sparse checkout.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    folders: Vec<String>,
}

impl Sparse {
    pub(crate) fn new(folders: &[String]) -> Self {
        Self { folders: folders.to_vec() }
    }

    /// Returns whether a path, or something below it, is to be written.
    ///
    /// Source: `SkipUnless`, go-git `plumbing/format/index/index.go`: a comparison of text.
    pub(crate) fn wants(&self, path: &[u8], is_folder: bool) -> bool {
        self.folders.is_empty()
            || self.folders.iter().map(|folder| prefix(folder).as_bytes()).any(|folder| {
                path.starts_with(folder)
                    || is_folder
                        && folder
                            .strip_prefix(path)
                            .is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b'/'))
            })
    }

    /// Fails if one of the folders does not exist.
    pub(crate) fn check(&self, root: &Path) -> Result<(), Error> {
        let missing =
            |folder: &String| Error::SparseDirectoryNotFound { directory: folder.clone() };
        for folder in &self.folders {
            let is_inside = Path::new(folder)
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            // The check goes through the root's handle: links do not lead out of it.
            let exists = Dir::open_ambient_dir(root, ambient_authority())
                .is_ok_and(|root| root.exists(prefix_or_root(folder)));
            if !is_inside || !exists {
                return Err(missing(folder));
            }
        }
        Ok(())
    }
}

fn prefix(folder: &str) -> &str {
    folder.trim_start_matches("./")
}

fn prefix_or_root(folder: &str) -> &str {
    match prefix(folder) {
        "" => ".",
        folder => folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_sparse_folders_as_text() {
        let sparse = Sparse::new(&["./apps".into(), "infra/base/".into()]);
        for (path, is_folder, expected) in [
            ("apps", true, true),
            ("apps/podinfo.yaml", false, true),
            ("apps-dev", true, true),
            ("app", true, false),
            ("infra", true, true),
            ("infra", false, false),
            ("infra/base", true, true),
            ("infra/base/ns.yaml", false, true),
            ("infra/base-dev", true, false),
            ("README.md", false, false),
        ] {
            assert_eq!(sparse.wants(path.as_bytes(), is_folder), expected, "{path}");
        }
        assert!(Sparse::default().wants(b"anything", false));
        assert!(Sparse::new(&["./".into()]).wants(b"anything", false));
    }
}
