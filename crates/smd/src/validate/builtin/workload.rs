//! Workloads: selectors, templates, strategies.

use serde_json::{Value, json};

use super::{FieldError, Found, IMMUTABLE, pod, selector, text};
use crate::value::equal;

const NO_MATCH: &str = "`selector` does not match template `labels`";

pub(super) fn deployment(object: &Value, old: Option<&Value>, found: &mut Found) {
    let spec = &object["spec"];
    found.not_negative("spec.replicas", &spec["replicas"]);
    selector_and_template(spec, "deployment", "ReplicaSet", found);
    let strategy = &spec["strategy"];
    let path = "spec.strategy";
    let kind = text(&strategy["type"]);
    if !matches!(kind, "Recreate" | "RollingUpdate") {
        // As the internal type of the API server is written.
        let shown = json!({"Type": kind, "RollingUpdate": strategy["rollingUpdate"]});
        found.add(FieldError::new(
            "FieldValueNotSupported",
            path,
            format!("Unsupported value: {shown}"),
            "supported values: \"Recreate\", \"RollingUpdate\"",
        ));
    }
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" if !rolling.is_null() => {
            let what = "may not be specified when strategy `type` is 'Recreate'";
            found.forbidden(&format!("{path}.rollingUpdate"), what);
        }
        "RollingUpdate" => {
            share(
                &rolling["maxUnavailable"],
                &format!("{path}.rollingUpdate.maxUnavailable"),
                found,
            );
            share(&rolling["maxSurge"], &format!("{path}.rollingUpdate.maxSurge"), found);
            if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
                found.invalid(
                    &format!("{path}.rollingUpdate.maxUnavailable"),
                    &rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                );
            }
        }
        _ => {}
    }
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        found.not_negative(&format!("spec.{field}"), &spec[field]);
    }
    let deadline = spec["progressDeadlineSeconds"].as_i64();
    let ready = spec["minReadySeconds"].as_i64().unwrap_or_default();
    if deadline.is_some_and(|deadline| deadline <= ready) {
        let what = "must be greater than minReadySeconds";
        found.invalid("spec.progressDeadlineSeconds", &spec["progressDeadlineSeconds"], what);
    }
    if let Some(old) = old {
        found.unchanged("spec.selector", &spec["selector"], &old["spec"]["selector"]);
    }
}

pub(super) fn replica_set(object: &Value, old: Option<&Value>, found: &mut Found) {
    let spec = &object["spec"];
    found.not_negative("spec.replicas", &spec["replicas"]);
    selector_and_template(spec, "deployment", "ReplicaSet", found);
    if let Some(old) = old {
        found.unchanged("spec.selector", &spec["selector"], &old["spec"]["selector"]);
    }
}

pub(super) fn replication_controller(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    found.not_negative("spec.replicas", &spec["replicas"]);
    if super::is_empty(&spec["selector"]) {
        found.required("spec.selector", "");
    }
    if spec["template"].is_null() {
        found.required("spec.template", "");
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let mut wanted = spec["selector"].as_object().into_iter().flatten();
    if !wanted.all(|(key, value)| labels[key] == *value) {
        found.invalid("spec.template.metadata.labels", labels, NO_MATCH);
    }
    template(&spec["template"], "spec.template", "ReplicationController", found);
}

pub(super) fn daemon_set(object: &Value, old: Option<&Value>, found: &mut Found) {
    let spec = &object["spec"];
    if let Some(old) = old {
        found.unchanged("spec.selector", &spec["selector"], &old["spec"]["selector"]);
    }
    selector_and_template(spec, "daemonset", "DaemonSet", found);
    let strategy = &spec["updateStrategy"];
    found.choice("spec.updateStrategy.type", &strategy["type"], &["OnDelete", "RollingUpdate"]);
}

pub(super) fn stateful_set(object: &Value, old: Option<&Value>, found: &mut Found) {
    const CHANGEABLE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let spec = &object["spec"];
    let policy = text(&spec["podManagementPolicy"]);
    if !matches!(policy, "OrderedReady" | "Parallel") {
        let what = "must be 'OrderedReady' or 'Parallel'";
        found.invalid("spec.podManagementPolicy", &spec["podManagementPolicy"], what);
    }
    if !matches!(text(&spec["updateStrategy"]["type"]), "RollingUpdate" | "OnDelete") {
        let what = "must be 'RollingUpdate' or 'OnDelete'";
        found.invalid("spec.updateStrategy", &spec["updateStrategy"], what);
    }
    found.not_negative("spec.replicas", &spec["replicas"]);
    selector_and_template(spec, "statefulset", "StatefulSet", found);
    if let Some(old) = old {
        let fixed = |spec: &Value| {
            let mut spec = spec.clone();
            if let Some(spec) = spec.as_object_mut() {
                spec.retain(|field, _| !CHANGEABLE.contains(&field.as_str()));
            }
            spec
        };
        if !equal(&fixed(spec), &fixed(&old["spec"])) {
            let what = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                        'template', 'updateStrategy', 'revisionHistoryLimit', \
                        'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            found.forbidden("spec", what);
        }
    }
}

pub(super) fn job(object: &Value, old: Option<&Value>, found: &mut Found) {
    let spec = &object["spec"];
    job_spec(spec, "spec", found);
    let path = "spec.template.metadata.labels";
    let labels = &spec["template"]["metadata"]["labels"];
    if spec["selector"].is_null() {
        found.required("spec.selector", "");
    } else if !selector::matches(&spec["selector"], labels) {
        found.invalid(path, labels, NO_MATCH);
    }
    let Some(old) = old.map(|old| &old["spec"]) else { return };
    let is_indexed = spec["completionMode"] == "Indexed";
    // An indexed job can be scaled by both numbers together.
    let is_elastic = is_indexed && spec["completions"] == spec["parallelism"];
    if !is_elastic {
        found.unchanged("spec.completions", &spec["completions"], &old["completions"]);
    }
    found.unchanged("spec.selector", &spec["selector"], &old["selector"]);
    // What decides where pods run may change while a job is suspended.
    let is_suspended = old["suspend"] == true;
    if !equal(&spec["template"], &old["template"]) && !is_suspended {
        found.invalid("spec.template", &spec["template"], IMMUTABLE);
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "successPolicy"] {
        found.unchanged(&format!("spec.{field}"), &spec[field], &old[field]);
    }
}

fn job_spec(spec: &Value, path: &str, found: &mut Found) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        found.not_negative(&format!("{path}.{field}"), &spec[field]);
    }
    if !spec["completionMode"].is_null() {
        let modes = ["NonIndexed", "Indexed"];
        found.choice(&format!("{path}.completionMode"), &spec["completionMode"], &modes);
        if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
            let what = "when completion mode is Indexed";
            found.required(&format!("{path}.completions"), what);
        }
    }
    let template_path = format!("{path}.template");
    pod::template(&spec["template"], &template_path, found);
    let restart = &spec["template"]["spec"]["restartPolicy"];
    let restart_path = format!("{template_path}.spec.restartPolicy");
    // The default of pods is none for jobs.
    match text(restart) {
        "Always" | "" => {
            found.required(&restart_path, "valid values: \"OnFailure\", \"Never\"");
        }
        _ => found.choice(&restart_path, restart, &["OnFailure", "Never"]),
    }
}

