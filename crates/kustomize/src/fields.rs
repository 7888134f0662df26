//! Walks to the fields that a field spec names.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::id::Gvk;
use crate::kustomization::FieldSpec;

impl FieldSpec {
    pub(crate) fn new(group: &str, kind: &str, path: &str, create: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: String::new(),
            kind: kind.to_owned(),
            path: path.to_owned(),
            create,
        }
    }

    /// Says whether the spec is about objects of a kind.
    pub(crate) fn selects(&self, gvk: &Gvk) -> bool {
        gvk.is_selected(&self.group, &self.version, &self.kind)
    }
}

/// Calls a function on every field that a spec leads to.
pub(crate) fn visit(
    object: &mut Value,
    spec: &FieldSpec,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let path = split(&spec.path);
    walk(object, &path, spec.create, set)
        .map_err(|problem| Problem::rule(format!("considering field '{}': {problem}", spec.path)))
}

/// Splits a path at slashes that no backslash precedes.
pub(crate) fn split(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = path.trim_start_matches('/').chars().peekable();
    while let Some(char) = chars.next() {
        let last = parts.len() - 1;
        match char {
            '\\' if chars.peek() == Some(&'/') => {
                chars.next();
                parts[last].push('/');
            }
            '/' => parts.push(String::new()),
            char => parts[last].push(char),
        }
    }
    parts
}

fn walk(
    node: &mut Value,
    path: &[String],
    create: bool,
    set: &mut dyn FnMut(&mut Value) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Some((field, rest)) = path.split_first() else { return set(node) };
    match node {
        Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, path, create, set)),
        Value::Object(fields) => {
            let (field, list) = match field.strip_suffix("[]") {
                Some(field) => (field, true),
                None => (field.as_str(), false),
            };
            if !fields.contains_key(field) {
                if !create || list || field.is_empty() {
                    return Ok(());
                }
                fields.insert(field.to_owned(), Value::Null);
            }
            let Some(next) = fields.get_mut(field) else { return Ok(()) };
            if next.is_null() {
                // An explicit null is only filled where the spec may create.
                if !create {
                    return if rest.is_empty() { set(next) } else { Ok(()) };
                }
                if !rest.is_empty() {
                    *next = json!({});
                }
            }
            walk(next, rest, create, set)
        }
        Value::Null => Ok(()),
        _ => Err(Problem::rule("expected sequence or mapping node")),
    }
}
