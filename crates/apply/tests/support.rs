//! What the tests of this crate share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apply::{Cluster, IgnoreRules, Metadata, Options, Owner, Prepared, Target, Viewpoint};
use kube::Client;
use kube::api::{Api, DynamicObject, PatchParams};
use serde_json::{Value, json};

pub(crate) const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// A cluster that records the requests to it.
pub(crate) struct Recorded {
    pub(crate) cluster: testkit::cluster::Cluster,
    pub(crate) client: Client,
    requests: Arc<Mutex<Vec<String>>>,
    immutable: Arc<Mutex<Option<String>>>,
}

pub(crate) async fn recorded() -> Recorded {
    let cluster = testkit::cluster().await.unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let immutable: Arc<Mutex<Option<String>>> = Arc::default();
    let (log, refused) = (requests.clone(), immutable.clone());
    let client = cluster.observed(move |mut request: http::Request<_>| {
        let dry = request.uri().query().is_some_and(|query| query.contains("dryRun"));
        let dry = if dry { " (dry run)" } else { "" };
        log.lock().unwrap().push(format!("{} {}{dry}", request.method(), request.uri().path()));
        let mut refused = refused.lock().unwrap();
        if refused.as_deref() == Some(request.uri().path()) {
            if request.method() == http::Method::DELETE {
                *refused = None;
            } else if request.method() == http::Method::PATCH {
                // An apply without a manager is what the API calls invalid.
                *request.uri_mut() = request.uri().path().parse().unwrap();
            }
        }
        request
    });
    Recorded { cluster, client, requests, immutable }
}

impl Recorded {
    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Refuses patches of the object at a path until it is deleted, as if they changed a field
    /// that is immutable.
    pub(crate) fn make_immutable(&self, path: String) {
        *self.immutable.lock().unwrap() = Some(path);
    }

    pub(crate) fn namespace(&self) -> String {
        self.cluster.namespace.clone()
    }

    pub(crate) fn target(&self) -> Target {
        Target::new(Cluster::new(self.client.clone()), options())
    }

    pub(crate) async fn get(
        &self,
        version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let kind = Cluster::new(self.cluster.client.clone()).kind(version, kind).await.unwrap();
        let client = self.cluster.client.clone();
        let api: Api<DynamicObject> = if kind.namespaced {
            Api::namespaced_with(client, namespace, &kind.resource)
        } else {
            Api::all_with(client, &kind.resource)
        };
        let found = api.get_opt(name).await.unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub(crate) async fn merge(&self, namespace: &str, name: &str, patch: Value) {
        let api: Api<k8s_openapi::api::core::v1::ConfigMap> =
            Api::namespaced(self.cluster.client.clone(), namespace);
        api.patch(name, &PatchParams::default(), &kube::api::Patch::Merge(patch)).await.unwrap();
    }
}

pub(crate) fn view() -> Viewpoint {
    let Options { owner, field_manager, overridden_managers, .. } = options();
    Viewpoint { group: owner.group, field_manager, overridden_managers }
}

pub(crate) fn options() -> Options {
    Options {
        field_manager: "kustomize-controller".to_owned(),
        owner: Owner {
            group: GROUP.to_owned(),
            namespace: "flux-system".to_owned(),
            name: "apps".to_owned(),
        },
        force: false,
        concurrency: 4,
        overridden_managers: Vec::new(),
        custom_stage: Vec::new(),
        stage_timeout: Duration::from_secs(10),
        fail_fast: true,
        assess: None,
        ignore: IgnoreRules::default(),
        migrate_api_version: false,
    }
}

pub(crate) async fn prepare(target: &Target, objects: Vec<Value>) -> Prepared {
    target.prepare(objects, &Metadata::default()).await.unwrap()
}

pub(crate) fn config(namespace: &str, name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"key": value},
    })
}
