//! Checking that values have the types of their schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Problems, TypeError, items};
use crate::path::{Path, PathElement};
use crate::schema::{List, ListType, MapType, Scalar, Type};
use crate::value;

/// Whether two elements of a keyed list may have the same key. Live objects may hold such; an
/// applied configuration may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
}

pub(super) fn check(
    root: Type<'_>,
    value: &Value,
    duplicates: Duplicates,
) -> Result<(), TypeError> {
    let mut walk = Walk { duplicates, path: Path::new(), problems: Problems::default() };
    walk.visit(root, value);
    walk.problems.into_result(())
}

/// Returns why a value is not of a scalar type. Null is of every type.
pub(super) fn scalar_problem(scalar: Scalar, value: Option<&Value>) -> Option<String> {
    let value = value.filter(|value| !value.is_null())?;
    match scalar {
        Scalar::Numeric => (!value.is_number())
            .then(|| format!("expected numeric (int or float), got {}", name_of(value))),
        Scalar::String => (!value.is_string()).then(|| {
            // The real one shows the structure that it holds the value in.
            let shown = value::go_syntax(value);
            format!("expected string, got &value.valueUnstructured{{Value:{shown}}}")
        }),
        Scalar::Boolean => {
            (!value.is_boolean()).then(|| format!("expected boolean, got {}", pointed(value)))
        }
        Scalar::Untyped => (value.is_array() || value.is_object())
            .then(|| format!("expected any scalar, got {}", pointed(value))),
    }
}

fn pointed(value: &Value) -> String {
    format!("&{{{}}}", value::go_text(value))
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Number(_) | Value::Null => "number",
    }
}

struct Walk {
    duplicates: Duplicates,
    path: Path,
    problems: Problems,
}

impl Walk {
    fn visit(&mut self, kind: Type<'_>, value: &Value) {
        let atom = kind.atom().deduce(Some(value));
        if let Some(map) = atom.map {
            self.map(map, value);
        } else if let Some(scalar) = atom.scalar {
            if let Some(problem) = scalar_problem(scalar, Some(value)) {
                self.problems.add(&self.path, problem);
            }
        } else if let Some(list) = atom.list {
            self.list(list, value);
        }
    }

    fn below(&mut self, element: PathElement, kind: Type<'_>, value: &Value) {
        self.path.push(element);
        self.visit(kind, value);
        self.path.pop();
    }

    fn map(&mut self, map: MapType<'_>, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(kind) = map.field(name) {
                        self.below(PathElement::field(name), kind, field);
                    } else {
                        self.path.push(PathElement::field(name));
                        self.problems.add(&self.path, "field not declared in schema");
                        self.path.pop();
                    }
                }
            }
            other => {
                self.problems.add(&self.path, format!("expected map, got {}", pointed(other)));
            }
        }
    }

    fn list(&mut self, list: ListType<'_>, value: &Value) {
        let items = match value {
            Value::Null => return,
            Value::Array(items) => items,
            other => {
                self.problems.add(&self.path, format!("expected list, got {}", pointed(other)));
                return;
            }
        };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = if *list.list == List::Atomic {
                PathElement::Index(index)
            } else {
                match items::element(list, item) {
                    Ok(element) => element,
                    Err(why) => {
                        self.problems.add(&self.path, format!("element {index}: {why}"));
                        return;
                    }
                }
            };
            if !seen.insert(element.clone()) && self.duplicates == Duplicates::Refused {
                self.problems.add(&self.path, format!("duplicate entries for key {element}"));
            }
            self.below(element, list.items, item);
        }
    }
}
