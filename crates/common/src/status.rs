//! Reads and writes the status of objects.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::meta::REQUESTED_AT_ANNOTATION;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The versions that our own writes have made, by object.
///
/// A watch may be behind our own writes. What is in the status, an inventory above all, must not be
/// taken from an older version: what was recorded since would be lost.
pub struct Statuses<K: Resource<DynamicType = ()>> {
    manager: &'static str,
    written: Mutex<HashMap<ObjectRef<K>, String>>,
}

impl<K> Statuses<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    ObjectRef<K>: Hash + Eq,
{
    /// Returns the statuses that are written under the name of a field manager.
    pub fn new(manager: &'static str) -> Self {
        Self { manager, written: Mutex::default() }
    }

    /// Returns an object as it is, `None` when it is gone. The API is asked only when the version
    /// at hand is older than the one that we wrote last.
    ///
    /// # Errors
    ///
    /// When the API does not answer.
    pub async fn latest(&self, api: &Api<K>, obj: Arc<K>) -> Result<Option<Arc<K>>, kube::Error> {
        let written = self.lock().get(&ObjectRef::from_obj(&*obj)).cloned();
        let is_behind = |written: &str| is_older(obj.resource_version().as_deref(), written);
        if !written.as_deref().is_some_and(is_behind) {
            return Ok(Some(obj));
        }
        Ok(api.get_opt(&obj.name_any()).await?.map(Arc::new))
    }

    /// Writes a status by server-side apply: a field that is left out is removed.
    ///
    /// Nothing happens when the object is gone, or is another one of the same name.
    ///
    /// # Errors
    ///
    /// When the API does not answer, or refuses.
    pub async fn write(
        &self,
        api: &Api<K>,
        obj: &K,
        status: &impl Serialize,
    ) -> Result<(), kube::Error> {
        let status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
        let name = obj.name_any();
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // The status is not that of a later object with the same name.
            "metadata": { "name": name, "namespace": obj.namespace(), "uid": obj.uid() },
            "status": status,
        });
        let params = PatchParams::apply(self.manager).force();
        let mut written = match api.patch_status(&name, &params, &Patch::Apply(&patch)).await {
            Ok(written) => written,
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Fields that others wrote stay through an apply: those of the controller that was here
        // before this one would never go away.
        let foreign = foreign(&written, &status)?;
        if !foreign.is_empty() {
            let nulls: Map<_, _> = foreign.into_iter().map(|field| (field, Value::Null)).collect();
            let patch = json!({ "metadata": { "uid": obj.uid() }, "status": nulls });
            let params = PatchParams { field_manager: params.field_manager, ..Default::default() };
            written = match api.patch_status(&name, &params, &Patch::Merge(&patch)).await {
                Ok(written) => written,
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
        }
        if let Some(version) = written.resource_version() {
            self.lock().insert(ObjectRef::from_obj(obj), version);
        }
        Ok(())
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, obj: &ObjectRef<K>) {
        self.lock().remove(obj);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the value of the request to reconcile that an object carries.
pub fn requested_at(obj: &impl Resource) -> Option<&String> {
    obj.annotations().get(REQUESTED_AT_ANNOTATION)
}

/// Says whether a version may be older than another one of the same object. Versions are numbers that
/// grow with every write; one that is none may be anything.
///
/// Source: KEP 5504, which makes comparable what all implementations had compared.
fn is_older(version: Option<&str>, than: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    match (version.and_then(number), number(than)) {
        (Some(version), Some(than)) => version < than,
        _ => version != Some(than),
    }
}

/// Says whether an object is gone: there is none, or another one of the same name.
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 404 || (status.code == 409 && status.message.contains("uid")))
}

/// Returns the fields of a status that are not among those that were written.
fn foreign(written: &impl Serialize, status: &Value) -> Result<Vec<String>, kube::Error> {
    let written = serde_json::to_value(written).map_err(kube::Error::SerdeError)?;
    let fields = written["status"].as_object().into_iter().flat_map(Map::keys);
    Ok(fields.filter(|field| status.get(field.as_str()).is_none()).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_as_numbers() {
        assert!(is_older(Some("9"), "10"));
        assert!(!is_older(Some("10"), "10") && !is_older(Some("11"), "10"));
        assert!(is_older(Some("x"), "10") && is_older(None, "10") && !is_older(Some("x"), "x"));
    }
}
