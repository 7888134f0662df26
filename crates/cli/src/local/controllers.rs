//! The controllers, in this process.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use common::Runtime;
use kube::Client;
use manifests::Component;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::local::repos::Repo;

/// How long the controllers may take to finish what they are doing at the end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Running controllers, and the artifacts between them.
pub(super) struct Controllers {
    tasks: JoinSet<(Component, anyhow::Result<()>)>,
    shutdown: CancellationToken,
    // Removed with the last handle, after everything that reads it has ended.
    _storage: Storage,
}

/// Where artifacts are.
pub(super) enum Storage {
    /// In a folder that is removed at the end.
    Scratch(TempDir),
    /// In one that stays.
    Kept(PathBuf),
}

impl Storage {
    /// Returns a place in a folder, or one that is removed at the end.
    ///
    /// # Errors
    ///
    /// When there is no room for artifacts.
    pub(super) fn new(data: Option<&Path>) -> anyhow::Result<Self> {
        let context = "failed to create a folder for artifacts";
        if let Some(data) = data {
            let folder = data.join("artifacts");
            std::fs::create_dir_all(&folder).context(context)?;
            return Ok(Self::Kept(folder));
        }
        let scratch = tempfile::Builder::new().prefix("tidegate-").tempdir();
        Ok(Self::Scratch(scratch.context(context)?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Scratch(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

impl Controllers {
    /// Starts controllers.
    ///
    /// # Errors
    ///
    /// When they cannot be configured.
    pub(super) fn start(
        components: &[Component],
        client: &Client,
        repos: &[Repo],
        storage: Storage,
    ) -> anyhow::Result<Self> {
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for component in Component::ALL.into_iter().filter(|it| components.contains(it)) {
            let runtime =
                Runtime { shutdown: shutdown.clone(), ..Runtime::embedded(client.clone()) };
            match component {
                Component::SourceController => {
                    let args = source_args(storage.path(), repos)?;
                    tasks.spawn(async move {
                        let outcome = source_controller::run(args, runtime).await;
                        (component, outcome.map_err(anyhow::Error::new))
                    });
                }
                Component::KustomizeController => {
                    let args = kustomize_controller::Args::default();
                    tasks.spawn(async move {
                        let outcome = kustomize_controller::run(args, runtime).await;
                        (component, outcome.map_err(anyhow::Error::new))
                    });
                }
            }
        }
        Ok(Self { tasks, shutdown, _storage: storage })
    }

    /// Returns when a controller ends although nobody has asked it to, with why.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((component, Err(err)))) => err.context(format!("{component} has failed")),
            Some(Ok((component, Ok(())))) => anyhow::anyhow!("{component} has ended"),
            Some(Err(err)) => anyhow::Error::new(err).context("a controller has crashed"),
            // None was started.
            None => std::future::pending().await,
        }
    }

    /// Lets the controllers finish what they are doing.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        let end = async { while self.tasks.join_next().await.is_some() {} };
        // What is not finished by then starts anew in the next run.
        let _ = tokio::time::timeout(GRACE, end).await;
    }
}

fn source_args(storage: &Path, repos: &[Repo]) -> anyhow::Result<source_controller::Args> {
    let local = repos.iter().map(|repo| (repo.url.clone(), repo.root.clone()));
    Ok(source_controller::Args {
        storage_path: storage.to_owned(),
        storage_addr: "127.0.0.1:0".parse().context("the address of artifacts")?,
        local_repositories: local.collect(),
        ..source_controller::Args::default()
    })
}
