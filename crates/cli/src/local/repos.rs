//! Watches the folders that stand in for remote URLs.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    core::DynamicObject,
};
use notify::{EventKind, RecursiveMode, Watcher as _};
use serde_json::json;
use tokio::{sync::mpsc, time::Instant};

use crate::kind;

/// How long a tree has to be still before it is looked at: editors and `git` write several files
/// in a row.
const STILL: Duration = Duration::from_millis(25);

/// How long changes are waited for at most: a build may write into the tree all the time.
const PATIENCE: Duration = Duration::from_secs(1);

/// A folder that stands in for a remote URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repo {
    /// The URL that GitRepositories name.
    pub(super) url: String,
    /// The folder, without links in its path.
    pub(super) root: PathBuf,
    /// What `git` keeps about it elsewhere, where the folder is a linked worktree or submodule.
    git: Vec<PathBuf>,
}

/// Returns the folders that the arguments name.
///
/// # Errors
///
/// When a path is no folder, or a URL is given twice.
pub(super) fn resolve(repos: Vec<(String, PathBuf)>) -> anyhow::Result<Vec<Repo>> {
    let mut seen = BTreeSet::new();
    repos
        .into_iter()
        .map(|(url, path)| {
            let root = path
                .canonicalize()
                .with_context(|| format!("--repo {url}: no such folder {}", path.display()))?;
            if !root.is_dir() {
                bail!("--repo {url}: {} is not a folder", path.display());
            }
            if !seen.insert(url.clone()) {
                bail!("--repo {url}: given twice");
            }
            let git = linked(&root);
            Ok(Repo { url, root, git })
        })
        .collect()
}

/// Returns the folders that a `.git` file leads to: that of the worktree, and that which it shares.
fn linked(root: &Path) -> Vec<PathBuf> {
    let Ok(text) = std::fs::read_to_string(root.join(".git")) else { return Vec::new() };
    let Some(path) = text.trim().strip_prefix("gitdir: ") else { return Vec::new() };
    let Ok(own) = root.join(path).canonicalize() else { return Vec::new() };
    let common = std::fs::read_to_string(own.join("commondir"));
    let common = common.ok().and_then(|path| own.join(path.trim()).canonicalize().ok());
    common.into_iter().chain([own]).collect()
}

/// Asks for a reconciliation of every GitRepository whose folder changes, until dropped.
///
/// The request goes through the API as a user's would, so that source-controller needs no other
/// way to be woken.
///
/// # Errors
///
/// When a folder cannot be watched.
pub(super) async fn follow(client: Client, repos: Vec<Repo>) -> anyhow::Result<()> {
    let (tell, mut changed) = mpsc::unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !matches!(event.kind, EventKind::Access(_))
        {
            for path in event.paths {
                // The receiver is gone only when the command ends.
                let _ = tell.send(path);
            }
        }
    })
    .context("failed to watch the local repositories")?;
    for Repo { url, root, git } in &repos {
        for folder in git.iter().chain([root]) {
            watcher
                .watch(folder, RecursiveMode::Recursive)
                .with_context(|| format!("failed to watch {} for {url}", folder.display()))?;
        }
    }

    while let Some(first) = changed.recv().await {
        let end = Instant::now() + PATIENCE;
        let mut paths = BTreeSet::from([first]);
        while let Ok(Some(path)) =
            tokio::time::timeout_at(end.min(Instant::now() + STILL), changed.recv()).await
        {
            paths.insert(path);
        }
        for repo in &repos {
            if paths.iter().any(|path| repo.concerns(path)) {
                request(&client, &repo.url).await?;
            }
        }
    }
    Ok(())
}

impl Repo {
    /// Returns whether a change of a path can change what the folder declares.
    ///
    /// Of what `git` keeps, only references and the index count: objects and locks come and go
    /// without meaning, and reading a repository must not look like a change of it.
    fn concerns(&self, path: &Path) -> bool {
        let kept = |git: &Path| {
            let is_lock = git.extension().is_some_and(|extension| extension == "lock");
            let name = git.iter().next().unwrap_or_default();
            !is_lock
                && ["refs", "packed-refs", "reftable", "HEAD", "index"].iter().any(|it| name == *it)
        };
        if let Ok(inside) = path.strip_prefix(&self.root) {
            return inside.strip_prefix(".git").map_or(true, kept);
        }
        self.git.iter().any(|folder| path.strip_prefix(folder).is_ok_and(kept))
    }
}

/// Asks for a reconciliation of the GitRepositories with a URL.
async fn request(client: &Client, url: &str) -> anyhow::Result<()> {
    let resource = kind::GIT_REPOSITORY.resource();
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let list = all.list(&ListParams::default()).await.context("failed to list GitRepositories")?;
    let now = jiff::Timestamp::now().to_string();
    let patch =
        json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": now } } });
    for object in list.iter().filter(|object| kind::text(object, "/spec/url") == url) {
        let namespace = object.namespace().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        let name = object.name_any();
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .with_context(|| format!("failed to request a reconciliation of {name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_changes_of_content_from_noise() {
        let repo = Repo {
            url: String::new(),
            root: PathBuf::from("/fleet"),
            git: vec![PathBuf::from("/main/.git")],
        };
        let concerns = |path: &str| repo.concerns(Path::new(path));
        assert!(concerns("/fleet/apps/podinfo.yaml"));
        assert!(concerns("/fleet/.git/refs/heads/main"));
        assert!(concerns("/main/.git/refs/heads/main"));
        assert!(!concerns("/fleet/.git/index.lock"));
        assert!(!concerns("/fleet/.git/objects/ab/cd"));
        assert!(!concerns("/main/.git/objects/ab/cd"));
        assert!(!concerns("/elsewhere/apps"));
    }

    #[test]
    fn finds_what_git_keeps_of_a_linked_worktree() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let own = root.join("main/.git/worktrees/linked");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("commondir"), "../..\n").unwrap();
        std::fs::create_dir(root.join("linked")).unwrap();
        std::fs::write(root.join("linked/.git"), format!("gitdir: {}\n", own.display())).unwrap();
        let url = || "https://example.com/fleet".to_owned();
        let repos = resolve(vec![(url(), root.join("linked"))]).unwrap();
        assert_eq!(repos[0].git, [root.join("main/.git"), own]);
        assert!(resolve(vec![(url(), root.join("missing"))]).is_err());
        assert!(resolve(vec![(url(), root.clone()), (url(), root)]).is_err());
    }
}