pub(super) fn cron_job(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    let schedule = text(&spec["schedule"]);
    if schedule.is_empty() {
        found.required("spec.schedule", "");
    } else if let Some(problem) = schedule_problem(schedule) {
        found.invalid("spec.schedule", &spec["schedule"], &problem);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    found.choice("spec.concurrencyPolicy", &spec["concurrencyPolicy"], &policies);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]
    {
        found.not_negative(&format!("spec.{field}"), &spec[field]);
    }
    let name = text(&object["metadata"]["name"]);
    // Names of jobs have 11 characters more.
    if name.len() > 52 {
        let what = "must be no more than 52 characters";
        found.invalid("metadata.name", &object["metadata"]["name"], what);
    }
    job_spec(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", found);
}

/// Returns what is wrong with a schedule; ranges are not looked at.
fn schedule_problem(schedule: &str) -> Option<String> {
    if let Some(name) = schedule.strip_prefix('@') {
        let known = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];
        let is_known = known.contains(&name) || name.starts_with("every ");
        return (!is_known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    (fields.len() != 5).then(|| {
        format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "))
    })
}

/// A selector has to take the pods of the template, and something besides everything.
fn selector_and_template(spec: &Value, name: &str, kind: &str, found: &mut Found) {
    let wanted = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    if wanted.is_null() {
        found.required("spec.selector", "");
        found.invalid("spec.template.metadata.labels", labels, NO_MATCH);
    } else {
        selector::check(wanted, "spec.selector", found);
        if selector::is_empty(wanted) {
            let what = format!("empty selector is invalid for {name}");
            found.invalid("spec.selector", wanted, &what);
        } else if !selector::matches(wanted, labels) {
            found.invalid("spec.template.metadata.labels", labels, NO_MATCH);
        }
    }
    template(&spec["template"], "spec.template", kind, found);
}

/// A template of pods that run on.
fn template(template: &Value, path: &str, kind: &str, found: &mut Found) {
    pod::template(template, path, found);
    let spec = &template["spec"];
    if spec["restartPolicy"] != "Always" {
        found.choice(&format!("{path}.spec.restartPolicy"), &spec["restartPolicy"], &["Always"]);
    }
    if !spec["activeDeadlineSeconds"].is_null() {
        let what = format!("activeDeadlineSeconds in {kind} is not Supported");
        found.forbidden(&format!("{path}.spec.activeDeadlineSeconds"), &what);
    }
}

/// A number of pods or a percentage.
fn share(value: &Value, path: &str, found: &mut Found) {
    match value {
        Value::Number(_) => found.not_negative(path, value),
        Value::String(text) => {
            let number = text.strip_suffix('%').unwrap_or_default();
            if number.is_empty() || !number.bytes().all(|c| c.is_ascii_digit()) {
                let what = "a valid percent string must be a numeric string followed by an ending \
                            '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                found.invalid(path, value, what);
            }
        }
        _ => {}
    }
}

fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0) || matches!(value.as_str(), Some("0" | "0%"))
}
