//! A cluster, an artifact server and the controller, for one test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::kustomize::Kustomization;
use common::Runtime;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersion, GroupVersionKind};
use kube::runtime::wait::await_condition;
use kube::{Client, CustomResourceExt as _};
use kustomize_controller::Args;
use serde_json::{Value, json};
use testkit::artifact::ArtifactServer;
use testkit::cluster::Cluster;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    pub(crate) artifacts: ArtifactServer,
    pub(crate) namespace: String,
    requests: Arc<Mutex<Vec<String>>>,
    forbidden: Arc<AtomicBool>,
    controller: Mutex<Option<(CancellationToken, tokio::task::JoinHandle<()>)>>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((_, task)) = self.controller.lock().unwrap().take() {
            task.abort();
        }
    }
}

/// Returns flags for tests: what is waited for without a reason to wait is short.
pub(crate) fn args() -> Args {
    let mut args = Args { http_retry: 0, ..Args::default() };
    args.common.interval_jitter_percentage = 0;
    args
}

/// Returns a file with a ConfigMap.
pub(crate) fn config(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: \"{value}\"\n"
    )
}

impl World {
    /// Starts a cluster with our definitions, and the controller.
    pub(crate) async fn start() -> Self {
        let world = Self::without_controller(&api::crds()).await;
        world.run(args());
        world
    }

    pub(crate) async fn without_controller(definitions: &[CustomResourceDefinition]) -> Self {
        Self::on(testkit::cluster().await.unwrap(), definitions).await
    }

    /// Takes a cluster of the test's own, where kinds are missing at first.
    pub(crate) async fn alone(definitions: &[CustomResourceDefinition]) -> Self {
        Self::on(testkit::cluster::embedded().await.unwrap(), definitions).await
    }

    async fn on(cluster: Cluster, definitions: &[CustomResourceDefinition]) -> Self {
        cluster.define(definitions).await.unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let forbidden: Arc<AtomicBool> = Arc::default();
        let (log, forbid) = (requests.clone(), forbidden.clone());
        let nobody = format!("system:serviceaccount:{}:nobody", cluster.namespace);
        let client = cluster.observed(move |mut request: http::Request<_>| {
            let query = request.uri().query().unwrap_or_default();
            if forbid.load(Ordering::Relaxed) && query.contains("labelSelector") {
                request.headers_mut().insert("impersonate-user", nobody.parse().unwrap());
            }
            let query = request.uri().query().unwrap_or_default();
            let mark = ["dryRun", "watch=true"].into_iter().find(|mark| query.contains(mark));
            let mark = mark.map(|mark| format!(" ({mark})")).unwrap_or_default();
            log.lock().unwrap().push(format!(
                "{} {}{mark}",
                request.method(),
                request.uri().path()
            ));
            request
        });
        Self {
            client,
            artifacts: ArtifactServer::start().await.unwrap(),
            namespace: cluster.namespace.clone(),
            requests,
            forbidden,
            controller: Mutex::default(),
            cluster,
        }
    }

    pub(crate) fn run(&self, mut args: Args) {
        if self.cluster.server().is_none() {
            // Other tests have objects in the same cluster, and a controller that runs.
            args.common.watch_all_namespaces = false;
            args.common.runtime_namespace.clone_from(&self.namespace);
        }
        let runtime = Runtime::embedded(self.client.clone());
        let stop = runtime.shutdown.clone();
        let task = tokio::spawn(async move {
            kustomize_controller::run(args, runtime).await.unwrap();
        });
        *self.controller.lock().unwrap() = Some((stop, task));
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
        if let Some((stop, task)) = controller {
            stop.cancel();
            let _ = tokio::time::timeout(PATIENCE, task).await.expect("the controller ends");
        }
    }

