//! Label and field selectors.

use serde_json::Value;

use crate::object::Object;
use crate::registry::Resource;
use crate::rest::request::Call;
use crate::status::ApiError;

/// The selectors of a list, watch or deletecollection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selectors {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    NotExists,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone)]
struct Field {
    path: String,
    value: String,
    equal: bool,
}

impl Selectors {
    /// Parses the selectors of a call. A name in the path selects as `metadata.name` does.
    pub(crate) fn of(call: &Call) -> Result<Self, ApiError> {
        let labels = parse_labels(call.param("labelSelector").unwrap_or_default())?;
        let mut fields =
            parse_fields(&call.resource, call, call.param("fieldSelector").unwrap_or_default())?;
        if let Some(name) = &call.name {
            fields.push(Field { path: "metadata.name".into(), value: name.clone(), equal: true });
        }
        Ok(Self { labels, fields })
    }

    /// Parses a label selector that an object holds, `None` if it is malformed.
    pub(crate) fn of_labels(selector: &Value) -> Option<Self> {
        let labels = parse_labels(&selector_text(selector)).ok()?;
        Some(Self { labels, fields: Vec::new() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Returns whether an object is selected.
    pub(crate) fn take(&self, object: &Value) -> bool {
        self.labels.iter().all(|requirement| requirement.holds(object))
            && self.fields.iter().all(|field| field.holds(object))
    }
}

impl Requirement {
    fn holds(&self, object: &Value) -> bool {
        let value = object.label(&self.key);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
            Operator::Exists => value.is_some(),
            Operator::NotExists => value.is_none(),
            Operator::Greater(than) => number().is_some_and(|number| number > *than),
            Operator::Less(than) => number().is_some_and(|number| number < *than),
        }
    }
}

impl Field {
    fn holds(&self, object: &Value) -> bool {
        let found = lookup(object, &self.path);
        (found == self.value) == self.equal
    }
}

/// Returns labels as text: `a=b,c=d`.
pub(crate) fn label_text(labels: &Value) -> String {
    let mut pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    pairs.join(",")
}

/// Returns a label selector that an object holds as text: `app=web,tier in (a,b),!legacy`.
pub(crate) fn selector_text(selector: &Value) -> String {
    let mut terms = vec![label_text(&selector["matchLabels"])];
    terms.retain(|term| !term.is_empty());
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten();
        let mut values: Vec<&str> = values.filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        terms.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}

/// Returns the text at a dotted path, empty if absent.
fn lookup(object: &Value, path: &str) -> String {
    let mut at = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        match at.get(part) {
            Some(next) => at = next,
            None => return String::new(),
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => at.to_string(),
        _ => String::new(),
    }
}

fn parse_fields(resource: &Resource, call: &Call, text: &str) -> Result<Vec<Field>, ApiError> {
    let mut fields = Vec::new();
    for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
        let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = term.split_once("==") {
            (path, value, true)
        } else if let Some((path, value)) = term.split_once('=') {
            (path, value, true)
        } else {
            return Err(ApiError::bad_request(format!(
                "invalid selector: {text:?}; can't understand {term:?}"
            )));
        };
        let (path, value) = (path.trim(), value.trim());
        // Events of the newer group name the field differently; they are stored as the core ones.
        let renamed = match path.strip_prefix("regarding.") {
            Some(rest) if resource.group == "events.k8s.io" => format!("involvedObject.{rest}"),
            _ => path.to_owned(),
        };
        let path = renamed.as_str();
        if !selectable(resource, &call.version, path) {
            return Err(ApiError::bad_request(unselectable(resource, path)));
        }
        fields.push(Field { path: path.into(), value: value.into(), equal });
    }
    Ok(fields)
}

/// Returns whether objects can be selected by that field.
/// Says that a field cannot be selected by, in the words of the kind.
fn unselectable(resource: &Resource, path: &str) -> String {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("batch", "Job") => format!("field label {path:?} not supported for Job"),
        (
            "",
            "Pod" | "Node" | "ReplicationController" | "Event" | "Namespace" | "Secret" | "Service",
        )
        | ("certificates.k8s.io", _) => format!("field label not supported: {path}"),
        _ if resource.custom => format!("field label not supported: {path}"),
        _ => format!(
            "{path:?} is not a known field selector: only \"metadata.name\", \
             \"metadata.namespace\""
        ),
    }
}

