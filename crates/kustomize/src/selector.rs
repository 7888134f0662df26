//! Chooses objects by regular expressions on their ids and by labels and annotations.

use regex::Regex;
use serde_json::{Map, Value};

use crate::error::Problem;
use crate::kustomization::Selector;
use crate::resource::Resource;

/// A selector with its expressions compiled.
pub(crate) struct Matcher {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

impl Matcher {
    pub(crate) fn new(selector: &Selector) -> Result<Self, Problem> {
        Ok(Self {
            group: anchored(&selector.group)?,
            version: anchored(&selector.version)?,
            kind: anchored(&selector.kind)?,
            name: anchored(&selector.name)?,
            namespace: anchored(&selector.namespace)?,
            labels: requirements(&selector.label_selector)?,
            annotations: requirements(&selector.annotation_selector)?,
        })
    }

    /// Says whether a patch with this target applies to an object.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        let gvk = resource.gvk();
        let kind = is(self.group.as_ref(), &gvk.group)
            && is(self.version.as_ref(), &gvk.version)
            && is(self.kind.as_ref(), &gvk.kind);
        if !kind {
            return false;
        }
        let (now, first) = (resource.id(), resource.original_id());
        (is(self.namespace.as_ref(), first.effective_namespace())
            || is(self.namespace.as_ref(), now.effective_namespace()))
            && (is(self.name.as_ref(), &first.name) || is(self.name.as_ref(), &now.name))
            && self.selects_metadata(resource)
    }

    /// Says whether labels and annotations are as asked for.
    pub(crate) fn selects_metadata(&self, resource: &Resource) -> bool {
        all(&self.labels, resource.map("labels"))
            && all(&self.annotations, resource.map("annotations"))
    }
}

fn anchored(pattern: &str) -> Result<Option<Regex>, Problem> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let regex = Regex::new(&format!("^(?:{pattern})$"));
    regex.map(Some).map_err(|_| {
        Problem::rule(format!("{pattern:?} in a selector is no valid regular expression"))
    })
}

fn is(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.is_match(text))
}

/// One condition of a label selector.
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

impl Requirement {
    fn holds(&self, map: Option<&Map<String, Value>>) -> bool {
        let get = |key: &String| map.and_then(|map| map.get(key)).and_then(Value::as_str);
        let number = |key: &String| get(key).and_then(|text| text.parse::<i64>().ok());
        match self {
            Self::In(key, values) => {
                get(key).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Self::NotIn(key, values) => {
                get(key).is_none_or(|value| values.iter().all(|wanted| wanted != value))
            }
            Self::Exists(key) => get(key).is_some(),
            Self::Missing(key) => get(key).is_none(),
            Self::Greater(key, than) => number(key).is_some_and(|value| value > *than),
            Self::Less(key, than) => number(key).is_some_and(|value| value < *than),
        }
    }
}

fn all(requirements: &[Requirement], map: Option<&Map<String, Value>>) -> bool {
    requirements.iter().all(|requirement| requirement.holds(map))
}

fn requirements(text: &str) -> Result<Vec<Requirement>, Problem> {
    split_outside_brackets(text)
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            requirement(part)
                .ok_or_else(|| Problem::rule(format!("cannot read {part:?} in a label selector")))
        })
        .collect()
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    let key = |text: &str| {
        let text = text.trim();
        let valid = |char: char| char.is_ascii_alphanumeric() || "-_./".contains(char);
        (!text.is_empty() && text.chars().all(valid)).then(|| text.to_owned())
    };
    let value = |text: &str| {
        let text = text.trim();
        let valid = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        text.chars().all(valid).then(|| text.to_owned())
    };
    if let Some((left, right)) = part.split_once("!=") {
        return Some(Requirement::NotIn(key(left)?, vec![value(right)?]));
    }
    if let Some((left, right)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(key(left)?, vec![value(right)?]));
    }
    if let Some((left, right)) = part.split_once('>') {
        return Some(Requirement::Greater(key(left)?, right.trim().parse().ok()?));
    }
    if let Some((left, right)) = part.split_once('<') {
        return Some(Requirement::Less(key(left)?, right.trim().parse().ok()?));
    }
    if let Some(name) = part.strip_prefix('!') {
        return Some(Requirement::Missing(key(name)?));
    }
    if let Some((left, list)) = part.split_once('(') {
        let list = list.trim_end().strip_suffix(')')?;
        let values = list.split(',').map(value).collect::<Option<Vec<_>>>()?;
        return match left.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, "in"] => Some(Requirement::In(key(name)?, values)),
            [name, "notin"] => Some(Requirement::NotIn(key(name)?, values)),
            _ => None,
        };
    }
    Some(Requirement::Exists(key(part)?))
}
