//! Reading and writing the metadata of an object held as JSON.

use serde_json::{Map, Value};

const NOTHING: &[Value] = &[];

/// Metadata of an object, whatever its kind.
pub(crate) trait Object {
    fn meta(&self) -> Option<&Map<String, Value>>;
    /// Returns `metadata`, made if absent.
    fn meta_mut(&mut self) -> &mut Map<String, Value>;
    fn set_resource_version(&mut self, revision: u64);

    fn meta_str(&self, field: &str) -> Option<&str> {
        self.meta()?.get(field)?.as_str().filter(|text| !text.is_empty())
    }
    fn name(&self) -> &str {
        self.meta_str("name").unwrap_or_default()
    }
    fn namespace(&self) -> &str {
        self.meta_str("namespace").unwrap_or_default()
    }
    fn uid(&self) -> Option<&str> {
        self.meta_str("uid")
    }
    fn generation(&self) -> Option<i64> {
        self.meta()?.get("generation")?.as_i64()
    }
    fn is_terminating(&self) -> bool {
        self.meta_str("deletionTimestamp").is_some()
    }
    fn list_in_meta(&self, field: &str) -> &[Value] {
        self.meta().and_then(|meta| meta.get(field)?.as_array()).map_or(NOTHING, Vec::as_slice)
    }
    fn owners(&self) -> std::slice::Iter<'_, Value> {
        self.list_in_meta("ownerReferences").iter()
    }
    fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.list_in_meta("finalizers").iter().filter_map(Value::as_str)
    }
    fn label(&self, key: &str) -> Option<&str> {
        self.meta()?.get("labels")?.get(key)?.as_str()
    }
}

impl Object for Value {
    fn meta(&self) -> Option<&Map<String, Value>> {
        self.get("metadata")?.as_object()
    }

    fn meta_mut(&mut self) -> &mut Map<String, Value> {
        if !self.is_object() {
            *self = Value::Object(Map::new());
        }
        let object = self.as_object_mut().expect("made an object above");
        let meta = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if !meta.is_object() {
            *meta = Value::Object(Map::new());
        }
        meta.as_object_mut().expect("made an object above")
    }

    fn set_resource_version(&mut self, revision: u64) {
        self.meta_mut().insert("resourceVersion".into(), revision.to_string().into());
    }
}
