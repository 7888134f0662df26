//! Defaults of built-in kinds.
//!
//! Source: `pkg/apis/*/*/defaults.go`, Kubernetes 1.36.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::hooks;
use crate::prune::is_zero;
use crate::schema::{Kind, Node, Values};

/// Definition, field and default. What depends on other fields is in [`hooks`].
const TABLE: &[(&str, &str, &str)] = &[
    ("core.v1.PodSpec", "dnsPolicy", r#""ClusterFirst""#),
    ("core.v1.PodSpec", "restartPolicy", r#""Always""#),
    ("core.v1.PodSpec", "schedulerName", r#""default-scheduler""#),
    ("core.v1.PodSpec", "securityContext", "{}"),
    ("core.v1.PodSpec", "terminationGracePeriodSeconds", "30"),
    ("core.v1.Container", "terminationMessagePath", r#""/dev/termination-log""#),
    ("core.v1.Container", "terminationMessagePolicy", r#""File""#),
    ("core.v1.EphemeralContainer", "terminationMessagePath", r#""/dev/termination-log""#),
    ("core.v1.EphemeralContainer", "terminationMessagePolicy", r#""File""#),
    ("core.v1.Probe", "timeoutSeconds", "1"),
    ("core.v1.Probe", "periodSeconds", "10"),
    ("core.v1.Probe", "successThreshold", "1"),
    ("core.v1.Probe", "failureThreshold", "3"),
    ("core.v1.HTTPGetAction", "path", r#""/""#),
    ("core.v1.HTTPGetAction", "scheme", r#""HTTP""#),
    ("core.v1.GRPCAction", "service", r#""""#),
    ("core.v1.ObjectFieldSelector", "apiVersion", r#""v1""#),
    ("core.v1.SecretVolumeSource", "defaultMode", "420"),
    ("core.v1.ConfigMapVolumeSource", "defaultMode", "420"),
    ("core.v1.DownwardAPIVolumeSource", "defaultMode", "420"),
    ("core.v1.ProjectedVolumeSource", "defaultMode", "420"),
    ("core.v1.ServiceAccountTokenProjection", "expirationSeconds", "3600"),
    ("core.v1.HostPathVolumeSource", "type", r#""""#),
    ("core.v1.Secret", "type", r#""Opaque""#),
    ("core.v1.ServiceSpec", "sessionAffinity", r#""None""#),
    ("core.v1.ServiceSpec", "type", r#""ClusterIP""#),
    ("core.v1.EndpointPort", "protocol", r#""TCP""#),
    ("core.v1.NamespaceStatus", "phase", r#""Active""#),
    ("core.v1.PodStatus", "phase", r#""Pending""#),
    ("core.v1.PersistentVolumeClaimSpec", "volumeMode", r#""Filesystem""#),
    ("core.v1.PersistentVolumeClaimStatus", "phase", r#""Pending""#),
    ("core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy", r#""Retain""#),
    ("core.v1.PersistentVolumeSpec", "volumeMode", r#""Filesystem""#),
    ("core.v1.PersistentVolumeStatus", "phase", r#""Pending""#),
    ("apps.v1.DeploymentSpec", "replicas", "1"),
    ("apps.v1.DeploymentSpec", "revisionHistoryLimit", "10"),
    ("apps.v1.DeploymentSpec", "progressDeadlineSeconds", "600"),
    ("apps.v1.DeploymentStrategy", "type", r#""RollingUpdate""#),
    ("apps.v1.ReplicaSetSpec", "replicas", "1"),
    ("apps.v1.StatefulSetSpec", "podManagementPolicy", r#""OrderedReady""#),
    ("apps.v1.StatefulSetSpec", "persistentVolumeClaimRetentionPolicy", "{}"),
    ("apps.v1.StatefulSetSpec", "replicas", "1"),
    ("apps.v1.StatefulSetSpec", "revisionHistoryLimit", "10"),
    ("apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy", "whenDeleted", r#""Retain""#),
    ("apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy", "whenScaled", r#""Retain""#),
    ("apps.v1.RollingUpdateStatefulSetStrategy", "partition", "0"),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit", "10"),
    ("apps.v1.DaemonSetUpdateStrategy", "type", r#""RollingUpdate""#),
    ("batch.v1.CronJobSpec", "concurrencyPolicy", r#""Allow""#),
    ("batch.v1.CronJobSpec", "suspend", "false"),
    ("batch.v1.CronJobSpec", "successfulJobsHistoryLimit", "3"),
    ("batch.v1.CronJobSpec", "failedJobsHistoryLimit", "1"),
    ("batch.v1.PodFailurePolicyOnPodConditionsPattern", "status", r#""True""#),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas", "1"),
    ("networking.v1.NetworkPolicyPort", "protocol", r#""TCP""#),
    ("networking.v1.IngressClassParametersReference", "scope", r#""Cluster""#),
    ("rbac.v1.RoleRef", "apiGroup", r#""rbac.authorization.k8s.io""#),
    ("storage.v1.StorageClass", "reclaimPolicy", r#""Delete""#),
    ("storage.v1.StorageClass", "volumeBindingMode", r#""Immediate""#),
    ("storage.v1.CSIDriverSpec", "attachRequired", "true"),
    ("storage.v1.CSIDriverSpec", "podInfoOnMount", "false"),
    ("storage.v1.CSIDriverSpec", "storageCapacity", "false"),
    ("storage.v1.CSIDriverSpec", "fsGroupPolicy", r#""ReadWriteOnceWithFSType""#),
    ("storage.v1.CSIDriverSpec", "volumeLifecycleModes", r#"["Persistent"]"#),
    ("storage.v1.CSIDriverSpec", "requiresRepublish", "false"),
    ("storage.v1.CSIDriverSpec", "seLinuxMount", "false"),
    ("admissionregistration.v1.ValidatingWebhook", "failurePolicy", r#""Fail""#),
    ("admissionregistration.v1.ValidatingWebhook", "matchPolicy", r#""Equivalent""#),
    ("admissionregistration.v1.ValidatingWebhook", "namespaceSelector", "{}"),
    ("admissionregistration.v1.ValidatingWebhook", "objectSelector", "{}"),
    ("admissionregistration.v1.ValidatingWebhook", "timeoutSeconds", "10"),
    ("admissionregistration.v1.MutatingWebhook", "failurePolicy", r#""Fail""#),
    ("admissionregistration.v1.MutatingWebhook", "matchPolicy", r#""Equivalent""#),
    ("admissionregistration.v1.MutatingWebhook", "namespaceSelector", "{}"),
    ("admissionregistration.v1.MutatingWebhook", "objectSelector", "{}"),
    ("admissionregistration.v1.MutatingWebhook", "timeoutSeconds", "10"),
    ("admissionregistration.v1.MutatingWebhook", "reinvocationPolicy", r#""Never""#),
    ("admissionregistration.v1.RuleWithOperations", "scope", r#""*""#),
    ("admissionregistration.v1.NamedRuleWithOperations", "scope", r#""*""#),
    ("admissionregistration.v1.ServiceReference", "port", "443"),
    ("admissionregistration.v1.ValidatingAdmissionPolicySpec", "failurePolicy", r#""Fail""#),
    ("admissionregistration.v1.MutatingAdmissionPolicySpec", "failurePolicy", r#""Fail""#),
    ("admissionregistration.v1.MatchResources", "matchPolicy", r#""Equivalent""#),
    ("admissionregistration.v1.MatchResources", "namespaceSelector", "{}"),
    ("admissionregistration.v1.MatchResources", "objectSelector", "{}"),
    ("apiextensions.v1.CustomResourceDefinitionSpec", "conversion", r#"{"strategy": "None"}"#),
    ("apiextensions.v1.ServiceReference", "port", "443"),
    ("apiregistration.v1.ServiceReference", "port", "443"),
    ("discovery.v1.EndpointPort", "name", r#""""#),
    ("discovery.v1.EndpointPort", "protocol", r#""TCP""#),
    ("scheduling.v1.PriorityClass", "preemptionPolicy", r#""PreemptLowerPriority""#),
];

type Fields = Vec<(&'static str, Value)>;

static BY_DEFINITION: LazyLock<HashMap<&'static str, Fields>> = LazyLock::new(|| {
    let mut by_definition: HashMap<&str, Fields> = HashMap::new();
    for (definition, field, default) in TABLE {
        // A test parses every one.
        let default = serde_json::from_str(default).unwrap_or_default();
        by_definition.entry(definition).or_default().push((field, default));
    }
    by_definition
});

/// Fills in the fields of a definition, and then those of what is below.
pub(super) fn fill(node: &Node, map: &mut Map<String, Value>) {
    if let Some(fields) = BY_DEFINITION.get(node.name) {
        for (field, default) in fields {
            if is_unset(map.get(*field), default) {
                map.insert((*field).to_owned(), default.clone());
            }
        }
    }
    for (field, link) in &node.fields {
        // What is no more than the zero of its type is no default.
        let default = link.default.as_ref().filter(|default| !is_zero(default));
        if let Some(default) = default
            && is_unset(map.get(field), default)
        {
            map.insert(field.clone(), default.clone());
        }
    }
    hooks::run(node.name, map);
    for (field, value) in map.iter_mut() {
        let link = match (node.fields.get(field), &node.values) {
            (Some(link), _) => link,
            (None, Values::Of(link)) => link,
            _ => continue,
        };
        if let Some(node) = link.node() {
            below(node, value);
        }
    }
}

fn below(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) if node.kind == Kind::Object => fill(node, map),
        Value::Array(items) => {
            if let Some(node) = node.items.as_ref().and_then(|link| link.node()) {
                for item in items {
                    below(node, item);
                }
            }
        }
        _ => {}
    }
}

/// Go cannot tell an absent value from the zero of its type, unless it is a pointer.
fn is_unset(value: Option<&Value>, default: &Value) -> bool {
    match (value, default) {
        (None | Some(Value::Null), _) => true,
        (Some(Value::String(text)), Value::String(_)) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn every_default_is_of_a_field_that_exists() {
        for (definition, field, default) in TABLE {
            let node = schema::definition(definition).unwrap();
            assert!(node.fields.contains_key(*field), "{definition}.{field}");
            let parsed: Value = serde_json::from_str(default).unwrap();
            assert!(!parsed.is_null());
        }
    }

    #[test]
    fn every_hook_is_of_a_definition_that_exists() {
        for definition in hooks::NAMES {
            assert!(schema::definition(definition).is_some(), "{definition}");
        }
    }
}
