//! Sources and Kustomizations of four objects each, through their whole life.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::{conditions, kustomize::Kustomization, source::GitRepository};
use e2e::requested_at;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use testkit::repository::Repository;

use crate::{
    controllers::Running,
    meter::Meter,
    report::Phase,
    watch::{self, Goal},
};

/// How many requests the benchmark itself has under way.
pub(crate) const CONCURRENCY: usize = 32;

/// The account that the controllers act as.
const ACCOUNT: &str = "deployer";

/// What is created, changed and deleted, in a namespace of its own.
pub(crate) struct Workload<'a> {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) repository: &'a Repository,
    pub(crate) url: String,
    pub(crate) kustomizations: usize,
    pub(crate) sources: usize,
    pub(crate) service_account: bool,
    pub(crate) substitution: bool,
}

/// Returns the four objects of a Kustomization, with what stands for its name.
pub(crate) fn objects(name: &str, version: usize) -> [Value; 4] {
    let labels = json!({"app.kubernetes.io/name": "app", "app.kubernetes.io/version": format!("v{version}")});
    let metadata = json!({"name": name, "labels": {"app.kubernetes.io/name": "app"}});
    let selector = json!({"app": name});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": selector},
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [{
                            "name": "app", "image": "registry.example.com/app:1",
                            "ports": [{"name": "http", "containerPort": 8080}],
                            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                        }],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
            "spec": {"rules": [{
                "host": format!("{name}.example.com"),
                "http": {"paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": name, "port": {"name": "http"}}},
                }]},
            }]},
        }),
    ]
}

/// What is measured while work is done.
pub(crate) struct Measured<'a> {
    pub(crate) client: &'a Client,
    pub(crate) processes: &'a [(&'a str, u32)],
}

impl Measured<'_> {
    /// Measures from the start of some work to when each object has reached its goal.
    pub(crate) async fn run(
        &self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<()>>,
        reached: impl AsyncFnOnce(Instant) -> anyhow::Result<Vec<Duration>>,
    ) -> anyhow::Result<Phase> {
        let meter = Meter::start(self.client, self.processes.iter().copied()).await?;
        let start = Instant::now();
        let (times, ()) = tokio::try_join!(reached(start), work)?;
        Ok(Phase::of(name, times, meter.stop().await?))
    }
}

