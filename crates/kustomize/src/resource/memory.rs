//! What the build remembers about an object, as the annotations in which kustomize keeps it.
//!
//! Here it is kept beside the object. It turns into annotations where a patch sees them: a JSON patch
//! finds `metadata.annotations` when there is any, and a patch that removes the annotations removes
//! what was remembered, too.
//!
//! Source: `BuildAnnotations`, kustomize api 0.21.1 `resource/resource.go`.

use goyaml::{Mapping, Node};

use super::{Resource, text};

const PREVIOUS_KINDS: &str = "internal.config.kubernetes.io/previousKinds";
const PREVIOUS_NAMES: &str = "internal.config.kubernetes.io/previousNames";
const PREVIOUS_NAMESPACES: &str = "internal.config.kubernetes.io/previousNamespaces";
const PREFIXES: &str = "internal.config.kubernetes.io/prefixes";
const SUFFIXES: &str = "internal.config.kubernetes.io/suffixes";
const BEHAVIOR: &str = "internal.config.kubernetes.io/generatorBehavior";
const NEEDS_HASH: &str = "internal.config.kubernetes.io/needsHashSuffix";

/// The annotations that are not in the result of a build.
const REMOVED: [&str; 19] = [
    PREVIOUS_KINDS,
    PREVIOUS_NAMES,
    PREFIXES,
    SUFFIXES,
    PREVIOUS_NAMESPACES,
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    BEHAVIOR,
    NEEDS_HASH,
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    "internal.config.kubernetes.io/helm-generated",
];

/// Says whether a patch leaves an annotation alone.
fn is_internal(key: &str) -> bool {
    key.starts_with("internal.config.kubernetes.io/")
        || ["config.kubernetes.io/path", "config.kubernetes.io/index", "config.k8s.io/id"]
            .contains(&key)
}

/// What the build remembers about an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// What it was called before, oldest first.
    pub(super) previous: Vec<Previous>,
    /// The prefixes that its name got, oldest first.
    pub prefixes: Vec<String>,
    /// The suffixes that its name got, oldest first.
    pub suffixes: Vec<String>,
    /// Whether its name gets a hash of its content.
    pub needs_hash: bool,
    /// What a generator wants done with an object of the same id; `None` for what no generator made.
    pub behavior: Option<Behavior>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Previous {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

/// What to do when a generated object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Create,
    Merge,
    Replace,
}

impl Behavior {
    /// Reads a behavior; anything unknown creates.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "merge" => Self::Merge,
            "replace" => Self::Replace,
            _ => Self::Create,
        }
    }
}

impl Memory {
    pub(super) fn add_previous(&mut self, kind: String, name: String, namespace: String) {
        // What has no name is not recorded, as an empty entry would not be.
        if !name.is_empty() && !kind.is_empty() {
            self.previous.push(Previous { kind, name, namespace });
        }
    }

    /// Takes over what is remembered of an object that takes this one's place.
    fn inherit(&mut self, old: &Self) {
        let needs_hash = self.needs_hash && old.needs_hash;
        self.clone_from(old);
        self.needs_hash = needs_hash;
    }

    /// Returns the annotations that stand for this.
    fn to_annotations(&self) -> Vec<(&'static str, String)> {
        let join = |of: fn(&Previous) -> &String| {
            self.previous.iter().map(|one| of(one).as_str()).collect::<Vec<_>>().join(",")
        };
        let behavior = self.behavior.map(|behavior| match behavior {
            Behavior::Create => "unspecified",
            Behavior::Merge => "merge",
            Behavior::Replace => "replace",
        });
        let entries = [
            (PREVIOUS_NAMES, join(|one| &one.name)),
            (PREVIOUS_NAMESPACES, join(|one| &one.namespace)),
            (PREVIOUS_KINDS, join(|one| &one.kind)),
            (PREFIXES, self.prefixes.join(",")),
            (SUFFIXES, self.suffixes.join(",")),
            (BEHAVIOR, behavior.unwrap_or_default().to_owned()),
            (NEEDS_HASH, if self.needs_hash { "enabled" } else { "" }.to_owned()),
        ];
        entries.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Reads the annotations that stand for this.
    fn of_annotations(resource: &Resource) -> Self {
        let list = |name: &str| -> Vec<String> {
            let text = resource.annotation(name);
            text.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
        };
        let others = list(PREVIOUS_NAMESPACES).into_iter().zip(list(PREVIOUS_KINDS));
        let previous = list(PREVIOUS_NAMES)
            .into_iter()
            .zip(others)
            .map(|(name, (namespace, kind))| Previous { kind, name, namespace });
        Self {
            previous: previous.collect(),
            prefixes: list(PREFIXES),
            suffixes: list(SUFFIXES),
            needs_hash: resource.annotation(NEEDS_HASH) == Some("enabled"),
            behavior: resource.annotation(BEHAVIOR).map(Behavior::parse),
        }
    }
}

impl Resource {
    /// Writes what is remembered into the annotations.
    pub(crate) fn put_out_memory(&mut self) {
        let entries = self.memory.to_annotations();
        if entries.is_empty() {
            return;
        }
        let Some(metadata) = self.metadata() else { return };
        if metadata.get("annotations").is_some_and(Node::is_empty) {
            metadata.remove("annotations");
        }
        if metadata.get("annotations").is_none() {
            metadata.push("annotations", Mapping::new());
        }
        if let Some(map) = metadata.get_mut("annotations").and_then(Node::as_mapping_mut) {
            for (key, value) in entries {
                map.push(key, text(&value));
            }
        }
    }

    /// Reads what is to be remembered from the annotations, and removes it there.
    pub(crate) fn take_in_memory(&mut self) {
        if !self.map("annotations").any(|(key, _)| REMOVED.contains(&key)) {
            self.memory = Memory::default();
            return;
        }
        self.memory = Memory::of_annotations(self);
        if let Some(metadata) = self.metadata()
            && let Some(map) = metadata.get_mut("annotations").and_then(Node::as_mapping_mut)
        {
            map.entries.retain(|(key, _)| !REMOVED.contains(&key.value.as_str()));
            if map.is_empty() {
                metadata.remove("annotations");
            }
        }
    }

    /// Returns the annotations that a JSON patch does not change.
    pub(crate) fn internal_annotations(&self) -> Vec<(String, String)> {
        self.map("annotations")
            .filter(|(key, _)| is_internal(key))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Takes over what is remembered of an object that this one replaces.
    pub(crate) fn inherit(&mut self, old: &Self) {
        self.memory.inherit(&old.memory);
        self.vars.clone_from(&old.vars);
    }
}
