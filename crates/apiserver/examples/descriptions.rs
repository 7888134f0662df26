//! Writes what the OpenAPI v3 documents of a running Kubernetes API say in words.
//!
//! ```console
//! $ paths() { kubectl get --raw /openapi/v3 | jq -r '.paths[].serverRelativeURL'; }
//! $ paths | while read -r path; do kubectl get --raw "$path"; echo; done |
//!       cargo run -p apiserver --example descriptions > crates/apiserver/data/descriptions.txt
//! ```
//!
//! Kept are descriptions, and the values that fields can have. The rest of the documents is written
//! from the table of built-in kinds in the crate `smd`.

#![expect(clippy::print_stdout, reason = "a generator prints")]

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Map, Value, json};

const HEADER: &str = "\
# Descriptions of the fields of Kubernetes v1.36.3, from its OpenAPI v3 documents, Apache-2.0.
# Made by examples/descriptions.rs; do not edit. The form is described in src/openapi/builtin.rs.";

fn main() -> Result<(), Box<dyn Error>> {
    let mut lines: BTreeMap<String, Value> = BTreeMap::new();
    for document in serde_json::Deserializer::from_reader(std::io::stdin()).into_iter::<Value>() {
        let document = document?;
        for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
            lines.insert(name.clone(), words(schema));
        }
    }
    println!("{HEADER}");
    for (name, words) in lines {
        println!("{name} {words}");
    }
    Ok(())
}

fn words(schema: &Value) -> Value {
    let mut words = Map::new();
    let mut add = |name: &str, schema: &Value| {
        let text = schema.get("description");
        let of_elements =
            schema["items"].get("enum").or(schema["additionalProperties"].get("enum"));
        let said = match (text, schema.get("enum"), of_elements) {
            (None, None, None) => return,
            (Some(text), None, None) => text.clone(),
            (text, values, None) => json!([text, values]),
            (text, values, of_elements) => json!([text, values, of_elements]),
        };
        words.insert(name.to_owned(), said);
    };
    add("", schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        // Every kind says the same of these.
        if !matches!(name.as_str(), "apiVersion" | "kind")
            || schema["properties"]["metadata"].is_null()
        {
            add(name, field);
        }
    }
    words.into()
}
