//! Rows of workloads and of what scales and protects them.

use serde_json::{Value, json};

use super::format::{
    age, containers, count, duration, items, labels, name, number, or, parse, selector, since,
};
use super::{AGE, Column, NAME, Printer, boolean, integer, text};
use crate::object::Object;
use crate::selector::selector_text;

const CONTAINERS: Column = text("Containers").wide();
const IMAGES: Column = text("Images").wide();
const SELECTOR: Column = text("Selector").wide();

const POD: &[Column] = &[
    NAME,
    text("Ready"),
    text("Status"),
    text("Restarts"),
    AGE,
    text("IP").wide(),
    text("Node").wide(),
    text("Nominated Node").wide(),
    text("Readiness Gates").wide(),
];
const POD_TEMPLATE: &[Column] = &[NAME, text("Containers"), text("Images"), text("Pod Labels")];
const REPLICAS: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];
const DEPLOYMENT: &[Column] = &[
    NAME,
    text("Ready"),
    text("Up-to-date"),
    text("Available"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];
const STATEFUL_SET: &[Column] = &[NAME, text("Ready"), AGE, CONTAINERS, IMAGES];
const DAEMON_SET: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    integer("Up-to-date"),
    integer("Available"),
    text("Node Selector"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];
const JOB: &[Column] = &[
    NAME,
    text("Status"),
    text("Completions"),
    text("Duration"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];
const CRON_JOB: &[Column] = &[
    NAME,
    text("Schedule"),
    text("Timezone"),
    boolean("Suspend"),
    integer("Active"),
    text("Last Schedule"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];
const CONTROLLER_REVISION: &[Column] = &[NAME, text("Controller"), text("Revision"), AGE];
const DISRUPTION_BUDGET: &[Column] =
    &[NAME, text("Min Available"), text("Max Unavailable"), integer("Allowed Disruptions"), AGE];
const AUTOSCALER: &[Column] = &[
    NAME,
    text("Reference"),
    text("Targets"),
    text("MinPods"),
    text("MaxPods"),
    text("Replicas"),
    AGE,
];

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    let (columns, cells): (_, fn(&Value) -> Vec<Value>) = match (group, kind) {
        ("", "Pod") => (POD, pod),
        ("", "PodTemplate") => (POD_TEMPLATE, pod_template),
        ("", "ReplicationController") => (REPLICAS, replication_controller),
        ("apps", "ReplicaSet") => (REPLICAS, replica_set),
        ("apps", "Deployment") => (DEPLOYMENT, deployment),
        ("apps", "StatefulSet") => (STATEFUL_SET, stateful_set),
        ("apps", "DaemonSet") => (DAEMON_SET, daemon_set),
        ("apps", "ControllerRevision") => (CONTROLLER_REVISION, controller_revision),
        ("batch", "Job") => (JOB, job),
        ("batch", "CronJob") => (CRON_JOB, cron_job),
        ("policy", "PodDisruptionBudget") => (DISRUPTION_BUDGET, disruption_budget),
        ("autoscaling", "HorizontalPodAutoscaler") => (AUTOSCALER, autoscaler),
        _ => return None,
    };
    Some(Printer { columns, cells })
}

/// Returns the conditions of a row: kubectl leaves completed pods out when it waits.
pub(super) fn pod_conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match pod["status"]["phase"].as_str()? {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

fn pod(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let summary = summarize(one);
    let restarts = match (&summary.last_restart, summary.restarts) {
        (Some(last), restarts) if restarts > 0 => {
            format!("{restarts} ({} ago)", since(&Value::from(last.as_str())))
        }
        (_, restarts) => restarts.to_string(),
    };
    let gates = items(&spec["readinessGates"]);
    let open = gates.iter().filter(|gate| has_condition(one, &gate["conditionType"])).count();
    vec![
        name(one),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(one),
        or(&status["podIPs"][0]["ip"], "<none>"),
        or(&spec["nodeName"], "<none>"),
        or(&status["nominatedNodeName"], "<none>"),
        if gates.is_empty() { "<none>".into() } else { format!("{open}/{}", gates.len()).into() },
    ]
}

/// What one word and three numbers say of a pod.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<String>,
}

impl Summary {
    fn count_restarts(&mut self, container: &Value) {
        self.restarts += number(&container["restartCount"]);
        if let Some(finished) = container["lastState"]["terminated"]["finishedAt"].as_str()
            && self.last_restart.as_deref().is_none_or(|last| last < finished)
        {
            self.last_restart = Some(finished.to_owned());
        }
    }
}

/// Sums a pod up; init containers come first, then the containers, the first of them last.
///
/// Source: `printPod`, kubernetes 1.33, `pkg/printers/internalversion/printers.go`.
fn summarize(pod: &Value) -> Summary {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let phase = status["phase"].as_str().unwrap_or_default();
    let sidecar = |container: &Value| {
        let declared = items(&spec["initContainers"]).iter();
        declared
            .filter(|one| one["name"] == container["name"])
            .any(|one| one["restartPolicy"] == "Always")
    };
    let sidecars = items(&spec["initContainers"])
        .iter()
        .filter(|one| one["restartPolicy"] == "Always")
        .count();
    let mut summary = Summary {
        ready: 0,
        total: items(&spec["containers"]).len() + sidecars,
        reason: status["reason"].as_str().unwrap_or(phase).to_owned(),
        restarts: 0,
        last_restart: None,
    };
    let gated = items(&status["conditions"])
        .iter()
        .any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated");
    if gated {
        "SchedulingGated".clone_into(&mut summary.reason);
    }
    let mut of_sidecars =
        Summary { ready: 0, total: 0, reason: String::new(), restarts: 0, last_restart: None };
    let mut initializing = false;
    for (at, container) in items(&status["initContainerStatuses"]).iter().enumerate() {
        summary.count_restarts(container);
        if sidecar(container) {
            of_sidecars.count_restarts(container);
        }
        let terminated = &container["state"]["terminated"];
        if terminated["exitCode"] == 0 {
            continue;
        }
        if sidecar(container) && container["started"] == true {
            summary.ready += usize::from(container["ready"] == true);
            continue;
        }
        summary.reason = if terminated.is_object() {
            format!("Init:{}", ended(terminated))
        } else {
            match container["state"]["waiting"]["reason"].as_str() {
                Some(reason) if !matches!(reason, "" | "PodInitializing") => {
                    format!("Init:{reason}")
                }
                _ => format!("Init:{at}/{}", items(&spec["initContainers"]).len()),
            }
        };
        initializing = true;
        break;
    }
    if !initializing || has_condition(pod, &"Initialized".into()) {
        summary.restarts = of_sidecars.restarts;
        summary.last_restart = of_sidecars.last_restart;
        let mut running = false;
        for container in items(&status["containerStatuses"]).iter().rev() {
            summary.count_restarts(container);
            let state = &container["state"];
            match state["waiting"]["reason"].as_str() {
                Some(reason) if !reason.is_empty() => reason.clone_into(&mut summary.reason),
                _ if state["terminated"].is_object() => {
                    summary.reason = ended(&state["terminated"]);
                }
                _ if container["ready"] == true && state["running"].is_object() => {
                    running = true;
                    summary.ready += 1;
                }
                _ => {}
            }
        }
        if summary.reason == "Completed" && running {
            let ready = has_condition(pod, &"Ready".into());
            (if ready { "Running" } else { "NotReady" }).clone_into(&mut summary.reason);
        }
    }
    if pod.is_terminating() && status["reason"] == "NodeLost" {
        "Unknown".clone_into(&mut summary.reason);
    } else if pod.is_terminating() && !matches!(phase, "Succeeded" | "Failed") {
        "Terminating".clone_into(&mut summary.reason);
    }
    summary
}

fn ended(terminated: &Value) -> String {
    match (terminated["reason"].as_str(), number(&terminated["signal"])) {
        (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
        (_, 0) => format!("ExitCode:{}", number(&terminated["exitCode"])),
        (_, signal) => format!("Signal:{signal}"),
    }
}

fn has_condition(object: &Value, kind: &Value) -> bool {
    items(&object["status"]["conditions"])
        .iter()
        .any(|condition| condition["type"] == *kind && condition["status"] == "True")
}

fn pod_template(one: &Value) -> Vec<Value> {
    let [names, images] = containers(&one["template"]);
    vec![name(one), names, images, labels(&one["template"]["metadata"]["labels"]).into()]
}

fn replicas(one: &Value, selector: Value) -> Vec<Value> {
    let [names, images] = containers(&one["spec"]["template"]);
    vec![
        name(one),
        number(&one["spec"]["replicas"]).into(),
        number(&one["status"]["replicas"]).into(),
        number(&one["status"]["readyReplicas"]).into(),
        age(one),
        names,
        images,
        selector,
    ]
}

fn replication_controller(one: &Value) -> Vec<Value> {
    replicas(one, labels(&one["spec"]["selector"]).into())
}

fn replica_set(one: &Value) -> Vec<Value> {
    replicas(one, selector(&one["spec"]["selector"]))
}

fn deployment(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let [names, images] = containers(&spec["template"]);
    vec![
        name(one),
        format!("{}/{}", number(&status["readyReplicas"]), number(&spec["replicas"])).into(),
        number(&status["updatedReplicas"]).into(),
        number(&status["availableReplicas"]).into(),
        age(one),
        names,
        images,
        selector_text(&spec["selector"]).into(),
    ]
}

fn stateful_set(one: &Value) -> Vec<Value> {
    let [names, images] = containers(&one["spec"]["template"]);
    let ready = number(&one["status"]["readyReplicas"]);
    vec![
        name(one),
        format!("{ready}/{}", number(&one["spec"]["replicas"])).into(),
        age(one),
        names,
        images,
    ]
}

fn daemon_set(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let [names, images] = containers(&spec["template"]);
    vec![
        name(one),
        number(&status["desiredNumberScheduled"]).into(),
        number(&status["currentNumberScheduled"]).into(),
        number(&status["numberReady"]).into(),
        number(&status["updatedNumberScheduled"]).into(),
        number(&status["numberAvailable"]).into(),
        labels(&spec["template"]["spec"]["nodeSelector"]).into(),
        age(one),
        names,
        images,
        selector(&spec["selector"]),
    ]
}

fn controller_revision(one: &Value) -> Vec<Value> {
    let controller = one.owners().find(|owner| owner["controller"] == true);
    let shown = controller.map_or_else(
        || "<none>".to_owned(),
        |owner| {
            let text = |field: &str| owner[field].as_str().unwrap_or_default();
            let kind = text("kind").to_lowercase();
            match text("apiVersion").split_once('/') {
                Some((group, _)) => format!("{kind}.{group}/{}", text("name")),
                None => format!("{kind}/{}", text("name")),
            }
        },
    );
    vec![name(one), shown.into(), number(&one["revision"]).into(), age(one)]
}

fn job(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let [names, images] = containers(&spec["template"]);
    let succeeded = number(&status["succeeded"]);
    let completions = match (spec["completions"].as_i64(), number(&spec["parallelism"])) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let took = match (parse(&status["startTime"]), parse(&status["completionTime"])) {
        (Some(start), Some(end)) => duration(end.as_second() - start.as_second()),
        (Some(_), None) => since(&status["startTime"]),
        (None, _) => String::new(),
    };
    let state = ["Complete", "Failed", "Terminating", "Suspended", "FailureTarget"]
        .into_iter()
        .find(|&state| match state {
            "Terminating" => one.is_terminating(),
            _ => has_condition(one, &state.into()),
        });
    vec![
        name(one),
        state.unwrap_or("Running").into(),
        completions.into(),
        took.into(),
        age(one),
        names,
        images,
        selector(&spec["selector"]),
    ]
}

fn cron_job(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let template = &spec["jobTemplate"]["spec"];
    let [names, images] = containers(&template["template"]);
    let last = &status["lastScheduleTime"];
    vec![
        name(one),
        or(&spec["schedule"], ""),
        or(&spec["timeZone"], "<none>"),
        match spec["suspend"] {
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            _ => "<unset>".into(),
        },
        count(&status["active"]).into(),
        if last.is_string() { since(last).into() } else { "<none>".into() },
        age(one),
        names,
        images,
        selector(&template["selector"]),
    ]
}

fn disruption_budget(one: &Value) -> Vec<Value> {
    vec![
        name(one),
        or(&one["spec"]["minAvailable"], "N/A"),
        or(&one["spec"]["maxUnavailable"], "N/A"),
        number(&one["status"]["disruptionsAllowed"]).into(),
        age(one),
    ]
}

fn autoscaler(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let target = &spec["scaleTargetRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    vec![
        name(one),
        format!("{}/{}", text(&target["kind"]), text(&target["name"])).into(),
        targets(items(&spec["metrics"]), items(&status["currentMetrics"])).into(),
        or(&spec["minReplicas"], "<unset>"),
        number(&spec["maxReplicas"]).into(),
        number(&status["currentReplicas"]).into(),
        age(one),
    ]
}

/// Returns what an autoscaler measures and aims at: `cpu: 10%/80%`.
fn targets(wanted: &[Value], measured: &[Value]) -> String {
    const MOST: usize = 2;
    if wanted.is_empty() {
        return "<none>".to_owned();
    }
    let shown: Vec<String> = wanted
        .iter()
        .enumerate()
        .take(MOST)
        .map(|(at, metric)| target(metric, measured.get(at).unwrap_or(&Value::Null)))
        .collect();
    let shown = shown.join(", ");
    if wanted.len() > MOST { format!("{shown} + {} more...", wanted.len() - MOST) } else { shown }
}

fn target(metric: &Value, measured: &Value) -> String {
    let (source, resource) = match metric["type"].as_str().unwrap_or_default() {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, current) = (&metric[source]["target"], &measured[source]["current"]);
    let quantity = |value: &Value| or(value, "<unknown>").as_str().unwrap_or_default().to_owned();
    let percent = |value: &Value, none: &str| match value.as_i64() {
        Some(number) => format!("{number}%"),
        None => none.to_owned(),
    };
    if resource {
        let name = metric[source]["name"].as_str().unwrap_or_default();
        return match &wanted["averageValue"] {
            Value::Null => format!(
                "{name}: {}/{}",
                percent(&current["averageUtilization"], "<unknown>"),
                percent(&wanted["averageUtilization"], "<auto>")
            ),
            average => {
                format!("{name}: {}/{}", quantity(&current["averageValue"]), quantity(average))
            }
        };
    }
    match (&wanted["averageValue"], source) {
        (Value::Null, _) => {
            format!("{}/{}", quantity(&current["value"]), quantity(&wanted["value"]))
        }
        (average, "pods") => {
            format!("{}/{}", quantity(&current["averageValue"]), quantity(average))
        }
        (average, _) => {
            format!("{}/{} (avg)", quantity(&current["averageValue"]), quantity(average))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(pod: &Value) -> (String, String) {
        let cells = super::pod(pod);
        let text = |at: usize| cells[at].as_str().unwrap().to_owned();
        (text(1), text(2))
    }

    #[test]
    fn says_in_a_word_how_a_pod_is() {
        let with = |status: Value| {
            json!({
                "metadata": {"name": "x"},
                "spec": {"containers": [{"name": "a"}, {"name": "b"}],
                         "initContainers": [{"name": "i"}]},
                "status": status,
            })
        };
        let running = json!({"ready": true, "state": {"running": {}}});
        let crashing = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}});
        let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        for (status, ready, reason) in [
            (json!({"phase": "Pending"}), "0/2", "Pending"),
            (
                json!({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]}),
                "0/2",
                "Init:0/1",
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": [
                    {"state": {"terminated": {"exitCode": 3}}}]}),
                "0/2",
                "Init:ExitCode:3",
            ),
            (
                json!({"phase": "Running", "initContainerStatuses": [done],
                       "containerStatuses": [running, running]}),
                "2/2",
                "Running",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [running, crashing]}),
                "1/2",
                "CrashLoopBackOff",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [done, running],
                       "conditions": [{"type": "Ready", "status": "True"}]}),
                "1/2",
                "Running",
            ),
            (json!({"phase": "Failed", "reason": "Evicted"}), "0/2", "Evicted"),
        ] {
            let pod = with(status);
            assert_eq!(status_of(&pod), (ready.to_owned(), reason.to_owned()), "{pod}");
        }
    }

    #[test]
    fn shows_what_an_autoscaler_aims_at() {
        let wanted = json!([
            {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
            {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
            {"type": "External", "external": {"target": {"value": "1"}}},
        ]);
        let measured = json!([{"resource": {"current": {"averageUtilization": 5}}}]);
        assert_eq!(
            targets(items(&wanted), items(&measured)),
            "cpu: 5%/80%, <unknown>/10 + 1 more..."
        );
    }
}
