//! The kinds that commands work with, and how each is shown.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

/// A kind of the toolkit, as commands need to know it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The name of the type, e.g. `GitRepository`.
    pub(crate) name: &'static str,
    group: &'static str,
    plural: &'static str,
    /// The words in which the command line speaks of it, e.g. `source git`.
    pub(crate) words: &'static str,
    /// The columns between NAME and READY.
    pub(crate) columns: &'static [Column],
    /// How the outcome of a reconciliation is told, e.g. `fetched revision`.
    pub(crate) outcome: &'static str,
}

/// A column of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// What the object is at.
    Revision,
    /// Where the content comes from.
    Source,
    /// Whether reconciliation is off.
    Suspended,
}

/// A Git repository.
pub(crate) static GIT_REPOSITORY: Kind = Kind {
    name: "GitRepository",
    group: "source.toolkit.fluxcd.io",
    plural: "gitrepositories",
    words: "source git",
    columns: &[Column::Revision, Column::Suspended],
    outcome: "fetched revision",
};

/// An artifact that another controller produces.
pub(crate) static EXTERNAL_ARTIFACT: Kind = Kind {
    name: "ExternalArtifact",
    group: "source.toolkit.fluxcd.io",
    plural: "externalartifacts",
    words: "source external",
    columns: &[Column::Revision, Column::Source],
    outcome: "fetched revision",
};

/// A Kustomization.
pub(crate) static KUSTOMIZATION: Kind = Kind {
    name: "Kustomization",
    group: "kustomize.toolkit.fluxcd.io",
    plural: "kustomizations",
    words: "kustomization",
    columns: &[Column::Revision, Column::Suspended],
    outcome: "applied revision",
};

/// Every source, in the order in which `get sources all` lists them.
pub(crate) static SOURCES: [&Kind; 2] = [&GIT_REPOSITORY, &EXTERNAL_ARTIFACT];

/// Every kind, in the order in which `get all` lists them.
pub(crate) static ALL: [&Kind; 3] = [&GIT_REPOSITORY, &EXTERNAL_ARTIFACT, &KUSTOMIZATION];

impl Kind {
    /// Returns what a dynamic client needs to reach objects of the kind.
    pub(crate) fn resource(&self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, "v1", self.name);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// Returns the revision that an object is at, or an empty string.
    pub(crate) fn revision(&self, object: &DynamicObject) -> String {
        let path = match self.name {
            "Kustomization" => "/status/lastAppliedRevision",
            _ => "/status/artifact/revision",
        };
        text(object, path).to_owned()
    }
}

/// Returns the string at a JSON pointer, or an empty one.
pub(crate) fn text<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    object.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the condition of a type, compared without regard to case.
pub(crate) fn condition<'a>(object: &'a DynamicObject, r#type: &str) -> Option<&'a Value> {
    object.data.pointer("/status/conditions")?.as_array()?.iter().find(|condition| {
        condition["type"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(r#type))
    })
}

/// Returns status and message of the Ready condition, as listings show them.
pub(crate) fn ready(object: &DynamicObject) -> (String, String) {
    match condition(object, "Ready") {
        Some(ready) => (
            ready["status"].as_str().unwrap_or("Unknown").to_owned(),
            ready["message"].as_str().unwrap_or_default().to_owned(),
        ),
        None => ("False".to_owned(), "waiting to be reconciled".to_owned()),
    }
}

/// Returns whether reconciliation of the object is off.
pub(crate) fn suspended(object: &DynamicObject) -> bool {
    object.data.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or(false)
}

/// Returns the source of an object as `Kind/namespace/name`, or an empty string.
pub(crate) fn source(object: &DynamicObject) -> String {
    let kind = text(object, "/spec/sourceRef/kind");
    if kind.is_empty() {
        return String::new();
    }
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = match text(object, "/spec/sourceRef/namespace") {
        "" => own,
        other => other,
    };
    format!("{kind}/{namespace}/{}", text(object, "/spec/sourceRef/name"))
}
