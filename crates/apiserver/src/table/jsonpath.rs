//! The part of kubectl's JSONPath that printer columns use.
//!
//! `.status.conditions[?(@.type=="Ready")].status`, `.spec.ports[0].port`, `.a['b.c']`, `.a[*].b`,
//! `.metadata.labels.app\.kubernetes\.io/name`. Anything else finds nothing.

use serde_json::Value;

/// Returns the first value that a path finds.
pub(super) fn first<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = vec![root];
    for step in parse(path)? {
        found = found.into_iter().flat_map(|value| step.of(value)).collect();
    }
    found.into_iter().next()
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter { path: String, equal: bool, to: Value },
    Having(String),
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let Some(list) = value.as_array() else { return Vec::new() };
                let at = match usize::try_from(*index) {
                    Ok(at) => Some(at),
                    Err(_) => usize::try_from(-index).ok().and_then(|i| list.len().checked_sub(i)),
                };
                at.and_then(|at| list.get(at)).into_iter().collect()
            }
            Self::All => match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            },
            Self::Filter { path, equal, to } => entries(value)
                .filter(|one| first(one, path).is_some_and(|found| (found == to) == *equal))
                .collect(),
            Self::Having(path) => entries(value).filter(|one| first(one, path).is_some()).collect(),
        }
    }
}

fn entries(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    rest = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest);
    rest = rest.strip_prefix('$').unwrap_or(rest);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = closing(inside)?;
            steps.push(bracket(inside[..end].trim())?);
            rest = &inside[end + 1..];
        } else {
            let (name, tail) = field(rest.strip_prefix('.').unwrap_or(rest));
            match name.as_str() {
                "" => return if tail.is_empty() { Some(steps) } else { None },
                "*" => steps.push(Step::All),
                _ => steps.push(Step::Field(name)),
            }
            rest = tail;
        }
    }
    Some(steps)
}

/// Takes a field name, in which a backslash escapes the next character.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(c),
        }
    }
    (name, "")
}

/// Returns where the bracket that was opened before ends, outside of quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            (Some(_) | None, _) => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(name) = quoted(inside) {
        return Some(Step::Field(name));
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        let path = |text: &str| text.trim().strip_prefix('@').map(str::to_owned);
        let (left, equal, right) = match (filter.split_once("=="), filter.split_once("!=")) {
            (Some((left, right)), _) => (left, true, right),
            (None, Some((left, right))) => (left, false, right),
            (None, None) => return path(filter).map(Step::Having),
        };
        let right = right.trim();
        let to = match quoted(right) {
            Some(text) => text.into(),
            None => serde_json::from_str(right).ok()?,
        };
        return Some(Step::Filter { path: path(left)?, equal, to });
    }
    inside.parse().ok().map(Step::Index)
}

fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].strip_suffix(quote).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_what_printer_columns_ask_for() {
        let object = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"ports": [{"port": 80}, {"port": 443}], "suspend": false},
            "status": {"conditions": [
                {"type": "Stalled", "status": "False"},
                {"type": "Ready", "status": "True"},
            ]},
        });
        for (path, expected) in [
            (".spec.suspend", json!(false)),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!("True")),
            (".status.conditions[?(@.type!='Stalled')].type", json!("Ready")),
            (".spec.ports[-1].port", json!(443)),
            (".spec.ports[*].port", json!(80)),
            (r".metadata.labels.app\.kubernetes\.io/name", json!("web")),
            (".metadata.labels['app.kubernetes.io/name']", json!("web")),
            ("{.spec.ports[0].port}", json!(80)),
        ] {
            assert_eq!(first(&object, path), Some(&expected), "{path}");
        }
        for path in [".spec.none", ".spec.ports[9].port", ".spec.ports[", ".spec[?(]", "..port"] {
            assert_eq!(first(&object, path), None, "{path}");
        }
    }
}
