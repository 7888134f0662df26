//! A Kubernetes API in a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use kube::Client;
use testkit::control_plane;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::Process;

/// How long the API may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// An API, and the way to it.
pub struct Server {
    /// Acts as administrator.
    pub client: Client,
    /// The kubeconfig of the administrator.
    pub kubeconfig: PathBuf,
    process: Option<Process>,
}

impl Server {
    /// Starts an embedded API, which ends with its handle and keeps its kubeconfig in a directory.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(dir, &[]).await
    }

    /// Starts an embedded API with more arguments of `tidegate local`.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub async fn start_with(dir: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let kubeconfig = dir.join("kubeconfig");
        // That of a process which was killed is still there.
        match std::fs::remove_file(&kubeconfig) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let path = kubeconfig.display().to_string();
        let own = ["local", "--no-controllers", "--write-kubeconfig", &path];
        let args = own.iter().chain(args);
        let mut process = Process::start("tidegate", args, &[], Stdio::piped())?;
        let stderr = process.stderr().context("standard error is a pipe")?;
        let mut lines = BufReader::new(stderr).lines();
        while !kubeconfig.exists() {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            line.context("the API does not start in time")??.context("the API has ended")?;
        }
        // The pipe must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client = client(&kubeconfig).await?;
        Ok(Self { client, kubeconfig, process: Some(process) })
    }

    /// Returns the API that a kubeconfig leads to.
    ///
    /// # Errors
    ///
    /// When the kubeconfig is not usable.
    pub async fn at(kubeconfig: &Path) -> anyhow::Result<Self> {
        let client = client(kubeconfig).await?;
        Ok(Self { client, kubeconfig: kubeconfig.to_owned(), process: None })
    }

    /// Kills the process that was started for it, as `kill -9` does.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.as_mut().context("it is not ours")?.kill().await
    }

    /// Returns the id of the process that was started for it.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let config = control_plane::config(kubeconfig).await;
    let config = config.with_context(|| format!("failed to read {}", kubeconfig.display()))?;
    Ok(Client::try_from(config)?)
}
