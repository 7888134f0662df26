//! What tells objects apart: group, version, kind, name and namespace.

use std::fmt;

/// Group, version and kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gvk<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
}

impl<'a> Gvk<'a> {
    /// Splits an `apiVersion`.
    pub(crate) fn new(api_version: &'a str, kind: &'a str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group, version, kind }
    }

    /// Says whether this is what a selector with empty parts for "any" asks for.
    pub(crate) fn is_selected(self, selector: Gvk<'_>) -> bool {
        let any = |wanted: &str, own: &str| wanted.is_empty() || wanted == own;
        any(selector.group, self.group)
            && any(selector.version, self.version)
            && any(selector.kind, self.kind)
    }
}

fn or<'a>(part: &'a str, placeholder: &'a str) -> &'a str {
    if part.is_empty() { placeholder } else { part }
}

impl fmt::Display for Gvk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = or(self.kind, "[noKind]");
        write!(f, "{kind}.{}.{}", or(self.version, "[noVer]"), or(self.group, "[noGrp]"))
    }
}

/// The namespace of objects that have none.
pub(crate) const CLUSTER: &str = "_non_namespaceable_";

/// The identity of an object.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Id<'a> {
    pub gvk: Gvk<'a>,
    pub name: &'a str,
    pub namespace: &'a str,
    /// Whether objects of this kind have no namespace.
    pub cluster_scoped: bool,
}

/// An identity as a key.
pub(crate) type Key<'a> = (Gvk<'a>, &'a str, &'a str);

impl<'a> Id<'a> {
    /// Returns the namespace that the object ends up in.
    pub(crate) fn effective_namespace(&self) -> &'a str {
        if self.cluster_scoped { CLUSTER } else { or_default(self.namespace) }
    }

    /// Returns the part that decides equality.
    pub(crate) fn key(&self) -> Key<'a> {
        (self.gvk, self.name, self.effective_namespace())
    }
}

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, namespace) = (or(self.name, "[noName]"), or(self.namespace, "[noNs]"));
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}

/// Returns a namespace, `default` when it is empty.
pub(crate) fn or_default(namespace: &str) -> &str {
    or(namespace, "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_equal_in_the_namespace_they_end_up_in() {
        let gvk = Gvk::new("apps/v1", "Deployment");
        let id = |namespace| Id { gvk, name: "a", namespace, cluster_scoped: false };
        assert!(id("") == id("default"));
        assert!(id("") != id("other"));
        assert_eq!(id("").to_string(), "Deployment.v1.apps/a.[noNs]");
        assert_eq!(Gvk::new("v1", "Pod").to_string(), "Pod.v1.[noGrp]");
    }
}
