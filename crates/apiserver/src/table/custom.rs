//! Columns that a CustomResourceDefinition declares.

use serde_json::{Value, json};

use super::{format, jsonpath};

/// A declared column.
pub(super) struct Column {
    pub(super) definition: Value,
    path: String,
}

/// Returns the columns of a custom kind: the name, and the declared ones or else the age.
pub(super) fn columns(declared: &[Value]) -> Vec<Column> {
    let age = json!({
        "name": "Age",
        "type": "date",
        "description": super::AGE.description,
        "jsonPath": ".metadata.creationTimestamp",
    });
    let declared = if declared.is_empty() { std::slice::from_ref(&age) } else { declared };
    let name = Column { definition: super::NAME.to_value(), path: ".metadata.name".to_owned() };
    let others = declared.iter().map(|column| Column {
        definition: json!({
            "name": column["name"],
            "type": column["type"],
            "format": column["format"].as_str().unwrap_or_default(),
            "description": column["description"].as_str().unwrap_or_default(),
            "priority": format::number(&column["priority"]),
        }),
        path: column["jsonPath"].as_str().unwrap_or_default().to_owned(),
    });
    std::iter::once(name).chain(others).collect()
}

/// Returns the cells of one object; null for what it does not have.
pub(super) fn cells(columns: &[Column], object: &Value) -> Vec<Value> {
    columns.iter().map(|column| cell(column, object)).collect()
}

fn cell(column: &Column, object: &Value) -> Value {
    let Some(value) = jsonpath::first(object, &column.path) else { return Value::Null };
    let kind = column.definition["type"].as_str().unwrap_or_default();
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(_))
        | ("boolean", Value::Bool(_))
        | ("number" | "integer", Value::Number(_)) => value.clone(),
        ("string", other) => other.to_string().into(),
        ("date", Value::String(_)) => match format::parse(value) {
            Some(_) => format::since(value).into(),
            None => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}
