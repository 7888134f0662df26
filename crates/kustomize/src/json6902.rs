//! JSON patches as Go's library applies them: indexes may be negative, `replace` adds what is missing,
//! and null is as good as nothing.
//!
//! Source: `patch.go`, evanphx/json-patch v4.13.0.

use serde_json::{Map, Value};

use crate::budget::Budget;
use crate::error::Problem;

/// One operation of a patch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    fields: Map<String, Value>,
}

/// Reads the operations of a patch.
pub(crate) fn operations(patch: Value) -> Result<Vec<Operation>, Problem> {
    let items = match patch {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        _ => return Err(Problem::rule("expected a list of operations")),
    };
    let read = |(at, item)| match item {
        Value::Object(fields) => Ok(Operation { fields }),
        Value::Null => Ok(Operation { fields: Map::new() }),
        _ => Err(Problem::rule(format!(
            "operation {at}: expected a mapping with op and path, found {item}"
        ))),
    };
    items.into_iter().enumerate().map(read).collect()
}

/// Applies the operations of a patch to an object.
pub(crate) fn apply(
    object: &mut Value,
    operations: &[Operation],
    budget: &Budget,
) -> Result<(), Problem> {
    for (at, operation) in operations.iter().enumerate() {
        operation.apply(object, budget).map_err(|reason| {
            let op = operation.text("op").unwrap_or_default();
            let path = operation.text("path").unwrap_or_default();
            Problem::rule(format!("operation {at}, {op} {path:?}, does not apply: {reason}"))
        })?;
    }
    Ok(())
}

/// Says whether a patch could change what an object is called or was called.
pub(crate) fn may_change_ids(operations: &[Operation]) -> bool {
    let is_safe = |path: &str| {
        let field = path.split('/').nth(1);
        field.is_some_and(|field| !matches!(field, "" | "apiVersion" | "kind" | "metadata"))
    };
    let paths = ["path", "from"];
    operations.iter().any(|operation| {
        let mut paths = paths.iter().filter_map(|name| operation.fields.get(*name));
        !paths.all(|path| path.as_str().is_some_and(is_safe))
    })
}

impl Operation {
    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    fn path(&self) -> Result<&str, String> {
        self.text("path").ok_or_else(|| "it has no path".to_owned())
    }

    fn from(&self) -> Result<&str, String> {
        self.text("from").ok_or_else(|| "it has no from".to_owned())
    }

    fn value(&self) -> Value {
        self.fields.get("value").cloned().unwrap_or_default()
    }

    fn apply(&self, object: &mut Value, budget: &Budget) -> Result<(), String> {
        // What is put somewhere must not make the object endless.
        let spend = |path: &str, value: &Value| {
            let steps = path.split('/').count();
            budget.spend_on_value(value, steps).map_err(|problem| problem.to_string())
        };
        match self.text("op").unwrap_or("unknown") {
            "add" => {
                let value = self.value();
                spend(self.path()?, &value)?;
                add(object, self.path()?, value)
            }
            "remove" => remove(object, self.path()?).map(|_| ()),
            "replace" => {
                let value = self.value();
                spend(self.path()?, &value)?;
                replace(object, self.path()?, value)
            }
            "move" => {
                let value = remove(object, self.from()?)?;
                spend(self.path()?, &value)?;
                add(object, self.path()?, value)
            }
            "copy" => {
                let value = get(object, self.from()?)?.clone();
                spend(self.path()?, &value)?;
                add(object, self.path()?, value)
            }
            "test" => {
                let found = match self.path()? {
                    "" => &*object,
                    path => get(object, path)?,
                };
                if *found == self.value() {
                    return Ok(());
                }
                // The values may be secret.
                Err(format!("expected {}, found another one", kind(&self.value())))
            }
            other => {
                Err(format!("unknown op {other:?}; use add, remove, replace, move, copy or test"))
            }
        }
    }
}

/// Returns what kind of value something is, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a certain truth value",
        Value::Number(_) => "a certain number",
        Value::String(_) => "a certain text",
        Value::Array(_) => "a certain list",
        Value::Object(_) => "a certain object",
    }
}

const NULL: Value = Value::Null;

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&key, items.len() + 1)?;
            items.insert(at, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn replace(object: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("the whole can be replaced by an object or a list only".to_owned());
        }
        *object = value;
        return Ok(());
    }
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        Value::Array(items) => {
            let at = index(&key, items.len())?;
            items[at] = value;
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => fields.shift_remove(&key).ok_or_else(|| {
            format!("there is no {key:?}, which cannot be removed twice, or was never there")
        }),
        Value::Array(items) => {
            let at = index(&key, items.len())?;
            Ok(items.remove(at))
        }
        _ => Err(missing(path)),
    }
}

/// Returns what a path leads to; null for a field that is missing.
fn get<'a>(object: &'a mut Value, path: &str) -> Result<&'a Value, String> {
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => Ok(fields.get(&key).unwrap_or(&NULL)),
        Value::Array(items) => {
            let at = index(&key, items.len())?;
            Ok(&items[at])
        }
        _ => Err(missing(path)),
    }
}

