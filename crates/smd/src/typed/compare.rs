//! Comparing two values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check::scalar_problem;
use super::{Problems, TypeError, items};
use crate::fields::FieldSet;
use crate::path::{Path, PathElement};
use crate::schema::{Atom, List, ListType, MapType, Type};
use crate::value;

/// What changed between two objects. No field is in more than one of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that the old object does not have.
    pub added: FieldSet,
    /// Fields that both have, with different values.
    pub modified: FieldSet,
    /// Fields that the new object does not have.
    pub removed: FieldSet,
}

impl Comparison {
    /// Returns whether nothing changed.
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Returns the fields that were added or modified.
    pub fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    /// Leaves out the fields of a set and all below them.
    #[must_use]
    pub fn without(&self, fields: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            removed: self.removed.recursive_difference(fields),
        }
    }
}

pub(super) fn compare(root: Type<'_>, old: &Value, new: &Value) -> Result<Comparison, TypeError> {
    let mut walk =
        Walk { path: Path::new(), found: Comparison::default(), problems: Problems::default() };
    walk.visit(root, Some(old), Some(new));
    let Walk { found, problems, .. } = walk;
    problems.into_result(found)
}

struct Walk {
    path: Path,
    found: Comparison,
    problems: Problems,
}

impl Walk {
    fn visit(&mut self, kind: Type<'_>, old: Option<&Value>, new: Option<&Value>) {
        let atom = kind.atom();
        let (of_old, of_new) = (atom.deduce(old), atom.deduce(new));
        let leaf = if new.is_none() {
            self.with(of_old, old, new)
        } else if old.is_none() || of_old.same_forms(&of_new) {
            self.with(of_new, old, new)
        } else {
            self.with(of_old, old, new);
            self.with(of_new, old, new)
        };
        if !leaf && old.is_none() {
            self.found.added.insert(&self.path);
        } else if !leaf && new.is_none() {
            self.found.removed.insert(&self.path);
        }
    }

    /// Compares in one form; returns whether the value is a leaf in it.
    fn with(&mut self, atom: Atom<'_>, old: Option<&Value>, new: Option<&Value>) -> bool {
        if let Some(map) = atom.map {
            let (ours, theirs) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            let is_empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            if map.atomic || (is_empty(ours) && is_empty(theirs)) {
                self.leaf(old, new);
                return true;
            }
            self.map(map, ours, theirs);
        } else if let Some(scalar) = atom.scalar {
            if let (Some(_), Some(problem)) =
                (scalar_problem(scalar, old), scalar_problem(scalar, new))
            {
                self.problems.add(&self.path, problem);
                return false;
            }
            self.leaf(old, new);
            return true;
        } else if let Some(list) = atom.list {
            let (ours, theirs) = (items_of(old), items_of(new));
            if *list.list == List::Atomic || (ours.is_empty() && theirs.is_empty()) {
                self.leaf(old, new);
                return true;
            }
            self.list(list, ours, theirs);
        }
        false
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(old), Some(new)) if !value::equal(old, new) => {
                self.found.modified.insert(&self.path);
            }
            _ => {}
        }
    }

    fn below(
        &mut self,
        element: PathElement,
        kind: Type<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        self.path.push(element);
        self.visit(kind, old, new);
        self.path.pop();
    }

    fn map(
        &mut self,
        map: MapType<'_>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
    ) {
        let names = old.into_iter().chain(new).flat_map(Map::keys);
        let mut seen = std::collections::BTreeSet::new();
        for name in names.filter(|name| seen.insert(*name)) {
            let kind = map.field(name).unwrap_or(Type::Deduced);
            let (old, new) = (old.and_then(|map| map.get(name)), new.and_then(|map| map.get(name)));
            self.below(PathElement::field(name), kind, old, new);
        }
    }

    fn list(&mut self, list: ListType<'_>, old: &[Value], new: &[Value]) {
        let mut elements: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (index, item) in old.iter().enumerate() {
            match items::element(list, item) {
                Ok(element) => elements.entry(element).or_default().0.push(item),
                Err(why) => self.problems.add(&self.path, format!("element {index}: {why}")),
            }
        }
        for (index, item) in new.iter().enumerate() {
            match items::element(list, item) {
                Ok(element) => elements.entry(element).or_default().1.push(item),
                Err(why) => self.problems.add(&self.path, format!("element {index}: {why}")),
            }
        }
        for (element, (old, new)) in elements {
            let at = |walk: &Self| -> Path {
                walk.path.iter().cloned().chain([element.clone()]).collect()
            };
            match (old.as_slice(), new.as_slice()) {
                // Duplicates count as one atomic value.
                ([_, _, ..], [_, _, ..]) => {
                    let same = old.len() == new.len()
                        && old.iter().zip(&new).all(|(old, new)| value::equal(old, new));
                    if !same {
                        self.found.modified.insert(&at(self));
                    }
                }
                ([_, _, ..], _) => {
                    if let Some(new) = new.first() {
                        self.below(element.clone(), list.items, None, Some(new));
                    }
                    self.found.removed.insert(&at(self));
                }
                (_, [_, _, ..]) => {
                    if let Some(old) = old.first() {
                        self.below(element.clone(), list.items, Some(old), None);
                    }
                    self.found.added.insert(&at(self));
                }
                _ => self.below(
                    element.clone(),
                    list.items,
                    old.first().copied(),
                    new.first().copied(),
                ),
            }
        }
    }
}

fn items_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
