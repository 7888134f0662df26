//! CustomResourceDefinitions: what they declare becomes a served kind.

use std::sync::Arc;

use serde_json::{Value, json};
use smd::managed::Write;

use crate::clock;
use crate::object::Object;
use crate::registry::{Resource, Scale, Subresources, Version, priority};
use crate::schema::Schema;
use crate::server::Cluster;
use crate::storage::{Key, Transaction};

pub(crate) const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Serves what a definition declares once it was written, and says so in its status.
///
/// The kind is served before anybody can see the definition established, and under the names that
/// it was accepted with. A definition whose names belong to another one of its group waits.
pub(crate) fn after_write(cluster: &Cluster, tx: &mut Transaction<'_>, key: &Key) {
    let Some(entry) = tx.get(CRDS, key) else { return };
    let mut definition = entry.value.clone();
    if !definition.is_terminating() {
        let taken = Names::taken(tx, &definition);
        establish(&mut definition, &taken);
    }
    if is_true(&definition, ESTABLISHED) {
        let served = resource_of(&definition);
        cluster.change_registry(|registry| registry.insert(served));
    }
    let freed = definition["status"]["acceptedNames"] != entry.value["status"]["acceptedNames"];
    if definition != entry.value {
        tx.put(CRDS, key, definition);
    }
    if freed {
        retry(cluster, tx, &entry.value["spec"]["group"]);
    }
}

/// Serves what definitions declared before a restart.
pub(crate) fn restore(cluster: &Cluster, tx: &Transaction<'_>) {
    let definitions = tx.keys(CRDS).into_iter().filter_map(|key| tx.get(CRDS, &key));
    for entry in definitions.filter(|entry| is_true(&entry.value, ESTABLISHED)) {
        cluster.change_registry(|registry| registry.insert(resource_of(&entry.value)));
    }
}

/// Looks again at the definitions of a group that wait for their names.
pub(crate) fn retry(cluster: &Cluster, tx: &mut Transaction<'_>, group: &Value) {
    for key in tx.keys(CRDS) {
        let Some(entry) = tx.get(CRDS, &key) else { continue };
        let waits = entry.value["spec"]["group"] == *group
            && condition(&entry.value, ACCEPTED).is_some()
            && !is_true(&entry.value, ACCEPTED);
        if waits {
            let mut definition = entry.value.clone();
            establish(&mut definition, &Names::taken(tx, &entry.value));
            if definition["status"] != entry.value["status"] {
                let served = is_true(&definition, ESTABLISHED).then(|| resource_of(&definition));
                tx.put(CRDS, &key, definition);
                if let Some(served) = served {
                    cluster.change_registry(|registry| registry.insert(served));
                }
            }
        }
    }
}

