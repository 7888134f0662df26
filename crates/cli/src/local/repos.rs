//! Watches the working trees that stand in for remote URLs.

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
use tokio::sync::mpsc;

use crate::kind;

/// How long a tree has to be still before it is looked at: editors and `git` write several files
/// in a row.
const SETTLED: Duration = Duration::from_millis(100);

/// A working tree that stands in for a remote URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repo {
    /// The URL that GitRepositories name.
    pub(super) url: String,
    /// The root of the working tree, without links in its path.
    pub(super) root: PathBuf,
}

/// Returns the working trees that the arguments name.
///
/// # Errors
///
/// When a path is no Git repository, or a URL is given twice.
pub(super) fn resolve(repos: Vec<(String, PathBuf)>) -> anyhow::Result<Vec<Repo>> {
    let mut seen = BTreeSet::new();
    repos
        .into_iter()
        .map(|(url, path)| {
            let root = path
                .canonicalize()
                .with_context(|| format!("--repo {url}: no such directory {}", path.display()))?;
            if !root.join(".git").exists() && !root.join("HEAD").is_file() {
                bail!("--repo {url}: {} is not a Git repository", path.display());
            }
            if !seen.insert(url.clone()) {
                bail!("--repo {url}: given twice");
            }
            Ok(Repo { url, root })
        })
        .collect()
}

/// Asks for a reconciliation of every GitRepository whose working tree changes, until dropped.
///
/// The request goes through the API as a user's would, so that source-controller needs no other
/// way to be woken.
///
/// # Errors
///
/// When a tree cannot be watched.
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
    for Repo { url, root } in &repos {
        watcher
            .watch(root, RecursiveMode::Recursive)
            .with_context(|| format!("failed to watch {} for {url}", root.display()))?;
    }

    while let Some(first) = changed.recv().await {
        let mut paths = BTreeSet::from([first]);
        while let Ok(Some(path)) = tokio::time::timeout(SETTLED, changed.recv()).await {
            paths.insert(path);
        }
        for Repo { url, root } in &repos {
            if paths.iter().any(|path| concerns(root, path)) {
                request(&client, url).await?;
            }
        }
    }
    Ok(())
}

/// Returns whether a change of a path can change what the repository declares.
///
/// Inside `.git` only references and the index count: objects and locks come and go without
/// meaning, and reading a repository must not look like a change of it.
fn concerns(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let Ok(git) = inside.strip_prefix(".git") else { return true };
    let is_lock = git.extension().is_some_and(|extension| extension == "lock");
    !is_lock && (git.starts_with("refs") || git == Path::new("HEAD") || git == Path::new("index"))
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
        let root = Path::new("/fleet");
        assert!(concerns(root, Path::new("/fleet/apps/podinfo.yaml")));
        assert!(concerns(root, Path::new("/fleet/.git/refs/heads/main")));
        assert!(!concerns(root, Path::new("/fleet/.git/index.lock")));
        assert!(!concerns(root, Path::new("/fleet/.git/objects/ab/cd")));
        assert!(!concerns(root, Path::new("/elsewhere/apps")));
    }
}
