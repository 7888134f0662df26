//! The hash of its content that a generated name ends in.
//!
//! Source: `hasher.go`, kustomize api 0.21.1. It looks the name up under `metadata/name` as one key,
//! finds nothing, and hashes an empty name.

use goyaml::{Dialect, Node};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::Problem;
use crate::go_json;
use crate::resource::Resource;
use crate::resources::Resources;

/// Adds the hash to the names of the objects that are to get one.
pub(crate) fn add_suffixes(all: &mut Resources) -> Result<(), Problem> {
    if !all.iter().any(|item| item.memory.needs_hash) {
        return Ok(());
    }
    for item in all.items_mut().iter_mut().filter(|item| item.memory.needs_hash) {
        let hash = hash(item).map_err(|problem| item.blame(problem))?;
        item.remember_id();
        let name = format!("{}-{hash}", item.name());
        item.set_name(&name);
    }
    Ok(())
}

fn hash(item: &Resource) -> Result<String, Problem> {
    let value = |field: &str| value_of(item, field);
    let mut fields = Map::new();
    let kind = item.kind();
    match kind {
        "ConfigMap" => {
            insert_map(&mut fields, "binaryData", value("binaryData")?);
            fields.insert("data".into(), value("data")?);
            fields.insert("kind".into(), json!(kind));
            fields.insert("name".into(), json!(""));
        }
        "Secret" => {
            fields.insert("data".into(), value("data")?);
            fields.insert("kind".into(), json!(kind));
            fields.insert("name".into(), json!(""));
            insert_map(&mut fields, "stringData", value("stringData")?);
            fields.insert("type".into(), value("type")?);
        }
        // Kustomize hashes its own representation of other kinds, which only it has. Any hash that
        // changes with the content serves.
        _ => _ = fields.insert("object".into(), item.to_value()?),
    }
    Ok(encode(&go_json::compact(&Value::Object(fields))))
}

/// Takes ten digits of the digest and replaces those that could form words.
fn encode(text: &str) -> String {
    hex::encode(Sha256::digest(text))
        .chars()
        .take(10)
        .map(|digit| match digit {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            digit => digit,
        })
        .collect()
}

fn insert_map(fields: &mut Map<String, Value>, name: &str, value: Value) {
    if value.is_object() {
        fields.insert(name.into(), value);
    }
}

/// Returns a field for hashing: text where it is missing or a scalar, null where it is a list.
fn value_of(item: &Resource, field: &str) -> Result<Value, Problem> {
    match item.node.get(field) {
        None => Ok(json!("")),
        Some(Node::Scalar(scalar)) => Ok(json!(scalar.value)),
        Some(Node::Sequence(_)) => Ok(json!({})),
        Some(node) => goyaml::to_value(node, Dialect::Kyaml)
            .map_err(|source| Problem::Yaml { path: item.source.file.to_string(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_upstream_does() {
        for (text, hash) in [
            (r#"{"data":"","kind":"ConfigMap","name":""}"#, "6ct58987ht"),
            (r#"{"data":{"one":""},"kind":"ConfigMap","name":""}"#, "9g67k2htb6"),
            (r#"{"data":"","kind":"Secret","name":"","type":"my-type"}"#, "5gmgkf8578"),
        ] {
            assert_eq!(encode(text), hash);
        }
    }
}
