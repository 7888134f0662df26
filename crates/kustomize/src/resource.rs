//! An object on its way through the build.

mod memory;

pub(crate) use memory::{Behavior, Memory};

use std::collections::HashMap;
use std::sync::Arc;

use goyaml::{Dialect, Mapping, Node, Scalar, Value};

use crate::error::Problem;
use crate::id::{Gvk, Id};
use crate::node::{self, set_field};

/// An object and what the build remembers about it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// The object, a mapping.
    pub node: Node,
    /// Where it came from.
    pub source: Source,
    /// Whether objects of its kind have no namespace.
    pub cluster_scoped: bool,
    /// What the build remembers about it.
    pub memory: Memory,
    /// The vars that are taken from it.
    pub vars: Vec<String>,
    /// The scalars of the node that stand at several places, by their number.
    shared: HashMap<u32, Scalar>,
}

/// A file and the line in it, or what else made an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub file: Arc<str>,
    pub line: usize,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl Resource {
    pub(crate) fn new(node: Node, source: Source) -> Self {
        let mut resource = Self {
            node,
            source,
            cluster_scoped: false,
            memory: Memory::default(),
            vars: Vec::new(),
            shared: HashMap::new(),
        };
        resource.take_in_memory();
        resource
    }

    pub(crate) fn kind(&self) -> &str {
        self.node.get("kind").map_or("", Node::text)
    }

    pub(crate) fn api_version(&self) -> &str {
        self.node.get("apiVersion").map_or("", Node::text)
    }

    pub(crate) fn name(&self) -> &str {
        self.meta("name")
    }

    pub(crate) fn namespace(&self) -> &str {
        self.meta("namespace")
    }

    fn meta(&self, field: &str) -> &str {
        let value = self.node.get("metadata").and_then(|metadata| metadata.get(field));
        value.filter(|value| !value.is_empty()).map_or("", Node::text)
    }

    pub(crate) fn gvk(&self) -> Gvk<'_> {
        Gvk::new(self.api_version(), self.kind())
    }

    /// Returns what the object is called now.
    pub(crate) fn id(&self) -> Id<'_> {
        Id {
            gvk: self.gvk(),
            name: self.name(),
            namespace: self.namespace(),
            cluster_scoped: self.cluster_scoped,
        }
    }

    /// Returns what the object was called before, oldest first, under the current group and version.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = Id<'_>> {
        let gvk = self.gvk();
        self.memory.previous.iter().map(move |previous| Id {
            gvk: Gvk { kind: &previous.kind, ..gvk },
            name: &previous.name,
            namespace: &previous.namespace,
            // The namespace is the effective one.
            cluster_scoped: false,
        })
    }

    /// Returns the names that the object had before.
    pub(crate) fn previous_names(&self) -> impl Iterator<Item = &str> {
        self.memory.previous.iter().map(|previous| previous.name.as_str())
    }

    /// Returns what the object was called at first.
    pub(crate) fn original_id(&self) -> Id<'_> {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// Returns every id the object has and had.
    pub(crate) fn all_ids(&self) -> impl Iterator<Item = Id<'_>> {
        self.previous_ids().chain(std::iter::once(self.id()))
    }

    /// Records what the object is called, before that changes.
    pub(crate) fn remember_id(&mut self) {
        let id = self.id();
        let (kind, name) = (id.gvk.kind.to_owned(), id.name.to_owned());
        let namespace = id.effective_namespace().to_owned();
        self.memory.add_previous(kind, name, namespace);
    }

    /// Returns the object for a message: what it is called and where it came from.
    pub(crate) fn describe(&self) -> String {
        format!("{} ({})", self.id(), self.source)
    }

    /// Says which object a problem is about.
    pub(crate) fn blame(&self, problem: Problem) -> Problem {
        match problem {
            Problem::Object { .. } => problem,
            problem => Problem::Object { object: self.describe(), source: Box::new(problem) },
        }
    }

    fn fields(&mut self) -> Option<&mut Mapping> {
        self.node.as_mapping_mut()
    }

    /// Lends the metadata, made where it is missing.
    pub(crate) fn metadata(&mut self) -> Option<&mut Mapping> {
        let fields = self.fields()?;
        if fields.get("metadata").is_none() {
            fields.push("metadata", Mapping::new());
        }
        fields.get_mut("metadata")?.as_mapping_mut()
    }

    pub(crate) fn set_kind(&mut self, kind: &str) {
        if let Some(fields) = self.fields() {
            set_field(fields, "kind", Scalar::plain(kind));
        }
    }

    pub(crate) fn set_api_version(&mut self, version: &str) {
        if let Some(fields) = self.fields() {
            set_field(fields, "apiVersion", Scalar::plain(version));
        }
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata() {
            set_field(metadata, "name", Scalar::plain(name));
        }
    }

    /// Sets the namespace; removes it when it is empty.
    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = self.metadata() {
            if namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                set_field(metadata, "namespace", Scalar::plain(namespace));
            }
        }
    }

    /// Returns the entries of `metadata.labels` or `metadata.annotations` as text.
    pub(crate) fn map(&self, field: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = self.node.get("metadata").and_then(|metadata| metadata.get(field));
        let entries = map.and_then(Node::as_mapping).into_iter().flat_map(|map| &map.entries);
        entries.map(|(key, value)| (key.value.as_str(), value.text()))
    }

    /// Returns an entry of `metadata.annotations` as text.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.map("annotations").find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Replaces `metadata.labels` or `metadata.annotations`; nothing removes it. All is text then.
    pub(crate) fn set_map<'a>(
        &mut self,
        field: &str,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let sorted: std::collections::BTreeMap<&str, &str> = entries.into_iter().collect();
        let Some(metadata) = self.metadata() else { return };
        metadata.remove(field);
        if sorted.is_empty() {
            return;
        }
        // Where the field stood twice there is one left.
        if metadata.get(field).is_none() {
            metadata.push(field, Mapping::new());
        }
        if let Some(Node::Mapping(map)) = metadata.get_mut(field) {
            for (key, value) in sorted {
                set_field(map, key, text(value));
            }
        }
    }

    /// Sets one annotation, as the transformers of build metadata do it: all others become text.
    pub(crate) fn set_annotation(&mut self, name: &str, value: Option<&str>) {
        let mut entries: Vec<(String, String)> = self
            .map("annotations")
            .filter(|(key, _)| *key != name)
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        entries.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self.set_map("annotations", entries.iter().map(|(key, value)| (&**key, &**value)));
    }

    /// Returns the object as it will be written.
    pub(crate) fn to_value(&self) -> Result<Value, Problem> {
        goyaml::to_value(&self.node, Dialect::Kyaml).map_err(|source| {
            self.blame(Problem::Yaml { path: self.source.file.to_string(), source })
        })
    }

    /// Makes scalars one that were written to several places.
    pub(crate) fn share(&mut self, identity: u32, scalar: Scalar) {
        self.shared.insert(identity, scalar);
    }

    /// Forgets which scalars are one, after the node was made anew.
    pub(crate) fn forget_shared(&mut self) {
        self.shared.clear();
    }

    /// Makes the scalars equal that are one, after some were changed; the last change counts.
    pub(crate) fn settle(&mut self) {
        if self.shared.is_empty() || !any_changed(&self.node, &self.shared) {
            return;
        }
        let mut changed = HashMap::new();
        find_changed(&self.node, &self.shared, &mut changed);
        spread(&mut self.node, &changed);
        self.shared.extend(changed);
    }
}

