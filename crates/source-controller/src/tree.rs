//! Directories whose content comes from outside. What a path leads to is inside of them, or not
//! there.

use std::ffi::OsString;
use std::fs::{self, File, FileType};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A directory, and what is below it.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    root: PathBuf,
}

/// A file or directory.
pub(crate) struct Child {
    pub(crate) name: OsString,
    pub(crate) kind: FileType,
}

impl Tree {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// When there is no such directory.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    /// Returns where a path that was found by walking the tree is.
    pub(crate) fn join(&self, walked: &Path) -> PathBuf {
        self.root.join(walked)
    }

    /// Returns where a path leads, with its links followed. They may not lead out of the tree.
    pub(crate) fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        let found = self.root.join(inside(path)).canonicalize()?;
        if found.starts_with(&self.root) { Ok(found) } else { Err(escapes(path)) }
    }

    /// Opens the file that a path leads to.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        File::open(self.locate(path)?)
    }

    /// Returns where something new can be put under a path; the directories above it are made.
    ///
    /// A link on the way may not lead out of the tree.
    pub(crate) fn make_place(&self, path: &Path) -> io::Result<PathBuf> {
        let path = inside(path);
        let Some(name) = path.file_name() else { return Ok(self.root.clone()) };
        let mut dir = self.root.clone();
        for part in path.parent().into_iter().flat_map(Path::components) {
            dir.push(part);
            match dir.symlink_metadata() {
                Ok(_) => {
                    dir = dir.canonicalize()?;
                    if !dir.starts_with(&self.root) {
                        return Err(escapes(&path));
                    }
                    if !dir.is_dir() {
                        return Err(io::ErrorKind::NotADirectory.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&dir)?,
                Err(error) => return Err(error),
            }
        }
        Ok(dir.join(name))
    }
}

/// Returns a path without parts that go up. At the root, there is no up.
pub(crate) fn inside(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => _ = clean.pop(),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Lists a directory, in order of the names' bytes.
pub(crate) fn children(dir: &Path) -> io::Result<Vec<Child>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        children.push(Child { name: entry.file_name(), kind: entry.file_type()? });
    }
    children.sort_by(|a, b| a.name.as_encoded_bytes().cmp(b.name.as_encoded_bytes()));
    Ok(children)
}

fn escapes(path: &Path) -> io::Error {
    io::Error::other(format!("path {} leads out of its directory", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Fixture {
        _dir: tempfile::TempDir,
        tree: Tree,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(root.join("sub/file"), "x").unwrap();
        symlink("../outside", root.join("out")).unwrap();
        symlink("sub", root.join("in")).unwrap();
        symlink("missing", root.join("dangling")).unwrap();
        let tree = Tree::new(&root).unwrap();
        Fixture { _dir: dir, tree }
    }

    #[test]
    fn resolves_paths_inside_of_the_directory() {
        let Fixture { tree, .. } = &fixture();
        let sub = tree.root.join("sub");
        for path in ["sub", "/sub", "../../sub", "./in", "sub/../in", "out/../sub"] {
            assert_eq!(tree.locate(Path::new(path)).unwrap(), sub, "{path}");
        }
        assert_eq!(tree.locate(Path::new("..")).unwrap(), tree.root);
        assert!(tree.locate(Path::new("out")).is_err());
        assert!(tree.locate(Path::new("missing")).is_err());
    }

    #[test]
    fn makes_places_inside_of_the_directory() {
        let Fixture { tree, .. } = &fixture();
        let make = |path: &str| tree.make_place(Path::new(path));
        let root = &tree.root;
        assert_eq!(make("a/b/c").unwrap(), root.join("a/b/c"));
        assert!(root.join("a/b").is_dir() && !root.join("a/b/c").exists());
        assert_eq!(make("../../up").unwrap(), root.join("up"));
        assert_eq!(make("in/new").unwrap(), root.join("sub/new"));
        // The last part is replaced and not followed.
        assert_eq!(make("out").unwrap(), root.join("out"));
        assert_eq!(make(".").unwrap(), *root);
        assert!(make("out/new").is_err());
        assert!(make("dangling/new").is_err());
        assert!(make("sub/file/new").is_err());
    }

    #[test]
    fn lists_in_order_of_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "B", "a-b", "a", "ä"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = children(dir.path()).unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["B", "a", "a-b", "b", "ä"]);
    }
}
