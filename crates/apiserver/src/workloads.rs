//! Simulated workloads: what the controllers, scheduler and kubelets of a cluster would report.
//!
//! [`run`] is an ordinary client of a Kubernetes API: it watches workloads, creates the objects
//! that they own, writes their status and records events. No container is started, so everything is
//! ready as soon as it was seen. The cluster has one node, [`NODE`], and one storage class.
//!
//! | kind | what happens |
//! |---|---|
//! | Deployment, ReplicaSet, StatefulSet, DaemonSet | rolls out pod by pod, keeps revisions |
//! | Job | pods run once; `ttlSecondsAfterFinished` is observed |
//! | CronJob | makes Jobs when it is time, in UTC whatever its `timeZone` |
//! | Pod | is scheduled, gets an address, starts |
//! | PersistentVolumeClaim | is bound to a volume made for it, which goes with it |
//! | Service, Ingress | get an address and endpoints |
//! | HorizontalPodAutoscaler | keeps its target between its bounds |
//! | PodDisruptionBudget | counts the pods that it protects |
//! | Namespace | has the service account `default` |
//!
//! The annotation [`OUTCOME`] on a pod, a pod template, a PersistentVolumeClaim, a Service or an
//! Ingress decides what becomes of it:
//!
//! | value | outcome |
//! |---|---|
//! | `ready` (or none) | starts, binds, gets an address; the pods of a Job succeed |
//! | `pending` | stays as a cluster without room for it would leave it |
//! | `failed` | crashes: pods never become ready, a Deployment exceeds its deadline, a Job fails |
//!
//! An image with the tag `does-not-exist`, or of a registry in the domain `.invalid`, cannot be
//! pulled: its pod waits with `ImagePullBackOff`, and a Deployment exceeds its deadline in time.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use apiserver::{ApiServer, Options, workloads};
//! use k8s_openapi::api::core::v1::ServiceAccount;
//! use kube::runtime::wait::{Condition, await_condition};
//! use kube::{Api, Client};
//!
//! let client = Client::new(ApiServer::new(Options::default()).service(), "default");
//! tokio::spawn(workloads::run(client.clone()));
//! let accounts: Api<ServiceAccount> = Api::default_namespaced(client);
//! let exists = |account: Option<&ServiceAccount>| account.is_some();
//! await_condition(accounts, "default", exists).await.unwrap();
//! # });
//! ```

mod autoscaler;
mod cluster;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod event;
mod job;
mod network;
mod pod;
mod replica_set;
mod revision;
mod stateful_set;
mod storage;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, join_all};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::core::Selector;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock;

/// Annotation that decides what becomes of a simulated workload.
pub const OUTCOME: &str = "workloads.tidegate.dev/outcome";

/// Name of the node that all pods run on.
pub const NODE: &str = "tidegate";

const MANAGER: &str = "kube-controller-manager";
const CONCURRENCY: u16 = 4;
const RETRY: Duration = Duration::from_millis(200);

/// What becomes of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ready,
    Pending,
    Failed,
}

impl Outcome {
    fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        match annotations.and_then(|all| all.get(OUTCOME)).map(String::as_str) {
            Some("pending") => Self::Pending,
            Some("failed") => Self::Failed,
            _ => Self::Ready,
        }
    }

    fn of_template(template: &PodTemplateSpec) -> Self {
        Self::of(template.metadata.as_ref().and_then(|meta| meta.annotations.as_ref()))
    }
}

/// Plays the control plane for the workloads of a cluster until it is dropped.
///
/// A watch or write that fails is tried again, so the API may be restarted or unreachable meanwhile.
pub async fn run(client: Client) {
    let parts: Vec<BoxFuture<'static, ()>> = vec![
        cluster::prepare(client.clone()).boxed(),
        cluster::drive_namespaces(client.clone()),
        deployment::drive(client.clone()),
        replica_set::drive(client.clone()),
        stateful_set::drive(client.clone()),
        daemon_set::drive(client.clone()),
        job::drive(client.clone()),
        cron_job::drive(client.clone()),
        pod::drive(client.clone()),
        storage::drive_claims(client.clone()),
        storage::drive_volumes(client.clone()),
        network::drive_services(client.clone()),
        network::drive_ingresses(client.clone()),
        autoscaler::drive(client.clone()),
        disruption::drive(client.clone()),
        event::expire(client).boxed(),
    ];
    join_all(parts).await;
}

