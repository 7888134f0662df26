//! Volumes, claims and their classes.

use serde_json::Value;

use super::{Found, is_empty, items, text};
use crate::quantity::Quantity;
use crate::value::equal;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn claim(object: &Value, old: Option<&Value>, found: &mut Found) {
    let spec = &object["spec"];
    if items(&spec["accessModes"]).is_empty() {
        found.required("spec.accessModes", "at least 1 access mode is required");
    }
    for (index, mode) in items(&spec["accessModes"]).iter().enumerate() {
        found.choice(&format!("spec.accessModes[{index}]"), mode, &MODES);
    }
    let storage = &spec["resources"]["requests"]["storage"];
    if storage.is_null() {
        found.required("spec.resources[storage]", "");
    } else if Quantity::of(storage).is_some_and(|amount| !amount.is_positive()) {
        let what = "must be greater than zero";
        found.invalid("spec.resources[storage]", storage, what);
    }
    let Some(old) = old else { return };
    let is_bound = old["status"]["phase"] == "Bound";
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(spec) = spec.as_object_mut() {
            // The volume is chosen, and the class filled in, after creation.
            for field in ["volumeName", "volumeAttributesClassName", "storageClassName"] {
                spec.shift_remove(field);
            }
            if is_bound
                && let Some(resources) = spec.get_mut("resources").and_then(Value::as_object_mut)
            {
                resources.shift_remove("requests");
            }
        }
        spec
    };
    let replaced = |field: &str| {
        let before = &old["spec"][field];
        !is_empty(before) && *before != spec[field]
    };
    if !equal(&fixed(spec), &fixed(&old["spec"]))
        || replaced("volumeName")
        || replaced("storageClassName")
    {
        let what = "spec is immutable after creation except resources.requests and \
                    volumeAttributesClassName for bound claims";
        found.forbidden("spec", what);
    }
    let before = Quantity::of(&old["spec"]["resources"]["requests"]["storage"]);
    if is_bound
        && let (Some(now), Some(before)) = (Quantity::of(storage), before)
        && now < before
    {
        let what = "field can not be less than previous value";
        found.forbidden("spec.resources.requests.storage", what);
    }
}

pub(super) fn volume(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    if items(&spec["accessModes"]).is_empty() {
        found.required("spec.accessModes", "");
    }
    for (index, mode) in items(&spec["accessModes"]).iter().enumerate() {
        found.choice(&format!("spec.accessModes[{index}]"), mode, &MODES);
    }
    if is_empty(&spec["capacity"]) {
        found.required("spec.capacity", "");
    }
}

pub(super) fn class(object: &Value, old: Option<&Value>, found: &mut Found) {
    if text(&object["provisioner"]).is_empty() {
        found.required("provisioner", "");
    }
    found.choice("reclaimPolicy", &object["reclaimPolicy"], &["Delete", "Retain"]);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    found.choice("volumeBindingMode", &object["volumeBindingMode"], &modes);
    if let Some(old) = old {
        for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            found.unchanged(field, &object[field], &old[field]);
        }
    }
}
