//! A folder as it is, as the tree it would make.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use gix::{
    ObjectId,
    bstr::{BString, ByteSlice as _, ByteVec as _},
    hash::Kind::Sha1,
    index::entry::{Flags, Mode},
    objs::{
        Kind, Tree, WriteTo as _, compute_hash,
        tree::{Entry, EntryKind},
    },
    progress::Discard,
    status::{
        UntrackedFiles,
        index_worktree::Item,
        plumbing::index_as_worktree::{Change, EntryStatus},
    },
};

use super::local::Local;
use crate::{
    CheckoutOptions, Commit, Error, Limit, Limits,
    operation::Operation,
    submodule::MAX_DEPTH,
    tree::{Sparse, create_folder},
};

/// The files of a folder at one time.
pub(super) struct Snapshot<'a> {
    root: PathBuf,
    local: Option<Local>,
    limits: &'a Limits,
    operation: &'a Operation,
    /// What there is, by its path.
    nodes: BTreeMap<BString, Node>,
    /// The submodules that are checked out, by their paths.
    submodules: BTreeMap<BString, Snapshot<'a>>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: EntryKind,
    /// The hash of the content, where it is known.
    id: Option<ObjectId>,
    /// Whether it is in the folder; files that a sparse checkout leaves out are not.
    is_on_disk: bool,
}

impl<'a> Snapshot<'a> {
    /// Lists the files of a folder, with the hashes of those that are known to be unchanged.
    ///
    /// The depth counts the repositories that the folder is within.
    pub(super) fn take(
        root: PathBuf,
        local: Option<Local>,
        limits: &'a Limits,
        operation: &'a Operation,
        depth: usize,
    ) -> Result<Self, Error> {
        let (nodes, submodules) = (BTreeMap::new(), BTreeMap::new());
        let mut snapshot =
            Self { root, local: None, limits, operation, nodes, submodules, bytes: 0 };
        match &local {
            Some(local) => snapshot
                .list_repository(&local.repository)
                .map_err(|source| Error::WorkTree { path: snapshot.root.clone(), source })?,
            None => snapshot.list_folder()?,
        }
        snapshot.local = local;
        if snapshot.nodes.len() as u64 > limits.files {
            return Err(snapshot.too_big(Limit::Files(limits.files)));
        }
        if depth < MAX_DEPTH {
            snapshot.take_submodules(depth)?;
        }
        Ok(snapshot)
    }

