//! Sorts the output.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::id::Gvk;
use crate::resource::Resource;

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Sorts by the kinds that come first and last; by those of Kubernetes where none are given.
pub(crate) fn legacy(items: &mut [Resource], lists: Option<(&[String], &[String])>) {
    let (first, last): (Vec<&str>, Vec<&str>) = match lists {
        Some((first, last)) => {
            (first.iter().map(String::as_str).collect(), last.iter().map(String::as_str).collect())
        }
        None => (FIRST.to_vec(), LAST.to_vec()),
    };
    let first = first.into_iter().zip(-1_000_000_i64..);
    let ranks: HashMap<&str, i64> = first.chain(last.into_iter().zip(1..)).collect();
    items.sort_by_cached_key(|item| Key::new(item, &ranks));
}

/// Compares kinds for the order in which fields are gone through.
pub(crate) fn gvk_order(a: Gvk<'_>, b: Gvk<'_>) -> Ordering {
    let rank = |kind: &str| {
        let first = FIRST.iter().position(|first| *first == kind).map(|at| -22 + at.cast_signed());
        let last = || LAST.iter().position(|last| *last == kind).map(|at| 1 + at.cast_signed());
        first.or_else(last).unwrap_or(0)
    };
    rank(a.kind).cmp(&rank(b.kind)).then_with(|| gvk_text(a).cmp(&gvk_text(b)))
}

/// Returns group, version and kind as text that sorts missing parts last.
fn gvk_text(gvk: Gvk<'_>) -> String {
    let or = |part, placeholder| if str::is_empty(part) { placeholder } else { part };
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

#[derive(PartialEq, Eq)]
struct Key {
    rank: i64,
    namespace: bool,
    core: bool,
    gvk: String,
    text: String,
}

impl Key {
    fn new(item: &Resource, ranks: &HashMap<&str, i64>) -> Self {
        let id = item.id();
        let or = |part, placeholder| if str::is_empty(part) { placeholder } else { part };
        Self {
            rank: ranks.get(id.gvk.kind).copied().unwrap_or_default(),
            namespace: id.gvk.kind == "Namespace",
            core: id.gvk.group.is_empty(),
            gvk: gvk_text(id.gvk),
            text: format!("{}|{}", or(id.namespace, "~X"), or(id.name, "~N")),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let namespaces = self.namespace && other.namespace;
        let by_kind = self.gvk.cmp(&other.gvk);
        // The Namespace of the core group comes before those of others.
        let reversed = namespaces && (self.core || other.core);
        let by_kind = if reversed { by_kind.reverse() } else { by_kind };
        self.rank.cmp(&other.rank).then(by_kind).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
