//! Schemas of the built-in kinds: their types from the table in the crate `smd`, and words about
//! them from `data/descriptions.txt`.
//!
//! A line of the file holds the name of a definition and a JSON object, which says of each field
//! its description, or a list of its description, the values it can have and those that its elements
//! can have; the field without a name is the definition itself.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Map, Value};

pub(super) const API_VERSION: &str = "\
APIVersion defines the versioned schema of this representation of an object. Servers should convert \
recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
pub(super) const KIND: &str = "\
Kind is a string value representing the REST resource this object represents. Servers may infer \
this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

pub(super) const METADATA: &str = "\
Standard object's metadata. More info: \
https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// Definitions by name, and the name of each kind's.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) schemas: Map<String, Value>,
    pub(crate) kinds: HashMap<String, String>,
}

type Cache = Mutex<HashMap<(String, String), Arc<Definitions>>>;

/// Returns the definitions of one group and version; made once, when first asked for.
pub(crate) fn definitions(group: &str, version: &str) -> Arc<Definitions> {
    static CACHE: LazyLock<Cache> = LazyLock::new(Mutex::default);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (group.to_owned(), version.to_owned());
    cache.entry(key).or_insert_with(|| Arc::new(describe(group, version))).clone()
}

fn describe(group: &str, version: &str) -> Definitions {
    let (mut schemas, kinds) = smd::schema::document(group, version);
    for (name, schema) in &mut schemas {
        let is_kind = schema["properties"]["metadata"].is_object();
        let words = words().get(name.as_str()).and_then(|words| serde_json::from_str(words).ok());
        let words: Map<String, Value> = words.unwrap_or_default();
        if let Some(said) = words.get("") {
            say(schema, said);
        }
        for (field, schema) in
            schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            match words.get(field) {
                Some(said) => say(schema, said),
                None if is_kind && field == "apiVersion" => say(schema, &API_VERSION.into()),
                None if is_kind && field == "kind" => say(schema, &KIND.into()),
                None => {}
            }
        }
    }
    Definitions { schemas, kinds }
}

/// Returns the lines of the file by the name of the definition.
fn words() -> &'static HashMap<&'static str, &'static str> {
    static WORDS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
        let lines = include_str!("../../data/descriptions.txt").lines();
        lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(' '))
            .collect()
    });
    &WORDS
}

fn say(schema: &mut Value, said: &Value) {
    let list = said.as_array().map_or(std::slice::from_ref(said), Vec::as_slice);
    let at = |index: usize| list.get(index).filter(|value| !value.is_null());
    // Nothing may stand beside a reference.
    if schema.get("$ref").is_some() {
        *schema = serde_json::json!({"allOf": [schema.take()]});
    }
    for (index, keyword) in [(0, "description"), (1, "enum")] {
        if let Some(value) = at(index) {
            schema[keyword] = value.clone();
        }
    }
    let elements = ["items", "additionalProperties"];
    let elements = elements.into_iter().find(|keyword| schema.get(keyword).is_some());
    if let (Some(keyword), Some(values)) = (elements, at(2)) {
        schema[keyword]["enum"] = values.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        assert!(words().len() > 500);
        for (name, line) in words() {
            assert!(serde_json::from_str::<Map<String, Value>>(line).is_ok(), "{name}");
        }
    }
}
