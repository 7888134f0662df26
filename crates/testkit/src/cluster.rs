//! A Kubernetes API for one test: embedded in it, or a real one that tests share.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use apiserver::{ApiServer, Options, Served, workloads};
use http::Request;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::client::Body;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, Error};
use tokio::{task::AbortHandle, time::timeout};
use tower::service_fn;

use crate::control_plane;

/// How long to wait for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Kubernetes API, and a client of it. Clones share the same objects.
#[derive(Clone)]
pub struct Cluster {
    /// Acts as administrator. Its default namespace is the test's own.
    pub client: Client,
    /// The namespace of the test.
    pub namespace: String,
    server: Option<ApiServer>,
    simulation: Option<Arc<Simulation>>,
}

/// Ends with the last clone of its cluster.
struct Simulation(AbortHandle);

impl Drop for Simulation {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns the cluster that the run of the tests is for.
///
/// That is an [`embedded`] one, or, where `TIDEGATE_CLUSTER` is `real`, the one that the kubeconfig
/// in `TIDEGATE_KUBECONFIG` leads to. Other tests use that at the same time: what has no namespace
/// needs a name that is derived from [`Cluster::namespace`].
///
/// # Errors
///
/// When the real one is not there.
pub async fn cluster() -> anyhow::Result<Cluster> {
    if control_plane::is_wanted()? { real().await } else { embedded().await }
}

/// Returns a new cluster, embedded in the test. Workloads in it stay as they are applied; see
/// [`Cluster::with_workloads`].
///
/// # Errors
///
/// When its first namespace cannot be created.
pub async fn embedded() -> anyhow::Result<Cluster> {
    let server = ApiServer::new(Options::default());
    let client = Client::new(server.service(), "default");
    let namespace = create_namespace(&client, "test").await?;
    let client = Client::new(server.service(), &namespace);
    Ok(Cluster { client, namespace, server: Some(server), simulation: None })
}

async fn real() -> anyhow::Result<Cluster> {
    control_plane::note_test()?;
    let mut config = control_plane::config(&control_plane::shared()?).await?;
    let namespace = create_namespace(&Client::try_from(config.clone())?, "test").await?;
    config.default_namespace.clone_from(&namespace);
    // What the API refuses is for the test to see.
    config.default_retry = false;
    let client = Client::try_from(config)?;
    // Its controllers give a namespace what pods need a moment after it is made.
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    let exists = |account: Option<&ServiceAccount>| account.is_some();
    timeout(PATIENCE, await_condition(accounts, "default", exists))
        .await
        .context("the controllers of the control plane do nothing")??;
    Ok(Cluster { client, namespace, server: None, simulation: None })
}

impl Cluster {
    /// Makes workloads become ready, where nothing does so anyway: simulates controllers and a node.
    ///
    /// What [`apiserver::workloads`] says of outcomes holds.
    #[must_use]
    pub fn with_workloads(mut self) -> Self {
        if self.server.is_some() {
            let task = tokio::spawn(workloads::run(self.client.clone()));
            self.simulation = Some(Arc::new(Simulation(task.abort_handle())));
        }
        self
    }

    /// Returns the API server itself, if it is embedded.
    pub fn server(&self) -> Option<&ApiServer> {
        self.server.as_ref()
    }

    /// Returns an administrator's client that shows its requests to a function, which may change
    /// them.
    pub fn observed(
        &self,
        look: impl Fn(Request<Body>) -> Request<Body> + Clone + Send + Sync + 'static,
    ) -> Client {
        let client = self.client.clone();
        let service = service_fn(move |request| {
            let (client, request) = (client.clone(), look(request));
            async move { client.send(request).await }
        });
        Client::new(service, &self.namespace)
    }

    /// Returns a kubeconfig for an administrator, which holds all that it needs, and what serves the
    /// API as long as it lives.
    ///
    /// # Errors
    ///
    /// When there is no port, or no kubeconfig.
    pub async fn kubeconfig(&self) -> anyhow::Result<(String, Option<Served>)> {
        match &self.server {
            Some(server) => {
                let socket = server.serve(([127, 0, 0, 1], 0).into()).await?;
                Ok((socket.kubeconfig(), Some(socket)))
            }
            None => Ok((std::fs::read_to_string(control_plane::shared()?)?, None)),
        }
    }

    /// Creates another namespace for the test and returns its name.
    ///
    /// # Errors
    ///
    /// When the API refuses.
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        create_namespace(&self.client, prefix).await
    }

    /// Creates the definitions that do not exist yet, and waits until all their kinds are served.
    ///
    /// # Errors
    ///
    /// When the API refuses one.
    pub async fn define(&self, definitions: &[CustomResourceDefinition]) -> anyhow::Result<()> {
        define(&self.client, definitions).await
    }
}

/// Creates the definitions that do not exist yet, and waits until all their kinds are served.
///
/// # Errors
///
/// When the API refuses one.
pub async fn define(
    client: &Client,
    definitions: &[CustomResourceDefinition],
) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in definitions {
        match api.create(&PostParams::default(), definition).await {
            Err(Error::Api(status)) if status.is_already_exists() => {}
            other => _ = other?,
        }
    }
    for name in definitions.iter().filter_map(|it| it.metadata.name.as_deref()) {
        let served = await_condition(api.clone(), name, conditions::is_crd_established());
        timeout(PATIENCE, served).await.with_context(|| format!("{name} is not served"))??;
    }
    Ok(())
}

/// Creates a namespace with a name that no other has.
async fn create_namespace(client: &Client, prefix: &str) -> Result<String, Error> {
    let metadata =
        ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(created.metadata.name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    #[tokio::test]
    async fn workloads_become_ready() {
        let cluster = cluster().await.unwrap().with_workloads();
        let accounts: Api<ServiceAccount> = Api::default_namespaced(cluster.client.clone());
        let exists = |account: Option<&ServiceAccount>| account.is_some();
        await_condition(accounts, "default", exists).await.unwrap();
        let pods: Api<Pod> = Api::default_namespaced(cluster.client.clone());
        let pod = json!({"metadata": {"name": "a"}, "spec": {
            "containers": [{"name": "a", "image": "a"}]}});
        let pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        await_condition(pods, "a", conditions::is_pod_running()).await.unwrap();
    }
}
