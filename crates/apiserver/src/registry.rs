//! The kinds that are served: built-in ones and those of CustomResourceDefinitions.

pub(crate) mod builtin;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::schema::Schema;
use crate::status::qualified;

/// A served kind.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of a kind, by itself")]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Served versions, the preferred one first.
    pub(crate) versions: Vec<Version>,
    /// `metadata.generation` counts changes of the spec.
    pub(crate) generation: bool,
    /// Nothing is stored: a create answers the request (`SubjectAccessReview`).
    pub(crate) review: bool,
    /// Defined by a CustomResourceDefinition.
    pub(crate) custom: bool,
    /// Key in the store. Two kinds with one key show the same objects (events).
    pub(crate) storage: Arc<str>,
    /// `apiVersion` in which objects are stored.
    pub(crate) storage_version: String,
}

/// One version of a served kind.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) subresources: Subresources,
    /// Extra printer columns of a custom resource.
    pub(crate) columns: Vec<Value>,
    pub(crate) schema: Arc<Schema>,
    /// Warning for clients of a version on its way out.
    pub(crate) deprecation: Option<String>,
    /// JSON paths of extra selectable fields.
    pub(crate) selectable: Vec<String>,
}

/// Subresources of one version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subresources {
    pub(crate) status: bool,
    pub(crate) scale: Option<Scale>,
    /// Others of built-in kinds, such as `eviction`.
    pub(crate) other: Vec<&'static str>,
}

/// Where a scale subresource finds its numbers; paths begin with a dot.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) selector: Option<String>,
}

impl Resource {
    /// Returns `apps/v1`, or `v1` in the core group.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// Returns `deployments.apps`, or `pods` in the core group.
    pub(crate) fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Returns whether the status is written through a subresource alone.
    pub(crate) fn status_separate(&self, version: &str) -> bool {
        self.version(version).is_some_and(|version| version.subresources.status)
    }

    /// Returns whether this is the built-in kind with that group and plural.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// All kinds served at one moment; replaced as a whole when a CRD changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    resources: HashMap<(String, String), Arc<Resource>>,
    /// Counts the changes, for caches.
    pub(crate) serial: u64,
}

impl Registry {
    /// Returns the registry of the built-in kinds.
    pub(crate) fn builtin() -> Self {
        let mut registry = Self::default();
        for resource in builtin::resources() {
            registry.insert(resource);
        }
        registry
    }

    pub(crate) fn insert(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.plural.clone());
        self.resources.insert(key, Arc::new(resource));
        self.serial += 1;
    }

    pub(crate) fn remove(&mut self, group: &str, plural: &str) {
        self.resources.remove(&(group.to_owned(), plural.to_owned()));
        self.serial += 1;
    }

    pub(crate) fn get(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.get(&(group.to_owned(), plural.to_owned()))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// Returns the groups with their versions, the preferred version first; core comes as "".
    pub(crate) fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for resource in self.resources.values() {
            let versions = groups.entry(resource.group.clone()).or_default();
            for version in &resource.versions {
                if !versions.contains(&version.name) {
                    versions.push(version.name.clone());
                }
            }
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        }
        groups
    }

    /// Returns whether a group has built-in kinds.
    pub(crate) fn is_builtin(&self, group: &str) -> bool {
        self.resources.values().any(|one| one.group == group && !one.custom)
    }

    /// Returns the resources of one group and version, by plural.
    pub(crate) fn in_version(&self, group: &str, version: &str) -> Vec<&Arc<Resource>> {
        let mut found: Vec<_> = self
            .resources
            .values()
            .filter(|one| one.group == group && one.version(version).is_some())
            .collect();
        found.sort_by(|a, b| a.plural.cmp(&b.plural));
        found
    }
}

/// Orders versions as Kubernetes does: `v2` over `v1` over `v1beta2` over `v1alpha1` over others.
pub(crate) fn priority(version: &str) -> (u8, u64, u64, String) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u64 = rest[..digits].parse().ok()?;
        let (stage, minor) = match &rest[digits..] {
            "" => (3, 0),
            tail if tail.starts_with("beta") => (2, tail[4..].parse().ok()?),
            tail if tail.starts_with("alpha") => (1, tail[5..].parse().ok()?),
            _ => return None,
        };
        Some((stage, major, minor, String::new()))
    };
    parse().unwrap_or_else(|| (0, 0, 0, version.to_owned()))
}
