//! The fields that an object has.

use std::collections::BTreeMap;

use serde_json::Value;

use super::items;
use crate::fields::FieldSet;
use crate::path::{Path, PathElement};
use crate::schema::{List, ListType, MapType, Type};

/// Adds the fields of a value. What cannot be told apart is left out; [`super::check`] refuses it.
pub(super) fn collect(kind: Type<'_>, value: &Value, path: &mut Path, set: &mut FieldSet) {
    let atom = kind.atom().deduce(Some(value));
    if let Some(map) = atom.map {
        of_map(map, value, path, set);
    } else if atom.scalar.is_some() {
        set.insert(path);
    } else if let Some(list) = atom.list {
        of_list(list, value, path, set);
    }
}

fn of_map(map: MapType<'_>, value: &Value, path: &mut Path, set: &mut FieldSet) {
    if map.atomic {
        set.insert(path);
        return;
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        path.push(PathElement::field(name));
        if let Some(kind) = map.field(name) {
            collect(kind, field, path, set);
        }
        let is_empty = field.is_null() || field.as_object().is_some_and(serde_json::Map::is_empty);
        if is_empty || !map.declares(name) {
            set.insert(path);
        }
        path.pop();
    }
}

fn of_list(list: ListType<'_>, value: &Value, path: &mut Path, set: &mut FieldSet) {
    if *list.list == List::Atomic {
        set.insert(path);
        return;
    }
    let elements: Vec<(PathElement, &Value)> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| Some((items::element(list, item).ok()?, item)))
        .collect();
    let mut counts: BTreeMap<&PathElement, usize> = BTreeMap::new();
    for (element, _) in &elements {
        *counts.entry(element).or_default() += 1;
    }
    for (element, item) in &elements {
        path.push(element.clone());
        // Duplicates are owned as one, without what is below them.
        if counts.get(element) == Some(&1) {
            collect(list.items, item, path, set);
        }
        set.insert(path);
        path.pop();
    }
}
