//! From client-side to server-side apply: what `kubectl.kubernetes.io/last-applied-configuration`
//! says was kubectl's own is taken over without conflict.

use serde_json::Value;

use super::Write;
use crate::fields::FieldSet;
use crate::typed::{self, Duplicates};

/// The manager that this is done for.
pub(super) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Limit of all annotations together, in bytes.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// Returns the fields of the last applied configuration that the live object has unchanged; `None`
/// if there is no configuration of this version.
pub(super) fn allowed(write: &Write<'_>, live: &Value) -> Option<FieldSet> {
    let text = live["metadata"]["annotations"][ANNOTATION].as_str()?;
    let last: Value = serde_json::from_str(text).ok()?;
    if last["apiVersion"] != write.api_version {
        return None;
    }
    let schema = (write.schemas)(write.api_version)?;
    typed::check(&schema, live, Duplicates::Refused).ok()?;
    typed::check(&schema, &last, Duplicates::Refused).ok()?;
    let changes = typed::compare(&schema, &last, live).ok()?;
    Some(
        typed::field_set(&schema, &last)
            .difference(&changes.modified)
            .difference(&changes.added)
            .difference(&changes.removed),
    )
}

/// Brings the annotation up to date, if there is one.
pub(super) fn renew(object: &mut Value, config: &Value) {
    let has_one =
        object["metadata"]["annotations"][ANNOTATION].as_str().is_some_and(|text| !text.is_empty());
    if !has_one {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config
        .get_mut("metadata")
        .and_then(|meta| meta.get_mut("annotations"))
        .and_then(Value::as_object_mut)
    {
        annotations.shift_remove(ANNOTATION);
    }
    let Some(annotations) = object["metadata"]["annotations"].as_object_mut() else { return };
    annotations.insert(ANNOTATION.to_owned(), format!("{config}\n").into());
    let size: usize =
        annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > ANNOTATIONS_LIMIT {
        annotations.shift_remove(ANNOTATION);
    }
}
