//! In which order objects are applied: stages, and kinds inside a stage.

use api::inventory::ObjectId;
use serde_json::Value;

use crate::object::Subject;

/// A kind of a group, at any version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupKind {
    /// The group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

/// What is applied together. Everything of a stage is dry run before any of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// CustomResourceDefinitions, Namespaces and ClusterRoles; later stages wait for them.
    Definitions,
    /// Kinds whose name ends in `Class`; later stages wait for them.
    Classes,
    /// Kinds that the operator has named; nothing waits for them.
    Custom,
    /// Everything else.
    Rest,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 4] = [Self::Definitions, Self::Classes, Self::Custom, Self::Rest];

    /// Returns the stage of an object.
    ///
    /// Source: `ApplyAllStaged`, fluxcd/pkg `ssa/manager_apply.go`.
    pub fn of(subject: &Subject, custom: &[GroupKind]) -> Self {
        let definitions = [
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "Namespace"),
            ("rbac.authorization.k8s.io", "ClusterRole"),
        ];
        let (group, kind) = (subject.group(), subject.kind.as_str());
        if definitions.iter().any(|(g, k)| *g == group && k.eq_ignore_ascii_case(kind)) {
            Self::Definitions
        } else if kind.ends_with("Class") {
            Self::Classes
        } else if custom.iter().any(|custom| custom.group == group && custom.kind == kind) {
            Self::Custom
        } else {
            Self::Rest
        }
    }

    /// Says whether the next stage needs the objects of this one to be ready.
    pub fn is_awaited(self) -> bool {
        matches!(self, Self::Definitions | Self::Classes)
    }
}

const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Returns where a kind stands; the smaller is applied first and deleted last.
pub fn rank(kind: &str) -> usize {
    let first = FIRST.iter().position(|known| *known == kind);
    let last = || LAST.iter().position(|known| *known == kind);
    first.unwrap_or_else(|| last().map_or(FIRST.len(), |index| FIRST.len() + 1 + index))
}

/// Returns what objects of one stage are sorted by: kind, then group, kind, namespace and name.
pub fn key(id: &ObjectId) -> (usize, &str, &str, &str, &str) {
    (rank(&id.kind), &id.group, &id.kind, &id.namespace, &id.name)
}

/// Sorts objects by stage, and by [`key`] inside a stage.
pub fn sort(objects: &mut [Value], custom: &[GroupKind]) {
    objects.sort_by_cached_key(|object| {
        let subject = Subject::of(object);
        let stage = Stage::of(&subject, custom);
        let ObjectId { namespace, name, group, kind } = subject.id();
        (stage, rank(&kind), group, kind, namespace, name)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sorted(kinds: &[(&str, &str)], custom: &[GroupKind]) -> Vec<String> {
        let mut objects: Vec<Value> = kinds
            .iter()
            .map(|(version, kind)| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}))
            .collect();
        sort(&mut objects, custom);
        objects.iter().map(|object| Subject::of(object).kind).collect()
    }

    #[test]
    fn applies_definitions_then_classes_then_the_rest() {
        let kinds = [
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
            ("example.com/v1", "Widget"),
            ("apps/v1", "Deployment"),
            ("v1", "Service"),
            ("v1", "ConfigMap"),
            ("storage.k8s.io/v1", "StorageClass"),
            ("v1", "Namespace"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ];
        assert_eq!(
            sorted(&kinds, &[]),
            [
                "CustomResourceDefinition",
                "Namespace",
                "StorageClass",
                "ConfigMap",
                "Service",
                "Deployment",
                "Widget",
                "ValidatingWebhookConfiguration"
            ]
        );
    }

    #[test]
    fn puts_the_custom_stage_before_the_rest() {
        let custom = [GroupKind { group: "example.com".into(), kind: "Widget".into() }];
        let kinds = [("v1", "ConfigMap"), ("example.com/v1", "Widget")];
        assert_eq!(sorted(&kinds, &custom), ["Widget", "ConfigMap"]);
    }

    #[test]
    fn takes_a_namespace_of_another_group_for_an_ordinary_kind() {
        let kinds = [("v1", "ConfigMap"), ("example.com/v1", "Namespace")];
        // The stage is that of the rest, and there the kind alone decides.
        assert_eq!(sorted(&kinds, &[]), ["Namespace", "ConfigMap"]);
        let subject = Subject::of(&json!({"apiVersion": "example.com/v1", "kind": "Namespace"}));
        assert_eq!(Stage::of(&subject, &[]), Stage::Rest);
    }
}
