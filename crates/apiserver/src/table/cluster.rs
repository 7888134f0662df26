//! Rows of configuration, storage, access and of the cluster itself.

use serde_json::Value;

use super::format::{age, count, duration, items, name, number, or, since};
use super::{AGE, Column, NAME, Printer, boolean, integer, text};
use crate::object::Object;
use crate::selector::selector_text;

const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";

const CREATED_AT: &[Column] = &[NAME, text("Created At")];
const CONFIG_MAP: &[Column] = &[NAME, text("Data"), AGE];
const SECRET: &[Column] = &[NAME, text("Type"), integer("Data"), AGE];
const SERVICE_ACCOUNT: &[Column] = &[NAME, integer("Secrets"), AGE];
const NAMESPACE: &[Column] = &[NAME, text("Status"), AGE];
const NODE: &[Column] = &[
    NAME,
    text("Status"),
    text("Roles"),
    AGE,
    text("Version"),
    text("Internal-IP").wide(),
    text("External-IP").wide(),
    text("OS-Image").wide(),
    text("Kernel-Version").wide(),
    text("Container-Runtime").wide(),
];
const EVENT: &[Column] = &[
    text("Last Seen"),
    text("Type"),
    text("Reason"),
    text("Object"),
    text("Subobject").wide(),
    text("Source").wide(),
    text("Message"),
    text("First Seen").wide(),
    integer("Count").wide(),
    Column { priority: 1, ..NAME },
];
const VOLUME: &[Column] = &[
    NAME,
    text("Capacity"),
    text("Access Modes"),
    text("Reclaim Policy"),
    text("Status"),
    text("Claim"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Reason"),
    AGE,
    text("VolumeMode").wide(),
];
const CLAIM: &[Column] = &[
    NAME,
    text("Status"),
    text("Volume"),
    text("Capacity"),
    text("Access Modes"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    AGE,
    text("VolumeMode").wide(),
];
const RESOURCE_QUOTA: &[Column] = &[NAME, text("Request"), text("Limit"), AGE];
const ROLE_BINDING: &[Column] = &[
    NAME,
    text("Role"),
    AGE,
    text("Users").wide(),
    text("Groups").wide(),
    text("ServiceAccounts").wide(),
];
const STORAGE_CLASS: &[Column] = &[
    NAME,
    text("Provisioner"),
    text("ReclaimPolicy"),
    text("VolumeBindingMode"),
    text("AllowVolumeExpansion"),
    AGE,
];
const CSI_DRIVER: &[Column] = &[
    NAME,
    boolean("AttachRequired"),
    boolean("PodInfoOnMount"),
    boolean("StorageCapacity"),
    text("TokenRequests"),
    boolean("RequiresRepublish"),
    text("Modes"),
    AGE,
];
const CSI_NODE: &[Column] = &[NAME, integer("Drivers"), AGE];
const CSI_CAPACITY: &[Column] = &[NAME, text("StorageClassName"), text("Capacity")];
const VOLUME_ATTACHMENT: &[Column] =
    &[NAME, text("Attacher"), text("PV"), text("Node"), boolean("Attached"), AGE];
const WEBHOOKS: &[Column] = &[NAME, integer("Webhooks"), AGE];
const ADMISSION_POLICY: &[Column] = &[NAME, integer("Validations"), text("ParamKind"), AGE];
const ADMISSION_BINDING: &[Column] = &[NAME, text("PolicyName"), text("ParamRef"), AGE];
const LEASE: &[Column] = &[NAME, text("Holder"), AGE];
const PRIORITY_CLASS: &[Column] =
    &[NAME, integer("Value"), boolean("Global-Default"), AGE, text("PreemptionPolicy")];
const RUNTIME_CLASS: &[Column] = &[NAME, text("Handler"), AGE];
const SIGNING_REQUEST: &[Column] = &[
    NAME,
    AGE,
    text("SignerName"),
    text("Requestor"),
    text("RequestedDuration"),
    text("Condition"),
];
const FLOW_SCHEMA: &[Column] = &[
    NAME,
    text("PriorityLevel"),
    text("MatchingPrecedence"),
    text("DistinguisherMethod"),
    AGE,
    text("MissingPL"),
];
const PRIORITY_LEVEL: &[Column] = &[
    NAME,
    text("Type"),
    text("NominalConcurrencyShares"),
    text("Queues"),
    text("HandSize"),
    text("QueueLengthLimit"),
    AGE,
];
const API_SERVICE: &[Column] = &[NAME, text("Service"), text("Available"), AGE];

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    let (columns, cells): (_, fn(&Value) -> Vec<Value>) = match (group, kind) {
        ("", "LimitRange")
        | (RBAC, "Role" | "ClusterRole")
        | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            (CREATED_AT, |one| vec![name(one), or(&one["metadata"]["creationTimestamp"], "")])
        }
        ("", "ConfigMap") => (CONFIG_MAP, |one| {
            vec![name(one), (count(&one["data"]) + count(&one["binaryData"])).into(), age(one)]
        }),
        ("", "Secret") => (SECRET, |one| {
            vec![name(one), or(&one["type"], ""), count(&one["data"]).into(), age(one)]
        }),
        ("", "ServiceAccount") => {
            (SERVICE_ACCOUNT, |one| vec![name(one), count(&one["secrets"]).into(), age(one)])
        }
        ("", "Namespace") => {
            (NAMESPACE, |one| vec![name(one), or(&one["status"]["phase"], ""), age(one)])
        }
        ("", "Node") => (NODE, node),
        ("" | "events.k8s.io", "Event") => (EVENT, event),
        ("", "PersistentVolume") => (VOLUME, volume),
        ("", "PersistentVolumeClaim") => (CLAIM, claim),
        ("", "ResourceQuota") => (RESOURCE_QUOTA, resource_quota),
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => (ROLE_BINDING, role_binding),
        (STORAGE, "StorageClass") => (STORAGE_CLASS, storage_class),
        (STORAGE, "CSIDriver") => (CSI_DRIVER, csi_driver),
        (STORAGE, "CSINode") => {
            (CSI_NODE, |one| vec![name(one), count(&one["spec"]["drivers"]).into(), age(one)])
        }
        (STORAGE, "CSIStorageCapacity") => (CSI_CAPACITY, |one| {
            vec![name(one), or(&one["storageClassName"], ""), or(&one["capacity"], "<unset>")]
        }),
        (STORAGE, "VolumeAttachment") => (VOLUME_ATTACHMENT, volume_attachment),
        (ADMISSION, "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            (WEBHOOKS, |one| vec![name(one), count(&one["webhooks"]).into(), age(one)])
        }
        (ADMISSION, "ValidatingAdmissionPolicy") => (ADMISSION_POLICY, admission_policy),
        (ADMISSION, "MutatingAdmissionPolicyBinding" | "ValidatingAdmissionPolicyBinding") => {
            (ADMISSION_BINDING, admission_binding)
        }
        ("coordination.k8s.io", "Lease") => {
            (LEASE, |one| vec![name(one), or(&one["spec"]["holderIdentity"], ""), age(one)])
        }
        ("scheduling.k8s.io", "PriorityClass") => (PRIORITY_CLASS, |one| {
            vec![
                name(one),
                number(&one["value"]).into(),
                (one["globalDefault"] == true).into(),
                age(one),
                or(&one["preemptionPolicy"], ""),
            ]
        }),
        ("node.k8s.io", "RuntimeClass") => {
            (RUNTIME_CLASS, |one| vec![name(one), or(&one["handler"], ""), age(one)])
        }
        ("certificates.k8s.io", "CertificateSigningRequest") => (SIGNING_REQUEST, signing_request),
        (FLOW_CONTROL, "FlowSchema") => (FLOW_SCHEMA, flow_schema),
        (FLOW_CONTROL, "PriorityLevelConfiguration") => (PRIORITY_LEVEL, priority_level),
        ("apiregistration.k8s.io", "APIService") => (API_SERVICE, api_service),
        _ => return None,
    };
    Some(Printer { columns, cells })
}

