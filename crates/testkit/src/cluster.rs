//! A Kubernetes API for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use apiserver::{ApiServer, Options};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

/// A Kubernetes API, and a client of it.
#[derive(Clone)]
pub struct Cluster {
    /// Acts as administrator.
    pub client: Client,
    server: ApiServer,
}

/// Returns a new, empty cluster, embedded in the test.
pub fn cluster() -> Cluster {
    let server = ApiServer::new(Options::default());
    Cluster { client: Client::new(server.service(), "default"), server }
}

impl Cluster {
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