    /// Lets the controller select nothing by labels.
    pub(crate) fn forbid_label_selectors(&self) {
        self.forbidden.store(true, Ordering::Relaxed);
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    pub(crate) fn kustomizations(&self) -> Api<Kustomization> {
        Api::default_namespaced(self.cluster.client.clone())
    }

    pub(crate) fn configs(&self) -> Api<ConfigMap> {
        Api::default_namespaced(self.cluster.client.clone())
    }

    /// Publishes files as the artifact of the GitRepository `repo`.
    pub(crate) async fn publish(&self, revision: &str, files: &[(&str, &str)]) -> Value {
        let artifact = self.artifacts.publish(revision, files).unwrap();
        self.advertise("GitRepository", "repo", &artifact).await;
        artifact
    }

    /// Makes an artifact that of a source, which is created when it does not exist.
    pub(crate) async fn advertise(&self, kind: &str, name: &str, artifact: &Value) {
        let api = self.sources(kind);
        let spec = match kind {
            "GitRepository" => json!({"url": "https://example.com/repo", "interval": "1m"}),
            _ => json!({}),
        };
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(&source)).await.unwrap();
        let status = json!({"status": {"artifact": artifact}});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }

    pub(crate) fn sources(&self, kind: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", kind);
        let resource = ApiResource::from_gvk(&gvk);
        Api::namespaced_with(self.cluster.client.clone(), &self.namespace, &resource)
    }