    fn take_submodules(&mut self, depth: usize) -> Result<(), Error> {
        let paths: Vec<BString> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == EntryKind::Commit)
            .map(|(path, _)| path.clone())
            .collect();
        for path in paths {
            let root = self.root.join(OsStr::from_bytes(&path));
            // Without `.git` it is a folder that nothing was checked out to.
            if !root.join(".git").exists() {
                continue;
            }
            let local = Local::open(&root)?;
            let mut submodule = Self::take(root, local, self.limits, self.operation, depth + 1)?;
            let id = ObjectId::from_hex(submodule.commit()?.id.as_bytes())
                .map_err(|source| Error::WorkTree { path: self.root.clone(), source })?;
            let node = Node { kind: EntryKind::Commit, id: Some(id), is_on_disk: true };
            self.nodes.insert(path.clone(), node);
            self.submodules.insert(path, submodule);
        }
        Ok(())
    }

    /// Writes the files to another folder, and returns how many.
    pub(super) fn write(&mut self, options: &CheckoutOptions, into: &Path) -> Result<u64, Error> {
        let sparse = Sparse::new(&options.sparse);
        let folder = create_folder(into)?;
        let count = self.write_to(&folder, &BString::default(), &sparse, options.submodules)?;
        sparse.check(into)?;
        Ok(count)
    }

    fn write_to(
        &mut self,
        folder: &Dir,
        prefix: &BString,
        sparse: &Sparse,
        submodules: bool,
    ) -> Result<u64, Error> {
        let mut count = 0;
        for path in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let node = self.nodes[&path];
            let is_submodule = node.kind == EntryKind::Commit;
            let mut target = prefix.clone();
            target.extend_from_slice(&path);
            if !sparse.wants(&target, is_submodule) {
                continue;
            }
            let content = self.content(&path, node)?;
            write_node(folder, &target, node.kind, &content)
                .map_err(|source| self.failed("write", &path, source))?;
            if !is_submodule {
                count += 1;
            } else if submodules && let Some(submodule) = self.submodules.get_mut(&path) {
                target.push(b'/');
                count += submodule.write_to(folder, &target, sparse, submodules)?;
            }
        }
        Ok(count)
    }

    /// Returns the commit of the folder: the one that is checked out if nothing has changed.
    pub(super) fn commit(&mut self) -> Result<Commit, Error> {
        for path in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let node = self.nodes[&path];
            if node.id.is_none() {
                self.content(&path, node)?;
            }
        }
        let nodes: Vec<(&[u8], EntryKind, ObjectId)> = self
            .nodes
            .iter()
            .map(|(path, node)| {
                (path.as_slice(), node.kind, node.id.expect("hashed by reading the content"))
            })
            .collect();
        let broken = |source| Error::WorkTree { path: self.root.clone(), source };
        let tree = tree_id(&nodes).map_err(broken)?;
        let head = self.local.as_ref().and_then(|local| Some((local, local.head?)));
        if let Some((local, head)) = head {
            let (commit, committed) = Commit::read(&local.store, head)?;
            if committed == tree {
                return Ok(commit);
            }
        }
        uncommitted(tree, head.map(|(_, head)| head)).map_err(broken)
    }

    /// Reads the content of a file, and notes its hash.
    fn content(&mut self, path: &BString, node: Node) -> Result<Vec<u8>, Error> {
        self.operation.check()?;
        let content = match (node.kind, &self.local, node.id) {
            (EntryKind::Commit, _, _) => return Ok(Vec::new()),
            (_, Some(local), Some(id)) if !node.is_on_disk => {
                let mut content = Vec::new();
                local.store.read(&id, &mut content)?;
                content
            }
            _ => self.read(path, node.kind).map_err(|source| self.failed("read", path, source))?,
        };
        self.bytes = self.bytes.saturating_add(content.len() as u64);
        if self.bytes > self.limits.checkout_bytes {
            return Err(self.too_big(Limit::CheckoutBytes(self.limits.checkout_bytes)));
        }
        if node.id.is_none() {
            let id = compute_hash(Sha1, Kind::Blob, &content)
                .map_err(|source| Error::WorkTree { path: self.root.clone(), source })?;
            self.nodes.insert(path.clone(), Node { id: Some(id), ..node });
        }
        Ok(content)
    }

    fn read(&self, path: &BString, kind: EntryKind) -> io::Result<Vec<u8>> {
        let path = self.root.join(OsStr::from_bytes(path));
        if kind == EntryKind::Link {
            return Ok(fs::read_link(path)?.into_os_string().as_bytes().to_vec());
        }
        let size = fs::symlink_metadata(&path)?.len();
        if size > self.limits.checkout_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fs::read(path)
    }

    /// Lists what is tracked, and what is neither tracked nor ignored.
    fn list_repository(&mut self, repository: &gix::Repository) -> gix::Result<()> {
        let index = repository.index_or_empty()?;
        for entry in index.entries() {
            let kind = match entry.mode {
                Mode::FILE => EntryKind::Blob,
                Mode::FILE_EXECUTABLE => EntryKind::BlobExecutable,
                Mode::SYMLINK => EntryKind::Link,
                Mode::COMMIT => EntryKind::Commit,
                _ => {
                    let unsupported = "the index is sparse, which is not supported";
                    return Err(gix::error::message(unsupported).unsupported_error());
                }
            };
            let path = entry.path(&index).to_owned();
            let is_on_disk = !entry.flags.contains(Flags::SKIP_WORKTREE)
                || fs::symlink_metadata(self.root.join(OsStr::from_bytes(&path))).is_ok();
            self.nodes.insert(path, Node { kind, id: Some(entry.id), is_on_disk });
        }
        let changes = repository
            .status(Discard)?
            .untracked_files(UntrackedFiles::Files)
            .index_worktree_rewrites(None)
            .index_worktree_submodules(None)
            .should_interrupt_owned(Arc::clone(&self.operation.interrupt))
            .into_index_worktree_iter(Vec::new())?;
        for item in changes {
            match item? {
                Item::Modification { rela_path, status, .. } => self.change(rela_path, &status),
                Item::DirectoryContents { entry, .. }
                    if entry.status == gix::dir::entry::Status::Untracked =>
                {
                    self.note(entry.rela_path);
                }
                Item::DirectoryContents { .. } | Item::Rewrite { .. } => {}
            }
        }
        Ok(())
    }

    /// Takes in what has happened to a tracked file.
    fn change<T, U>(&mut self, path: BString, status: &EntryStatus<T, U>) {
        match status {
            EntryStatus::NeedsUpdate(_) | EntryStatus::Change(Change::SubmoduleModification(_)) => {
            }
            EntryStatus::Change(Change::Removed) => {
                self.nodes.remove(&path);
            }
            EntryStatus::Change(Change::Type { .. } | Change::Modification { .. })
            | EntryStatus::Conflict { .. }
            | EntryStatus::IntentToAdd => self.note(path),
        }
    }

    /// Notes what is on disk at a path, or that nothing is.
    fn note(&mut self, path: BString) {
        match kind_on_disk(&self.root.join(OsStr::from_bytes(&path))) {
            Some(kind) => self.nodes.insert(path, Node { kind, id: None, is_on_disk: true }),
            None => self.nodes.remove(&path),
        };
    }

    /// Lists the files of a folder that is no repository.
    fn list_folder(&mut self) -> Result<(), Error> {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            self.operation.check()?;
            let path = self.root.join(&folder);
            let failed = |source| Error::Io { action: "read", path: path.clone(), source };
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let inside = folder.join(entry.file_name());
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(inside);
                } else {
                    self.note(BString::from(inside.into_os_string().as_bytes()));
                }
            }
            if self.nodes.len() as u64 > self.limits.files {
                return Err(self.too_big(Limit::Files(self.limits.files)));
            }
        }
        Ok(())
    }

    fn failed(&self, action: &'static str, path: &BString, source: io::Error) -> Error {
        Error::Io { action, path: self.root.join(OsStr::from_bytes(path)), source }
    }

    fn too_big(&self, limit: Limit) -> Error {
        Error::TooBig { url: self.operation.url.clone(), limit }
    }
}