/// Runs one reconciler for every object of a kind.
fn drive<K, F>(
    client: Client,
    controller: Controller<K>,
    reconcile: fn(Arc<K>, Arc<Client>) -> F,
) -> BoxFuture<'static, ()>
where
    K: Clone + Resource<DynamicType = ()> + DeserializeOwned + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, kube::Error>> + Send + 'static,
{
    controller
        .with_config(Config::default().concurrency(CONCURRENCY))
        .run(
            reconcile,
            |_, error, _| {
                tracing::debug!(%error, "failed to simulate a workload");
                Action::requeue(RETRY)
            },
            Arc::new(client),
        )
        .for_each(|_| async {})
        .boxed()
}

fn controller<K>(client: &Client) -> Controller<K>
where
    K: Clone + Resource<DynamicType = ()> + DeserializeOwned + Debug + Send + Sync + 'static,
{
    Controller::new(Api::all(client.clone()), watcher::Config::default())
}

/// Returns the API of an object's namespace.
fn beside<K, O>(client: &Client, object: &O) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    O: Resource<DynamicType = ()>,
{
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

/// Writes a status; one that is as it was is no change.
async fn write_status<K>(client: &Client, object: &K, status: &Value) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let current = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
    let mut wanted = current["status"].clone();
    json_patch::merge(&mut wanted, status);
    if current["status"] == wanted {
        return Ok(());
    }
    let api: Api<K> = beside(client, object);
    let patch = Patch::Merge(json!({"status": status}));
    match api.patch_status(&object.name_any(), &written_by(), &patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

fn written_by() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// Creates an object and returns it; one that exists already is left alone.
async fn ensure<K>(api: &Api<K>, object: &Value) -> Result<Option<K>, kube::Error>
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let object: K = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&params, &object).await {
        // The namespace or owner may be on its way out.
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => Ok(None),
        other => other.map(Some),
    }
}

fn owner<K: Resource<DynamicType = ()>>(object: &K) -> OwnerReference {
    object.controller_owner_ref(&()).unwrap_or_default()
}

fn is_owned_by<K: Resource, O: Resource>(object: &K, owner: &O) -> bool {
    let uid = owner.meta().uid.as_deref();
    object.owner_references().iter().any(|reference| Some(reference.uid.as_str()) == uid)
}

/// Returns a condition; it keeps the time of the old one unless its status changes.
fn condition(old: &Value, kind: &str, status: bool, reason: &str, message: &str) -> Value {
    let status = if status { "True" } else { "False" };
    let known = old["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind && condition["status"] == status);
    let since = known
        .and_then(|condition| condition["lastTransitionTime"].as_str())
        .map_or_else(clock::now, str::to_owned);
    let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
    if !reason.is_empty() {
        condition["reason"] = reason.into();
        condition["message"] = message.into();
    }
    condition
}

fn status_of<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).map(|mut value| value["status"].take()).unwrap_or_default()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Returns a short name for a template: equal templates have equal names.
fn hash<T: Serialize>(template: &T) -> String {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(template).unwrap_or_default().hash(&mut hasher);
    format!("{:010x}", hasher.finish() & 0xff_ffff_ffff)
}

/// Returns a pod made from a template.
fn pod_from(template: &PodTemplateSpec, name: &Value, owner: &OwnerReference) -> Value {
    let meta = template.metadata.clone().unwrap_or_default();
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": meta.labels,
            "annotations": meta.annotations,
            "ownerReferences": [owner],
        },
        "spec": template.spec,
    });
    json_patch::merge(&mut pod["metadata"], name);
    pod
}

/// Returns the pods that an object selects and owns and that are not on their way out.
async fn pods_of<O>(
    client: &Client,
    object: &O,
    selector: &LabelSelector,
) -> Result<Vec<Pod>, kube::Error>
where
    O: Resource<DynamicType = ()>,
{
    let api: Api<Pod> = beside(client, object);
    let mut pods = api.list(&selected_by(selector)).await?.items;
    pods.retain(|pod| is_owned_by(pod, object) && pod.metadata.deletion_timestamp.is_none());
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

fn selected_by(selector: &LabelSelector) -> ListParams {
    match Selector::try_from(selector.clone()) {
        Ok(selector) => ListParams::default().labels_from(&selector),
        Err(_) => ListParams::default(),
    }
}

/// Returns null for zero: numbers of a status that are absent when they are zero.
fn some(number: usize) -> Value {
    if number > 0 { number.into() } else { Value::Null }
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    match api.delete(name, &kube::api::DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}
