//! CustomResourceDefinitions, apart from their schemas.

use std::collections::HashSet;

use serde_json::Value;

use super::{Found, items, text};
use crate::validate::{FieldError, names};

pub(super) fn definition(object: &Value, old: Option<&Value>, found: &mut Found) {
    let (spec, meta) = (&object["spec"], &object["metadata"]);
    let (group, declared) = (text(&spec["group"]), &spec["names"]);
    let plural = text(&declared["plural"]);
    let name = format!("{plural}.{group}");
    if text(&meta["name"]) != name {
        let what = "must be spec.names.plural+\".\"+spec.group";
        found.invalid("metadata.name", &meta["name"], what);
    }
    if group.is_empty() {
        found.required("spec.group", "");
    } else {
        found.names("spec.group", &spec["group"], names::subdomain);
        if !group.contains('.') {
            let what = "should be a domain with at least one dot";
            found.invalid("spec.group", &spec["group"], what);
        }
    }
    found.choice("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]);
    for field in ["plural", "singular", "kind", "listKind"] {
        let path = format!("spec.names.{field}");
        let name = text(&declared[field]);
        if name.is_empty() {
            found.required(&path, "");
            continue;
        }
        for problem in names::label(&name.to_lowercase()) {
            found.invalid(&path, &declared[field], &problem);
        }
    }
    let kind = text(&declared["kind"]);
    if !kind.is_empty() && kind == text(&declared["listKind"]) {
        let what = "kind and listKind may not be the same";
        found.invalid("spec.names.listKind", &declared["listKind"], what);
    }
    versions(items(&spec["versions"]), found);
    if let Some(old) = old {
        let before = &old["spec"];
        for (path, new, old) in [
            ("spec.group", &spec["group"], &before["group"]),
            ("spec.names.plural", &declared["plural"], &before["names"]["plural"]),
            ("spec.names.kind", &declared["kind"], &before["names"]["kind"]),
            ("spec.scope", &spec["scope"], &before["scope"]),
        ] {
            found.unchanged(path, new, old);
        }
        let gone = |stored: &&Value| {
            !items(&spec["versions"]).iter().any(|version| version["name"] == **stored)
        };
        for (index, stored) in items(&object["status"]["storedVersions"]).iter().enumerate() {
            if gone(&stored) {
                let what = "missing from spec.versions; v1 was previously a storage version, and \
                            must remain in spec.versions until a storage migration ensures no data \
                            remains persisted in v1 and removes v1 from status.storedVersions"
                    .replace("v1", text(stored));
                found.invalid(&format!("status.storedVersions[{index}]"), stored, &what);
            }
        }
    }
}

/// Metadata has the schema that the API gives it; only its names can be restricted.
fn metadata(path: &str, version: &Value, found: &mut Found) {
    let schema = &version["schema"]["openAPIV3Schema"]["properties"]["metadata"];
    let is_allowed = |(key, value): (&String, &Value)| match key.as_str() {
        "type" => true,
        "properties" => {
            let mut names = value.as_object().into_iter().flatten().map(|(name, _)| name);
            names.all(|name| name == "name" || name == "generateName")
        }
        _ => false,
    };
    if !schema.as_object().into_iter().flatten().all(is_allowed) {
        found.forbidden(
            &format!("{path}.properties[metadata]"),
            "must not specify anything other than name and generateName, but metadata is \
             implicitly specified",
        );
    }
}

fn versions(versions: &[Value], found: &mut Found) {
    if versions.is_empty() {
        found.required("spec.versions", "");
    }
    let mut known = HashSet::new();
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        found.names(&format!("{path}.name"), &version["name"], names::label);
        if !known.insert(text(&version["name"])) {
            found.add(FieldError::duplicate(&format!("{path}.name"), &version["name"]));
        }
        if version["schema"]["openAPIV3Schema"].is_null() {
            found.required(&format!("{path}.schema.openAPIV3Schema"), "schemas are required");
        }
        // Only one version is left to check when the schema of all versions is the same one.
        let is_shared = versions.iter().all(|other| other["schema"] == version["schema"]);
        if is_shared && index == 0 {
            metadata("spec.validation.openAPIV3Schema", version, found);
        } else if !is_shared {
            metadata(&format!("{path}.schema.openAPIV3Schema"), version, found);
        }
    }
    let stored = versions.iter().filter(|version| version["storage"] == true).count();
    if stored != 1 {
        let what = "must have exactly one version marked as storage version";
        found.invalid("spec.versions", &Value::Array(versions.to_vec()), what);
    }
}
