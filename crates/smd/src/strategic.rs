//! Strategic merge patch: a merge that knows which lists have keys.
//!
//! | in the patch | what it does |
//! |---|---|
//! | `field: null` | removes the field |
//! | `$patch: replace` in a map or list | takes the patch instead of what is there |
//! | `$patch: delete` in a map | empties the map; in a list element, removes the element of that key |
//! | `$retainKeys: [a, b]` | removes all other fields of the map |
//! | `$setElementOrder/list: [...]` | orders the list |
//! | `$deleteFromPrimitiveList/list: [...]` | removes values from the list |
//!
//! Source: `pkg/util/strategicpatch`, apimachinery 0.36.

use serde_json::{Map, Value};

use crate::schema::{Link, Node, Schema, Values};
use crate::value::{equal, go_text};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Why a patch cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StrategicError {
    /// The patch is no object.
    #[error("invalid JSON document")]
    NotAnObject,
    /// `$patch` has a value that means nothing here.
    #[error("unknown patch type: {0}")]
    BadDirective(String),
    /// `$patch: merge` in a list.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeInList,
    /// A list element without the field that tells elements apart.
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The element.
        map: String,
        /// The field.
        key: String,
    },
    /// Objects in a list whose elements cannot be told apart.
    #[error("cannot merge lists without merge key for {0}")]
    KeylessList(String),
    /// The list of a directive is none.
    #[error("invalid patch format of {0}")]
    BadList(&'static str),
    /// The patch has a field that `$retainKeys` does not keep.
    #[error("invalid patch format of retainKeys")]
    NotRetained,
    /// The patch orders a list otherwise than its `$setElementOrder`.
    #[error("The order in patch list:\n{list}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order {
        /// The list in the patch.
        list: String,
        /// The order that the directive gives.
        order: String,
    },
    /// A list of lists, or of elements of several types.
    #[error("lists of lists and lists of different types are not supported")]
    MixedList,
}

/// Changes an object of a kind by a patch.
pub fn merge(schema: &Schema, object: &mut Value, patch: &Value) -> Result<(), StrategicError> {
    let Value::Object(patch) = patch else { return Err(StrategicError::NotAnObject) };
    let original = match object.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    *object = Value::Object(merge_map(schema.node(), original, patch.clone())?);
    Ok(())
}

fn merge_map(
    node: Option<&Node>,
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
) -> Result<Map<String, Value>, StrategicError> {
    if let Some(directive) = patch.shift_remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => Err(StrategicError::BadDirective(go_text(&directive))),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    set_orders(node, &mut original, &mut patch)?;
    for (name, value) in patch {
        if let Some(name) = name.strip_prefix(DELETE_FROM) {
            delete_from(&mut original, name, &value)?;
            continue;
        }
        if value.is_null() {
            original.shift_remove(&name);
            continue;
        }
        let link = link(node, &name);
        let merged = match (original.get_mut(&name).map(Value::take), value) {
            (Some(Value::Object(original)), Value::Object(patch)) => {
                let below = link.and_then(Link::node);
                Some(Value::Object(merge_map(below, original, patch)?))
            }
            (Some(Value::Array(original)), Value::Array(patch)) => {
                Some(Value::Array(merge_list(link, &name, original, patch)?))
            }
            (_, mut value) => {
                discard_nulls(&mut value);
                without_directives(value)
            }
        };
        match merged {
            Some(value) => original.insert(name, value),
            None => original.shift_remove(&name),
        };
    }
    Ok(original)
}

/// Returns what the schema says of a field or of the values of a map.
fn link<'a>(node: Option<&'a Node>, name: &str) -> Option<&'a Link> {
    let node = node?;
    match (node.fields.get(name), &node.values) {
        (Some(link), _) => Some(link),
        (None, Values::Of(link)) => Some(link),
        _ => None,
    }
}

/// `$retainKeys`: drops all other fields.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), StrategicError> {
    let Some(keys) = patch.shift_remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keys) = keys else { return Err(StrategicError::NotRetained) };
    let kept = |name: &str| keys.iter().any(|key| key == name);
    let is_directive = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !kept(name)) {
        return Err(StrategicError::NotRetained);
    }
    original.retain(|name, _| kept(name));
    Ok(())
}

/// `$setElementOrder`: merges the lists that have one, so that they are done.
fn set_orders(
    node: Option<&Node>,
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), StrategicError> {
    let directives: Vec<String> =
        patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let order = list(patch.shift_remove(&directive), "setElementOrder list")?;
        let name = &directive[SET_ORDER.len()..];
        let ours = match original.get_mut(name).map(Value::take) {
            None => None,
            ours => Some(list(ours, "setElementOrder list")?),
        };
        let theirs = match patch.shift_remove(name) {
            None => None,
            theirs => Some(list(theirs, "setElementOrder list")?),
        };
        let link = link(node, name);
        let key = link.and_then(|link| link.patch.key.as_deref());
        check_order(theirs.as_deref().unwrap_or_default(), &order, key)?;
        let (live, merged) = match (ours, theirs) {
            (None, None) => continue,
            (Some(ours), None) => (ours.clone(), ours),
            (None, Some(theirs)) => {
                (Vec::new(), theirs.into_iter().filter_map(without_directives).collect())
            }
            (Some(ours), Some(theirs)) => (ours.clone(), merge_list(link, name, ours, theirs)?),
        };
        let (named, others) = partition(merged, &order, key)?;
        let sorted = in_order(named, others, &order, &live, key);
        original.insert(name.to_owned(), Value::Array(sorted));
    }
    Ok(())
}

