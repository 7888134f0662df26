//! CustomResourceDefinitions: what they declare becomes a served kind.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;
use crate::gc::CRD_CLEANUP;
use crate::object::Object;
use crate::registry::{Resource, Scale, Subresources, Version, priority};
use crate::schema::Schema;
use crate::server::Cluster;
use crate::storage::{Key, Transaction};

pub(crate) const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Serves what a definition declares once it was written, and says so in its status.
///
/// The kind is served before anybody can see the definition established.
pub(crate) fn after_write(cluster: &Cluster, tx: &mut Transaction<'_>, key: &Key) {
    let Some(entry) = tx.get(CRDS, key) else { return };
    let mut definition = entry.value.clone();
    if !definition.is_terminating() {
        establish(&mut definition);
    }
    let served = resource_of(&definition);
    cluster.change_registry(|registry| registry.insert(served));
    if definition != entry.value {
        tx.put(CRDS, key, definition);
    }
}

/// Writes the status of an accepted definition.
fn establish(definition: &mut Value) {
    if !definition.finalizers().any(|finalizer| finalizer == CRD_CLEANUP) {
        let list = definition.meta_mut().entry("finalizers").or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(CRD_CLEANUP.into());
        }
    }
    let names = definition["spec"]["names"].clone();
    let storage = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .unwrap_or_default();
    let mut stored = definition["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
    if !stored.contains(&storage) {
        stored.push(storage);
    }
    let mut conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for (kind, reason, message) in [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ] {
        if !conditions.iter().any(|condition| condition["type"] == kind) {
            conditions.push(json!({
                "type": kind,
                "status": "True",
                "lastTransitionTime": clock::now(),
                "reason": reason,
                "message": message,
            }));
        }
    }
    definition["status"] = json!({
        "conditions": conditions,
        "acceptedNames": names,
        "storedVersions": stored,
    });
}

/// Returns the kind that a definition declares.
fn resource_of(definition: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let (group, kind, plural) =
        (text(&spec["group"]), text(&names["kind"]), text(&names["plural"]));
    let declared = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut versions: Vec<Version> = declared
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| version_of(&group, &kind, version, declared))
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(priority(&version.name)));
    let storage_version = declared
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| format!("{group}/{}", text(&version["name"])))
        .unwrap_or_default();
    Resource {
        list_kind: names["listKind"].as_str().map_or_else(|| format!("{kind}List"), str::to_owned),
        singular: names["singular"].as_str().map_or_else(|| kind.to_lowercase(), str::to_owned),
        short_names: list(&names["shortNames"]),
        categories: list(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        versions,
        generation: true,
        review: false,
        custom: true,
        storage: format!("{plural}.{group}").into(),
        storage_version,
        group,
        kind,
        plural,
    }
}

/// Returns the best of the versions that come after a deprecated one.
fn successor<'a>(deprecated: &str, declared: &'a [Value]) -> Option<&'a str> {
    declared
        .iter()
        .filter(|version| version["served"] == true && version["deprecated"] != true)
        .filter_map(|version| version["name"].as_str())
        .filter(|name| priority(name) > priority(deprecated))
        .max_by_key(|name| priority(name))
}

fn version_of(group: &str, kind: &str, version: &Value, declared: &[Value]) -> Version {
    let subresources = &version["subresources"];
    let path = |value: &Value| value.as_str().map(str::to_owned);
    let scale = subresources.get("scale").map(|scale| Scale {
        spec_replicas: path(&scale["specReplicasPath"]).unwrap_or_default(),
        status_replicas: path(&scale["statusReplicasPath"]).unwrap_or_default(),
        selector: path(&scale["labelSelectorPath"]),
    });
    let name = version["name"].as_str().unwrap_or_default().to_owned();
    let deprecation = (version["deprecated"] == true).then(|| match version["deprecationWarning"]
        .as_str()
    {
        Some(text) => text.to_owned(),
        None => match successor(&name, declared) {
            Some(next) => format!("{group}/{name} {kind} is deprecated; use {group}/{next} {kind}"),
            None => format!("{group}/{name} {kind} is deprecated"),
        },
    });
    Version {
        schema: Arc::new(Schema::custom(version["schema"].get("openAPIV3Schema").cloned())),
        subresources: Subresources {
            status: subresources.get("status").is_some(),
            scale,
            other: Vec::new(),
        },
        columns: version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
        deprecation,
        selectable: version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|field| path(&field["jsonPath"]))
            .collect(),
        name,
    }
}
