//! The controllers, in this process.

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
    _storage: TempDir,
}

impl Controllers {
    /// Starts controllers; artifacts are kept in a folder that goes with the result.
    ///
    /// # Errors
    ///
    /// When there is no room for artifacts.
    pub(super) fn start(
        components: &[Component],
        client: &Client,
        repos: &[Repo],
    ) -> anyhow::Result<Self> {
        let storage = tempfile::Builder::new()
            .prefix("tidegate-")
            .tempdir()
            .context("failed to create a folder for artifacts")?;
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for component in Component::ALL.into_iter().filter(|it| components.contains(it)) {
            let runtime =
                Runtime { shutdown: shutdown.clone(), ..Runtime::embedded(client.clone()) };
            match component {
                Component::SourceController => {
                    let _ = repos;
                    anyhow::bail!("source-controller cannot run in this process yet");
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

    /// Returns when a controller ends although nobody has asked it to.
    ///
    /// # Errors
    ///
    /// Always: with the name of the controller and why it has ended.
    pub(super) async fn failed(&mut self) -> anyhow::Result<()> {
        let Some(ended) = self.tasks.join_next().await else {
            // None was started.
            return std::future::pending().await;
        };
        let (component, outcome) = ended.context("a controller has crashed")?;
        outcome.with_context(|| format!("{component} has failed"))?;
        anyhow::bail!("{component} has ended")
    }

    /// Lets the controllers finish what they are doing.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        let end = async { while self.tasks.join_next().await.is_some() {} };
        // What is not finished by then starts anew in the next run.
        let _ = tokio::time::timeout(GRACE, end).await;
    }
}
