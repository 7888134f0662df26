//! A cluster, a Git server and the controller, for one test.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::source::{Artifact, GitRepository};
use common::Runtime;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use source_controller::Args;
use testkit::git_server::GitServer;
use testkit::repository::Repository;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct World {
    pub(crate) cluster: testkit::cluster::Cluster,
    pub(crate) namespace: String,
    pub(crate) storage: tempfile::TempDir,
    pub(crate) server: GitServer,
    pub(crate) metrics: common::Metrics,
    client: Client,
    repositories: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    controller: Mutex<Option<(CancellationToken, JoinHandle<()>)>>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((_, task)) = self.controller.lock().unwrap().take() {
            task.abort();
        }
    }
}

impl World {
    /// Starts a cluster with our definitions, a Git server with the repository `repo`, and the
    /// controller.
    pub(crate) async fn start() -> Self {
        let world = Self::without_controller().await;
        world.run(world.args());
        world
    }

    pub(crate) async fn without_controller() -> Self {
        let cluster = testkit::cluster().await.unwrap();
        cluster.define(&api::crds()).await.unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = requests.clone();
        let client = cluster.observed(move |request: http::Request<_>| {
            let line = format!("{} {}", request.method(), request.uri().path());
            log.lock().unwrap().push(line);
            request
        });
        let repositories = tempfile::tempdir().unwrap();
        let world = Self {
            client,
            namespace: cluster.namespace.clone(),
            storage: tempfile::tempdir().unwrap(),
            server: GitServer::start(repositories.path()).await.unwrap(),
            metrics: common::Metrics::new(),
            repositories,
            requests,
            controller: Mutex::default(),
            cluster,
        };
        world.repository("repo").commit_file("app.yaml", "one");
        world
    }

    /// Returns flags for tests: what is waited for without a reason to wait is short.
    pub(crate) fn args(&self) -> Args {
        let mut args = Args {
            storage_path: self.storage.path().to_owned(),
            storage_addr: "127.0.0.1:0".parse().unwrap(),
            ..Args::default()
        };
        args.common.interval_jitter_percentage = 0;
        args.common.min_retry_delay = Duration::from_millis(50).into();
        args
    }

    pub(crate) fn run(&self, mut args: Args) {
        if self.cluster.server().is_none() {
            // Other tests have objects in the same cluster, and a controller that runs.
            args.common.watch_all_namespaces = false;
            args.common.runtime_namespace.clone_from(&self.namespace);
        }
        let shutdown = CancellationToken::new();
        let runtime = Runtime {
            client: self.client.clone(),
            shutdown: shutdown.clone(),
            metrics: self.metrics.clone(),
        };
        let task = tokio::spawn(async move {
            source_controller::run(args, runtime).await.unwrap();
        });
        *self.controller.lock().unwrap() = Some((shutdown, task));
    }

    /// Ends the controller without letting it finish anything.
    pub(crate) async fn kill(&self) {
        let controller = self.controller.lock().unwrap().take();
        if let Some((_, task)) = controller {
            task.abort();
            let _ = task.await;
        }
    }

    /// Ends the controller as a signal does.
    pub(crate) async fn stop(&self) {
        let controller = self.controller.lock().unwrap().take();
        if let Some((shutdown, task)) = controller {
            shutdown.cancel();
            tokio::time::timeout(PATIENCE, task).await.expect("the controller ends").unwrap();
        }
    }

    /// Returns the requests since the last call that were no watch.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Returns a repository on the server, which is created when it does not exist.
    pub(crate) fn repository(&self, name: &str) -> Repo {
        let path = self.repositories.path().join(name);
        Repo(Repository::empty(&path).unwrap())
    }

    /// Returns the directory of the repositories that servers can share.
    pub(crate) fn repositories(&self) -> &Path {
        self.repositories.path()
    }

    pub(crate) fn objects(&self) -> Api<GitRepository> {
        Api::default_namespaced(self.cluster.client.clone())
    }

