//! Typed values: what a schema makes of merging and comparing objects.
//!
//! Source: structured-merge-diff 6.4, as its documentation and behavior show it.

mod check;
mod compare;
mod field_set;
mod items;
mod merge;
mod reconcile;
mod remove;

use serde_json::Value;

use crate::fields::FieldSet;
use crate::path::{Path, PathElement, display};
use crate::schema::Schema;

pub use check::Duplicates;
pub use compare::Comparison;
pub(crate) use reconcile::reconcile;
pub(crate) use remove::{ensure_named, remove};

/// Where and why a value is not of the type that the schema asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct TypeProblem {
    /// Path to the value, such as `.spec.replicas`.
    pub path: String,
    /// What is wrong, such as `expected numeric (int or float), got string`.
    pub what: String,
}

/// An object does not have the types of its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct TypeError(pub Vec<TypeProblem>);

fn list(problems: &[TypeProblem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => {
            let lines = many.iter().map(|problem| format!("\n  {problem}"));
            format!("errors:{}", lines.collect::<String>())
        }
    }
}

/// Collects problems on the way through a value.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<TypeProblem>);

impl Problems {
    pub(crate) fn add(&mut self, path: &[PathElement], what: impl Into<String>) {
        self.0.push(TypeProblem { path: display(path), what: what.into() });
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<T, TypeError> {
        if self.0.is_empty() { Ok(value) } else { Err(TypeError(self.0)) }
    }
}

/// Checks that an object has the types of its schema, and that keyed lists can be told apart.
pub fn check(schema: &Schema, object: &Value, duplicates: Duplicates) -> Result<(), TypeError> {
    check::check(schema.root(), object, duplicates)
}

/// Returns `left` overlaid with `right`: granular maps and keyed lists are merged, all else is
/// replaced. Nothing is removed. New list elements stand where `right` has them in relation to
/// shared ones.
pub fn merge(schema: &Schema, left: &Value, right: &Value) -> Result<Value, TypeError> {
    merge::merge(schema.root(), left, right)
}

/// Returns what changes from `old` to `new`.
pub fn compare(schema: &Schema, old: &Value, new: &Value) -> Result<Comparison, TypeError> {
    compare::compare(schema.root(), old, new)
}

/// Returns the fields that applying this object would own.
pub fn field_set(schema: &Schema, object: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    field_set::collect(schema.root(), object, &mut Path::new(), &mut set);
    set
}

/// Returns the object without the fields of a set and what is below them. Containers that lose all
/// content stay, empty.
pub fn without(schema: &Schema, object: &Value, fields: &FieldSet) -> Value {
    remove(schema.root(), object, fields)
}

/// Returns only the fields of a set, with the keys that identify list elements.
pub fn extract(schema: &Schema, object: &Value, fields: &FieldSet) -> Value {
    remove::extract(schema.root(), object, fields)
}