fn list(value: Option<Value>, what: &'static str) -> Result<Vec<Value>, StrategicError> {
    match value {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(StrategicError::BadList(what)),
    }
}

/// Elements of the patch have to stand in the order that the directive has for them.
fn check_order(theirs: &[Value], order: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    if order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in theirs.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if !rest.any(|other| is_same(item, other, key)) {
            return Err(StrategicError::Order {
                list: go_text(&theirs.to_vec().into()),
                order: go_text(&order.to_vec().into()),
            });
        }
    }
    Ok(())
}

fn is_same(left: &Value, right: &Value, key: Option<&str>) -> bool {
    match key {
        None => equal(left, right),
        Some(key) => match (left.get(key), right.get(key)) {
            (Some(left), Some(right)) => equal(left, right),
            _ => false,
        },
    }
}

/// `$deleteFromPrimitiveList`.
fn delete_from(
    original: &mut Map<String, Value>,
    name: &str,
    gone: &Value,
) -> Result<(), StrategicError> {
    let Value::Array(gone) = gone else {
        return Err(StrategicError::BadList("primitive list"));
    };
    if let Some(Value::Array(items)) = original.get_mut(name) {
        items.retain(|item| !gone.iter().any(|gone| equal(item, gone)));
    }
    Ok(())
}

fn merge_list(
    link: Option<&Link>,
    name: &str,
    mut original: Vec<Value>,
    patch: Vec<Value>,
) -> Result<Vec<Value>, StrategicError> {
    if !link.is_some_and(|link| link.patch.merge) || (original.is_empty() && patch.is_empty()) {
        return Ok(patch);
    }
    let of_maps = original.iter().chain(&patch).filter(|item| item.is_object()).count();
    let has_lists = original.iter().chain(&patch).any(Value::is_array);
    if has_lists || (of_maps > 0 && of_maps < original.len() + patch.len()) {
        return Err(StrategicError::MixedList);
    }
    if of_maps == 0 {
        let live = original.clone();
        let mut merged: Vec<Value> = Vec::new();
        for item in original.into_iter().chain(patch.iter().cloned()) {
            if !merged.iter().any(|other| equal(other, &item)) {
                merged.push(item);
            }
        }
        let (named, others) = partition(merged, &patch, None)?;
        return Ok(in_order(named, others, &patch, &live, None));
    }
    let Some(key) = link.and_then(|link| link.patch.key.as_deref()) else {
        return Err(StrategicError::KeylessList(name.to_owned()));
    };
    let patch = match special_elements(&mut original, patch, key)? {
        Special::Replace(patch) => return Ok(patch),
        Special::Merge(patch) => patch,
    };
    let node = link
        .and_then(Link::node)
        .and_then(|list| list.items.as_ref())
        .and_then(|items| items.node());
    let mut merged = original.clone();
    for item in &patch {
        if item.get(key).is_none() {
            return Err(no_key(item, key));
        }
        let place = merged.iter().position(|other| is_same(other, item, Some(key)));
        match (place, item) {
            (Some(place), Value::Object(item)) => {
                let ours = match merged[place].take() {
                    Value::Object(ours) => ours,
                    _ => Map::new(),
                };
                merged[place] = Value::Object(merge_map(node, ours, item.clone())?);
            }
            _ => merged.push(item.clone()),
        }
    }
    let (named, others) = partition(merged, &patch, Some(key))?;
    Ok(in_order(named, others, &patch, &original, Some(key)))
}

fn no_key(item: &Value, key: &str) -> StrategicError {
    StrategicError::NoMergeKey { map: go_text(item), key: key.to_owned() }
}

enum Special {
    /// The patch without its directives is the whole list.
    Replace(Vec<Value>),
    Merge(Vec<Value>),
}

/// Elements with `$patch`: deletes what they name.
fn special_elements(
    original: &mut Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<Special, StrategicError> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("replace") => replace = true,
            Some("merge") => return Err(StrategicError::MergeInList),
            Some("delete") if item.get(key).is_some() => {
                original.retain(|other| !is_same(other, &item, Some(key)));
            }
            Some("delete") => return Err(no_key(&item, key)),
            _ => return Err(StrategicError::BadDirective(go_text(directive))),
        }
    }
    Ok(if replace { Special::Replace(rest) } else { Special::Merge(rest) })
}

/// Splits a list into elements that are in another one and those that are not.
fn partition(
    items: Vec<Value>,
    by: &[Value],
    key: Option<&str>,
) -> Result<(Vec<Value>, Vec<Value>), StrategicError> {
    if let Some(key) = key
        && let Some(item) = items.iter().find(|item| item.get(key).is_none())
    {
        return Err(no_key(item, key));
    }
    Ok(items.into_iter().partition(|item| by.iter().any(|other| is_same(item, other, key))))
}

/// Puts named elements in the given order, and the others before those that they stood before.
fn in_order(
    mut named: Vec<Value>,
    mut others: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let place =
        |list: &[Value], item: &Value| list.iter().position(|other| is_same(other, item, key));
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(live, item));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let before = place(live, &item);
        while let Some(other) = others.next_if(|other| match (place(live, other), before) {
            (Some(other), Some(before)) => other < before,
            _ => false,
        }) {
            sorted.push(other);
        }
        sorted.push(item);
    }
    sorted.extend(others);
    sorted
}

/// Returns a value without the maps that are directives.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(
            map.into_iter()
                .filter_map(|(name, value)| Some((name, without_directives(value)?)))
                .collect(),
        )),
        Value::Array(items) => {
            Some(Value::Array(items.into_iter().filter_map(without_directives).collect()))
        }
        scalar => Some(scalar),
    }
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