fn node(one: &Value) -> Vec<Value> {
    let status = &one["status"];
    let ready = items(&status["conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let mut state = match ready {
        Some(condition) if condition["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if one["spec"]["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let labels = one["metadata"]["labels"].as_object();
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    let address = |kind: &str| {
        let found = items(&status["addresses"]).iter().find(|address| address["type"] == kind);
        found.map_or("<none>".into(), |address| address["address"].clone())
    };
    let info = &status["nodeInfo"];
    vec![
        name(one),
        state.into(),
        if roles.is_empty() { "<none>".into() } else { roles.join(",").into() },
        age(one),
        or(&info["kubeletVersion"], ""),
        address("InternalIP"),
        address("ExternalIP"),
        or(&info["osImage"], "<unknown>"),
        or(&info["kernelVersion"], "<unknown>"),
        or(&info["containerRuntimeVersion"], "<unknown>"),
    ]
}

/// The object may be of either group.
fn event(one: &Value) -> Vec<Value> {
    let either = |core: &'static str, new: &'static str| match &one[core] {
        Value::Null => &one[new],
        value => value,
    };
    let involved = either("involvedObject", "regarding");
    let kind = involved["kind"].as_str().unwrap_or_default().to_lowercase();
    let target = match involved["name"].as_str() {
        Some(name) if !name.is_empty() => format!("{kind}/{name}"),
        _ => kind,
    };
    let first = match either("firstTimestamp", "deprecatedFirstTimestamp") {
        Value::Null => since(&one["eventTime"]),
        time => since(time),
    };
    let series = &one["series"];
    let last =
        match (&series["lastObservedTime"], either("lastTimestamp", "deprecatedLastTimestamp")) {
            (Value::Null, Value::Null) => first.clone(),
            (Value::Null, time) | (time, _) => since(time),
        };
    let counted = match &series["count"] {
        Value::Null => number(either("count", "deprecatedCount")).max(1),
        count => number(count),
    };
    let source = either("source", "deprecatedSource");
    let named = |value: &Value, other: &Value| {
        let text =
            |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        text(value).or_else(|| text(other)).unwrap_or_default()
    };
    let controller = either("reportingComponent", "reportingController");
    let component = named(&source["component"], controller);
    let host = named(&source["host"], &one["reportingInstance"]);
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    vec![
        last.into(),
        or(&one["type"], ""),
        or(&one["reason"], ""),
        target.into(),
        or(&involved["fieldPath"], ""),
        source.into(),
        either("message", "note").as_str().unwrap_or_default().trim().into(),
        first.into(),
        counted.into(),
        name(one),
    ]
}

fn access_modes(modes: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str()? {
        "ReadWriteOnce" => Some("RWO"),
        "ReadOnlyMany" => Some("ROX"),
        "ReadWriteMany" => Some("RWX"),
        "ReadWriteOncePod" => Some("RWOP"),
        _ => None,
    };
    let modes: Vec<&str> = items(modes).iter().filter_map(short).collect();
    modes.join(",").into()
}

fn phase(one: &Value) -> Value {
    if one.is_terminating() { "Terminating".into() } else { or(&one["status"]["phase"], "") }
}

fn volume(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    let claim = &spec["claimRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    vec![
        name(one),
        or(&spec["capacity"]["storage"], "0"),
        access_modes(&spec["accessModes"]),
        or(&spec["persistentVolumeReclaimPolicy"], ""),
        phase(one),
        match claim {
            Value::Null => "".into(),
            _ => format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])).into(),
        },
        or(&spec["storageClassName"], ""),
        or(&spec["volumeAttributesClassName"], "<unset>"),
        or(&one["status"]["reason"], ""),
        age(one),
        or(&spec["volumeMode"], "<unset>"),
    ]
}