fn selectable(resource: &Resource, version: &str, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && resource.namespaced) {
        return true;
    }
    if resource.custom {
        let fields = resource.version(version).map_or(&[][..], |version| &version.selectable);
        return fields.iter().any(|field| field.trim_start_matches('.') == path);
    }
    own_fields(resource).unwrap_or_default().contains(&path)
}

/// Returns what objects of a built-in kind can be selected by besides their metadata.
fn own_fields(resource: &Resource) -> Option<&'static [&'static str]> {
    Some(match resource.kind.as_str() {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "Secret" => &["type"],
        "Namespace" => &["status.phase"],
        "Node" => &["spec.unschedulable"],
        "ReplicaSet" | "ReplicationController" => &["status.replicas"],
        "Job" => &["status.successful"],
        "Service" => &["spec.clusterIP", "spec.type"],
        "CertificateSigningRequest" => &["spec.signerName"],
        _ => return None,
    })
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, ApiError> {
    split_terms(text).into_iter().map(|term| parse_label(text, term)).collect()
}

/// Splits at commas outside of parentheses.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms.into_iter().map(str::trim).filter(|term| !term.is_empty()).collect()
}

fn parse_label(selector: &str, term: &str) -> Result<Requirement, ApiError> {
    let requirement = |key: &str, operator| Requirement { key: key.trim().to_owned(), operator };
    let one = |value: &str| vec![value.trim().to_owned()];
    let bad = |what: &str| {
        ApiError::bad_request(format!(
            "unable to parse requirement: {what} in selector {selector:?}"
        ))
    };
    if let Some(list) = term.strip_suffix(')') {
        let (head, values) = list.split_once('(').ok_or_else(|| bad("found ')'"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next()) {
            (Some(key), Some("in")) => Ok(requirement(key, Operator::In(values))),
            (Some(key), Some("notin")) => Ok(requirement(key, Operator::NotIn(values))),
            _ => Err(bad("expected: in, notin")),
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(requirement(key, Operator::NotIn(one(value))));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(requirement(key, Operator::In(one(value))));
    }
    for (sign, greater) in [('>', true), ('<', false)] {
        if let Some((key, value)) = term.split_once(sign) {
            let number = value.trim().parse().map_err(|_| bad("expected an integer"))?;
            let operator = if greater { Operator::Greater(number) } else { Operator::Less(number) };
            return Ok(requirement(key, operator));
        }
    }
    if let Some(key) = term.strip_prefix('!') {
        return Ok(requirement(key, Operator::NotExists));
    }
    if term.contains(char::is_whitespace) {
        return Err(bad("found several words"));
    }
    Ok(requirement(term, Operator::Exists))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn takes(selector: &str) -> bool {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "3"}}});
        parse_labels(selector).unwrap().iter().all(|requirement| requirement.holds(&object))
    }

    #[test]
    fn selects_by_labels() {
        for selector in [
            "",
            "app",
            "app=web",
            "app==web,tier",
            "app in (api, web)",
            "!owner",
            "app!=api",
            "owner!=x",
            "app notin (api)",
            "tier>2",
            "tier < 4",
        ] {
            assert!(takes(selector), "{selector}");
        }
        for selector in ["owner", "app=api", "!app", "app notin (web,api)", "tier>3", "a in (b)"] {
            assert!(!takes(selector), "{selector}");
        }
    }

    #[test]
    fn writes_selectors() {
        let given = json!({
            "matchLabels": {"b": "2", "a": "1"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["y", "x"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector_text(&given), "a=1,b=2,tier in (x,y),!old");
        assert_eq!(selector_text(&json!({})), "");
    }
}
