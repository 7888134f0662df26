//! An API that is served as a cluster serves it, and the command run against it.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use apiserver::{ApiServer, Options, workloads};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use manifests::Component;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::control_plane::ControlPlane;
use tokio::process::{Child, Command};

/// How long a command may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster with the CRDs installed.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    api: Served,
    /// Goes last: a control plane keeps its state in it.
    pub(crate) dir: TempDir,
}

/// What answers: the embedded API, or a real one of the test's own.
enum Served {
    Embedded(apiserver::Served),
    Real(Box<ControlPlane>),
}

impl Cluster {
    /// Returns a cluster that holds our CRDs and the namespace `flux-system`.
    pub(crate) async fn start() -> Self {
        let cluster = Self::empty().await;
        let options = manifests::Options {
            components: Component::ALL.to_vec(),
            ..manifests::Options::default()
        };
        let crds = manifests::crds(&options).into_iter().map(serde_json::from_value);
        let crds: Vec<_> = crds.collect::<Result<_, _>>().unwrap();
        testkit::cluster::define(&cluster.client, &crds).await.unwrap();
        cluster.apply(manifests::namespace(&options)).await;
        cluster
    }

    /// Returns a cluster as a new one is.
    pub(crate) async fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        if let Some(plane) = ControlPlane::of_test(&dir.path().join("plane")).await.unwrap() {
            std::fs::copy(plane.kubeconfig(), kubeconfig).unwrap();
            let client = plane.client().await.unwrap();
            return Self { client, api: Served::Real(Box::new(plane)), dir };
        }
        let api = ApiServer::new(Options::default());
        let served = api.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        std::fs::write(kubeconfig, served.kubeconfig()).unwrap();
        let client = Client::new(api.service(), "default");
        Self { client, api: Served::Embedded(served), dir }
    }

    /// Returns a cluster in which workloads become ready.
    pub(crate) async fn working() -> Self {
        let mut cluster = Self::empty().await;
        match &mut cluster.api {
            Served::Embedded(_) => _ = tokio::spawn(workloads::run(cluster.client.clone())),
            Served::Real(plane) => plane.start_workloads().await.unwrap(),
        }
        cluster
    }

    /// Returns the address of the API.
    pub(crate) fn url(&self) -> String {
        match &self.api {
            Served::Embedded(served) => format!("https://{}", served.addr),
            Served::Real(plane) => plane.url(),
        }
    }

    /// Returns the token of the administrator.
    pub(crate) fn token(&self) -> &str {
        match &self.api {
            Served::Embedded(served) => served.token.expose_secret(),
            Served::Real(plane) => plane.token(),
        }
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Returns the command with the kubeconfig of the cluster in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = tidegate(args);
        command.env("KUBECONFIG", self.dir.path().join("kubeconfig"));
        command
    }

    /// Runs the command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Run {
        finish(self.command(args)).await
    }

    /// Starts the command with its standard output and error in pipes.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        spawn(self.command(args))
    }

    /// Applies an object.
    pub(crate) async fn apply(&self, object: Value) -> DynamicObject {
        let params = PatchParams::apply("test").force();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.api(&object).patch(&name, &params, &Patch::Apply(object)).await.unwrap()
    }

    /// Writes the status of an object.
    pub(crate) async fn set_status(&self, object: &Value, status: Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let patch = Patch::Merge(json!({ "status": status }));
        self.api(object).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Returns an object as it is now.
    pub(crate) async fn get(&self, object: &Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap();
        serde_json::to_value(self.api(object).get(name).await.unwrap()).unwrap()
    }

    /// Returns the API that an object lives in.
    pub(crate) fn api(&self, object: &Value) -> Api<DynamicObject> {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
        let resource = match gvk.kind.as_str() {
            "GitRepository" => ApiResource::from_gvk_with_plural(&gvk, "gitrepositories"),
            _ => ApiResource::from_gvk(&gvk),
        };
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }
}

/// What a command has printed, and how it has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Returns standard output of a command that has succeeded.
    #[track_caller]
    pub(crate) fn output(&self) -> &str {
        assert_eq!(self.code, 0, "{self:#?}");
        &self.stdout
    }

    /// Returns standard error of a command that has failed with status 1.
    #[track_caller]
    pub(crate) fn failure(&self) -> &str {
        assert_eq!(self.code, 1, "{self:#?}");
        &self.stderr
    }
}

/// Returns the command, untouched by the environment of whoever runs the tests.
pub(crate) fn tidegate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["KUBECONFIG", "FLUX_SYSTEM_NAMESPACE", "FLUX_NS_FOLLOWS_KUBE_CONTEXT"] {
        command.env_remove(name);
    }
    command
}

/// Starts a command with its standard output and error in pipes.
pub(crate) fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs a command to its end.
pub(crate) async fn finish(command: Command) -> Run {
    end(spawn(command)).await
}

/// Waits for the end of a command.
pub(crate) async fn end(child: Child) -> Run {
    let wait = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let Output { status, stdout, stderr } = wait.await.expect("the command ends in time").unwrap();
    Run {
        code: status.code().expect("the command is not killed"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Returns a GitRepository.
pub(crate) fn git_repository(name: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": { "name": name, "namespace": "flux-system" },
        "spec": { "interval": "1m", "url": "https://example.com/fleet" },
    })
}

/// Returns a Kustomization of a GitRepository of the same name.
pub(crate) fn kustomization(name: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": { "name": name, "namespace": "flux-system" },
        "spec": {
            "interval": "5m",
            "prune": true,
            "sourceRef": { "kind": "GitRepository", "name": name },
        },
    })
}

/// Returns a Ready condition.
pub(crate) fn ready(status: &str, message: &str) -> Value {
    json!({
        "type": "Ready",
        "status": status,
        "reason": "Test",
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}
