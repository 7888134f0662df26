//! Reading objects: identity, labels, markers.

use std::fmt;

use api::inventory::{InventoryEntry, ObjectId};
use serde_json::{Map, Value};

/// The identity of an object as people read it: `Deployment/default/podinfo`, or
/// `Namespace/default` when it has no namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// API version with group, e.g. `apps/v1`.
    pub api_version: String,
    /// Kind of the object.
    pub kind: String,
    /// Namespace of the object; empty when it is cluster-scoped.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl Subject {
    /// Returns the identity of an object; what is missing is empty.
    pub fn of(object: &Value) -> Self {
        Self {
            api_version: text(object, "/apiVersion").to_owned(),
            kind: text(object, "/kind").to_owned(),
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
        }
    }

    /// Returns the API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// Returns the version without the group.
    pub fn version(&self) -> &str {
        self.api_version.rsplit_once('/').map_or(&self.api_version, |(_, version)| version)
    }

    /// Returns the identity across versions.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            group: self.group().to_owned(),
            kind: self.kind.clone(),
        }
    }

    /// Returns the entry of the object in an inventory.
    pub fn entry(&self) -> InventoryEntry {
        InventoryEntry::new(&self.id(), self.version())
    }

    /// Returns the object of an entry of an inventory.
    pub fn of_entry(id: &ObjectId, version: &str) -> Self {
        let api_version = if id.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", id.group)
        };
        Self {
            api_version,
            kind: id.kind.clone(),
            namespace: id.namespace.clone(),
            name: id.name.clone(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name, .. } = self;
        if namespace.is_empty() {
            write!(f, "{kind}/{name}")
        } else {
            write!(f, "{kind}/{namespace}/{name}")
        }
    }
}

/// Returns the text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a label.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// Says whether a label or annotation has a value, whatever its case.
pub(crate) fn is_marked(object: &Value, key: &str, value: &str) -> bool {
    ["labels", "annotations"].iter().any(|field| {
        let found = object.get("metadata").and_then(|meta| meta.get(field)?.get(key)?.as_str());
        found.is_some_and(|found| found.eq_ignore_ascii_case(value))
    })
}

/// Returns a map in the metadata, made where it is missing.
pub(crate) fn metadata_map<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    let map = &mut metadata[field];
    if !map.is_object() {
        *map = Value::Object(Map::new());
    }
    map.as_object_mut().expect("the field was just made a map")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_objects_with_and_without_namespace() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}});
        let subject = Subject::of(&object);
        assert_eq!(subject.to_string(), "Deployment/shop/web");
        assert_eq!(subject.entry().id, "shop_web_apps_Deployment");
        assert_eq!(subject.entry().version, "v1");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        assert_eq!(Subject::of(&object).to_string(), "Namespace/shop");
        assert_eq!(Subject::of(&object).entry().id, "_shop__Namespace");
    }

    #[test]
    fn finds_markers_in_labels_and_annotations() {
        let object = json!({"metadata": {"labels": {"a/ssa": "ignore"}, "annotations": {"a/prune": "Disabled"}}});
        assert!(is_marked(&object, "a/ssa", "Ignore"));
        assert!(is_marked(&object, "a/prune", "disabled"));
        assert!(!is_marked(&object, "a/force", "enabled"));
    }
}
