//! What the server drops from objects.

use serde_json::{Map, Value};

use crate::quantity::Quantity;
use crate::schema::{Kind, Link, Node, Schema, Values};

/// Drops the fields that the schema does not have, and returns their paths, such as
/// `spec.containers[0].imagee`, in the order they stand in.
///
/// Values of the wrong type are left as they are, for validation to refuse.
pub fn unknown_fields(schema: &Schema, object: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    if let Some(node) = schema.node() {
        drop_unknown(node, object, "", &mut dropped);
    }
    dropped
}

fn drop_unknown(node: &Node, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(map) if matches!(node.kind, Kind::Object | Kind::Any) => {
            let mut unknown = Vec::new();
            for (name, value) in map.iter_mut() {
                let path = join(path, name);
                match (node.fields.get(name), &node.values) {
                    (Some(link), _) => below(link, value, &path, dropped),
                    (None, Values::Of(link)) => below(link, value, &path, dropped),
                    (None, Values::Anything) => {}
                    (None, Values::Undeclared | Values::Forbidden) if node.preserve => {}
                    (None, Values::Undeclared | Values::Forbidden) => {
                        dropped.push(path);
                        unknown.push(name.clone());
                    }
                }
            }
            for name in unknown {
                map.shift_remove(&name);
            }
        }
        Value::Array(items) if matches!(node.kind, Kind::Array | Kind::Any) => {
            if let Some(link) = &node.items {
                for (index, item) in items.iter_mut().enumerate() {
                    below(link, item, &format!("{path}[{index}]"), dropped);
                }
            }
        }
        _ => {}
    }
}

fn below(link: &Link, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
    if let Some(node) = link.node() {
        drop_unknown(node, value, path, dropped);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Makes of an object of a built-in kind what its way through the Go types of the API makes of it:
/// nulls, empty lists, empty maps and zeros go; quantities take one form; structures that are no pointers come, and zeros of
/// fields that are never left out. Of other objects, this happens to the metadata alone.
pub fn round_trip(schema: &Schema, object: &mut Value) {
    let (Some(node), Value::Object(map)) = (schema.node(), object) else { return };
    if schema.is_builtin() {
        structure(node, map);
    } else if let (Some(meta), Some(Value::Object(map))) =
        (node.fields.get("metadata").and_then(Link::node), map.get_mut("metadata"))
    {
        structure(meta, map);
    }
}

/// Returns an object with nothing in it, as the Go types of a built-in kind have it: structures that
/// are no pointers are there, and fields that are never left out are null.
pub(crate) fn empty(schema: &Schema) -> Map<String, Value> {
    match schema.node() {
        Some(node) if schema.is_builtin() => zero(node),
        _ => Map::new(),
    }
}

fn zero(node: &Node) -> Map<String, Value> {
    let fields = node.fields.iter().filter_map(|(name, link)| {
        if link.structure {
            Some((name.clone(), zero(link.node()?).into()))
        } else {
            node.always.contains(name).then(|| (name.clone(), zero_of(link)))
        }
    });
    fields.collect()
}

fn structure(node: &Node, map: &mut Map<String, Value>) {
    for (name, link) in &node.fields {
        let is_unset = map.get(name).is_none_or(Value::is_null);
        if is_unset && link.structure {
            map.insert(name.clone(), Value::Object(Map::new()));
        } else if is_unset && node.always.contains(name) {
            map.insert(name.clone(), zero_of(link));
        }
    }
    map.retain(|name, value| {
        let Some(link) = node.fields.get(name) else { return !value.is_null() };
        let Some(node_below) = link.node() else { return true };
        field(node_below, value);
        if node.omit.contains(name) && is_zero(value) {
            return false;
        }
        let omitted = !node.always.contains(name) && !link.structure;
        !(omitted && (value.is_null() || is_empty(node_below, value)))
    });
}

/// Returns the zero of a field's type: null for what is a slice, map, pointer or time in Go.
fn zero_of(link: &Link) -> Value {
    match link.node().map(|node| (node.kind, node.format.as_deref())) {
        Some((Kind::String, None)) => "".into(),
        Some((Kind::Integer | Kind::Number, _)) => 0.into(),
        Some((Kind::Boolean, _)) => false.into(),
        _ => Value::Null,
    }
}

pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Empty slices and maps are left out; an empty structure is there or not, which is a pointer's.
fn is_empty(node: &Node, value: &Value) -> bool {
    match value {
        Value::Array(items) => node.kind == Kind::Array && items.is_empty(),
        Value::Object(map) => matches!(node.values, Values::Of(_)) && map.is_empty(),
        _ => false,
    }
}

fn field(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) if node.kind == Kind::Object => match &node.values {
            Values::Of(link) => {
                let Some(node) = link.node() else { return };
                for value in map.values_mut() {
                    if value.is_null() && node.kind == Kind::String {
                        *value = "".into();
                    }
                    field(node, value);
                }
            }
            _ if node.fields.is_empty() => {}
            _ => structure(node, map),
        },
        value if node.kind == Kind::Quantity => {
            if let Some(text) = Quantity::of(value).and_then(Quantity::canonical) {
                *value = text.into();
            }
        }
        Value::Array(items) if node.kind == Kind::Array => {
            if let Some(node) = node.items.as_ref().and_then(|link| link.node()) {
                for item in items {
                    field(node, item);
                }
            }
        }
        _ => {}
    }
}
