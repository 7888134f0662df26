//! A Kubernetes API for one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use apiserver::{ApiServer, Options, workloads};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::task::AbortHandle;

/// A Kubernetes API, and a client of it. Clones share the same objects.
#[derive(Clone)]
pub struct Cluster {
    /// Acts as administrator.
    pub client: Client,
    server: ApiServer,
    simulation: Option<Arc<Simulation>>,
}

/// Ends with the last clone of its cluster.
struct Simulation(AbortHandle);

impl Drop for Simulation {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns a new, empty cluster, embedded in the test. Workloads in it stay as they are applied; see
/// [`Cluster::with_workloads`].
pub fn cluster() -> Cluster {
    let server = ApiServer::new(Options::default());
    Cluster { client: Client::new(server.service(), "default"), server, simulation: None }
}

impl Cluster {
    /// Simulates controllers and a node, so that workloads become ready; needs a tokio runtime.
    ///
    /// What [`apiserver::workloads`] says of outcomes holds.
    #[must_use]
    pub fn with_workloads(mut self) -> Self {
        let task = tokio::spawn(workloads::run(self.client.clone()));
        self.simulation = Some(Arc::new(Simulation(task.abort_handle())));
        self
    }

    /// Returns the API server itself.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Creates a namespace of its own for a test and returns its name.
    pub async fn namespace(&self, prefix: &str) -> Result<String, kube::Error> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
    use kube::runtime::wait::{await_condition, conditions};
    use serde_json::json;

    #[tokio::test]
    async fn workloads_become_ready_where_they_are_simulated() {
        let cluster = cluster().with_workloads();
        let namespace = cluster.namespace("test").await.unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), &namespace);
        let exists = |account: Option<&ServiceAccount>| account.is_some();
        await_condition(accounts, "default", exists).await.unwrap();
        let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
        let pod = json!({"metadata": {"name": "a"}, "spec": {
            "containers": [{"name": "a", "image": "a"}]}});
        let pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        await_condition(pods, "a", conditions::is_pod_running()).await.unwrap();
    }
}
