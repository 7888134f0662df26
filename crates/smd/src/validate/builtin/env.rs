//! The environment of a container.

use serde_json::Value;

use super::{Found, items, text};
use crate::validate::names;

const SOURCES: [&str; 5] =
    ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

/// What a field reference can name, besides one label or annotation.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Checks `env` and `envFrom` of a container.
pub(super) fn environment(container: &Value, path: &str, found: &mut Found) {
    for (index, variable) in items(&container["env"]).iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        if text(&variable["name"]).is_empty() {
            found.required(&format!("{path}.name"), "");
        } else {
            variable_name(&variable["name"], &format!("{path}.name"), found);
        }
        value_from(variable, &format!("{path}.valueFrom"), found);
    }
    let path = format!("{path}.envFrom");
    for (index, source) in items(&container["envFrom"]).iter().enumerate() {
        from(source, &path, index, found);
    }
}

fn variable_name(name: &Value, path: &str, found: &mut Found) {
    let good = |c: char| (c == ' ' || c.is_ascii_graphic()) && c != '=';
    if !text(name).chars().all(good) {
        let what = "a valid environment variable name must consist only of printable ASCII \
                    characters other than '='";
        found.invalid(path, name, what);
    }
}

fn value_from(variable: &Value, path: &str, found: &mut Found) {
    let source = &variable["valueFrom"];
    if source.is_null() {
        return;
    }
    field_ref(&source["fieldRef"], &format!("{path}.fieldRef"), found);
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        key_ref(&source[kind], &format!("{path}.{kind}"), found);
    }
    let given = SOURCES.iter().filter(|kind| !source[**kind].is_null()).count();
    let what = if given == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` \
         or `fileKeyRef`"
    } else if !text(&variable["value"]).is_empty() {
        "may not be specified when `value` is not empty"
    } else if given > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    found.invalid(path, &"".into(), what);
}

fn field_ref(reference: &Value, path: &str, found: &mut Found) {
    if reference.is_null() {
        return;
    }
    let path = format!("{path}.fieldPath");
    let field = text(&reference["fieldPath"]);
    let of_map = ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .any(|map| field.strip_prefix(map).is_some_and(|key| key.ends_with("']")));
    if field.is_empty() {
        found.required(&path, "");
    } else if !of_map && !FIELDS.contains(&field) {
        let what = format!("error converting fieldPath: field label not supported: {field}");
        found.invalid(&path, &field.into(), &what);
    }
}

fn key_ref(reference: &Value, path: &str, found: &mut Found) {
    if reference.is_null() {
        return;
    }
    let name = if reference["name"].is_null() { &Value::from("") } else { &reference["name"] };
    found.names(&format!("{path}.name"), name, names::subdomain);
    if text(&reference["key"]).is_empty() {
        found.required(&format!("{path}.key"), "");
    } else {
        found.names(&format!("{path}.key"), &reference["key"], names::config_key);
    }
}

fn from(source: &Value, path: &str, index: usize, found: &mut Found) {
    variable_name(&source["prefix"], &format!("{path}[{index}].prefix"), found);
    let mut given = 0;
    for kind in ["configMapRef", "secretRef"] {
        if source[kind].is_null() {
            continue;
        }
        given += 1;
        let path = format!("{path}[{index}].{kind}.name");
        if text(&source[kind]["name"]).is_empty() {
            found.required(&path, "");
        } else {
            found.names(&path, &source[kind]["name"], names::subdomain);
        }
    }
    if given == 0 {
        found.invalid(path, &"".into(), "must specify one of: `configMapRef` or `secretRef`");
    } else if given > 1 {
        let what = "may not have more than one field specified at a time";
        found.invalid(path, &"".into(), what);
    }
}
