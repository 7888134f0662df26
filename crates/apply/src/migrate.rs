//! Brings the managed fields of objects to the version that they are applied at.
//!
//! When a version of a custom resource adds fields with defaults, an entry of an older version makes
//! the API refuse an apply: `field not declared in schema`.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::error::{Problem, api_message};
use crate::kinds::Kind;
use crate::mask::mask;
use crate::object::{Subject, text};
use crate::target::Target;

impl Target {
    /// Rewrites the version of every manager, those of subresources too; says whether there was
    /// anything to rewrite.
    ///
    /// Source: `PatchMigrateToVersion`, fluxcd/pkg `ssa/patch.go`.
    pub(crate) async fn migrate(&self, kind: &Kind, object: &Value) -> Result<bool, Problem> {
        let subject = Subject::of(object);
        // What cannot be read is for the dry run to report.
        let Ok(Some(live)) = self.cluster.get(kind, &subject).await else { return Ok(false) };
        if self.is_off_limits(&live) || self.is_marked(object, "ssa", "IfNotPresent") {
            return Ok(false);
        }
        let Some(operations) = operations(&live, &subject.api_version) else { return Ok(false) };
        let failed = |message| Problem::Migrate { subject: Box::new(subject.clone()), message };
        let patch = serde_json::from_value(operations).map_err(|it| failed(it.to_string()))?;
        let manager = self.options.field_manager.clone();
        let params = PatchParams { field_manager: Some(manager), ..PatchParams::default() };
        let patched = self.cluster.patch(kind, &subject, &params, &Patch::Json(patch)).await;
        patched.map_err(|error| failed(mask(object, api_message(&error))))?;
        Ok(true)
    }
}

/// Returns the patch that brings every manager to a version, `None` when all are at it.
fn operations(live: &Value, api_version: &str) -> Option<Value> {
    let mut entries = live["metadata"]["managedFields"].as_array()?.clone();
    if entries.iter().all(|entry| entry["apiVersion"] == api_version) {
        return None;
    }
    for entry in &mut entries {
        entry["apiVersion"] = api_version.into();
    }
    // What was read is what is patched, or the API answers with a conflict.
    let version = text(live, "/metadata/resourceVersion");
    Some(json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_every_manager_when_one_is_behind() {
        let live = |versions: [&str; 2]| {
            let entries = versions.map(|it| json!({"manager": "x", "apiVersion": it}));
            json!({"metadata": {"resourceVersion": "7", "managedFields": entries}})
        };
        assert_eq!(operations(&live(["a/v2", "a/v2"]), "a/v2"), None);
        let operations = operations(&live(["a/v1", "a/v2"]), "a/v2").unwrap();
        let entries = json!([
            {"manager": "x", "apiVersion": "a/v2"}, {"manager": "x", "apiVersion": "a/v2"},
        ]);
        assert_eq!(operations[0]["value"], entries);
        assert_eq!(operations[1]["value"], "7");
        assert_eq!(super::operations(&json!({"metadata": {}}), "a/v2"), None);
    }
}
