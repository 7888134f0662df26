//! A cluster for one test.

pub(crate) mod kubectl;

use std::fmt::Debug;

use apiserver::{ApiServer, Options};
use kube::api::{Api, PostParams};
use kube::core::Status;
use kube::{Client, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Returns an administrator of a new cluster.
pub(crate) fn client() -> Client {
    Client::new(ApiServer::new(Options::default()).service(), "default")
}

/// Creates an object given as JSON.
pub(crate) async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let object: K = serde_json::from_value(object).expect("the literal is of the kind");
    api.create(&PostParams::default(), &object).await.expect("the object is valid and new")
}

/// Returns why the API refused a request.
pub(crate) fn refusal<T: Debug>(result: Result<T, Error>) -> Status {
    match result {
        Err(Error::Api(status)) => *status,
        other => unreachable!("the API did not refuse: {other:?}"),
    }
}