fn claim(one: &Value) -> Vec<Value> {
    let (spec, status) = (&one["spec"], &one["status"]);
    let bound = spec["volumeName"].as_str().is_some_and(|volume| !volume.is_empty());
    vec![
        name(one),
        phase(one),
        or(&spec["volumeName"], ""),
        if bound { or(&status["capacity"]["storage"], "0") } else { "".into() },
        if bound { access_modes(&status["accessModes"]) } else { "".into() },
        or(&spec["storageClassName"], ""),
        or(&spec["volumeAttributesClassName"], "<unset>"),
        age(one),
        or(&spec["volumeMode"], "<unset>"),
    ]
}

fn resource_quota(one: &Value) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let mut hard: Vec<_> = one["status"]["hard"].as_object().into_iter().flatten().collect();
    hard.sort_by_key(|(name, _)| name.as_str());
    for (resource, quantity) in hard {
        let text = |value: &Value| value.as_str().unwrap_or("0").to_owned();
        let used = text(&one["status"]["used"][resource]);
        let entry = format!("{resource}: {used}/{}", text(quantity));
        if resource.starts_with("limits") { limits.push(entry) } else { requests.push(entry) }
    }
    vec![name(one), requests.join(", ").into(), limits.join(", ").into(), age(one)]
}

fn role_binding(one: &Value) -> Vec<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let role = &one["roleRef"];
    let subjects = |kind: &str| {
        let found: Vec<String> = items(&one["subjects"])
            .iter()
            .filter(|subject| subject["kind"] == kind)
            .map(|subject| match kind {
                "ServiceAccount" => {
                    format!("{}/{}", text(&subject["namespace"]), text(&subject["name"]))
                }
                _ => text(&subject["name"]),
            })
            .collect();
        Value::from(found.join(", "))
    };
    vec![
        name(one),
        format!("{}/{}", text(&role["kind"]), text(&role["name"])).into(),
        age(one),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

fn storage_class(one: &Value) -> Vec<Value> {
    let annotations = &one["metadata"]["annotations"];
    let default = ["storageclass.kubernetes.io", "storageclass.beta.kubernetes.io"]
        .iter()
        .any(|domain| annotations[format!("{domain}/is-default-class")] == "true");
    let suffix = if default { " (default)" } else { "" };
    vec![
        format!("{}{suffix}", one.name()).into(),
        or(&one["provisioner"], ""),
        or(&one["reclaimPolicy"], "Delete"),
        or(&one["volumeBindingMode"], "Immediate"),
        (one["allowVolumeExpansion"] == true).into(),
        age(one),
    ]
}

fn csi_driver(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    let all = |list: &Value, field: Option<&str>, none: &str| {
        let texts: Vec<&str> = items(list)
            .iter()
            .filter_map(|one| field.map_or(one, |field| &one[field]).as_str())
            .collect();
        Value::from(if texts.is_empty() { none.to_owned() } else { texts.join(",") })
    };
    vec![
        name(one),
        (spec["attachRequired"] != false).into(),
        (spec["podInfoOnMount"] == true).into(),
        (spec["storageCapacity"] == true).into(),
        all(&spec["tokenRequests"], Some("audience"), "<unset>"),
        (spec["requiresRepublish"] == true).into(),
        all(&spec["volumeLifecycleModes"], None, "<none>"),
        age(one),
    ]
}

fn volume_attachment(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    vec![
        name(one),
        or(&spec["attacher"], ""),
        or(&spec["source"]["persistentVolumeName"], ""),
        or(&spec["nodeName"], ""),
        (one["status"]["attached"] == true).into(),
        age(one),
    ]
}

fn admission_policy(one: &Value) -> Vec<Value> {
    vec![
        name(one),
        count(&one["spec"]["validations"]).into(),
        param_kind(&one["spec"]["paramKind"]),
        age(one),
    ]
}

/// Returns the kind of the parameters of an admission policy.
pub(super) fn param_kind(kind: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match kind {
        Value::Null => "<unset>".into(),
        _ => format!("{}/{}", text(&kind["apiVersion"]), text(&kind["kind"])).into(),
    }
}

fn admission_binding(one: &Value) -> Vec<Value> {
    let reference = &one["spec"]["paramRef"];
    let shown = match (reference["name"].as_str(), reference["namespace"].as_str()) {
        (Some(name), Some(namespace)) => format!("{namespace}/{name}"),
        (Some(name), None) => format!("*/{name}"),
        (None, _) if reference["selector"].is_object() => selector_text(&reference["selector"]),
        (None, _) => "<unset>".to_owned(),
    };
    vec![name(one), or(&one["spec"]["policyName"], ""), shown.into(), age(one)]
}

fn signing_request(one: &Value) -> Vec<Value> {
    let has = |kind: &str| {
        items(&one["status"]["conditions"]).iter().any(|condition| condition["type"] == kind)
    };
    let mut state = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied".to_owned(),
        (false, true) => "Approved".to_owned(),
        (false, false) => "Pending".to_owned(),
    };
    if has("Failed") {
        state.push_str(",Failed");
    }
    if one["status"]["certificate"].as_str().is_some_and(|issued| !issued.is_empty()) {
        state.push_str(",Issued");
    }
    let spec = &one["spec"];
    let lasts = spec["expirationSeconds"].as_i64().map_or("<none>".to_owned(), duration);
    vec![
        name(one),
        age(one),
        or(&spec["signerName"], "<none>"),
        or(&spec["username"], ""),
        lasts.into(),
        state.into(),
    ]
}

