//! Custom resources against the schema of their definition.
//!
//! Source: `pkg/validation/validate`, kube-openapi, as apiextensions-apiserver 0.36 uses it.

use serde_json::{Map, Value};

use super::{FieldError, format};
use crate::schema::{Checks, Kind, Link, List, Node, Schema, Values};
use crate::value::{compare, equal, quote};

/// Checks an object of a custom kind against its schema.
///
/// `old` is what it replaces: what was invalid before and is unchanged stays allowed, so that a
/// stricter schema does not keep objects from being written.
pub fn custom(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let Some(node) = schema.node() else { return Vec::new() };
    let mut errors = check(node, object, old, "").errors;
    embedded(node, object, "", true, &mut errors);
    let had_duplicates = old.is_some_and(|old| {
        let mut found = Vec::new();
        duplicates(node, old, "", &mut found);
        !found.is_empty()
    });
    if !had_duplicates {
        duplicates(node, object, "", &mut errors);
    }
    errors
}

/// Errors, and how many checks passed: the best of several alternatives is reported.
#[derive(Default)]
struct Outcome {
    errors: Vec<FieldError>,
    matches: usize,
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.matches += other.matches;
    }

    fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// Adds the result of one group of checks.
    fn step(&mut self, error: Option<FieldError>) {
        self.errors.extend(error);
        self.matches += 1;
    }
}

fn check(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    // Nothing changed here, at whatever it was checked when it was written.
    if old.is_some_and(|old| equal(old, value)) {
        return outcome;
    }
    outcome.step(type_error(node, value, path));
    let checks = node.checks.as_deref();
    if value.is_null() {
        outcome.step(checks.and_then(|checks| choice(checks, value, path)));
        return outcome;
    }
    if let Some(checks) = checks {
        combined(checks, value, path, &mut outcome);
    }
    match value {
        Value::String(text) => {
            outcome.step(checks.and_then(|checks| string(checks, text, path)));
            if matches!(node.kind, Kind::String | Kind::Any)
                && let Some(name) = &node.format
            {
                let error = (!format::matches(name, text)).then(|| {
                    let what = format!("{path} in body must be of type {name}: {}", quote(text));
                    FieldError::of_type(path, value, &what)
                });
                outcome.step(error);
            }
        }
        Value::Number(_) => number(node, value, path, &mut outcome),
        Value::Array(items) => list(node, items, old, path, &mut outcome),
        Value::Object(map) => object(node, map, old, path, &mut outcome),
        Value::Bool(_) | Value::Null => {}
    }
    outcome.step(checks.and_then(|checks| choice(checks, value, path)));
    outcome
}

fn type_error(node: &Node, value: &Value, path: &str) -> Option<FieldError> {
    let (expected, fits) = match node.kind {
        Kind::Any | Kind::Quantity | Kind::Raw => return None,
        Kind::Object => ("object", value.is_object()),
        Kind::Array => ("array", value.is_array()),
        Kind::String => ("string", value.is_string()),
        Kind::Boolean => ("boolean", value.is_boolean()),
        Kind::Number => ("number", value.is_number()),
        Kind::Integer => ("integer", is_integer(value)),
        Kind::IntOrString => ("integer,string", is_integer(value) || value.is_string()),
    };
    if fits || (value.is_null() && node.nullable) {
        return None;
    }
    // The format says more than the type, where there is one, unless text or lists are given.
    if let Some(format) = node.format.as_deref()
        && !matches!(value, Value::String(_) | Value::Array(_) | Value::Null)
    {
        let actual = match value {
            Value::Number(number) if number.is_f64() => "float64",
            Value::Number(_) => "int64",
            _ => "",
        };
        let what = format!("{path} in body must be of type {format}: {}", quote(actual));
        return Some(FieldError::of_type(path, &actual.into(), &what));
    }
    let actual = type_name(value);
    let what = format!("{path} in body must be of type {expected}: {}", quote(actual));
    Some(FieldError::of_type(path, &actual.into(), &what))
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|value| value.fract() == 0.0)
}

/// Returns the type of a value, as schemas name it; a number is an `integer` unless it is a float.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn choice(checks: &Checks, value: &Value, path: &str) -> Option<FieldError> {
    let choices = checks.choices.as_ref()?;
    let found = choices.iter().any(|choice| equal(choice, value));
    (!found).then(|| FieldError::unsupported(path, value, choices))
}

fn string(checks: &Checks, text: &str, path: &str) -> Option<FieldError> {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(limit) = checks.max_length.filter(|limit| length > *limit) {
        return Some(FieldError::too_long(path, limit));
    }
    let invalid = |what: String| {
        Some(FieldError::invalid(path, &text.into(), &format!("{path} in body should {what}")))
    };
    if let Some(limit) = checks.min_length.filter(|limit| length < *limit) {
        return invalid(format!("be at least {limit} chars long"));
    }
    let pattern = checks.pattern.as_ref()?;
    match pattern.is_match(text) {
        Some(true) => None,
        Some(false) => invalid(format!("match '{}'", pattern.text)),
        None => invalid(format!("match '{}, but pattern is invalid'", pattern.text)),
    }
}

