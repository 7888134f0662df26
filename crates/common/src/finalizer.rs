//! Keeps an object until it is cleaned up after.

use std::fmt::Debug;
use std::sync::Arc;

use api::meta::FINALIZER;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

/// Returns the object when it carries the finalizer. Otherwise adds it and returns `None`: the
/// change comes back through the watch.
///
/// # Errors
///
/// When the API does not answer, or the object has changed meanwhile.
pub async fn ensure<K>(api: &Api<K>, obj: Arc<K>) -> Result<Option<Arc<K>>, kube::Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    if is_held(&*obj) {
        return Ok(Some(obj));
    }
    let mut finalizers = obj.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    write(api, &*obj, finalizers).await?;
    Ok(None)
}

/// Says whether the object waits for its cleanup before it goes.
pub fn is_held(obj: &impl Resource) -> bool {
    obj.meta().finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Lets an object that was cleaned up after go.
///
/// # Errors
///
/// When the API does not answer, or the object has changed meanwhile.
pub async fn remove<K>(api: &Api<K>, obj: &K) -> Result<(), kube::Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let mut finalizers = obj.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    match write(api, obj, finalizers).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result,
    }
}

async fn write<K>(api: &Api<K>, obj: &K, finalizers: Vec<String>) -> Result<(), kube::Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    // With the version: a list is replaced as a whole, and others have theirs in it.
    let patch = json!({ "metadata": {
        "finalizers": finalizers,
        "resourceVersion": obj.resource_version(),
    } });
    api.patch(&obj.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}