/// Returns the container of what a pointer leads to, and the last step. What is before the first
/// slash does not matter.
fn parent<'a>(object: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let Some((_, path_in)) = path.split_once('/') else { return Err(missing(path)) };
    let (steps, last) =
        path_in.rsplit_once('/').map_or((None, path_in), |(steps, last)| (Some(steps), last));
    let mut node = object;
    for step in steps.into_iter().flat_map(|steps| steps.split('/')) {
        let step = unescape(step);
        node = match node {
            Value::Object(fields) => fields.get_mut(&step),
            Value::Array(items) => index(&step, items.len()).ok().and_then(|at| items.get_mut(at)),
            _ => None,
        }
        .ok_or_else(|| format!("{}: there is no {step:?}", missing(path)))?;
    }
    Ok((node, unescape(last)))
}

fn missing(path: &str) -> String {
    format!("the object is missing path {path:?}")
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn index(step: &str, length: usize) -> Result<usize, String> {
    let outside = || format!("invalid index {step:?} of a list with {length} places");
    let at: i64 = step.strip_prefix('+').unwrap_or(step).parse().map_err(|_| outside())?;
    let length = i64::try_from(length).map_err(|_| outside())?;
    let at = if at < 0 { at + length } else { at };
    if at < 0 || at >= length {
        return Err(outside());
    }
    usize::try_from(at).map_err(|_| outside())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn patched(object: Value, patch: Value) -> Result<Value, String> {
        let mut object = object;
        let operations = operations(patch).map_err(|error| error.to_string())?;
        apply(&mut object, &operations, &Budget::new(1 << 20))
            .map_err(|error| error.to_string())?;
        Ok(object)
    }

    #[test]
    fn applies_operations() {
        for (object, patch, expected) in [
            (
                json!({"a": 1}),
                json!([{"op": "add", "path": "/b", "value": 2}]),
                json!({"a": 1, "b": 2}),
            ),
            (
                json!({"a": [1]}),
                json!([{"op": "add", "path": "/a/-", "value": 2}]),
                json!({"a": [1, 2]}),
            ),
            (
                json!({"a": [1]}),
                json!([{"op": "add", "path": "/a/0", "value": 2}]),
                json!({"a": [2, 1]}),
            ),
            (json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/-1"}]), json!({"a": [1]})),
            (
                json!({"a": {}}),
                json!([{"op": "replace", "path": "/a/b", "value": 1}]),
                json!({"a": {"b": 1}}),
            ),
            (
                json!({"a/b": 1}),
                json!([{"op": "move", "from": "/a~1b", "path": "/c"}]),
                json!({"c": 1}),
            ),
            (
                json!({"a": 1}),
                json!([{"op": "copy", "from": "/a", "path": "/b"}]),
                json!({"a": 1, "b": 1}),
            ),
            (
                json!({"a": 1}),
                json!([{"op": "test", "path": "/b", "value": null}]),
                json!({"a": 1}),
            ),
            (json!({"a": 1}), json!([{"op": "add", "path": "/a"}]), json!({"a": null})),
            (json!({"a": 1}), json!(null), json!({"a": 1})),
        ] {
            assert_eq!(patched(object, patch.clone()), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn says_why_an_operation_does_not_apply() {
        for (object, patch, part) in [
            (json!({}), json!([{"op": "remove", "path": "/a"}]), "there is no \"a\""),
            (json!({}), json!([{"op": "add", "path": "/a/b", "value": 1}]), "missing path"),
            (
                json!({"a": [1]}),
                json!([{"op": "add", "path": "/a/2", "value": 1}]),
                "invalid index",
            ),
            (
                json!({"a": [1]}),
                json!([{"op": "replace", "path": "/a/1", "value": 1}]),
                "invalid index",
            ),
            (
                json!({"a": 1}),
                json!([{"op": "test", "path": "/a", "value": 2}]),
                "expected a certain number",
            ),
            (json!({}), json!([{"op": "ad", "path": "/a"}]), "unknown op"),
            (json!({}), json!([{"op": "add"}]), "no path"),
            (json!({}), json!({"op": "add"}), "list of operations"),
        ] {
            let error = patched(object, patch.clone()).unwrap_err();
            assert!(error.contains(part), "{patch}: {error}");
        }
    }

    #[test]
    fn knows_what_can_rename_an_object() {
        for (patch, expected) in [
            (json!([{"op": "remove", "path": "/spec/name"}]), false),
            (json!([{"op": "remove", "path": "/metadata/name"}]), true),
            (json!([{"op": "move", "path": "/spec", "from": "/metadata"}]), true),
            (json!([{"op": "replace", "path": "", "value": {}}]), true),
            (json!([{"op": "add", "path": "ignored/kind", "value": "a"}]), true),
        ] {
            let operations = operations(patch.clone()).unwrap();
            assert_eq!(may_change_ids(&operations), expected, "{patch}");
        }
    }

    #[test]
    fn an_object_cannot_grow_without_end() {
        let copy = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let deeper = json!({"op": "move", "from": "/a", "path": "/b/a"});
        let back = json!({"op": "move", "from": "/b", "path": "/a"});
        let again = json!({"op": "add", "path": "/b", "value": {}});
        for operations in [vec![copy], vec![again, deeper, back]] {
            let patch: Vec<_> = operations.iter().cycle().take(2_000).cloned().collect();
            let error = patched(json!({"a": [[]]}), json!(patch)).unwrap_err();
            assert!(error.contains("nested deeper") || error.contains("MiB"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn does_not_panic(op in "add|remove|replace|move|copy|test", path in "[/a0\\-1~]{0,6}", from in "[/a0\\-1]{0,6}") {
            let object = json!({"a": [{"a": 1}, [0, 1]], "0": {"-": {}}});
            let _ = patched(object, json!([{"op": op, "path": path, "from": from, "value": {"a": []}}]));
        }
    }
}
