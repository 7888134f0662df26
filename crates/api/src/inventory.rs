//! The record of what a Kustomization has applied.

use std::{collections::BTreeSet, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every object that was applied, in the order in which it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The objects.
    pub entries: Vec<InventoryEntry>,
}

/// One applied object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryEntry {
    /// Identity of the object, in the form `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// API version of the object, without the group.
    #[serde(rename = "v")]
    pub version: String,
}

/// The identity of an object across versions of its kind: namespace, name, group and kind.
///
/// Its text is `<namespace>_<name>_<group>_<kind>`, e.g. `default_podinfo_apps_Deployment` or
/// `_podinfo__Namespace`; `:` in the names of RBAC objects is written `__`.
///
/// Source: `ObjMetadata`, fluxcd/cli-utils 1.2.2, `pkg/object/objmetadata.go`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Namespace of the object; empty when it is cluster-scoped.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Kind of the object.
    pub kind: String,
}

/// A text that is not the identity of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id:?} is not an inventory id, expected <namespace>_<name>_<group>_<kind>")]
pub struct ParseObjectIdError {
    id: String,
}

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
const RBAC_KINDS: [&str; 4] = ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, group, kind } = self;
        if group == RBAC_GROUP && RBAC_KINDS.contains(&kind.as_str()) {
            write!(f, "{namespace}_{}_{group}_{kind}", name.replace(':', "__"))
        } else {
            write!(f, "{namespace}_{name}_{group}_{kind}")
        }
    }
}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    /// Reads namespace up to the first `_`, kind and group after the last two, and takes every
    /// `__` that is left for a `:`.
    fn from_str(id: &str) -> Result<Self, ParseObjectIdError> {
        let split = || {
            let (namespace, rest) = id.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            let valid = !name.is_empty() && !kind.is_empty();
            valid.then(|| Self {
                namespace: namespace.to_owned(),
                name: name.replace("__", ":"),
                group: group.to_owned(),
                kind: kind.to_owned(),
            })
        };
        split().ok_or_else(|| ParseObjectIdError { id: id.to_owned() })
    }
}

impl InventoryEntry {
    /// Returns the entry of an object at a version of its kind.
    pub fn new(id: &ObjectId, version: impl Into<String>) -> Self {
        Self { id: id.to_string(), version: version.into() }
    }
}

impl Inventory {
    /// Returns the entries whose objects are missing from `newer`.
    ///
    /// Identity is namespace, name, group and kind, not version: moving a Deployment from
    /// `apps/v1beta1` to `apps/v1` does not make it stale.
    ///
    /// Source: `Diff`, kustomize-controller 1.9.4, `internal/inventory/inventory.go`.
    pub fn stale<'a>(&'a self, newer: &Self) -> Vec<&'a InventoryEntry> {
        let declared = newer.ids();
        self.entries.iter().filter(|entry| !declared.contains(entry.id.as_str())).collect()
    }

    /// Returns these entries followed by those of `other` whose objects are not among them.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut entries = self.entries.clone();
        entries.extend(other.stale(self).into_iter().cloned());
        Self { entries }
    }

    fn ids(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|entry| entry.id.as_str()).collect()
    }
}

impl FromIterator<InventoryEntry> for Inventory {
    fn from_iter<I: IntoIterator<Item = InventoryEntry>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, name: &str, group: &str, kind: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn writes_and_reads_ids() {
        for (text, id) in [
            ("default_podinfo_apps_Deployment", id("default", "podinfo", "apps", "Deployment")),
            ("default_podinfo__Service", id("default", "podinfo", "", "Service")),
            ("_podinfo__Namespace", id("", "podinfo", "", "Namespace")),
            (
                "_system__view_rbac.authorization.k8s.io_ClusterRole",
                id("", "system:view", "rbac.authorization.k8s.io", "ClusterRole"),
            ),
        ] {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse::<ObjectId>().unwrap(), id);
        }
    }

    #[test]
    fn refuses_what_is_not_an_id() {
        for text in ["", "a", "a_b", "a_b_c", "a__c_D", "a_b_c_"] {
            assert!(text.parse::<ObjectId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn does_not_take_a_new_version_for_another_object() {
        let deployment = id("default", "podinfo", "apps", "Deployment");
        let service = id("default", "podinfo", "", "Service");
        let old: Inventory =
            [InventoryEntry::new(&deployment, "v1beta1"), InventoryEntry::new(&service, "v1")]
                .into_iter()
                .collect();
        let new: Inventory = [InventoryEntry::new(&deployment, "v1")].into_iter().collect();
        assert_eq!(old.stale(&new), [&InventoryEntry::new(&service, "v1")]);
        assert_eq!(
            new.union(&old).entries,
            [InventoryEntry::new(&deployment, "v1"), InventoryEntry::new(&service, "v1")]
        );
    }
}
