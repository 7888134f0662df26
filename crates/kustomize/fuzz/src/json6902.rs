//! JSON patches against a model that does every operation on a copy, one step of the path at a time.
//!
//! The model follows what evanphx/json-patch v4 does where RFC 6902 has it otherwise: indexes may be
//! negative, `replace` adds a field that is missing, and a field that is missing reads as null.

use serde_json::{Map, Value, json};

use super::choices::Choices;

/// Applies operations to an object by a build and by the model.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let object = json!({
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": { "name": "thing" },
        "spec": value(&mut choices, 3),
    });
    let operations = choices.several(8, operation);
    let patch = Value::Array(operations.clone());
    let kustomization = json!({
        "resources": ["object.yaml"],
        "patches": [{ "path": "patch.json", "target": { "kind": "Thing" } }],
    });
    let files = [
        ("kustomization.yaml", kustomization.to_string()),
        ("object.yaml", object.to_string()),
        ("patch.json", patch.to_string()),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let built = super::build_one(&files);
    match (built, apply(object.clone(), &operations)) {
        (Ok(built), Some(expected)) => assert_eq!(built, expected, "{object} {patch}"),
        (Err(_), None) => {}
        (built, expected) => {
            panic!("{object} {patch}: built {built:?}, expected {expected:?}")
        }
    }
}

/// Fields that paths meet often.
const KEYS: [&str; 8] = ["a", "b", "0", "-", "", "a/b", "m~n", "~1"];

fn value(choices: &mut Choices<'_>, depth: usize) -> Value {
    match choices.below(if depth == 0 { 5 } else { 9 }) {
        0 => json!("x"),
        1 => json!(1),
        2 => json!(true),
        3 => json!(-1.5),
        4 => json!("1"),
        5 | 6 => Value::Array(choices.several(3, |choices| value(choices, depth - 1))),
        _ => {
            let entry = |choices: &mut Choices<'_>| {
                (choices.pick(&KEYS).to_owned(), value(choices, depth - 1))
            };
            Value::Object(choices.several(3, entry).into_iter().collect())
        }
    }
}

/// Paths stay below `/spec`, so that the object keeps what it is called.
fn path(choices: &mut Choices<'_>) -> String {
    const STEPS: [&str; 14] =
        ["a", "b", "0", "1", "-1", "-", "-2", "+1", "9", "", "a~1b", "m~0n", "~01", "01"];
    let steps = choices.several(4, |choices| choices.pick(&STEPS));
    std::iter::once("/spec").chain(steps.iter().flat_map(|step| ["/", *step])).collect()
}

fn operation(choices: &mut Choices<'_>) -> Value {
    let op = choices.pick(&["add", "remove", "replace", "move", "copy", "test", "unknown"]);
    let mut fields = Map::new();
    fields.insert("op".into(), op.into());
    fields.insert("path".into(), path(choices).into());
    match op {
        "add" | "replace" | "test" => {
            let value = if choices.once_in(8) { Value::Null } else { value(choices, 2) };
            fields.insert("value".into(), value);
        }
        "move" | "copy" => {
            fields.insert("from".into(), path(choices).into());
        }
        _ => {}
    }
    Value::Object(fields)
}

/// Returns the object after all operations; `None` when one does not apply.
fn apply(object: Value, operations: &[Value]) -> Option<Value> {
    operations.iter().try_fold(object, |object, operation| {
        let text = |field: &str| operation[field].as_str();
        let steps = |field: &str| Some(split(text(field)?));
        let value = operation["value"].clone();
        match text("op")? {
            "add" => change(&object, &steps("path")?, &Change::Add(value)),
            "remove" => change(&object, &steps("path")?, &Change::Remove),
            "replace" => change(&object, &steps("path")?, &Change::Replace(value)),
            "move" => {
                let from = steps("from")?;
                let moved = get(&object, &from)?;
                let without = change(&object, &from, &Change::Remove)?;
                change(&without, &steps("path")?, &Change::Add(moved))
            }
            "copy" => {
                let copied = get(&object, &steps("from")?)?;
                change(&object, &steps("path")?, &Change::Add(copied))
            }
            "test" => (get(&object, &steps("path")?)? == value).then_some(object),
            _ => None,
        }
    })
}

fn split(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

enum Change {
    Add(Value),
    Replace(Value),
    Remove,
}

/// Returns a copy of a value where something is changed at a path.
fn change(value: &Value, path: &[String], change: &Change) -> Option<Value> {
    let (step, rest) = path.split_first()?;
    let mut copy = value.clone();
    if !rest.is_empty() {
        let child = match &mut copy {
            Value::Object(fields) => fields.get_mut(step)?,
            Value::Array(items) => {
                let at = index(step, items.len())?;
                items.get_mut(at)?
            }
            _ => return None,
        };
        *child = self::change(child, rest, change)?;
        return Some(copy);
    }
    match (&mut copy, change) {
        (Value::Object(fields), Change::Add(new) | Change::Replace(new)) => {
            fields.insert(step.clone(), new.clone());
        }
        (Value::Object(fields), Change::Remove) => {
            fields.remove(step)?;
        }
        (Value::Array(items), Change::Add(new)) if step == "-" => items.push(new.clone()),
        (Value::Array(items), Change::Add(new)) => {
            let at = index(step, items.len() + 1)?;
            items.splice(at..at, [new.clone()]);
        }
        (Value::Array(items), Change::Replace(new)) => {
            let at = index(step, items.len())?;
            items[at] = new.clone();
        }
        (Value::Array(items), Change::Remove) => {
            let at = index(step, items.len())?;
            items.drain(at..=at);
        }
        _ => return None,
    }
    Some(copy)
}

/// Returns what is at a path: null for the field of an object that is not there.
fn get(value: &Value, path: &[String]) -> Option<Value> {
    let (step, rest) = path.split_first()?;
    let child = match value {
        Value::Object(fields) => fields.get(step).cloned().unwrap_or_default(),
        Value::Array(items) => items[index(step, items.len())?].clone(),
        _ => return None,
    };
    if rest.is_empty() { Some(child) } else { get(&child, rest) }
}

/// Returns the place that a step means in a list; `-1` is the last one.
fn index(step: &str, length: usize) -> Option<usize> {
    let number: isize = step.parse().ok()?;
    let at = if number < 0 { number.checked_add_unsigned(length)? } else { number };
    usize::try_from(at).ok().filter(|at| *at < length)
}
