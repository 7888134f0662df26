//! Tables, as `kubectl get` prints them.

use serde_json::{Value, json};

use crate::object::Object;
use crate::rest::request::Call;

/// Renders an object or list as a `meta.k8s.io/v1` Table.
pub(crate) fn render(call: &Call, value: &Value, with_columns: bool) -> Value {
    let single = std::slice::from_ref(value);
    let items = value.get("items").and_then(Value::as_array).map_or(single, Vec::as_slice);
    let rows: Vec<Value> =
        items.iter().map(|item| json!({"cells": [item.name()], "object": item})).collect();
    let _ = (call, with_columns);
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": value["metadata"]["resourceVersion"]},
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
        ],
        "rows": rows,
    })
}
