//! ConfigMaps and Secrets.

use serde_json::{Map, Value};

use super::{Found, text};
use crate::validate::{FieldError, names};
use crate::value::equal;

/// Limit of the values together, in bytes.
const LIMIT: usize = 1024 * 1024;
const FIXED: &str = "field is immutable when `immutable` is set";

pub(super) fn config_map(object: &Value, old: Option<&Value>, found: &mut Found) {
    if let Some(old) = old {
        immutable(object, old, &["data", "binaryData"], found);
    }
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in entries(object, field) {
            let path = format!("{field}[{key}]");
            found.names(&path, &key.as_str().into(), names::config_key);
            if field == "data" && object["binaryData"].get(key).is_some() {
                let what = "duplicate of key present in binaryData";
                found.invalid(&path, &key.as_str().into(), what);
            }
            size += if field == "data" { text(value).len() } else { decoded(value) };
        }
    }
    if size > LIMIT {
        found.add(FieldError::too_long("", LIMIT as u64));
    }
}

pub(super) fn secret(object: &Value, old: Option<&Value>, found: &mut Found) {
    if let Some(old) = old {
        found.unchanged("type", &object["type"], &old["type"]);
        immutable(object, old, &["data"], found);
    }
    let mut size = 0;
    for (key, value) in entries(object, "data") {
        found.names(&format!("data[{key}]"), &key.as_str().into(), names::config_key);
        size += decoded(value);
    }
    if size > LIMIT {
        found.add(FieldError::too_long("data", LIMIT as u64));
    }
    let has = |key: &str| object["data"].get(key).is_some();
    let mut require = |keys: &[&str]| {
        for key in keys.iter().filter(|key| !has(key)) {
            found.required(&format!("data[{key}]"), "");
        }
    };
    match text(&object["type"]) {
        "kubernetes.io/tls" => require(&["tls.crt", "tls.key"]),
        "kubernetes.io/dockerconfigjson" => require(&[".dockerconfigjson"]),
        "kubernetes.io/dockercfg" => require(&[".dockercfg"]),
        "kubernetes.io/ssh-auth" => require(&["ssh-privatekey"]),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            require(&["username", "password"]);
        }
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if text(&object["metadata"]["annotations"][annotation]).is_empty() {
                found.required(&format!("metadata.annotations[{annotation}]"), "");
            }
        }
        _ => {}
    }
}

fn immutable(object: &Value, old: &Value, fields: &[&str], found: &mut Found) {
    if old["immutable"] != true {
        return;
    }
    if object["immutable"] != true {
        found.forbidden("immutable", FIXED);
    }
    for field in fields.iter().filter(|field| !equal(&object[**field], &old[**field])) {
        found.forbidden(field, FIXED);
    }
}

fn entries<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(field).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Returns the number of bytes that base64 text stands for.
fn decoded(value: &Value) -> usize {
    text(value).trim_end_matches('=').len() * 3 / 4
}
