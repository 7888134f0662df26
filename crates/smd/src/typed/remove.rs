//! Taking fields out of a value.

use serde_json::{Map, Value};

use super::items;
use crate::fields::FieldSet;
use crate::path::PathElement;
use crate::schema::{List, Type};

/// Returns the value without the fields. A container that loses all content stays, empty.
pub(crate) fn remove(kind: Type<'_>, value: &Value, fields: &FieldSet) -> Value {
    let atom = kind.atom().deduce(Some(value));
    match value {
        Value::Object(map) => {
            let mut rest = Map::new();
            if let Some(map_type) = atom.map.filter(|map_type| !map_type.atomic) {
                for (name, field) in map {
                    let element = PathElement::field(name);
                    if fields.members.contains(&element) {
                        continue;
                    }
                    let field = match fields.below(&element).filter(|below| !below.is_empty()) {
                        Some(below) => {
                            remove(map_type.field(name).unwrap_or(Type::Deduced), field, below)
                        }
                        None => field.clone(),
                    };
                    rest.insert(name.clone(), field);
                }
            }
            Value::Object(rest)
        }
        Value::Array(list) => {
            let mut rest = Vec::new();
            if let Some(list_type) = atom.list.filter(|list| *list.list != List::Atomic) {
                for item in list {
                    let Ok(element) = items::element(list_type, item) else {
                        rest.push(item.clone());
                        continue;
                    };
                    if fields.members.contains(&element) {
                        continue;
                    }
                    rest.push(match fields.below(&element).filter(|below| !below.is_empty()) {
                        Some(below) => remove(list_type.items, item, below),
                        None => item.clone(),
                    });
                }
            }
            Value::Array(rest)
        }
        scalar => scalar.clone(),
    }
}

/// Returns only the fields of the set, with the keys of the list elements they are in.
pub(crate) fn extract(kind: Type<'_>, value: &Value, fields: &FieldSet) -> Value {
    let atom = kind.atom().deduce(Some(value));
    match value {
        Value::Object(map) => {
            let Some(map_type) = atom.map.filter(|map_type| !map_type.atomic) else {
                return value.clone();
            };
            let mut kept = Map::new();
            for (name, field) in map {
                let element = PathElement::field(name);
                let below = fields.below(&element).filter(|below| !below.is_empty());
                if let Some(below) = below {
                    let kind = map_type.field(name).unwrap_or(Type::Deduced);
                    kept.insert(name.clone(), extract(kind, field, below));
                } else if fields.members.contains(&element) {
                    kept.insert(name.clone(), field.clone());
                }
            }
            Value::Object(kept)
        }
        Value::Array(list) => {
            let Some(list_type) = atom.list.filter(|list_type| *list_type.list != List::Atomic)
            else {
                return value.clone();
            };
            let mut kept = Vec::new();
            for item in list {
                let Ok(element) = items::element(list_type, item) else { continue };
                let below = fields.below(&element).filter(|below| !below.is_empty());
                let mut part = match below {
                    Some(below) => extract(list_type.items, item, below),
                    None if fields.members.contains(&element) => item.clone(),
                    None => continue,
                };
                if let (PathElement::Key(keys), Value::Object(part)) = (&element, &mut part) {
                    for (name, key) in keys.iter().filter(|(name, _)| item.get(name).is_some()) {
                        part.insert(name.clone(), key.clone());
                    }
                }
                kept.push(part);
            }
            Value::Array(kept)
        }
        scalar => scalar.clone(),
    }
}

/// Returns the set with the declared fields that lead to its members: who owns `spec.replicas`
/// counts as owner of `spec`, as long as `spec` is a field and no key of a map.
pub(crate) fn ensure_named(kind: Option<Type<'_>>, set: &FieldSet) -> FieldSet {
    let atom = kind.map(Type::atom).unwrap_or_default();
    let mut members = set.members.clone();
    let mut children = std::collections::BTreeMap::new();
    for (element, below) in &set.children {
        let kind = match element {
            PathElement::Field(name) => {
                if atom.map.is_some_and(|map| map.declares(name)) {
                    members.insert(element.clone());
                }
                atom.map.and_then(|map| map.field(name))
            }
            PathElement::Key(_) => atom.list.map(|list| list.items),
            PathElement::Value(_) | PathElement::Index(_) => None,
        };
        children.insert(element.clone(), ensure_named(kind, below));
    }
    FieldSet { members, children }
}