    /// Creates a Kustomization of the source `repo` that prunes, with more fields.
    pub(crate) async fn create(&self, name: &str, fields: Value) {
        let mut spec = json!({
            "interval": "1h", "retryInterval": "1h", "prune": true,
            "targetNamespace": self.namespace,
            "sourceRef": {"kind": "GitRepository", "name": "repo"},
        });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let obj = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name}, "spec": spec,
        });
        let obj = serde_json::from_value(obj).unwrap();
        self.kustomizations().create(&PostParams::default(), &obj).await.unwrap();
    }

    /// Applies any object of the namespace.
    pub(crate) async fn apply(&self, object: Value) {
        let text = |field: &str| object[field].as_str().unwrap();
        let api = self.objects(text("apiVersion"), text("kind"));
        let name = object["metadata"]["name"].as_str().unwrap();
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(&object)).await.unwrap();
    }

    /// Changes any object of the namespace.
    pub(crate) async fn merge_object(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        patch: Value,
    ) {
        let api = self.objects(api_version, kind);
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Defines the kind Widget, in a group of the test's own, which is returned.
    pub(crate) async fn define_widgets(&self) -> String {
        let group = format!("{}.example.com", self.namespace);
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = serde_json::from_value(json!({
            "metadata": {"name": format!("widgets.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": any},
                }],
            },
        }));
        self.cluster.define(&[definition.unwrap()]).await.unwrap();
        group
    }

    /// Deletes any object of the namespace.
    pub(crate) async fn remove(&self, api_version: &str, kind: &str, name: &str) {
        self.objects(api_version, kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    fn objects(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let version: GroupVersion = api_version.parse().unwrap();
        let resource = ApiResource::from_gvk(&version.with_kind(kind));
        Api::namespaced_with(self.cluster.client.clone(), &self.namespace, &resource)
    }

    pub(crate) async fn merge(&self, name: &str, patch: Value) {
        let api = self.kustomizations();
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Asks for a reconciliation now.
    pub(crate) async fn request(&self, name: &str, token: &str) {
        let annotation = "reconcile.fluxcd.io/requestedAt";
        self.merge(name, json!({"metadata": {"annotations": {annotation: token}}})).await;
    }

    /// Waits until a Kustomization is as described, and returns it.
    pub(crate) async fn until(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&Kustomization) -> bool,
    ) -> Kustomization {
        testkit::wait::until(self.kustomizations(), name, what, PATIENCE, is_so).await.unwrap()
    }

    /// Waits until a Kustomization has applied a revision.
    pub(crate) async fn until_applied(&self, name: &str, revision: &str) -> Kustomization {
        self.until(name, &format!("at {revision}"), |obj| {
            is_true(obj, "Ready") && applied(obj) == Some(revision)
        })
        .await
    }

    /// Waits until a Kustomization is not ready for a reason, and returns the message.
    pub(crate) async fn until_failed(&self, name: &str, reason: &str) -> String {
        let obj = self
            .until(name, reason, |obj| {
                condition(obj, "Ready") == Some(("False".to_owned(), reason.to_owned()))
            })
            .await;
        message(&obj, "Ready")
    }

    /// The same, for what takes its time.
    pub(crate) async fn until_failed_within(&self, name: &str, reason: &str, secs: u64) -> String {
        let patience = Duration::from_secs(secs);
        let has_failed = |obj: &Kustomization| {
            condition(obj, "Ready") == Some(("False".to_owned(), reason.to_owned()))
        };
        let api = self.kustomizations();
        let obj = testkit::wait::until(api, name, reason, patience, has_failed).await.unwrap();
        message(&obj, "Ready")
    }

    /// Waits until a request was handled and the run is over.
    pub(crate) async fn until_handled(&self, name: &str, token: &str) -> Kustomization {
        self.until(name, token, |obj| {
            let handled =
                obj.status.as_ref().and_then(|it| it.last_handled_reconcile_at.as_deref());
            handled == Some(token)
        })
        .await
    }

    /// Deletes a Kustomization and waits until it is gone.
    pub(crate) async fn delete(&self, name: &str) {
        let api = self.kustomizations();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        let gone = await_condition(api, name, |obj: Option<&Kustomization>| obj.is_none());
        tokio::time::timeout(PATIENCE, gone).await.expect("the object goes").unwrap();
    }

    /// Waits until a ConfigMap has a value, or does not exist.
    pub(crate) async fn until_config(&self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        let expected = value.clone();
        let condition = move |obj: Option<&ConfigMap>| {
            let data = obj.and_then(|obj| obj.data.as_ref());
            data.and_then(|data| data.get("key")) == value.as_ref()
        };
        let wait = await_condition(self.configs(), name, condition);
        let result = tokio::time::timeout(PATIENCE, wait).await;
        result.unwrap_or_else(|_| panic!("{name} is not {expected:?}")).unwrap();
    }

    pub(crate) async fn config(&self, name: &str) -> Option<String> {
        let found = self.configs().get_opt(name).await.unwrap();
        found.map(|obj| obj.data.unwrap_or_default().remove("key").unwrap_or_default())
    }

    /// Waits for an event about a Kustomization, and returns it.
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
}

/// Returns the definitions without that of a source.
pub(crate) fn kustomization_alone() -> Vec<CustomResourceDefinition> {
    let ours = Kustomization::crd().metadata.name;
    api::crds().into_iter().filter(|definition| definition.metadata.name == ours).collect()
}

pub(crate) fn condition(obj: &Kustomization, r#type: &str) -> Option<(String, String)> {
    let found = api::conditions::find(&obj.status.as_ref()?.conditions, r#type)?;
    Some((found.status.clone(), found.reason.clone()))
}

pub(crate) fn is_true(obj: &Kustomization, r#type: &str) -> bool {
    condition(obj, r#type).is_some_and(|(status, _)| status == "True")
}

pub(crate) fn message(obj: &Kustomization, r#type: &str) -> String {
    let conditions = obj.status.as_ref().map(|status| status.conditions.as_slice());
    let found = conditions.and_then(|conditions| api::conditions::find(conditions, r#type));
    found.map(|found| found.message.clone()).unwrap_or_default()
}

pub(crate) fn applied(obj: &Kustomization) -> Option<&str> {
    obj.status.as_ref()?.last_applied_revision.as_deref()
}

pub(crate) fn inventory(obj: &Kustomization) -> Vec<String> {
    let inventory = obj.status.as_ref().and_then(|status| status.inventory.clone());
    inventory.unwrap_or_default().entries.into_iter().map(|entry| entry.id).collect()
}