impl Workload<'_> {
    /// Measures every phase of a set of controllers that runs.
    pub(crate) async fn measure(
        &self,
        label: &str,
        running: &Running,
        api: Option<u32>,
    ) -> anyhow::Result<Vec<Phase>> {
        let processes: Vec<_> =
            running.ids().into_iter().chain(api.map(|id| ("api", id))).collect();
        let (count, applied) = (self.kustomizations, || self.applied());
        self.account().await?;

        let revision = self.commit(1)?;
        let mut fetched = Vec::new();
        let created = async |start| {
            let (what, done) = (format!("{label}: fetched"), format!("{label}: created"));
            let sources = self.repositories();
            let fetch = Goal::Is(is_fetched);
            let apply = Goal::Is(is_applied);
            let (sources, times) = tokio::try_join!(
                watch::all(sources, &what, self.sources, fetch, &revision, start),
                watch::all(applied(), &done, count, apply, &revision, start),
            )?;
            fetched = sources;
            Ok(times)
        };
        let phase = Measured { client: &self.client, processes: &processes };
        let mut create = phase.run("create", self.declare(), created).await?;
        create.sources = fetched.into_iter().max().map(|it| it.as_secs_f64());

        let revision = self.commit(2)?;
        let asked = request(self.repositories(), "source", self.sources, "upgrade");
        let upgraded = async |start| {
            let what = format!("{label}: upgraded");
            watch::all(applied(), &what, count, Goal::Is(is_applied), &revision, start).await
        };
        let upgrade = phase.run("upgrade", asked, upgraded).await?;

        let asked = request(self.applied(), "app", count, "again");
        let handled = async |start| {
            let what = format!("{label}: looked at again");
            watch::all(applied(), &what, count, Goal::Is(has_handled), "again", start).await
        };
        let again = phase.run("no change", asked, handled).await?;

        let gone = async |start| {
            let what = format!("{label}: deleted");
            watch::all(applied(), &what, count, Goal::Gone, "", start).await
        };
        let delete = phase.run("delete", self.delete(), gone).await?;
        self.forget().await?;
        Ok(vec![create, upgrade, again, delete])
    }

    /// Commits the objects in a version, and returns the revision.
    fn commit(&self, version: usize) -> anyhow::Result<String> {
        let name = if self.substitution { "${name}" } else { "app" };
        let mut files = Vec::new();
        for object in objects(name, version) {
            let file =
                format!("{}.yaml", object["kind"].as_str().unwrap_or_default()).to_lowercase();
            self.repository
                .write(&format!("app/{file}"), &serde_json::to_string_pretty(&object)?)?;
            files.push(file);
        }
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": files,
        });
        self.repository.write("app/kustomization.yaml", &kustomization.to_string())?;
        // Another set has left the content as it was in the second version.
        self.repository.write("namespace", &self.namespace)?;
        let commit = self.repository.commit(&format!("Version {version}"))?;
        Ok(format!("main@sha1:{commit}"))
    }

    fn repositories(&self) -> Api<GitRepository> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn applied(&self) -> Api<Kustomization> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes the account that may do everything in the namespace.
    async fn account(&self) -> anyhow::Result<()> {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.namespace}],
        });
        for object in [account, binding] {
            create(&self.client, &self.namespace, &object).await?;
        }
        Ok(())
    }

    async fn declare(&self) -> anyhow::Result<()> {
        let sources = (0..self.sources).map(|at| {
            json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": format!("source-{at}")},
                "spec": {"interval": "60m", "url": self.url, "ref": {"branch": "main"}},
            })
        });
        let kustomizations = (0..self.kustomizations).map(|at| {
            let mut object = json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": format!("app-{at}")},
                "spec": {
                    "interval": "60m", "retryInterval": "2s", "path": "./app", "prune": true,
                    "wait": true, "targetNamespace": self.namespace,
                    "sourceRef": {"kind": "GitRepository", "name": format!("source-{}", at % self.sources)},
                },
            });
            if self.service_account {
                object["spec"]["serviceAccountName"] = ACCOUNT.into();
            }
            if self.substitution {
                object["spec"]["postBuild"] = json!({"substitute": {"name": format!("app-{at}")}});
            } else {
                object["spec"]["nameSuffix"] = format!("-{at}").into();
            }
            object
        });
        stream::iter(sources.chain(kustomizations))
            .map(|object| async move { create(&self.client, &self.namespace, &object).await })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    async fn delete(&self) -> anyhow::Result<()> {
        let api = self.applied();
        stream::iter(0..self.kustomizations)
            .map(|at| {
                let api = &api;
                async move {
                    api.delete(&format!("app-{at}"), &DeleteParams::default()).await?;
                    Ok(())
                }
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Leaves nothing behind that the next run would have to work for.
    pub(crate) async fn forget(&self) -> anyhow::Result<()> {
        for at in 0..self.sources {
            self.repositories().delete(&format!("source-{at}"), &DeleteParams::default()).await?;
        }
        let goal = Goal::Gone;
        watch::all(self.repositories(), "sources gone", self.sources, goal, "", Instant::now())
            .await?;
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// Asks for objects to be reconciled now.
pub(crate) async fn request<K>(
    api: Api<K>,
    name: &str,
    count: usize,
    token: &str,
) -> anyhow::Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patch = Patch::Merge(requested_at(token));
    stream::iter(0..count)
        .map(|at| {
            let (api, patch) = (&api, &patch);
            async move {
                api.patch(&format!("{name}-{at}"), &PatchParams::default(), patch).await?;
                Ok(())
            }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// Creates an object in a namespace.
pub(crate) async fn create(client: &Client, namespace: &str, object: &Value) -> anyhow::Result<()> {
    let api = dynamic(client, namespace, object)?;
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// Returns the API of the kind of an object.
pub(crate) fn dynamic(
    client: &Client,
    namespace: &str,
    object: &Value,
) -> anyhow::Result<Api<DynamicObject>> {
    let text = |field: &str| object[field].as_str().context("the object says what it is");
    let api_version: kube::core::GroupVersion = text("apiVersion")?.parse()?;
    let gvk = GroupVersionKind::gvk(&api_version.group, &api_version.version, text("kind")?);
    Ok(Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&gvk)))
}

pub(crate) fn is_fetched(obj: &GitRepository, revision: &str) -> bool {
    let Some(status) = &obj.status else { return false };
    status.artifact.as_ref().is_some_and(|it| it.revision == revision)
        && conditions::is_true(&status.conditions, conditions::READY)
}

fn is_applied(obj: &Kustomization, revision: &str) -> bool {
    let Some(status) = &obj.status else { return false };
    status.last_applied_revision.as_deref() == Some(revision)
        && status.observed_generation == obj.metadata.generation
        && conditions::is_true(&status.conditions, conditions::READY)
}

fn has_handled(obj: &Kustomization, token: &str) -> bool {
    let Some(status) = &obj.status else { return false };
    status.last_handled_reconcile_at.as_deref() == Some(token)
        && conditions::is_true(&status.conditions, conditions::READY)
}