/// Returns what is at a path, if it is something that Git keeps.
fn kind_on_disk(path: &Path) -> Option<EntryKind> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_symlink() {
        Some(EntryKind::Link)
    } else if metadata.is_file() {
        let is_executable = metadata.permissions().mode() & 0o100 != 0;
        Some(if is_executable { EntryKind::BlobExecutable } else { EntryKind::Blob })
    } else {
        None
    }
}

fn write_node(folder: &Dir, path: &BString, kind: EntryKind, content: &[u8]) -> io::Result<()> {
    let path = Path::new(OsStr::from_bytes(path));
    if let Some(parent) = path.parent() {
        folder.create_dir_all(parent)?;
    }
    match kind {
        EntryKind::Commit | EntryKind::Tree => folder.create_dir_all(path),
        EntryKind::Link => folder.symlink_contents(OsStr::from_bytes(content), path),
        EntryKind::Blob | EntryKind::BlobExecutable => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            options.mode(if kind == EntryKind::BlobExecutable { 0o755 } else { 0o644 });
            folder.open_with(path, &options)?.write_all(content)
        }
    }
}

/// Returns the hash of the tree that files make; they are sorted by path.
fn tree_id(nodes: &[(&[u8], EntryKind, ObjectId)]) -> gix::Result<ObjectId> {
    let mut entries = Vec::new();
    let mut rest = nodes;
    while let Some(&(path, kind, id)) = rest.first() {
        let Some(slash) = path.find_byte(b'/') else {
            entries.push(Entry { mode: kind.into(), filename: path.into(), oid: id });
            rest = &rest[1..];
            continue;
        };
        let start = &path[..=slash];
        let count = rest.iter().take_while(|(path, ..)| path.starts_with(start)).count();
        let inner: Vec<_> = rest[..count]
            .iter()
            .map(|&(path, kind, id)| (&path[start.len()..], kind, id))
            .collect();
        let oid = tree_id(&inner)?;
        let mode = EntryKind::Tree.into();
        entries.push(Entry { mode, filename: path[..slash].into(), oid });
        rest = &rest[count..];
    }
    entries.sort();
    let mut raw = Vec::new();
    Tree { entries }.write_to(&mut raw).map_err(gix::Error::from_error)?;
    compute_hash(Sha1, Kind::Tree, &raw)
}

/// Returns the commit that a tree would make, by nobody and at no time.
fn uncommitted(tree: ObjectId, parent: Option<ObjectId>) -> gix::Result<Commit> {
    let mut raw = format!("tree {tree}\n").into_bytes();
    if let Some(parent) = parent {
        raw.push_str(format!("parent {parent}\n"));
    }
    raw.push_str("author nobody <> 0 +0000\ncommitter nobody <> 0 +0000\n\nUncommitted changes\n");
    let id = compute_hash(Sha1, Kind::Commit, &raw)?;
    Ok(Commit::parse(id, raw)?.0)
}