const ACCEPTED: &str = "NamesAccepted";
const ESTABLISHED: &str = "Established";

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = definition["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

fn is_true(definition: &Value, kind: &str) -> bool {
    condition(definition, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Names that other definitions of a group were accepted with.
#[derive(Debug, Default)]
struct Names {
    resources: Vec<String>,
    kinds: Vec<String>,
}

impl Names {
    fn taken(tx: &Transaction<'_>, definition: &Value) -> Self {
        let mut names = Self::default();
        let others = tx.keys(CRDS).into_iter().filter(|key| key.name != definition.name());
        for other in others.filter_map(|key| tx.get(CRDS, &key)) {
            if other.value["spec"]["group"] != definition["spec"]["group"] {
                continue;
            }
            let accepted = &other.value["status"]["acceptedNames"];
            let texts = |field: &str| texts(&accepted[field]);
            names
                .resources
                .extend(["plural", "singular", "shortNames"].into_iter().flat_map(texts));
            names.kinds.extend(["kind", "listKind"].into_iter().flat_map(texts));
        }
        names
    }

    /// Takes over the wanted names that nobody else has; returns reason and message of what stands
    /// in the way.
    ///
    /// Source: `calculateNamesAndConditions`, apiextensions-apiserver 0.36.
    fn accept(&self, wanted: &Value, accepted: &mut Value) -> Option<(&'static str, String)> {
        let mut refused = None;
        for (field, reason) in [
            ("plural", "PluralConflict"),
            ("singular", "SingularConflict"),
            ("shortNames", "ShortNamesConflict"),
            ("kind", "KindConflict"),
            ("listKind", "ListKindConflict"),
        ] {
            let taken = if field.ends_with("ind") { &self.kinds } else { &self.resources };
            let own = texts(&accepted[field]);
            let conflicts: Vec<String> = texts(&wanted[field])
                .into_iter()
                .filter(|name| !own.contains(name) && taken.contains(name))
                .map(|name| format!("{name:?} is already in use"))
                .collect();
            match conflicts.as_slice() {
                [] if wanted.get(field).is_some() => accepted[field] = wanted[field].clone(),
                [] => {}
                [one] => refused = Some((reason, one.clone())),
                many => refused = Some((reason, format!("[{}]", many.join(", ")))),
            }
        }
        if let Some(categories) = wanted.get("categories") {
            accepted["categories"] = categories.clone();
        }
        refused
    }
}

/// Returns a text, or the texts of a list.
fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Writes the status of a definition.
fn establish(definition: &mut Value, taken: &Names) {
    let before = definition.clone();
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
    let mut accepted = match &definition["status"]["acceptedNames"] {
        Value::Object(names) => Value::Object(names.clone()),
        _ => json!({}),
    };
    let refused = taken.accept(&definition["spec"]["names"], &mut accepted);
    // Names that are not known yet are empty rather than absent.
    for field in ["plural", "kind"] {
        if accepted.get(field).is_none() {
            accepted[field] = "".into();
        }
    }
    let was_established = is_true(definition, ESTABLISHED);
    let mut conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let (accepted_now, reason, message) = match &refused {
        Some((reason, message)) => (false, *reason, message.as_str()),
        None => (true, "NoConflicts", "no conflicts found"),
    };
    set_condition(&mut conditions, ACCEPTED, accepted_now, reason, message);
    if !was_established {
        let (reason, message) = if accepted_now {
            ("InitialNamesAccepted", "the initial names have been accepted")
        } else {
            ("NotAccepted", "not all names are accepted")
        };
        set_condition(&mut conditions, ESTABLISHED, accepted_now, reason, message);
    }
    definition["status"] = json!({
        "conditions": conditions,
        "acceptedNames": accepted,
        "storedVersions": stored,
    });
    if definition["status"] != before["status"] {
        record_manager(definition, &before);
    }
}

fn set_condition(conditions: &mut Vec<Value>, kind: &str, is: bool, reason: &str, message: &str) {
    let mut new = json!({
        "type": kind,
        "status": if is { "True" } else { "False" },
        "lastTransitionTime": clock::now(),
        "reason": reason,
        "message": message,
    });
    match conditions.iter_mut().find(|one| one["type"] == kind) {
        Some(old) => {
            if old["status"] == new["status"] {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

/// Records that the status is the server's own.
fn record_manager(definition: &mut Value, before: &Value) {
    const GROUP: &str = "apiextensions.k8s.io";
    const KIND: &str = "CustomResourceDefinition";
    let Some(schema) = smd::Schema::builtin(GROUP, "v1", KIND) else { return };
    let write = Write {
        manager: "kube-apiserver",
        subresource: "status",
        api_version: "apiextensions.k8s.io/v1",
        time: &clock::now(),
        reset: &smd::managed::reset_fields(GROUP, KIND, false, true, "status"),
        schemas: &|_| Some(schema.clone()),
    };
    smd::managed::update(&write, Some(before), definition);
}

/// Returns the kind that a definition declares.
fn resource_of(definition: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
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
