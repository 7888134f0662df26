//! JSON patches, with the negative indices that Go's library accepts.

use serde_json::{Map, Value};

use crate::error::Problem;

/// Applies the operations of a JSON patch.
pub(crate) fn apply(object: &mut Value, operations: &[Value]) -> Result<(), Problem> {
    for operation in operations {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let (op, path) = (text("op").unwrap_or_default(), text("path").unwrap_or_default());
        run(object, op, path, text("from").unwrap_or_default(), operation.get("value"))
            .map_err(|why| Problem::rule(format!("{op} operation does not apply: {why}")))?;
    }
    Ok(())
}

fn run(
    object: &mut Value,
    op: &str,
    path: &str,
    from: &str,
    value: Option<&Value>,
) -> Result<(), String> {
    let given = || value.cloned().ok_or_else(|| "missing value".to_owned());
    match op {
        "add" => add(object, path, given()?),
        "remove" => remove(object, path).map(drop),
        "replace" => {
            *get(object, path)? = value.cloned().unwrap_or_default();
            Ok(())
        }
        "move" => {
            let value = remove(object, from)?;
            add(object, path, value)
        }
        "copy" => {
            let value = get(object, from)?.clone();
            add(object, path, value)
        }
        "test" => {
            let wanted = value.cloned().unwrap_or_default();
            let found = match get(object, path) {
                Ok(found) => found.clone(),
                Err(_) if wanted.is_null() => Value::Null,
                Err(error) => return Err(error),
            };
            if same(&found, &wanted) { Ok(()) } else { Err(format!("testing value {path} failed")) }
        }
        other => Err(format!("unexpected kind: {other}")),
    }
}

/// Compares values; numbers by value, maps without regard to order.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *object = value;
        return Ok(());
    }
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key, value);
            Ok(())
        }
        Value::Array(items) if key == "-" => {
            items.push(value);
            Ok(())
        }
        Value::Array(items) => {
            let at = index(&key, items.len() + 1, path)?;
            items.insert(at, value);
            Ok(())
        }
        _ => Err(format!("doc is missing path: {path:?}: missing value")),
    }
}

fn remove(object: &mut Value, path: &str) -> Result<Value, String> {
    let missing = || format!("unable to remove nonexistent key: {path}: missing value");
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => fields.shift_remove(&key).ok_or_else(missing),
        Value::Array(items) => {
            let at = index(&key, items.len(), path)?;
            Ok(items.remove(at))
        }
        _ => Err(missing()),
    }
}

fn get<'a>(object: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    if path.is_empty() {
        return Ok(object);
    }
    let missing = || format!("doc is missing key: {path}: missing value");
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(fields) => fields.get_mut(&key).ok_or_else(missing),
        Value::Array(items) => {
            let at = index(&key, items.len(), path)?;
            items.get_mut(at).ok_or_else(missing)
        }
        _ => Err(missing()),
    }
}

/// Returns the container of what a pointer leads to, and the last step.
fn parent<'a>(object: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let missing = || format!("doc is missing path: {path:?}: missing value");
    let mut steps: Vec<String> =
        path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = steps.pop().ok_or_else(missing)?;
    let mut node = object;
    for step in steps {
        node = match node {
            Value::Object(fields) => fields.get_mut(&step).ok_or_else(missing)?,
            Value::Array(items) => {
                let at = index(&step, items.len(), path)?;
                items.get_mut(at).ok_or_else(missing)?
            }
            _ => return Err(missing()),
        };
    }
    Ok((node, last))
}

fn index(step: &str, length: usize, path: &str) -> Result<usize, String> {
    let outside = || format!("unable to access invalid index: {path}: invalid index referenced");
    let at: i64 = step.parse().map_err(|_| outside())?;
    let length = i64::try_from(length).map_err(|_| outside())?;
    let at = if at < 0 { at + length } else { at };
    if at < 0 || at >= length {
        return Err(outside());
    }
    usize::try_from(at).map_err(|_| outside())
}

/// Reads the operations of a patch; `None` when it is no JSON patch.
pub(crate) fn operations(value: &Value) -> Option<Vec<Value>> {
    let items = value.as_array()?;
    items
        .iter()
        .all(|item| item.as_object().is_some_and(|item: &Map<_, _>| item.contains_key("op")))
        .then(|| items.clone())
}