/// Returns text as a node that stays text.
fn text(value: &str) -> Scalar {
    let mut node = Node::from(Scalar::string(value));
    node::quote_ambiguous(&mut node);
    match node {
        Node::Scalar(scalar) => scalar,
        _ => Scalar::string(value),
    }
}

/// Says whether a scalar is not what it was when it was shared.
fn is_changed(scalar: &Scalar, shared: &HashMap<u32, Scalar>) -> bool {
    scalar.identity != 0
        && shared.get(&scalar.identity).is_some_and(|was| {
            was.value != scalar.value || was.tag != scalar.tag || was.style != scalar.style
        })
}

fn any_changed(node: &Node, shared: &HashMap<u32, Scalar>) -> bool {
    match node {
        Node::Scalar(scalar) => is_changed(scalar, shared),
        Node::Sequence(list) => list.items.iter().any(|item| any_changed(item, shared)),
        Node::Mapping(mapping) => {
            mapping.entries.iter().any(|(_, value)| any_changed(value, shared))
        }
    }
}

/// Finds shared scalars that are not what they were, in the order in which kustomize goes through
/// fields: sorted.
fn find_changed(node: &Node, shared: &HashMap<u32, Scalar>, changed: &mut HashMap<u32, Scalar>) {
    match node {
        Node::Scalar(scalar) => {
            if is_changed(scalar, shared) {
                changed.insert(scalar.identity, scalar.clone());
            }
        }
        Node::Sequence(list) => {
            list.items.iter().for_each(|item| find_changed(item, shared, changed));
        }
        Node::Mapping(mapping) => {
            let mut entries: Vec<_> = mapping.entries.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.value.cmp(&b.value));
            for (_, value) in entries {
                find_changed(value, shared, changed);
            }
        }
    }
}

fn spread(node: &mut Node, changed: &HashMap<u32, Scalar>) {
    match node {
        Node::Scalar(scalar) => {
            if let Some(new) = changed.get(&scalar.identity) {
                scalar.clone_from(new);
            }
        }
        Node::Sequence(list) => list.items.iter_mut().for_each(|item| spread(item, changed)),
        Node::Mapping(mapping) => {
            mapping.entries.iter_mut().for_each(|(_, value)| spread(value, changed));
        }
    }
}
