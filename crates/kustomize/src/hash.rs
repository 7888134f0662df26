//! The suffix that a name gets from the content of a ConfigMap or Secret.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::resource::Resource;

/// Appends the hash to the name of an object that wants one.
pub(crate) fn add_suffix(resource: &mut Resource) {
    let name = format!("{}-{}", resource.name(), suffix(&resource.value));
    resource.remember_id();
    resource.set_name(&name);
}

fn suffix(object: &Value) -> String {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let or_empty = |field: &str| object.get(field).cloned().unwrap_or_else(|| json!(""));
    let mut hashed = Map::new();
    let mut optional = |field: &str| {
        if let Some(map) = object.get(field).filter(|value| value.is_object()) {
            hashed.insert(field.to_owned(), map.clone());
        }
    };
    match kind {
        "ConfigMap" => {
            optional("binaryData");
            hashed.insert("data".into(), or_empty("data"));
        }
        "Secret" => {
            optional("stringData");
            hashed.insert("data".into(), or_empty("data"));
            hashed.insert("type".into(), or_empty("type"));
        }
        _ => {
            hashed.insert("object".into(), object.clone());
        }
    }
    hashed.insert("kind".into(), json!(kind));
    // Upstream looks the name up under a path that never exists.
    hashed.insert("name".into(), json!(""));
    let mut text = String::new();
    write_json(&Value::Object(hashed), &mut text);
    encode(&hex::encode(Sha256::digest(text.as_bytes())))
}

/// Takes ten digits and replaces those that could form words.
fn encode(hex: &str) -> String {
    hex.chars()
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

/// Writes JSON as Go does: keys sorted, `<`, `>` and `&` escaped.
fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in keys.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(&json!(key), out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        scalar => {
            for char in scalar.to_string().chars() {
                match char {
                    '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                        let _ = write!(out, "\\u{:04x}", u32::from(char));
                    }
                    char => out.push(char),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_upstream_does() {
        let cases = [
            (json!({ "kind": "ConfigMap" }), "6ct58987ht"),
            (json!({ "kind": "ConfigMap", "data": { "one": "" } }), "9g67k2htb6"),
            (json!({ "kind": "Secret", "type": "my-type" }), "5gmgkf8578"),
        ];
        for (object, hash) in cases {
            assert_eq!(suffix(&object), hash);
        }
    }
}
