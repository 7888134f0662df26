//! Autoscalers and disruption budgets.

use serde_json::{Value, json};

use super::{FieldError, Found, selector, text};

pub(super) fn autoscaler(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    let number = |field: &str| spec[field].as_i64().unwrap_or_default();
    let (least, most) = (number("minReplicas"), number("maxReplicas"));
    if least < 1 {
        let what = "must be greater than or equal to 1";
        found.invalid("spec.minReplicas", &spec["minReplicas"], what);
    }
    if most == 0 {
        found.required("spec.maxReplicas", "must be set and greater than 0");
    } else if most < 1 {
        let what = "must be greater than or equal to 1";
        found.invalid("spec.maxReplicas", &spec["maxReplicas"], what);
    }
    if most < least {
        let what = "must be greater than or equal to `minReplicas`";
        found.invalid("spec.maxReplicas", &spec["maxReplicas"], what);
    }
    let target = &spec["scaleTargetRef"];
    for field in ["kind", "name"] {
        if text(&target[field]).is_empty() {
            found.required(&format!("spec.scaleTargetRef.{field}"), "");
        }
    }
    if text(&target["apiVersion"]).is_empty() {
        let what = "apiVersion must specify API group";
        found.invalid("spec.scaleTargetRef.apiVersion", &"".into(), what);
    }
}

pub(super) fn disruption_budget(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        // As the internal type of the API server is written.
        let shown = json!({
            "MinAvailable": spec["minAvailable"],
            "Selector": spec["selector"],
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"],
        });
        found.add(FieldError::new(
            "FieldValueInvalid",
            "spec",
            format!("Invalid value: {shown}"),
            "minAvailable and maxUnavailable cannot be both set",
        ));
    }
    selector::check(&spec["selector"], "spec.selector", found);
}
