//! Autoscalers: `autoscaling/v2`, in which they are stored, and `autoscaling/v1`.
//!
//! The old version knows the use of the CPU alone; the rest is kept in annotations.

use serde_json::{Value, json};

use crate::object::Object;

const CPU: &str = "targetCPUUtilizationPercentage";
const MEASURED_CPU: &str = "currentCPUUtilizationPercentage";
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// Turns a `v2` autoscaler into a `v1` one.
pub(super) fn to_v1(object: &mut Value) {
    if let Value::Array(metrics) = take(object.get_mut("spec"), "metrics") {
        let (cpu, others): (Vec<Value>, Vec<Value>) = metrics.into_iter().partition(is_cpu);
        if let Some(cpu) = cpu.first() {
            object["spec"][CPU] = cpu["resource"]["target"]["averageUtilization"].clone();
        }
        if !others.is_empty() {
            annotate(object, METRICS, &others.into());
        }
    }
    let behavior = take(object.get_mut("spec"), "behavior");
    annotate(object, BEHAVIOR, &behavior);
    let conditions = take(object.get_mut("status"), "conditions");
    annotate(object, CONDITIONS, &conditions);
    if let Value::Array(measured) = take(object.get_mut("status"), "currentMetrics") {
        let cpu = measured.iter().find(|metric| metric["resource"]["name"] == "cpu");
        if let Some(value) =
            cpu.and_then(|cpu| cpu["resource"]["current"].get("averageUtilization"))
        {
            object["status"][MEASURED_CPU] = value.clone();
        }
    }
}

/// Turns a `v1` autoscaler into a `v2` one.
pub(super) fn to_v2(object: &mut Value) {
    let mut metrics = match unannotate(object, METRICS) {
        Value::Array(metrics) => metrics,
        _ => Vec::new(),
    };
    let cpu = take(object.get_mut("spec"), CPU);
    if cpu.is_number() {
        let target = json!({"type": "Utilization", "averageUtilization": cpu});
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    if !metrics.is_empty() {
        object["spec"]["metrics"] = metrics.into();
    }
    for (annotation, part, field) in
        [(BEHAVIOR, "spec", "behavior"), (CONDITIONS, "status", "conditions")]
    {
        let value = unannotate(object, annotation);
        if !value.is_null() {
            object[part][field] = value;
        }
    }
    let measured = take(object.get_mut("status"), MEASURED_CPU);
    if measured.is_number() {
        let current = json!({"averageUtilization": measured});
        object["status"]["currentMetrics"] =
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": current}}]);
    }
}

fn is_cpu(metric: &Value) -> bool {
    metric["resource"]["name"] == "cpu"
        && metric["resource"]["target"]["averageUtilization"].is_number()
}

fn take(object: Option<&mut Value>, field: &str) -> Value {
    let fields = object.and_then(Value::as_object_mut);
    fields.and_then(|fields| fields.shift_remove(field)).unwrap_or_default()
}

fn annotate(object: &mut Value, name: &str, value: &Value) {
    if !value.is_null() {
        let annotations = object.meta_mut().entry("annotations").or_insert_with(|| json!({}));
        annotations[name] = value.to_string().into();
    }
}

fn unannotate(object: &mut Value, name: &str) -> Value {
    let text = take(object.meta_mut().get_mut("annotations"), name);
    text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_the_old_version_does_not_know() {
        let v2 = json!({
            "metadata": {"name": "web", "annotations": {}},
            "spec": {
                "maxReplicas": 5,
                "metrics": [
                    {"type": "Pods", "pods": {"metric": {"name": "rps"}}},
                    {"type": "Resource", "resource": {"name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 80}}},
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}},
            },
            "status": {"currentReplicas": 1},
        });
        let mut object = v2.clone();
        to_v1(&mut object);
        assert_eq!(object["spec"], json!({"maxReplicas": 5, CPU: 80}));
        to_v2(&mut object);
        assert_eq!(object, v2);
    }
}
