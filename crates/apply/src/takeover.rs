//! Takes over what other managers have written, so that a field that leaves the manifest leaves the
//! object.

use serde_json::{Map, Value, json};

use crate::object::text;

/// Annotations and labels of tools that we replace.
const ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];
const LABELS: [&str; 1] = ["fluxcd.io/sync-gc-mark"];

/// A manager whose fields are taken over.
struct Foreign<'a> {
    prefix: &'a str,
    /// The operation; both when `None`.
    operation: Option<&'static str>,
}

/// Returns the JSON patch that cleans up the metadata of a live object; empty when it is clean.
///
/// The managed fields of kubectl, of an `Update` by `manager` itself, and of each of `overridden`
/// (names by prefix) become fields applied by `manager`. Entries of subresources stay.
///
/// Source: `PatchReplaceFieldsManagers`, fluxcd/pkg `ssa/patch.go`.
pub(crate) fn cleanup(live: &Value, manager: &str, overridden: &[String]) -> Vec<Value> {
    let mut operations = Vec::new();
    for (field, keys) in [("annotations", &ANNOTATIONS[..]), ("labels", &LABELS[..])] {
        for key in keys.iter().filter(|key| live["metadata"][field].get(**key).is_some()) {
            let key = key.replace('~', "~0").replace('/', "~1");
            operations.push(json!({"op": "remove", "path": format!("/metadata/{field}/{key}")}));
        }
    }
    if let Some(entries) = merged_managers(live, manager, overridden) {
        operations
            .push(json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}));
    }
    if !operations.is_empty() {
        // What was read is what is patched, or the API answers with a conflict.
        let version = text(live, "/metadata/resourceVersion");
        operations
            .push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    }
    operations
}

fn merged_managers(live: &Value, manager: &str, overridden: &[String]) -> Option<Vec<Value>> {
    let mut foreign = vec![
        Foreign { prefix: "kubectl", operation: None },
        Foreign { prefix: "before-first-apply", operation: Some("Update") },
        Foreign { prefix: manager, operation: Some("Update") },
    ];
    foreign.extend(overridden.iter().map(|prefix| Foreign { prefix, operation: None }));

    let entries = live["metadata"]["managedFields"].as_array()?;
    let of_subresource = |entry: &Value| !text(entry, "/subresource").is_empty();
    let is_ours = |entry: &Value| {
        entry["manager"] == manager && entry["operation"] == "Apply" && !of_subresource(entry)
    };
    let is_foreign = |entry: &Value| {
        !of_subresource(entry)
            && !is_ours(entry)
            && foreign.iter().any(|foreign| {
                text(entry, "/manager").starts_with(foreign.prefix)
                    && foreign.operation.is_none_or(|operation| entry["operation"] == operation)
            })
    };
    if !entries.iter().any(is_foreign) {
        return None;
    }
    let (merge, mut kept): (Vec<&Value>, Vec<&Value>) =
        entries.iter().partition(|entry| is_ours(entry) || is_foreign(entry));
    // Ours comes first when there is one: its version of the fields is the one that was applied.
    let first = merge.iter().find(|entry| is_ours(entry)).or(merge.first())?;
    let mut merged = (*first).clone();
    merged["manager"] = manager.into();
    merged["operation"] = "Apply".into();
    let mut fields = Map::new();
    for entry in merge {
        unite(&mut fields, entry["fieldsV1"].as_object().unwrap_or(&Map::new()));
    }
    merged["fieldsV1"] = Value::Object(fields);
    kept.push(&merged);
    Some(kept.into_iter().cloned().collect())
}

/// Adds the fields of a set to another; a set in `fieldsV1` is a tree of maps.
fn unite(fields: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, below) in other {
        let slot = fields.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let (Value::Object(slot), Value::Object(below)) = (slot, below) {
            unite(slot, below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the callers write literals")]
    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields})
    }

    #[expect(clippy::needless_pass_by_value, reason = "the callers write literals")]
    fn live(entries: Vec<Value>) -> Value {
        json!({"metadata": {"name": "x", "resourceVersion": "7", "managedFields": entries}})
    }

    fn fields_after(live: &Value) -> Vec<Value> {
        let operations = cleanup(live, "controller", &[]);
        let found = operations.iter().find(|it| it["path"] == "/metadata/managedFields");
        found.map(|it| it["value"].as_array().unwrap().clone()).unwrap_or_default()
    }

    #[test]
    fn renames_the_manager_of_kubectl() {
        let object =
            live(vec![entry("kubectl-client-side-apply", "Update", json!({"f:data": {}}))]);
        assert_eq!(fields_after(&object), [entry("controller", "Apply", json!({"f:data": {}}))]);
    }

    #[test]
    fn unites_the_fields_of_kubectl_with_ours() {
        let object = live(vec![
            entry("kubectl", "Apply", json!({"f:data": {"f:a": {}}})),
            entry("other", "Apply", json!({"f:data": {"f:c": {}}})),
            entry("controller", "Apply", json!({"f:data": {"f:b": {}}})),
        ]);
        let after = fields_after(&object);
        assert_eq!(after.len(), 2);
        assert_eq!(after[0]["manager"], "other");
        assert_eq!(after[1]["fieldsV1"], json!({"f:data": {"f:a": {}, "f:b": {}}}));
    }

    #[test]
    fn leaves_subresources_and_other_managers_alone() {
        let mut status = entry("kubectl", "Update", json!({"f:status": {}}));
        status["subresource"] = json!("status");
        let object = live(vec![
            status,
            entry("flux-client-side-apply", "Apply", json!({"f:data": {}})),
            entry("controller", "Apply", json!({"f:data": {}})),
        ]);
        assert_eq!(cleanup(&object, "controller", &[]), Vec::<Value>::new());
    }

    #[test]
    fn removes_the_annotations_of_kubectl_and_checks_the_version() {
        let mut object = live(vec![]);
        object["metadata"]["annotations"] = json!({ANNOTATIONS[0]: "{}", "own": "kept"});
        let operations = cleanup(&object, "controller", &[]);
        assert_eq!(
            operations,
            [
                json!({"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}),
                json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}),
            ]
        );
    }

    #[test]
    fn takes_over_from_managers_that_the_operator_names() {
        let object = live(vec![entry("terraform-1", "Update", json!({"f:data": {}}))]);
        assert_eq!(cleanup(&object, "controller", &[]), Vec::<Value>::new());
        assert!(!cleanup(&object, "controller", &["terraform".to_owned()]).is_empty());
    }
}
