//! Sets of fields, and their `fieldsV1` form in `metadata.managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::path::{Path, PathElement, PathError};

/// A set of field paths. A field can be a member, hold members, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    pub(crate) members: BTreeSet<PathElement>,
    pub(crate) children: BTreeMap<PathElement, FieldSet>,
}

/// Why a value is not a field set.
#[derive(Debug, thiserror::Error)]
pub enum FieldSetError {
    /// A level of `fieldsV1` is not an object.
    #[error("fields at {path:?} are not an object")]
    NotAnObject {
        /// The keys that lead to the level.
        path: String,
    },
    /// A key of `fieldsV1` cannot be read.
    #[error("failed to read a key of the fields")]
    Key(#[from] PathError),
}

impl FieldSet {
    /// Returns the set of these paths.
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path);
        }
        set
    }

    /// Returns a set of dotted paths of plain field names, such as `metadata.uid`.
    pub fn of_fields<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(paths.into_iter().map(|path| path.split('.').map(PathElement::field).collect()))
    }

    /// Adds a path, without the fields on the way to it. The empty path is no field.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => {
                self.children.entry(first.clone()).or_default().insert(rest);
            }
        }
    }

    /// Returns whether the path itself is a member.
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|set| set.has(rest)),
        }
    }

    /// Returns whether there are no members at any depth.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Returns the number of members at all depths.
    pub fn len(&self) -> usize {
        self.members.len() + self.children.values().map(Self::len).sum::<usize>()
    }

    /// Returns the members below an element.
    pub fn below(&self, element: &PathElement) -> Option<&Self> {
        self.children.get(element)
    }

    /// Returns the members of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.extend(other);
        result
    }

    /// Adds the members of another set.
    pub fn extend(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (element, theirs) in &other.children {
            self.children.entry(element.clone()).or_default().extend(theirs);
        }
    }

    /// Returns the members of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(element, ours)| {
            let both = ours.intersection(other.children.get(element)?);
            (!both.is_empty()).then(|| (element.clone(), both))
        });
        Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: children.collect(),
        }
    }

    /// Returns the members that the other set does not have. A member of the other set takes away
    /// that path alone, not what is below it.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.without(other, false)
    }

    /// Returns the members that are neither in the other set nor below a member of it.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.without(other, true)
    }

    fn without(&self, other: &Self, recursive: bool) -> Self {
        let children = self.children.iter().filter_map(|(element, ours)| {
            if recursive && other.members.contains(element) {
                return None;
            }
            let rest = match other.children.get(element) {
                Some(theirs) => ours.without(theirs, recursive),
                None => ours.clone(),
            };
            (!rest.is_empty()).then(|| (element.clone(), rest))
        });
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: children.collect(),
        }
    }

    /// Returns all paths; at each level members come before what is below the children.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::with_capacity(self.len());
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, prefix: &mut Path, found: &mut Vec<Path>) {
        for member in &self.members {
            let mut path = prefix.clone();
            path.push(member.clone());
            found.push(path);
        }
        for (element, set) in &self.children {
            prefix.push(element.clone());
            set.collect(prefix, found);
            prefix.pop();
        }
    }

    /// Writes the set in the form of `fieldsV1`.
    pub fn to_json(&self) -> Value {
        self.encode(false)
    }

    fn encode(&self, is_member: bool) -> Value {
        let mut map = Map::new();
        if is_member {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        let elements: BTreeSet<&PathElement> =
            self.members.iter().chain(self.children.keys()).collect();
        for element in elements {
            let is_member = self.members.contains(element);
            match self.children.get(element).filter(|set| !set.is_empty()) {
                Some(set) => map.insert(element.encode(), set.encode(is_member)),
                None if is_member => map.insert(element.encode(), Value::Object(Map::new())),
                None => continue,
            };
        }
        Value::Object(map)
    }

    /// Reads the form of `fieldsV1`. Elements of a type that is not known are skipped.
    pub fn from_json(value: &Value) -> Result<Self, FieldSetError> {
        Self::decode(value, "").map(|(set, _)| set)
    }

    /// Returns the set below one key, and whether the key itself is a member.
    fn decode(value: &Value, path: &str) -> Result<(Self, bool), FieldSetError> {
        let Value::Object(map) = value else {
            return Err(FieldSetError::NotAnObject { path: path.to_owned() });
        };
        let mut set = Self::default();
        let mut is_member = map.is_empty();
        for (key, value) in map {
            if key == "." {
                is_member = true;
                continue;
            }
            let element = match PathElement::decode(key) {
                Err(PathError::UnknownType { .. }) => continue,
                element => element?,
            };
            let (below, member) = Self::decode(value, key)?;
            if member {
                set.members.insert(element.clone());
            }
            if !below.is_empty() {
                set.children.insert(element, below);
            }
        }
        Ok((set, is_member))
    }
}

#[cfg(test)]
mod tests;
