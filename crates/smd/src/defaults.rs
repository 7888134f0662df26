//! What the server fills in.

mod builtin;
mod hooks;

use serde_json::{Map, Value};

use crate::schema::{Link, Node, Schema, Values};

/// Fills in what was left out of an object: the defaults of its schema, or those of its built-in
/// kind. Nulls where the schema of a custom resource allows none are filled in as well, or go.
pub fn fill(schema: &Schema, object: &mut Value) {
    let (Some(node), Value::Object(map)) = (schema.node(), object) else { return };
    if schema.is_builtin() {
        builtin::fill(node, map);
    } else {
        structural(node, map);
    }
}

/// Source: `pkg/apiserver/schema/defaulting/algorithm.go`, apiextensions-apiserver 0.36.
fn structural(node: &Node, map: &mut Map<String, Value>) {
    for (name, link) in &node.fields {
        let Some(default) = &link.default else { continue };
        if map.get(name).is_none_or(|value| is_refused_null(link, value)) {
            map.insert(name.clone(), default.clone());
        }
    }
    map.retain(|name, value| {
        let declared = node.fields.get(name);
        let link = match (declared, &node.values) {
            (Some(link), _) => link,
            (None, Values::Of(link)) => link,
            _ => return true,
        };
        if is_refused_null(link, value) {
            match &link.default {
                Some(default) => *value = default.clone(),
                None if declared.is_some() => return false,
                None => {}
            }
        }
        below(link, value);
        true
    });
}

fn below(link: &Link, value: &mut Value) {
    let Some(node) = link.node() else { return };
    match value {
        Value::Object(map) => structural(node, map),
        Value::Array(items) => {
            let Some(link) = &node.items else { return };
            for item in items {
                if let (true, Some(default)) = (is_refused_null(link, item), &link.default) {
                    *item = default.clone();
                }
                below(link, item);
            }
        }
        _ => {}
    }
}

fn is_refused_null(link: &Link, value: &Value) -> bool {
    value.is_null() && link.node().is_some_and(|node| !node.nullable && !node.preserve)
}

#[cfg(test)]
mod tests;