    /// Creates a GitRepository of the repository `repo` on the branch `master`, with more fields.
    pub(crate) async fn create(&self, name: &str, fields: Value) {
        let mut spec = json!({"interval": "1h", "url": self.server.url("repo")});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let obj = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name}, "spec": spec,
        });
        let obj = serde_json::from_value(obj).unwrap();
        self.objects().create(&PostParams::default(), &obj).await.unwrap();
    }

    pub(crate) async fn create_secret(&self, name: &str, data: Value) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data,
        });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let api: Api<Secret> = Api::default_namespaced(self.cluster.client.clone());
        api.create(&PostParams::default(), &secret).await.unwrap();
    }

    pub(crate) async fn merge(&self, name: &str, patch: Value) {
        let api = self.objects();
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Asks for a reconciliation now.
    pub(crate) async fn request(&self, name: &str, token: &str) {
        let annotation = "reconcile.fluxcd.io/requestedAt";
        self.merge(name, json!({"metadata": {"annotations": {annotation: token}}})).await;
    }

    /// Waits until a GitRepository is as described, and returns it.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&GitRepository) -> bool,
    ) -> GitRepository {
        testkit::wait::until(self.objects(), name, what, PATIENCE, is_so).await.unwrap()
    }

    /// Waits until a GitRepository is ready, of the generation that it has.
    pub(crate) async fn until_ready(&self, name: &str) -> GitRepository {
        self.until(name, "ready", |obj| is_true(obj, "Ready") && is_observed(obj)).await
    }

    /// Waits until a GitRepository is ready with a revision.
    pub(crate) async fn until_at(&self, name: &str, revision: &str) -> GitRepository {
        self.until(name, revision, |obj| {
            is_true(obj, "Ready") && artifact(obj).is_some_and(|it| it.revision == revision)
        })
        .await
    }

    /// Waits until a GitRepository is not ready for a reason, and returns it.
    pub(crate) async fn until_failed(&self, name: &str, reason: &str) -> GitRepository {
        self.until(name, reason, |obj| {
            condition(obj, "Ready") == Some(("False".to_owned(), reason.to_owned()))
        })
        .await
    }

    /// Waits until a request was handled and the reconciliation is over.
    pub(crate) async fn until_handled(&self, name: &str, token: &str) -> GitRepository {
        self.until(name, token, |obj| {
            let handled =
                obj.status.as_ref().and_then(|it| it.last_handled_reconcile_at.as_deref());
            handled == Some(token)
        })
        .await
    }

    /// Deletes a GitRepository and waits until it is gone.
    pub(crate) async fn delete(&self, name: &str) {
        let api = self.objects();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        let gone = await_condition(api, name, |obj: Option<&GitRepository>| obj.is_none());
        tokio::time::timeout(PATIENCE, gone).await.expect("the object goes").unwrap();
    }

    /// Waits for an event about a GitRepository, and returns it.
    pub(crate) async fn until_event(&self, name: &str, reason: &str, part: &str) -> Event {
        let api: Api<Event> = Api::default_namespaced(self.cluster.client.clone());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let events = api.list(&ListParams::default()).await.unwrap();
            let found = events.items.iter().find(|event| {
                event.involved_object.name.as_deref() == Some(name)
                    && event.reason.as_deref() == Some(reason)
                    && event.message.as_deref().unwrap_or_default().contains(part)
            });
            if let Some(found) = found {
                return found.clone();
            }
            let version = events.metadata.resource_version.clone().unwrap_or_default();
            let params = kube::api::WatchParams::default();
            let mut changes = std::pin::pin!(api.watch(&params, &version).await.unwrap());
            let next = futures::StreamExt::next(&mut changes);
            if tokio::time::timeout_at(deadline, next).await.is_err() {
                let texts = events.items.iter().map(|it| (&it.reason, &it.message));
                panic!("no event {reason} {part:?} in {:#?}", texts.collect::<Vec<_>>());
            }
        }
    }

    /// Waits until the metrics are as described. Nothing tells when they change.
    pub(crate) async fn until_metrics(&self, what: &str, are_so: impl Fn(&str) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let text = self.metrics.to_text().unwrap();
            if are_so(&text) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "metrics are not {what}: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns where the file of an artifact is.
    pub(crate) fn place(&self, artifact: &Artifact) -> PathBuf {
        self.storage.path().join(&artifact.path)
    }

    /// Returns the names of what is stored for a GitRepository.
    pub(crate) fn stored(&self, name: &str) -> Vec<String> {
        let dir = self.storage.path().join("gitrepository").join(&self.namespace).join(name);
        let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// A repository on the server.
pub(crate) struct Repo(pub(crate) Repository);

impl Repo {
    /// Commits a file, and returns the hash of the commit.
    pub(crate) fn commit_file(&self, path: &str, content: &str) -> String {
        self.0.write(path, content).unwrap();
        let subject: String = content.chars().take(40).collect();
        self.0.commit(&format!("Change {path} to {subject}")).unwrap()
    }

    /// Commits the file that a test is not about, and returns the revision of `master`.
    pub(crate) fn change(&self, content: &str) -> String {
        format!("master@sha1:{}", self.commit_file("app.yaml", content))
    }
}

/// Downloads an artifact, and returns its bytes.
pub(crate) async fn download(artifact: &Artifact) -> Vec<u8> {
    let response = reqwest::get(&artifact.url).await.unwrap();
    assert!(response.status().is_success(), "{}: {}", artifact.url, response.status());
    response.bytes().await.unwrap().to_vec()
}

/// Downloads an artifact, and returns its files with their content.
pub(crate) async fn files(artifact: &Artifact) -> BTreeMap<String, String> {
    let bytes = download(artifact).await;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            files.insert(path, content);
        }
    }
    files
}

/// Downloads an artifact, and returns the names of its files.
pub(crate) async fn names(artifact: &Artifact) -> Vec<String> {
    files(artifact).await.into_keys().collect()
}

pub(crate) fn artifact(obj: &GitRepository) -> Option<&Artifact> {
    obj.status.as_ref()?.artifact.as_ref()
}

pub(crate) fn condition(obj: &GitRepository, r#type: &str) -> Option<(String, String)> {
    let found = api::conditions::find(&obj.status.as_ref()?.conditions, r#type)?;
    Some((found.status.clone(), found.reason.clone()))
}

pub(crate) fn is_true(obj: &GitRepository, r#type: &str) -> bool {
    condition(obj, r#type).is_some_and(|(status, _)| status == "True")
}

pub(crate) fn is_observed(obj: &GitRepository) -> bool {
    let observed = obj.status.as_ref().and_then(|status| status.observed_generation);
    observed == obj.metadata.generation
}

pub(crate) fn message(obj: &GitRepository, r#type: &str) -> String {
    let conditions = obj.status.as_ref().map(|status| status.conditions.as_slice());
    let found = conditions.and_then(|conditions| api::conditions::find(conditions, r#type));
    found.map(|found| found.message.clone()).unwrap_or_default()
}

/// Returns the types of the conditions that an object has.
pub(crate) fn conditions(obj: &GitRepository) -> Vec<String> {
    let conditions = obj.status.iter().flat_map(|status| &status.conditions);
    conditions.map(|condition| condition.type_.clone()).collect()
}
