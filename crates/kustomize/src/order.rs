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

#[derive(PartialEq, Eq)]
struct Key {
    rank: i64,
    gvk: Gvk,
    gvk_text: String,
    text: String,
}

impl Key {
    fn new(item: &Resource, ranks: &HashMap<&str, i64>) -> Self {
        let id = item.id();
        let rank = ranks.get(id.gvk.kind.as_str()).copied().unwrap_or_default();
        let or = |part: &str, placeholder: &str| {
            if part.is_empty() { placeholder.to_owned() } else { part.to_owned() }
        };
        let gvk = &id.gvk;
        let gvk_text =
            format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"));
        let text = format!("{gvk_text}|{}|{}", or(&id.namespace, "~X"), or(&id.name, "~N"));
        Self { rank, gvk: id.gvk, gvk_text, text }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let namespaces = self.gvk.kind == "Namespace" && other.gvk.kind == "Namespace";
        let by_kind = self.gvk_text.cmp(&other.gvk_text);
        let core = self.gvk.group.is_empty() || other.gvk.group.is_empty();
        let by_kind = if namespaces && core { by_kind.reverse() } else { by_kind };
        self.rank.cmp(&other.rank).then(by_kind).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
