//! What the tests share.

pub(crate) mod kubectl;

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use kube::core::Status;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, Error, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long what should happen at once may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Returns an administrator of the cluster that the tests are for, see [`testkit::cluster()`], with
/// a namespace of its own.
pub(crate) async fn client() -> Client {
    testkit::cluster().await.expect("there is a cluster").client
}

/// Returns an administrator of a new, embedded cluster, with a namespace of its own.
pub(crate) async fn embedded() -> Client {
    testkit::cluster::embedded().await.expect("a namespace can be created").client
}

/// Returns a group for the custom kinds of a test, which no other test has.
pub(crate) fn group(client: &Client) -> String {
    format!("{}.example.com", client.default_namespace())
}

/// Creates a definition given as JSON, and waits until its kind is served.
pub(crate) async fn define(client: &Client, definition: Value) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = create(&api, definition).await.name_any();
    await_condition(api, &name, conditions::is_crd_established()).await.unwrap();
}

/// Creates an object given as JSON.
pub(crate) async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let object: K = serde_json::from_value(object).expect("the literal is of the kind");
    api.create(&PostParams::default(), &object).await.expect("the object is valid and new")
}

/// Waits until an object is as described: the controllers of a real cluster take a moment.
pub(crate) async fn until<K>(api: &Api<K>, name: &str, is_so: impl Fn(Option<&K>) -> bool)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let wait = await_condition(api.clone(), name, is_so);
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time").unwrap();
}

/// Returns why the API refused a request.
pub(crate) fn refusal<T: Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => unreachable!("the API did not refuse: {other:?}"),
    }
}
