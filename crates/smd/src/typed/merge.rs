//! Merging two values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::check::scalar_problem;
use super::{Problems, TypeError, items};
use crate::path::{Path, PathElement};
use crate::schema::{Atom, List, ListType, MapType, Type};

pub(super) fn merge(root: Type<'_>, left: &Value, right: &Value) -> Result<Value, TypeError> {
    let mut walk = Walk { path: Path::new(), problems: Problems::default() };
    let merged = walk.visit(root, Some(left), Some(right)).unwrap_or_default();
    walk.problems.into_result(merged)
}

struct Walk {
    path: Path,
    problems: Problems,
}

impl Walk {
    fn visit(
        &mut self,
        kind: Type<'_>,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> Option<Value> {
        let atom = kind.atom();
        // The right side decides the form; null takes any.
        let atom = if right.is_some() { atom.deduce(right) } else { atom.deduce(left) };
        self.with(atom, left, right)
    }

    fn with(
        &mut self,
        atom: Atom<'_>,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> Option<Value> {
        let leaf = || right.or(left).cloned();
        if let Some(map) = atom.map {
            let (ours, theirs) =
                (left.and_then(Value::as_object), right.and_then(Value::as_object));
            let is_empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            if map.atomic || (is_empty(ours) && is_empty(theirs)) {
                return leaf();
            }
            self.map(map, ours, theirs)
        } else if let Some(scalar) = atom.scalar {
            let problems = (scalar_problem(scalar, left), scalar_problem(scalar, right));
            if let (Some(_), Some(problem)) = problems {
                self.problems.add(&self.path, problem);
                return None;
            }
            leaf()
        } else if let Some(list) = atom.list {
            let (ours, theirs) = (items_of(left), items_of(right));
            if *list.list == List::Atomic || (ours.is_empty() && theirs.is_empty()) {
                return leaf();
            }
            self.list(list, ours, theirs)
        } else {
            leaf()
        }
    }

    fn below(
        &mut self,
        element: PathElement,
        kind: Type<'_>,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> Option<Value> {
        self.path.push(element);
        let merged = self.visit(kind, left, right);
        self.path.pop();
        merged
    }

    fn map(
        &mut self,
        map: MapType<'_>,
        left: Option<&Map<String, Value>>,
        right: Option<&Map<String, Value>>,
    ) -> Option<Value> {
        let mut merged = Map::new();
        let ours = left
            .into_iter()
            .flatten()
            .map(|(name, value)| (name, Some(value), right.and_then(|right| right.get(name))));
        let theirs = right.into_iter().flatten().filter_map(|(name, value)| {
            let new = left.is_none_or(|left| !left.contains_key(name));
            new.then_some((name, None, Some(value)))
        });
        for (name, left, right) in ours.chain(theirs) {
            // A field that is not declared is merged as one of which nothing is known.
            let kind = map.field(name).unwrap_or(Type::Deduced);
            if let Some(value) = self.below(PathElement::field(name), kind, left, right) {
                merged.insert(name.clone(), value);
            }
        }
        (!merged.is_empty()).then_some(Value::Object(merged))
    }

    /// Elements of the left side keep their order unless the right side has another one for those
    /// that both have; new elements stand where the right side has them.
    fn list(&mut self, list: ListType<'_>, left: &[Value], right: &[Value]) -> Option<Value> {
        let ours = self.elements(list, left);
        let theirs = self.elements(list, right);
        let their_keys: BTreeSet<&PathElement> = theirs.iter().map(|(key, _)| key).collect();
        if their_keys.len() < theirs.len() {
            let mut seen = BTreeSet::new();
            for (key, _) in theirs.iter().filter(|(key, _)| !seen.insert(key)) {
                self.problems.add(&self.path, format!("duplicate entries for key {key}"));
            }
            return None;
        }
        // Duplicates of the left side are not merged with the element that replaces them.
        let mut our_items: BTreeMap<&PathElement, Option<&Value>> = BTreeMap::new();
        for (key, item) in &ours {
            our_items
                .entry(key)
                .and_modify(|item| *item = Some(&Value::Null))
                .or_insert(Some(item));
        }
        let our_item = |key: &PathElement| our_items.get(key).copied().flatten();
        let shared: Vec<&PathElement> =
            theirs.iter().map(|(key, _)| key).filter(|key| our_items.contains_key(*key)).collect();
        let mut next_shared = 0;
        let mut merged = Vec::with_capacity(left.len().max(right.len()));
        let mut done = BTreeSet::new();
        let (mut l, mut r) = (0, 0);
        while l < ours.len() || r < theirs.len() {
            if let (Some((our_key, _)), Some((their_key, their_item))) =
                (ours.get(l), theirs.get(r))
            {
                if our_key == their_key {
                    done.insert(our_key);
                    merged.extend(self.below(
                        our_key.clone(),
                        list.items,
                        our_item(our_key),
                        Some(their_item),
                    ));
                    l += 1;
                    r += 1;
                    next_shared += 1;
                    continue;
                }
                if their_keys.contains(our_key)
                    && shared.get(next_shared).is_some_and(|next| *next != our_key)
                {
                    // Shared, but not the one whose turn it is.
                    l += 1;
                    continue;
                }
            }
            if let Some((our_key, item)) = ours.get(l) {
                if !their_keys.contains(our_key) {
                    merged.extend(self.below(our_key.clone(), list.items, Some(item), None));
                    l += 1;
                    continue;
                }
                if done.contains(our_key) {
                    l += 1;
                }
            }
            if let Some((their_key, item)) = theirs.get(r) {
                done.insert(their_key);
                merged.extend(self.below(
                    their_key.clone(),
                    list.items,
                    our_item(their_key),
                    Some(item),
                ));
                r += 1;
                if shared.get(next_shared).is_some_and(|next| *next == their_key) {
                    next_shared += 1;
                }
            }
        }
        (!merged.is_empty()).then_some(Value::Array(merged))
    }

    fn elements<'v>(
        &mut self,
        list: ListType<'_>,
        values: &'v [Value],
    ) -> Vec<(PathElement, &'v Value)> {
        let mut found = Vec::with_capacity(values.len());
        for (index, item) in values.iter().enumerate() {
            match items::element(list, item) {
                Ok(element) => found.push((element, item)),
                Err(why) => self.problems.add(&self.path, format!("element {index}: {why}")),
            }
        }
        found
    }
}

fn items_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
