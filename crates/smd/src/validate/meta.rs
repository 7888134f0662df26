//! `metadata`, which is checked in the same way for all kinds.
//!
//! Source: `pkg/api/validation/objectmeta.go`, apimachinery 0.36.

use serde_json::{Map, Value};

use super::{FieldError, names};
use crate::managed;

/// Limit of all annotations together, in bytes.
const ANNOTATIONS_LIMIT: u64 = 256 * 1024;

/// What a kind asks of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS-1123 subdomain; most kinds.
    Subdomain,
    /// A DNS-1123 label: namespaces and services.
    Label,
    /// Whatever can stand in a path: roles and their bindings.
    PathSegment,
}

/// Checks the metadata of an object; `old` is what it replaces.
pub fn metadata(object: &Value, old: Option<&Value>, rule: NameRule) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let meta = &object["metadata"];
    match old {
        Some(old) => unchanged(meta, &old["metadata"], &mut errors),
        None => name(meta, rule, &mut errors),
    }
    labels(&meta["labels"], "metadata.labels", &mut errors);
    annotations(&meta["annotations"], &mut errors);
    owners(&meta["ownerReferences"], &mut errors);
    let finalizers = meta["finalizers"].as_array().into_iter().flatten();
    for finalizer in finalizers.filter_map(Value::as_str) {
        let problems = names::label_key(finalizer).into_iter();
        let error =
            |what: String| FieldError::invalid("metadata.finalizers", &finalizer.into(), &what);
        errors.extend(problems.map(error));
    }
    if let Err(problem) = managed::entries_of(object) {
        let what = problem.to_string();
        errors.push(FieldError::invalid("metadata.managedFields", &Value::Null, &what));
    }
    errors
}

fn name(meta: &Value, rule: NameRule, errors: &mut Vec<FieldError>) {
    let name = meta["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        let what = "name or generateName is required";
        errors.push(FieldError::required("metadata.name", what));
        return;
    }
    let problems = match rule {
        NameRule::Subdomain => names::subdomain(name),
        NameRule::Label => names::label(name),
        NameRule::PathSegment => names::path_segment(name),
    };
    let error = |what: String| FieldError::invalid("metadata.name", &name.into(), &what);
    errors.extend(problems.into_iter().map(error));
}

/// What an update cannot change.
fn unchanged(meta: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace", "uid"] {
        if meta[field] != old[field] {
            let path = format!("metadata.{field}");
            errors.push(FieldError::invalid(&path, &meta[field], "field is immutable"));
        }
    }
}

/// Checks labels, be they of an object or in a selector.
pub(super) fn labels(labels: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let of_key = names::label_key(key).into_iter();
        errors.extend(of_key.map(|what| FieldError::invalid(path, &key.as_str().into(), &what)));
        let of_value = names::label_value(value.as_str().unwrap_or_default()).into_iter();
        errors.extend(of_value.map(|what| FieldError::invalid(path, value, &what)));
    }
}

fn annotations(annotations: &Value, errors: &mut Vec<FieldError>) {
    let Some(annotations) = annotations.as_object() else { return };
    let path = "metadata.annotations";
    for key in annotations.keys() {
        let problems = names::label_key(&key.to_lowercase()).into_iter();
        errors.extend(problems.map(|what| FieldError::invalid(path, &key.as_str().into(), &what)));
    }
    if size_of(annotations) > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long(path, ANNOTATIONS_LIMIT));
    }
}

fn size_of(map: &Map<String, Value>) -> u64 {
    let sizes = map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
    u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
}

fn owners(owners: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        for (field, what) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(field).is_empty() {
                let path = format!("{path}.{field}");
                errors.push(FieldError::invalid(&path, &text(field).into(), what));
            }
        }
        if owner["controller"] == true {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let what = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in \
                         references for {first} and {this}"
                    );
                    errors.push(FieldError::invalid(path, owners, &what));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(meta: &Value, old: Option<&Value>) -> Vec<String> {
        let object = json!({"metadata": meta});
        let old = old.map(|old| json!({"metadata": old}));
        let errors = metadata(&object, old.as_ref(), NameRule::Label);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finds_nothing_in_good_metadata() {
        let meta = json!({
            "name": "a", "labels": {"app.kubernetes.io/name": "x"},
            "annotations": {"Example.com/Key": "any text"}, "finalizers": ["example.com/x"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1", "controller": true}],
        });
        assert_eq!(texts(&meta, None), Vec::<String>::new());
    }

    #[test]
    fn words_problems_as_the_api_server_does() {
        assert_eq!(
            texts(&json!({}), None),
            ["metadata.name: Required value: name or generateName is required"]
        );
        assert_eq!(
            texts(&json!({"name": "a.b"}), None),
            ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
        );
        assert_eq!(
            texts(&json!({"name": "b"}), Some(&json!({"name": "a"}))),
            ["metadata.name: Invalid value: \"b\": field is immutable"]
        );
        let bad_labels = texts(&json!({"name": "a", "labels": {"k": "a b"}}), None);
        assert!(
            bad_labels[0].starts_with("metadata.labels: Invalid value: \"a b\": a valid label")
        );
        assert_eq!(
            texts(
                &json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]}),
                None
            ),
            ["metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"]
        );
        let annotations = json!({"name": "a", "annotations": {"k": "x".repeat(262_144)}});
        assert_eq!(
            texts(&annotations, None),
            ["metadata.annotations: Too long: may not be more than 262144 bytes"]
        );
    }
}
