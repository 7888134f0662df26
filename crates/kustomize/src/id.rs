//! What tells objects apart: group, version, kind, name and namespace.

use std::fmt;

use crate::schema;

/// Group, version and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gvk {
    pub group: String,
    pub version: String,
    pub kind: String,
}

impl Gvk {
    /// Splits an `apiVersion`.
    pub(crate) fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// Joins group and version.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Says whether this is what a selector with empty parts for "any" asks for.
    pub(crate) fn is_selected(&self, group: &str, version: &str, kind: &str) -> bool {
        let any = |wanted: &str, own: &str| wanted.is_empty() || wanted == own;
        any(group, &self.group) && any(version, &self.version) && any(kind, &self.kind)
    }

    /// Says whether objects of this kind have no namespace.
    pub(crate) fn is_cluster_scoped(&self) -> bool {
        schema::is_cluster_scoped(&self.group, &self.version, &self.kind)
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |part: &str, placeholder: &str| {
            if part.is_empty() { placeholder.to_owned() } else { part.to_owned() }
        };
        let kind = or(&self.kind, "[noKind]");
        write!(f, "{kind}.{}.{}", or(&self.version, "[noVer]"), or(&self.group, "[noGrp]"))
    }
}

/// The namespace of objects that have none.
pub(crate) const CLUSTER: &str = "_non_namespaceable_";

/// The identity of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Id {
    pub gvk: Gvk,
    pub name: String,
    pub namespace: String,
}

impl Id {
    /// Returns the namespace that the object ends up in.
    pub(crate) fn effective_namespace(&self) -> &str {
        if self.gvk.is_cluster_scoped() { CLUSTER } else { or_default(&self.namespace) }
    }

    /// Returns the part that decides equality, for use as a key.
    pub(crate) fn key(&self) -> (Gvk, String, String) {
        (self.gvk.clone(), self.name.clone(), self.effective_namespace().to_owned())
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.gvk == other.gvk
            && self.effective_namespace() == other.effective_namespace()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |part: &str, placeholder: &str| {
            if part.is_empty() { placeholder.to_owned() } else { part.to_owned() }
        };
        let (name, namespace) = (or(&self.name, "[noName]"), or(&self.namespace, "[noNs]"));
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}

/// Returns a namespace, `default` when it is empty.
pub(crate) fn or_default(namespace: &str) -> &str {
    if namespace.is_empty() { "default" } else { namespace }
}