fn flow_schema(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    let dangling = items(&one["status"]["conditions"]).iter().find(|one| one["type"] == "Dangling");
    vec![
        name(one),
        or(&spec["priorityLevelConfiguration"]["name"], "<none>"),
        number(&spec["matchingPrecedence"]).into(),
        or(&spec["distinguisherMethod"]["type"], "<none>"),
        age(one),
        dangling.map_or("?".into(), |condition| or(&condition["status"], "?")),
    ]
}

fn priority_level(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    let limited = match spec["type"].as_str() {
        Some("Exempt") => &spec["exempt"],
        _ => &spec["limited"],
    };
    let queuing = &limited["limitResponse"]["queuing"];
    vec![
        name(one),
        or(&spec["type"], ""),
        or(&limited["nominalConcurrencyShares"], "<none>"),
        or(&queuing["queues"], "<none>"),
        or(&queuing["handSize"], "<none>"),
        or(&queuing["queueLengthLimit"], "<none>"),
        age(one),
    ]
}

fn api_service(one: &Value) -> Vec<Value> {
    let service = &one["spec"]["service"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let available = items(&one["status"]["conditions"]).iter().find(|c| c["type"] == "Available");
    let state = match available {
        None => "Unknown".to_owned(),
        Some(condition) if condition["status"] == "True" => "True".to_owned(),
        Some(condition) => {
            format!("{} ({})", text(&condition["status"]), text(&condition["reason"]))
        }
    };
    vec![
        name(one),
        match service {
            Value::Null => "Local".into(),
            _ => format!("{}/{}", text(&service["namespace"]), text(&service["name"])).into(),
        },
        state.into(),
        age(one),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_events_of_either_group_alike() {
        let core = json!({
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "name": "web"},
            "message": "Started ", "reason": "Started", "type": "Normal", "count": 3,
            "source": {"component": "kubelet", "host": "node"},
        });
        let new = json!({
            "metadata": {"name": "e"},
            "regarding": {"kind": "Pod", "name": "web"},
            "note": "Started ", "reason": "Started", "type": "Normal", "deprecatedCount": 3,
            "reportingController": "kubelet", "reportingInstance": "node",
        });
        let cells = event(&core);
        assert_eq!(cells[3..7], ["pod/web", "", "kubelet, node", "Started"]);
        assert_eq!(cells[8], 3);
        assert_eq!(cells, event(&new));
    }

    #[test]
    fn shows_a_bound_claim() {
        let object = json!({
            "metadata": {"name": "data"},
            "spec": {"volumeName": "pv1", "storageClassName": "standard"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"},
                       "accessModes": ["ReadWriteOnce"]},
        });
        assert_eq!(claim(&object)[1..6], ["Bound", "pv1", "1Gi", "RWO", "standard"]);
    }
}
