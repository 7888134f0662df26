//! `tidegate local`: everything in one process.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::support::{PATIENCE, Run, end, finish, spawn, tidegate};
use futures::TryStreamExt as _;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt as _, watcher},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, Command},
};

const URL: &str = "https://example.com/fleet";

/// Returns `tidegate local` in a folder.
fn command(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = tidegate(&["local"]);
    command.args(args).current_dir(dir.path());
    command
}

/// `tidegate local` while it runs.
struct Local {
    child: Child,
    stderr: BufReader<ChildStderr>,
    client: Client,
}

impl Local {
    /// Starts the command and connects with the kubeconfig that it writes.
    async fn start(dir: &TempDir, args: &[&str]) -> Self {
        let mut child = spawn(command(dir, args));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("serving a Kubernetes API") {
            let line = tokio::time::timeout(PATIENCE, stderr.read_line(&mut said));
            assert_ne!(line.await.expect("a line in time").unwrap(), 0, "{said}");
        }
        let kubeconfig = Kubeconfig::read_from(dir.path().join("tidegate.kubeconfig")).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        Self { child, stderr, client }
    }

    /// Sends SIGTERM and waits for the end.
    async fn terminate(mut self) -> Run {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let mut stderr = String::new();
        let read = tokio::time::timeout(PATIENCE, self.stderr.read_to_string(&mut stderr));
        read.await.expect("the command ends in time").unwrap();
        Run { stderr, ..end(self.child).await }
    }

    /// Waits until a ConfigMap of the namespace `default` has a value under `mode`.
    async fn until_mode(&self, name: &str, wanted: Option<&str>) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), "default");
        let changes = watcher::watch_object(api, name).default_backoff();
        futures::pin_mut!(changes);
        let follow = async {
            while let Some(object) = changes.try_next().await.unwrap() {
                let data = object.as_ref().and_then(|object| object.data.as_ref());
                if data.and_then(|data| data.get("mode")).map(String::as_str) == wanted {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, follow).await.expect("the ConfigMap changes in time");
    }
}

fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn settings(mode: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  mode: {mode}\n")
}

/// Returns a folder with `fleet/apps/settings.yaml`, and `objects.yaml` that applies a path of it.
fn sample(path: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "fleet/apps/settings.yaml", &settings("slow"));
    write(
        dir.path(),
        "objects.yaml",
        &format!(
            "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: fleet
  namespace: gitops
spec:
  interval: 1h
  url: {URL}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: fleet
  namespace: gitops
spec:
  interval: 1h
  path: {path}
  prune: true
  targetNamespace: default
  sourceRef:
    kind: GitRepository
    name: fleet
"
        ),
    );
    dir
}

fn repo() -> String {
    format!("--repo={URL}=fleet")
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_only_the_api_until_it_is_told_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("tidegate.kubeconfig");
    let local = Local::start(&dir, &["--no-controllers"]).await;
    assert_eq!(fs::metadata(&kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
    let crds: Api<CustomResourceDefinition> = Api::all(local.client.clone());
    assert_eq!(crds.list(&ListParams::default()).await.unwrap().items.len(), 3);
    let namespaces: Api<Namespace> = Api::all(local.client.clone());
    namespaces.get("flux-system").await.unwrap();
    local.terminate().await.output();
    assert!(!kubeconfig.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_the_namespaces_that_objects_need_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let object = |namespace: &str| {
        let metadata = format!("metadata:\n  name: a\n  namespace: {namespace}\n");
        format!("apiVersion: v1\nkind: ConfigMap\n{metadata}---\n")
    };
    let own = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: own\n";
    write(dir.path(), "objects.yaml", &(object("apps") + &object("own") + own));
    let local = Local::start(&dir, &["--no-controllers", "-f", "objects.yaml"]).await;
    let maps: Api<ConfigMap> = Api::all(local.client.clone());
    let changes = watcher(maps, watcher::Config::default()).default_backoff().applied_objects();
    futures::pin_mut!(changes);
    for _ in 0..2 {
        tokio::time::timeout(PATIENCE, changes.try_next()).await.unwrap().unwrap().unwrap();
    }
    let run = local.terminate().await;
    assert!(run.stderr.contains("✔ Namespace/own created\n"), "{run:?}");
    assert!(run.stderr.contains("✔ ConfigMap/apps/a created\n"), "{run:?}");

    // The namespaces are created before the API is served.
    let run = finish(command(&dir, &["--no-controllers", "-f", "objects.yaml", "--until-ready"]));
    let run = run.await;
    assert!(run.failure().contains("✚ namespace apps created: objects need it\n"), "{run:?}");
    assert!(!run.stderr.contains("namespace own created:"), "{run:?}");
    assert!(run.stderr.contains("✗ there is nothing to wait for"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_files_and_folders_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "broken.yaml", "apiVersion: v1\nkind: [\n");
    for (args, said) in [
        (["-f", "broken.yaml"], "broken.yaml"),
        (["-f", "missing.yaml"], "missing.yaml"),
        (["--repo", "https://example.com=missing"], "missing"),
        (["--repo", "nonsense"], "expected URL=PATH"),
    ] {
        let run = finish(command(&dir, &args)).await;
        assert!(run.failure().contains(said), "{run:?}");
        assert!(!run.stderr.contains("serving"), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_which_object_the_api_refuses() {
    let dir = sample("apps");
    let text = fs::read_to_string(dir.path().join("objects.yaml")).unwrap();
    write(dir.path(), "objects.yaml", &text.replace("prune: true", "prune: maybe"));
    let run = finish(command(&dir, &["-f", "objects.yaml", "--until-ready"])).await;
    let failure = run.failure();
    assert!(failure.contains("✗ failed to apply Kustomization/gitops/fleet: "), "{failure}");
    assert!(failure.contains("spec.prune"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_well_when_everything_is_ready() {
    let dir = sample("apps");
    let run = finish(command(&dir, &["-f", "objects.yaml", "--until-ready", &repo()])).await;
    run.output();
    assert!(run.stderr.contains("► Kustomization/gitops/fleet "), "{run:?}");
    assert!(run.stderr.ends_with("✔ 2 objects are ready\n"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_badly_with_the_causes_when_something_stays_broken() {
    let dir = sample("nowhere");
    let run = finish(command(&dir, &["-f", "objects.yaml", "--until-ready", &repo()])).await;
    let failure = run.failure();
    assert!(failure.contains("✗ 1 of 2 objects "), "{failure}");
    let cause = "\n  Kustomization/gitops/fleet: kustomization path not found: ";
    assert!(failure.contains(cause), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_a_change_of_a_local_folder_at_once() {
    let dir = sample("apps");
    let local = Local::start(&dir, &["-f", "objects.yaml", &repo()]).await;
    local.until_mode("settings", Some("slow")).await;
    write(dir.path(), "fleet/apps/settings.yaml", &settings("fast"));
    local.until_mode("settings", Some("fast")).await;
    write(dir.path(), "fleet/apps/other.yaml", &settings("slow").replace("settings", "other"));
    write(dir.path(), "fleet/apps/kustomization.yaml", "resources: [other.yaml]\n");
    local.until_mode("other", Some("slow")).await;
    local.until_mode("settings", None).await;
    local.terminate().await.output();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_its_kubeconfig_out_of_the_folder_that_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "settings.yaml", &settings("slow"));
    let repo = format!("--repo={URL}=.");
    let args = ["--no-controllers", "--until-ready", "-f", "settings.yaml", &repo];
    let run = finish(command(&dir, &args)).await;
    assert!(run.failure().contains("/tidegate-"), "{run:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
