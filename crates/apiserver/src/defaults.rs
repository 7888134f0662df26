//! Defaults of built-in kinds, as far as somebody looks at them.

use serde_json::{Value, json};

use crate::object::Object;

/// Fills in what a user left out.
pub(crate) fn fill(group: &str, kind: &str, object: &mut Value) {
    if let ("", "Namespace") = (group, kind) {
        namespace(object);
    }
}

fn namespace(object: &mut Value) {
    let name = object.name().to_owned();
    let labels = object.meta_mut().entry("labels").or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = name.into();
    if object.get("spec").is_none_or(|spec| !spec.is_object()) {
        object["spec"] = json!({});
    }
    if !object.is_terminating() {
        set(&mut object["spec"], "finalizers", json!(["kubernetes"]));
        if object.get("status").is_none_or(|status| !status.is_object()) {
            object["status"] = json!({});
        }
        set(&mut object["status"], "phase", "Active".into());
    }
}

/// Sets a field that is absent or null.
pub(crate) fn set(object: &mut Value, field: &str, default: Value) {
    if let Some(object) = object.as_object_mut()
        && object.get(field).is_none_or(Value::is_null)
    {
        object.insert(field.to_owned(), default);
    }
}
