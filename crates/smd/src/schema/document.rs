//! Writes definitions of the table as the OpenAPI v3 schemas they come from, without descriptions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Packages of definitions that are not in `io.k8s.api`, as the table begins their names.
const PACKAGES: [(&str, &str); 7] = [
    ("meta.", "io.k8s.apimachinery.pkg.apis."),
    ("resource.Quantity", "io.k8s.apimachinery.pkg.api."),
    ("intstr.", "io.k8s.apimachinery.pkg.util."),
    ("runtime.", "io.k8s.apimachinery.pkg."),
    ("version.", "io.k8s.apimachinery.pkg."),
    ("apiextensions.", "io.k8s.apiextensions-apiserver.pkg.apis."),
    ("apiregistration.", "io.k8s.kube-aggregator.pkg.apis."),
];

/// What is said of a field besides its type: keyword of the document and name in the table.
const KEYWORDS: [(&str, &str); 6] = [
    ("default", "default"),
    ("x-kubernetes-list-type", "list"),
    ("x-kubernetes-list-map-keys", "keys"),
    ("x-kubernetes-map-type", "map"),
    ("x-kubernetes-patch-merge-key", "merge"),
    ("x-kubernetes-patch-strategy", "patch"),
];

/// Returns the name that a definition of the table has in documents.
pub(super) fn full_name(name: &str) -> String {
    let package = PACKAGES.iter().find(|(start, _)| name.starts_with(start));
    format!("{}{name}", package.map_or("io.k8s.api.", |(_, package)| package))
}

/// Returns the schema of a definition, and notes the definitions that it refers to.
pub(super) fn schema(name: &str, text: &str, references: &mut BTreeSet<String>) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::String(_)) if name == "runtime.RawExtension" => json!({"type": "object"}),
        Ok(Value::String(expression)) => type_of(&expression, references),
        Ok(Value::Object(map)) => {
            let mut schema = Map::from_iter([("type".to_owned(), "object".into())]);
            if let Some(required) = map.get("required") {
                schema.insert("required".to_owned(), required.clone());
            }
            let fields = map.get("fields").and_then(Value::as_object).into_iter().flatten();
            let fields = fields.map(|(name, value)| (name.clone(), field(value, references)));
            schema.insert("properties".to_owned(), Value::Object(fields.collect()));
            if let Some(kind) = map.get("map") {
                schema.insert("x-kubernetes-map-type".to_owned(), kind.clone());
            }
            schema.into()
        }
        _ => json!({}),
    }
}

fn field(value: &Value, references: &mut BTreeSet<String>) -> Value {
    let Value::Object(said) = value else {
        return type_of(value.as_str().unwrap_or_default(), references);
    };
    let expression = said.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut schema = type_of(expression, references);
    // Nothing may stand beside a reference.
    if schema.get("$ref").is_some() {
        schema = json!({"allOf": [schema]});
    }
    for (keyword, name) in KEYWORDS {
        if let Some(value) = said.get(name) {
            schema[keyword] = value.clone();
        }
    }
    if said.get("struct") == Some(&Value::Bool(true)) {
        schema["default"] = json!({});
    }
    schema
}

fn type_of(expression: &str, references: &mut BTreeSet<String>) -> Value {
    if let Some(name) = expression.strip_prefix('#') {
        references.insert(name.to_owned());
        return json!({"$ref": format!("#/components/schemas/{}", full_name(name))});
    }
    if let Some(items) = expression.strip_prefix("[]") {
        return json!({"type": "array", "items": element(items, references)});
    }
    if let Some(values) = expression.strip_prefix("{}") {
        let values = element(values, references);
        return json!({"type": "object", "additionalProperties": values});
    }
    match expression {
        "string" => json!({"type": "string"}),
        "bytes" => json!({"type": "string", "format": "byte"}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "int32" | "int64" => json!({"type": "integer", "format": expression}),
        "double" => json!({"type": "number", "format": "double"}),
        "bool" => json!({"type": "boolean"}),
        "int-or-string" => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        "quantity" => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "object" | "raw" => json!({"type": "object"}),
        _ => json!({}),
    }
}

/// Elements have the zero of their type as their default; a structure's is written at its fields.
fn element(expression: &str, references: &mut BTreeSet<String>) -> Value {
    let schema = type_of(expression, references);
    let default = match expression {
        "string" | "time" => json!(""),
        "int32" | "int64" | "double" => json!(0),
        "bool" => json!(false),
        // These marshal themselves.
        "#resource.Quantity"
        | "#apiextensions.v1.JSON"
        | "#apiextensions.v1.JSONSchemaPropsOrStringArray" => return schema,
        _ if expression.starts_with('#') => return json!({"allOf": [schema], "default": {}}),
        _ => return schema,
    };
    let mut schema = schema;
    schema["default"] = default;
    schema
}
