//! Repositories, and a comparison of what is checked out of them with what `git clone` makes.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use git::{Checkout, CheckoutOptions, Error, Reference, Remote};
use tempfile::TempDir;
use testkit::repository::Repository;

/// A folder with repositories to serve, and room for what is checked out.
pub(crate) struct World {
    pub(crate) scratch: TempDir,
}

/// What a path of a tree is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Folder,
    File { executable: bool, content: Vec<u8> },
    Link(PathBuf),
}

impl World {
    pub(crate) fn new() -> Self {
        Self { scratch: tempfile::tempdir().unwrap() }
    }

    /// Returns the folder that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.path().join("served")
    }

    /// Creates a repository without commits.
    pub(crate) fn empty(&self, name: &str) -> Repository {
        Repository::empty(&self.root().join(name)).unwrap()
    }

    /// Creates a repository with files of every kind, on `master`, and a branch `feature/x`.
    pub(crate) fn repository(&self, name: &str) -> Repository {
        let repository = self.empty(name);
        repository.write("README.md", "# Fleet\n").unwrap();
        repository.write("apps/podinfo/deployment.yaml", "kind: Deployment\n").unwrap();
        repository.write("apps/podinfo/empty", "").unwrap();
        repository.write("apps-dev/x.yaml", "kind: ConfigMap\n").unwrap();
        repository.write("bin/deploy.sh", "#!/bin/sh\n").unwrap();
        let script = repository.path().join("bin/deploy.sh");
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
        repository.write("ünï cödé/a b.txt", "ä\r\n").unwrap();
        std::os::unix::fs::symlink("../README.md", repository.path().join("apps/link")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", repository.path().join("outside")).unwrap();
        repository.commit("Add files\n\nOf every kind.").unwrap();
        repository.branch("feature/x").unwrap();
        repository.write("feature.txt", "x\n").unwrap();
        repository.commit("Add a feature").unwrap();
        repository.branch("master").unwrap();
        repository
    }

    /// Checks a reference out of a repository into a fresh folder.
    pub(crate) async fn checkout(
        &self,
        url: &str,
        reference: Reference,
    ) -> Result<(Checkout, BTreeMap<PathBuf, Node>), Error> {
        self.checkout_with(&Remote::new(url)?, &reference, &CheckoutOptions::default()).await
    }

    /// Checks a reference out of a remote repository into a fresh folder.
    pub(crate) async fn checkout_with(
        &self,
        remote: &Remote,
        reference: &Reference,
        options: &CheckoutOptions,
    ) -> Result<(Checkout, BTreeMap<PathBuf, Node>), Error> {
        let into = tempfile::tempdir_in(self.scratch.path()).unwrap();
        let into = into.path().join("tree");
        let checkout = remote.checkout(reference, options, &into).await?;
        Ok((checkout, tree(&into)))
    }

    /// Returns what `git` makes of a revision of a repository.
    pub(crate) fn cloned(
        &self,
        repository: &Repository,
        revision: &str,
    ) -> BTreeMap<PathBuf, Node> {
        let clone = tempfile::tempdir_in(self.scratch.path()).unwrap();
        let clone = clone.path().join("clone");
        let (from, to) = (repository.path().to_str().unwrap(), clone.to_str().unwrap());
        repository.git(&["clone", "--quiet", "--no-checkout", from, to]).unwrap();
        repository.git(&["-C", to, "checkout", "--quiet", "--detach", revision]).unwrap();
        std::fs::remove_dir_all(clone.join(".git")).unwrap();
        tree(&clone)
    }
}

/// Returns everything below a folder.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let node = if metadata.is_symlink() {
                Node::Link(std::fs::read_link(&path).unwrap())
            } else if metadata.is_dir() {
                folders.push(path.clone());
                Node::Folder
            } else {
                let executable = metadata.mode() & 0o111 != 0;
                Node::File { executable, content: std::fs::read(&path).unwrap() }
            };
            nodes.insert(path.strip_prefix(root).unwrap().to_owned(), node);
        }
    }
    nodes
}