fn number(node: &Node, value: &Value, path: &str, outcome: &mut Outcome) {
    if node.format.as_deref() == Some("int32")
        && node.kind == Kind::Integer
        && value.as_i64().is_none_or(|value| i32::try_from(value).is_err())
    {
        outcome.errors.push(FieldError::invalid(
            "<nil>",
            &"".into(),
            &format!("Checked value must be of type integer with format int32 in {path}"),
        ));
    }
    let Some(checks) = node.checks.as_deref() else { return };
    let mut refuse = |what: String| {
        outcome.errors.push(FieldError::invalid(
            path,
            value,
            &format!("{path} in body should {what}"),
        ));
    };
    if let (Some(factor), Some(number)) = (checks.multiple_of, value.as_f64())
        && factor > 0.0
        && ((number / factor) - (number / factor).round()).abs() > f64::EPSILON
    {
        refuse(format!("be a multiple of {factor}"));
    }
    if let Some(limit) = &checks.maximum {
        let order = compare(value, limit);
        if checks.exclusive_maximum && order.is_ge() {
            refuse(format!("be less than {limit}"));
        } else if !checks.exclusive_maximum && order.is_gt() {
            refuse(format!("be less than or equal to {limit}"));
        }
    }
    if let Some(limit) = &checks.minimum {
        let order = compare(value, limit);
        if checks.exclusive_minimum && order.is_le() {
            refuse(format!("be greater than {limit}"));
        } else if !checks.exclusive_minimum && order.is_lt() {
            refuse(format!("be greater than or equal to {limit}"));
        }
    }
    outcome.matches += 1;
}

fn list(node: &Node, items: &[Value], old: Option<&Value>, path: &str, outcome: &mut Outcome) {
    if let Some(below) = node.items.as_ref().and_then(|link| link.node()) {
        for (index, item) in items.iter().enumerate() {
            let old = old.and_then(|old| counterpart(&node.list, item, old));
            outcome.merge(check(below, item, old, &format!("{path}[{index}]")));
        }
    }
    if let Some(checks) = node.checks.as_deref() {
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if let Some(limit) = checks.min_items.filter(|limit| count < *limit) {
            let what = format!("{path} in body should have at least {limit} items");
            outcome.errors.push(FieldError::invalid(path, &count.into(), &what));
        }
        if let Some(limit) = checks.max_items.filter(|limit| count > *limit) {
            outcome.errors.push(FieldError::too_many(path, items.len(), limit));
        }
        if checks.unique_items
            && items
                .iter()
                .enumerate()
                .any(|(index, item)| items[..index].iter().any(|other| equal(item, other)))
        {
            let what = format!("{path} in body shouldn't contain duplicates");
            outcome.errors.push(FieldError::invalid(path, &"".into(), &what));
        }
    }
    outcome.matches += 1;
}

/// Returns the element of the old list that has the same keys.
fn counterpart<'a>(list: &List, item: &Value, old: &'a Value) -> Option<&'a Value> {
    let List::Map(keys) = list else { return None };
    old.as_array()?.iter().find(|old| {
        keys.iter().all(|key| match (old.get(key), item.get(key)) {
            (Some(old), Some(new)) => equal(old, new),
            (old, new) => old.is_none() && new.is_none(),
        })
    })
}

fn object(
    node: &Node,
    map: &Map<String, Value>,
    old: Option<&Value>,
    path: &str,
    outcome: &mut Outcome,
) {
    let old_field = |name: &str| old.and_then(|old| old.get(name));
    if let Some(checks) = node.checks.as_deref() {
        let count = u64::try_from(map.len()).unwrap_or(u64::MAX);
        if let Some(limit) = checks.min_properties.filter(|limit| count < *limit) {
            let what = format!("{path} in body should have at least {limit} properties");
            outcome.errors.push(FieldError::invalid(path, &count.into(), &what));
        }
        if let Some(limit) = checks.max_properties.filter(|limit| count > *limit) {
            outcome.errors.push(FieldError::too_many(path, map.len(), limit));
        }
    }
    for (name, value) in map {
        let declared = match (node.fields.get(name), &node.values) {
            (Some(link), _) => link.node(),
            (None, Values::Of(link)) => link.node(),
            (None, Values::Forbidden) => {
                let what = format!("{path}.{name} in body is a forbidden property");
                outcome.errors.push(FieldError::invalid(path, &name.as_str().into(), &what));
                None
            }
            (None, _) => None,
        };
        if let Some(below) = declared {
            outcome.merge(check(below, value, old_field(name), &join(path, name)));
        }
    }
    for name in node.required.iter().filter(|name| !map.contains_key(*name)) {
        outcome.errors.push(FieldError::required(&join(path, name), ""));
    }
    outcome.matches += 1;
}

