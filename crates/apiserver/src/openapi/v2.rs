//! The older form of the same documents: all kinds in one, with less said of each.

use serde_json::{Map, Value, json};

use super::document;
use crate::registry::Registry;

/// Keywords that the older form does not have.
const UNKNOWN: [&str; 6] = ["allOf", "anyOf", "default", "nullable", "not", "oneOf"];

/// Returns the Swagger 2.0 document of everything that is served.
pub(crate) fn all(registry: &Registry) -> Value {
    let (mut definitions, mut paths) = (Map::new(), Map::new());
    for (group, versions) in registry.groups() {
        for version in versions {
            let Some(mut document) = document(registry, &group, &version) else { continue };
            if let Value::Object(schemas) = document["components"]["schemas"].take() {
                for (name, schema) in schemas {
                    definitions.entry(name).or_insert_with(|| older(schema));
                }
            }
            if let Value::Object(found) = document["paths"].take() {
                paths.extend(found.into_iter().map(|(path, item)| (path, operations(item))));
            }
        }
    }
    definitions.sort_keys();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": super::VERSION},
        "paths": paths,
        "definitions": definitions,
    })
}

fn older(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return schema };
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        return json!({});
    }
    let open = "x-kubernetes-preserve-unknown-fields";
    if schema.get(open) == Some(&Value::Bool(true)) {
        return json!({open: true});
    }
    let reference = schema.get("allOf").and_then(|all| all[0].get("$ref")).or(schema.get("$ref"));
    let reference = reference
        .and_then(Value::as_str)
        .map(|reference| reference.replace("#/components/schemas/", "#/definitions/"));
    // What can be a number or a string counts as a string.
    if schema.contains_key("oneOf") {
        schema.insert("type".to_owned(), "string".into());
    }
    schema.retain(|keyword, _| !UNKNOWN.contains(&keyword.as_str()));
    if let Some(reference) = reference {
        schema.insert("$ref".to_owned(), reference.into());
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(keyword) {
            *below = older(below.take());
        }
    }
    for (_, field) in
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        *field = older(field.take());
    }
    schema.into()
}

fn operations(mut item: Value) -> Value {
    for (_, operation) in item.as_object_mut().into_iter().flatten() {
        for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
            if let Some(Value::Object(schema)) = parameter.get_mut("schema").map(Value::take) {
                let Some(parameter) = parameter.as_object_mut() else { continue };
                parameter.shift_remove("schema");
                parameter.extend(schema);
            }
        }
        let schema = operation["responses"]["200"]["content"]["application/json"]["schema"].take();
        operation["responses"] = json!({"200": {"description": "OK", "schema": older(schema)}});
    }
    item
}
