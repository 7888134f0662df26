//! Strategic merge of a patch into an object, as kyaml does it.

use serde_json::{Map, Value};

use crate::error::Problem;
use crate::schema::{List, Schema, Type};

/// Merges a patch into an object; `None` when the patch deletes it.
pub(crate) fn strategic(
    object: Value,
    patch: &Value,
    schema: &Schema,
) -> Result<Option<Value>, Problem> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let kind = schema.kind(text("apiVersion"), text("kind"));
    merge(Some(object), patch, kind, None)
}

fn merge(
    object: Option<Value>,
    patch: &Value,
    kind: Option<Type<'_>>,
    list: Option<&List<'_>>,
) -> Result<Option<Value>, Problem> {
    match (object, patch) {
        (_, Value::Null) => Ok(None),
        (None | Some(Value::Null), Value::Object(patch)) => {
            let (directive, patch) = split_directive(patch)?;
            if directive == Directive::Delete {
                return Ok(None);
            }
            merge_fields(Map::new(), &patch, kind).map(Some)
        }
        (Some(Value::Object(fields)), Value::Object(patch)) => {
            let (directive, patch) = split_directive(patch)?;
            match directive {
                Directive::Delete => Ok(None),
                Directive::Replace => Ok(Some(Value::Object(patch))),
                Directive::Merge => merge_fields(fields, &patch, kind).map(Some),
            }
        }
        (None | Some(Value::Null), Value::Array(patch)) => {
            match list.and_then(|list| Some((list, list.merge?))) {
                Some((list, keys)) if !keys.is_empty() => merge_list(Vec::new(), patch, list, keys),
                _ => Ok(Some(Value::Array(patch.clone()))),
            }
        }
        (Some(Value::Array(items)), Value::Array(patch)) => {
            match list.and_then(|list| Some((list, list.merge?))) {
                None => Ok(Some(Value::Array(patch.clone()))),
                Some((_, [])) => Ok(Some(union(items, patch))),
                Some((list, keys)) => merge_list(items, patch, list, keys),
            }
        }
        (Some(object), patch) => {
            let (own, other) = (shape(&object), shape(patch));
            if own == other || object.is_null() {
                return Ok(Some(patch.clone()));
            }
            Err(Problem::rule(format!("wrong node kind: expected {own} but got {other}")))
        }
        (None, scalar) => Ok(Some(scalar.clone())),
    }
}

fn merge_fields(
    mut fields: Map<String, Value>,
    patch: &Map<String, Value>,
    kind: Option<Type<'_>>,
) -> Result<Value, Problem> {
    for (key, value) in patch {
        let inner = kind.and_then(|kind| kind.object(key));
        let list = kind.and_then(|kind| kind.list(key));
        let old = fields.get_mut(key).map(Value::take);
        match merge(old, value, inner, list.as_ref())? {
            Some(merged) => {
                fields.insert(key.clone(), merged);
            }
            None => {
                fields.shift_remove(key);
            }
        }
    }
    Ok(Value::Object(fields))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn split_directive(patch: &Map<String, Value>) -> Result<(Directive, Map<String, Value>), Problem> {
    let mut rest = patch.clone();
    let directive = match rest.shift_remove("$patch") {
        None => Directive::Merge,
        Some(Value::String(text)) if text == "merge" => Directive::Merge,
        Some(Value::String(text)) if text == "replace" => Directive::Replace,
        Some(Value::String(text)) if text == "delete" => Directive::Delete,
        Some(other) => {
            return Err(Problem::rule(format!(
                "unknown patch strategy {other}; use delete, replace or merge"
            )));
        }
    };
    Ok((directive, rest))
}

/// Merges a set of scalars: those of the patch first.
fn union(items: Vec<Value>, patch: &[Value]) -> Value {
    let mut all: Vec<Value> = Vec::with_capacity(items.len() + patch.len());
    for item in patch.iter().cloned().chain(items) {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    Value::Array(all)
}

/// Merges a list of objects told apart by keys: elements of the patch come first.
fn merge_list(
    mut items: Vec<Value>,
    patch: &[Value],
    list: &List<'_>,
    keys: &[String],
) -> Result<Option<Value>, Problem> {
    // An element that is nothing but a directive is about the whole list.
    let whole = patch.iter().find_map(|item| {
        let item = item.as_object()?;
        (item.len() == 1).then(|| item.get("$patch")?.as_str()).flatten()
    });
    match whole {
        Some("delete") => return Ok(None),
        Some("replace") => {
            let only = |item: &&Value| {
                item.as_object().is_none_or(|item| item.len() != 1 || !item.contains_key("$patch"))
            };
            return Ok(Some(patch.iter().filter(only).cloned().collect()));
        }
        _ => {}
    }
    let has = |items: &[Value], key: &String| items.iter().any(|item| item.get(key).is_some());
    let keys: Vec<&String> =
        keys.iter().filter(|key| has(&items, key) || has(patch, key)).collect();
    let (mut merged, mut unkeyed) = (Vec::new(), Vec::new());
    for element in patch {
        let values: Vec<_> = keys.iter().map(|key| text(element.get(*key))).collect();
        if values.iter().all(Option::is_none) {
            unkeyed.push(element.clone());
            continue;
        }
        let at = items.iter().position(|item| same(item, &keys, &values));
        let old = at.map(|at| items.remove(at));
        if let Some(element) = merge(old, element, list.items, None)? {
            let repeated = merged.iter_mut().find(|item| same(item, &keys, &values));
            match repeated {
                Some(repeated) => *repeated = element,
                None => merged.push(element),
            }
        }
    }
    merged.extend(items);
    merged.extend(unkeyed);
    Ok(Some(Value::Array(merged)))
}

fn same(item: &Value, keys: &[&String], values: &[Option<String>]) -> bool {
    let own: Vec<_> = keys.iter().map(|key| text(item.get(*key))).collect();
    // Where one of the two lacks a key it does not tell them apart.
    own.iter().any(Option::is_some)
        && own.iter().zip(values).all(|(a, b)| a.is_none() || b.is_none() || a == b)
        && own.iter().zip(values).any(|(a, b)| a.is_some() && a == b)
}

/// Returns a scalar as the text that it is compared by.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "MappingNode",
        Value::Array(_) => "SequenceNode",
        _ => "ScalarNode",
    }
}