/// `anyOf`, `oneOf`, `allOf` and `not`.
fn combined(checks: &Checks, value: &Value, path: &str, outcome: &mut Outcome) {
    let at_root =
        |what: String| FieldError::invalid("<nil>", &"".into(), &format!("{} {what}", quote(path)));
    if !checks.any_of.is_empty() {
        let results = checks.any_of.iter().map(|node| check(node, value, None, path));
        if let Err(best) = first_valid(results) {
            outcome.errors.push(at_root("must validate at least one schema (anyOf)".to_owned()));
            outcome.merge(best);
        }
    }
    if !checks.one_of.is_empty() {
        let results: Vec<_> =
            checks.one_of.iter().map(|node| check(node, value, None, path)).collect();
        let valid = results.iter().filter(|result| result.is_valid()).count();
        if valid > 1 {
            let what = format!(
                "must validate one and only one schema (oneOf). Found {valid} valid alternatives"
            );
            outcome.errors.push(at_root(what));
        } else if let Err(best) = first_valid(results.into_iter()) {
            let what = "must validate one and only one schema (oneOf). Found none valid";
            outcome.errors.push(at_root(what.to_owned()));
            outcome.merge(best);
        }
    }
    if !checks.all_of.is_empty() {
        let mut valid = 0;
        for node in &checks.all_of {
            let result = check(node, value, None, path);
            valid += usize::from(result.is_valid());
            outcome.merge(result);
        }
        if valid < checks.all_of.len() {
            let tail = if valid == 0 { ". None validated" } else { "" };
            outcome.errors.push(at_root(format!("must validate all the schemas (allOf){tail}")));
        }
    }
    if let Some(node) = &checks.not
        && check(node, value, None, path).is_valid()
    {
        outcome.errors.push(at_root("must not validate the schema (not)".to_owned()));
    }
    outcome.matches += 1;
}

/// Returns the first valid result, or else the one that came furthest.
fn first_valid(results: impl Iterator<Item = Outcome>) -> Result<(), Outcome> {
    let mut best: Option<Outcome> = None;
    for result in results {
        if result.is_valid() {
            return Ok(());
        }
        if best.as_ref().is_none_or(|best| result.matches > best.matches) {
            best = Some(result);
        }
    }
    best.map_or(Ok(()), Err)
}

/// Objects within objects have a kind.
fn embedded(node: &Node, value: &Value, path: &str, is_root: bool, errors: &mut Vec<FieldError>) {
    if let (true, false, Value::Object(map)) = (node.embedded, is_root, value) {
        for name in ["apiVersion", "kind"] {
            let path = join(path, name);
            match map.get(name) {
                None => errors.push(FieldError::required(&path, "")),
                Some(Value::String(text)) if text.is_empty() => {
                    errors.push(FieldError::invalid(&path, &"".into(), "must not be empty"));
                }
                _ => {}
            }
        }
    }
    each_below(node, value, path, &mut |node, value, path| {
        embedded(node, value, path, false, errors);
    });
}

/// Sets and keyed lists have no two elements of a kind.
fn duplicates(node: &Node, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let (Kind::Array, Value::Array(items)) = (node.kind, value) {
        let defaults = node.items.as_ref().and_then(|link| link.node());
        for (index, item) in items.iter().enumerate() {
            let at = || format!("{path}[{index}]");
            match &node.list {
                List::Atomic => {}
                List::Set => {
                    if items[..index].iter().any(|other| equal(other, item)) {
                        errors.push(FieldError::duplicate(&at(), item));
                    }
                }
                List::Map(keys) => {
                    let keys_of = |item: &Value| -> Value {
                        let pairs = keys.iter().filter_map(|key| {
                            let default = || defaults?.fields.get(key)?.default.clone();
                            Some((key.clone(), item.get(key).cloned().or_else(default)?))
                        });
                        Value::Object(pairs.collect())
                    };
                    let ours = keys_of(item);
                    if items[..index].iter().any(|other| equal(&keys_of(other), &ours)) {
                        errors.push(FieldError::duplicate(&at(), &ours));
                    }
                }
            }
        }
    }
    each_below(node, value, path, &mut |node, value, path| duplicates(node, value, path, errors));
}

fn each_below(node: &Node, value: &Value, path: &str, visit: &mut impl FnMut(&Node, &Value, &str)) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let link: Option<&Link> = match (node.fields.get(name), &node.values) {
                    (Some(link), _) => Some(link),
                    (None, Values::Of(link)) => Some(link),
                    _ => None,
                };
                if let Some(node) = link.and_then(Link::node) {
                    visit(node, value, &join(path, name));
                }
            }
        }
        Value::Array(items) => {
            if let Some(node) = node.items.as_ref().and_then(|link| link.node()) {
                for (index, item) in items.iter().enumerate() {
                    visit(node, item, &format!("{path}[{index}]"));
                }
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests;
