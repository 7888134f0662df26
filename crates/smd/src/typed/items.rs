//! How elements of keyed lists and sets are told apart.

use serde_json::Value;

use crate::path::PathElement;
use crate::schema::{List, ListType};

/// Returns the path element of a list element, or why it has none.
pub(super) fn element(list: ListType<'_>, item: &Value) -> Result<PathElement, String> {
    match list.list {
        List::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        List::Set => of_set(item),
        List::Map(keys) if keys.is_empty() => of_set(item),
        List::Map(keys) => of_map(list, keys, item),
    }
}

fn of_set(item: &Value) -> Result<PathElement, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type"),
        Value::Array(_) => Err("not supported: associative list with lists as elements"),
        Value::Null => Err("associative list without keys has an element that's an explicit null"),
        scalar => Ok(PathElement::Value(scalar.clone())),
    }
    .map_err(str::to_owned)
}

fn of_map(list: ListType<'_>, keys: &[String], item: &Value) -> Result<PathElement, String> {
    let Value::Object(map) = item else {
        let what = if item.is_null() { "a null element" } else { "non-map elements" };
        return Err(format!("associative list with keys may not have {what}"));
    };
    let fields = list.items.atom().map;
    let found: Vec<(&String, Value)> = keys
        .iter()
        .filter_map(|key| {
            let default = || fields.and_then(|fields| fields.default(key));
            Some((key, map.get(key).or_else(default)?.clone()))
        })
        .collect();
    if found.is_empty() {
        let keys = keys.iter().map(|key| crate::value::quote(key)).collect::<Vec<_>>().join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{keys}] (and \
             doesn't have default values for any key fields)"
        ));
    }
    Ok(PathElement::key(found.into_iter().map(|(key, value)| (key.clone(), value))))
}
