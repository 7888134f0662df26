//! Waits for what objects become.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::bail;
use kube::{Api, Resource, runtime::wait::await_condition};
use serde::de::DeserializeOwned;

/// Waits until an object is as described, and returns it.
///
/// # Errors
///
/// With the object as it was last, when it is not so in time.
pub async fn until<K>(
    api: Api<K>,
    name: &str,
    what: &str,
    patience: Duration,
    is_so: impl Fn(&K) -> bool,
) -> anyhow::Result<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let seen = Arc::new(Mutex::new(None));
    let last = seen.clone();
    let condition = move |obj: Option<&K>| {
        *last.lock().unwrap_or_else(PoisonError::into_inner) = obj.cloned();
        obj.is_some_and(&is_so)
    };
    let wait = await_condition(api, name, condition);
    match tokio::time::timeout(patience, wait).await {
        Ok(Ok(Some(found))) => Ok(found),
        result => bail!("{name} is not {what}: {seen:#?}, {:?}", result.err()),
    }
}
