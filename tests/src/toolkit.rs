//! The API and the controllers, each a process of its own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use api::{kustomize::Kustomization, source::GitRepository};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use serde_json::json;
use tempfile::TempDir;
use testkit::{
    cluster, control_plane::ControlPlane, git_server::GitServer, repository::Repository,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::{Process, Server};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The namespace of everything.
const NAMESPACE: &str = "default";

/// An API in a process of its own, and a place for what controllers keep.
pub struct Toolkit {
    /// Acts as administrator.
    pub client: Client,
    /// What controllers that are started from now on find in their environment.
    pub environment: Vec<(&'static str, String)>,
    server: Server,
    plane: Option<ControlPlane>,
    storage_port: u16,
    /// Goes last: everything keeps its state in it.
    scratch: TempDir,
}

/// A controller in a process of its own.
pub struct Controller {
    /// The process.
    pub process: Process,
    metrics: String,
}

impl Toolkit {
    /// Starts the API, which the run of the tests may want to be a real one.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir().context("failed to create a scratch directory")?;
        let plane = ControlPlane::of_test(&scratch.path().join("plane")).await?;
        let server = match &plane {
            Some(plane) => Server::at(&plane.kubeconfig()).await?,
            None => Server::start(scratch.path()).await?,
        };
        let client = server.client.clone();
        cluster::define(&client, &api::crds()).await?;
        let (environment, storage_port) = (Vec::new(), free_port()?);
        Ok(Self { client, environment, server, plane, storage_port, scratch })
    }

    /// Returns the real control plane, where the run of the tests is for one.
    pub fn control_plane(&mut self) -> Option<&mut ControlPlane> {
        self.plane.as_mut()
    }

    /// Starts source-controller. Its storage is the same each time, and so is its address.
    ///
    /// # Errors
    ///
    /// When it is not built.
    pub fn source_controller(&self, args: &[&str]) -> anyhow::Result<Controller> {
        let storage = self.scratch.path().join("storage");
        std::fs::create_dir_all(&storage)?;
        let port = self.storage_port;
        let mut own = vec![
            format!("--storage-path={}", storage.display()),
            format!("--storage-addr=127.0.0.1:{port}"),
            format!("--storage-adv-addr=127.0.0.1:{port}"),
        ];
        own.extend(args.iter().map(ToString::to_string));
        self.controller("source-controller", own)
    }

    /// Starts kustomize-controller.
    ///
    /// # Errors
    ///
    /// When it is not built.
    pub fn kustomize_controller(&self, args: &[&str]) -> anyhow::Result<Controller> {
        let own = ["--http-retry=0"].iter().chain(args).map(ToString::to_string).collect();
        self.controller("kustomize-controller", own)
    }

    fn controller(&self, name: &str, mut args: Vec<String>) -> anyhow::Result<Controller> {
        let metrics = format!("127.0.0.1:{}", free_port()?);
        args.push(format!("--metrics-addr={metrics}"));
        args.push(format!("--health-addr=127.0.0.1:{}", free_port()?));
        let log = self.scratch.path().join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let kubeconfig = self.server.kubeconfig.display().to_string();
        let mut envs = vec![("KUBECONFIG", kubeconfig.as_str()), ("RUNTIME_NAMESPACE", NAMESPACE)];
        envs.extend(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        Ok(Controller { process: Process::start(name, args, &envs, log)?, metrics })
    }

    /// Returns what a controller has logged, for the message of a test that fails.
    pub fn log(&self, name: &str) -> String {
        let log = self.scratch.path().join(format!("{name}.log"));
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Returns a folder for repositories.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub fn repositories(&self) -> anyhow::Result<PathBuf> {
        let folder = self.scratch.path().join("git");
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Declares a GitRepository of a URL and a Kustomization of the path `apps` in it.
    ///
    /// # Errors
    ///
    /// When the API refuses them.
    pub async fn declare(&self, name: &str, url: &str) -> anyhow::Result<()> {
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": name },
            "spec": { "interval": "1h", "url": url, "ref": { "branch": "main" } },
        });
        let kustomization = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": name },
            "spec": {
                "interval": "1h", "retryInterval": "500ms", "path": "./apps", "prune": true,
                "targetNamespace": NAMESPACE,
                "sourceRef": { "kind": "GitRepository", "name": name },
            },
        });
        let params = PatchParams::apply("test").force();
        self.sources().patch(name, &params, &Patch::Apply(&source)).await?;
        self.kustomizations().patch(name, &params, &Patch::Apply(&kustomization)).await?;
        Ok(())
    }

    /// Asks for the source to be looked at now.
    ///
    /// # Errors
    ///
    /// When the API refuses.
    pub async fn request(&self, name: &str, token: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(requested_at(token));
        self.sources().patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Asks for the Kustomization to be reconciled now.
    ///
    /// # Errors
    ///
    /// When the API refuses.
    pub async fn request_kustomization(&self, name: &str, token: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(requested_at(token));
        self.kustomizations().patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Returns the GitRepositories.
    pub fn sources(&self) -> Api<GitRepository> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Returns the Kustomizations.
    pub fn kustomizations(&self) -> Api<Kustomization> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Waits until a Kustomization is as described, and returns it.
    ///
    /// # Errors
    ///
    /// With its conditions, and the logs, when it is not in time.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&Kustomization) -> bool,
    ) -> anyhow::Result<Kustomization> {
        let condition = |obj: Option<&Kustomization>| obj.is_some_and(&is_so);
        let wait = await_condition(self.kustomizations(), name, condition);
        if let Ok(found) = tokio::time::timeout(PATIENCE, wait).await {
            return found?.context("the Kustomization is gone");
        }
        let obj = self.kustomizations().get(name).await?;
        let source = self.sources().get(name).await?;
        bail!(
            "{name} is not {what}: {:#?}\n{:#?}\n{}\n{}",
            obj.status,
            source.status,
            self.log("source-controller"),
            self.log("kustomize-controller"),
        )
    }

    /// Waits until a Kustomization has applied a commit and is ready.
    ///
    /// # Errors
    ///
    /// When it is not in time.
    pub async fn until_applied(&self, name: &str, commit: &str) -> anyhow::Result<Kustomization> {
        let revision = format!("main@sha1:{commit}");
        self.until(name, &format!("at {revision}"), |obj| {
            let status = obj.status.clone().unwrap_or_default();
            api::conditions::is_true(&status.conditions, api::conditions::READY)
                && status.observed_generation == obj.metadata.generation
                && status.last_applied_revision.as_ref() == Some(&revision)
        })
        .await
    }
}

impl Toolkit {
    /// Waits until a source has stored the artifact of a commit.
    ///
    /// # Errors
    ///
    /// When it has not in time.
    pub async fn until_stored(&self, name: &str, commit: &str) -> anyhow::Result<()> {
        let revision = format!("main@sha1:{commit}");
        let condition = |obj: Option<&GitRepository>| {
            let artifact = obj.and_then(|obj| obj.status.as_ref()?.artifact.as_ref());
            artifact.is_some_and(|artifact| artifact.revision == revision)
        };
        let wait = await_condition(self.sources(), name, condition);
        let log = || self.log("source-controller");
        tokio::time::timeout(PATIENCE, wait).await.with_context(log)??;
        Ok(())
    }

    /// Waits until a Kustomization is not ready for a reason.
    ///
    /// # Errors
    ///
    /// When it is not in time.
    pub async fn until_reason(&self, name: &str, reason: &str) -> anyhow::Result<Kustomization> {
        self.until(name, reason, |obj| {
            let conditions = obj.status.as_ref().map(|status| status.conditions.as_slice());
            let ready = api::conditions::find(conditions.unwrap_or_default(), "Ready");
            ready.is_some_and(|ready| ready.status == "False" && ready.reason == reason)
        })
        .await
    }
}

impl Controller {
    /// Returns the text of its metrics.
    ///
    /// # Errors
    ///
    /// When it does not answer in time.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut stream = loop {
            match TcpStream::connect(&self.metrics).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                // It is starting.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("the metrics are refused: {head}");
        }
        Ok(body.to_owned())
    }
}

/// Makes a repository with the branch `main` below a folder, and serves it over http.
///
/// # Errors
///
/// When git is missing, or there is no free port.
pub async fn fleet(folder: &Path) -> anyhow::Result<(Repository, GitServer)> {
    let repository = Repository::empty(&folder.join("fleet"))?;
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"])?;
    Ok((repository, GitServer::start(folder).await?))
}

/// Returns a patch that asks for a reconciliation now.
pub fn requested_at(token: &str) -> serde_json::Value {
    json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": token } } })
}

/// Returns a port that nobody listens on.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
