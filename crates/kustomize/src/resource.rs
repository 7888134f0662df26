//! An object on its way through the build, and the ordered set of them.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::id::{Gvk, Id};

/// An object and what the build remembers about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    /// The object.
    pub value: Value,
    /// What it was called before, oldest first.
    previous: Vec<Previous>,
    /// The prefixes that its name got, oldest first.
    pub prefixes: Vec<String>,
    /// The suffixes that its name got, oldest first.
    pub suffixes: Vec<String>,
    /// Whether its name gets a hash of its content.
    pub needs_hash: bool,
    /// What a generator wants done with an object of the same id.
    pub behavior: Behavior,
    /// Where it came from.
    pub origin: Option<Value>,
    /// What changed it.
    pub transformations: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
struct Previous {
    kind: String,
    name: String,
    namespace: String,
}

/// What to do when a generated object exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Behavior {
    #[default]
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

impl Resource {
    pub(crate) fn new(value: Value) -> Self {
        let mut resource = Self { value, ..Self::default() };
        resource.take_internal_annotations();
        resource
    }

    /// Reads the flags that users may set through annotations.
    fn take_internal_annotations(&mut self) {
        const HASH: &str = "internal.config.kubernetes.io/needsHashSuffix";
        const BEHAVIOR: &str = "internal.config.kubernetes.io/generatorBehavior";
        let Some(annotations) =
            self.value.pointer("/metadata/annotations").and_then(Value::as_object)
        else {
            return;
        };
        let needs_hash = annotations.get(HASH).and_then(Value::as_str) == Some("enabled");
        let behavior = annotations.get(BEHAVIOR).and_then(Value::as_str).unwrap_or_default();
        self.behavior = Behavior::parse(behavior);
        self.needs_hash = needs_hash;
    }

    pub(crate) fn kind(&self) -> &str {
        self.value.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.meta("name")
    }

    pub(crate) fn namespace(&self) -> &str {
        self.meta("namespace")
    }

    fn meta(&self, field: &str) -> &str {
        let value = self.value.get("metadata").and_then(|metadata| metadata.get(field));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn gvk(&self) -> Gvk {
        let version = self.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        Gvk::new(version, self.kind())
    }

    /// Returns what the object is called now.
    pub(crate) fn id(&self) -> Id {
        Id { gvk: self.gvk(), name: self.name().to_owned(), namespace: self.namespace().to_owned() }
    }

    /// Returns what the object was called before, oldest first, under the current group and version.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = Id> {
        let gvk = self.gvk();
        self.previous.iter().map(move |previous| Id {
            gvk: Gvk { kind: previous.kind.clone(), ..gvk.clone() },
            name: previous.name.clone(),
            namespace: previous.namespace.clone(),
        })
    }

    /// Returns the names that the object had before.
    pub(crate) fn previous_names(&self) -> impl Iterator<Item = &str> {
        self.previous.iter().map(|previous| previous.name.as_str())
    }

    /// Returns what the object was called at first.
    pub(crate) fn original_id(&self) -> Id {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// Says whether the object is or was called so.
    pub(crate) fn was(&self, id: &Id) -> bool {
        self.id() == *id || self.previous_ids().any(|previous| previous == *id)
    }

    /// Records what the object is called, before that changes.
    pub(crate) fn remember_id(&mut self) {
        let id = self.id();
        self.previous.push(Previous {
            kind: id.gvk.kind.clone(),
            namespace: id.effective_namespace().to_owned(),
            name: id.name,
        });
    }

    pub(crate) fn metadata(&mut self) -> Option<&mut Map<String, Value>> {
        let fields = self.value.as_object_mut()?;
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if metadata.is_null() {
            *metadata = json!({});
        }
        metadata.as_object_mut()
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata() {
            metadata.insert("name".into(), json!(name));
        }
    }

    /// Sets the namespace; removes it when it is empty.
    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = self.metadata() {
            if namespace.is_empty() {
                metadata.shift_remove("namespace");
            } else {
                metadata.insert("namespace".into(), json!(namespace));
            }
        }
    }

    /// Returns `metadata.labels` or `metadata.annotations`.
    pub(crate) fn map(&self, field: &str) -> Option<&Map<String, Value>> {
        self.value.get("metadata")?.get(field)?.as_object()
    }

    /// Returns `metadata.labels` or `metadata.annotations`, made where it is missing.
    pub(crate) fn map_mut(&mut self, field: &str) -> Option<&mut Map<String, Value>> {
        let slot = self.metadata()?.entry(field).or_insert_with(|| json!({}));
        if slot.is_null() {
            *slot = json!({});
        }
        slot.as_object_mut()
    }

    fn absorb_history(&mut self, old: &Self) {
        self.previous.clone_from(&old.previous);
        self.prefixes.clone_from(&old.prefixes);
        self.suffixes.clone_from(&old.suffixes);
        self.origin.clone_from(&old.origin);
        self.transformations.clone_from(&old.transformations);
    }
}

/// Objects in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    items: Vec<Resource>,
    /// The ids of the items; absent after they could have changed.
    ids: Option<HashSet<(Gvk, String, String)>>,
}

impl Resources {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.items.iter()
    }

    /// Lends the objects for changes, their ids included.
    pub(crate) fn items_mut(&mut self) -> &mut Vec<Resource> {
        self.ids = None;
        &mut self.items
    }

    pub(crate) fn into_items(self) -> Vec<Resource> {
        self.items
    }

    /// Adds an object of a new id.
    pub(crate) fn append(&mut self, resource: Resource) -> Result<(), Problem> {
        let items = &self.items;
        let ids =
            self.ids.get_or_insert_with(|| items.iter().map(|item| item.id().key()).collect());
        if !ids.insert(resource.id().key()) {
            return Err(Problem::Duplicate { id: resource.id().to_string() });
        }
        self.items.push(resource);
        Ok(())
    }

    pub(crate) fn append_all(&mut self, others: Self) -> Result<(), Problem> {
        others.items.into_iter().try_for_each(|item| self.append(item))
    }

    /// Adds a generated object, or merges it into the one that it names.
    pub(crate) fn absorb(&mut self, mut new: Resource) -> Result<(), Problem> {
        let id = new.id();
        let matches: Vec<_> = (0..self.items.len()).filter(|&at| self.items[at].was(&id)).collect();
        match (matches.as_slice(), new.behavior) {
            ([], Behavior::Create) => self.append(new),
            ([], _) => Err(Problem::rule(format!(
                "{id} does not exist, so there is nothing to merge or replace; \
                 use behavior: create"
            ))),
            ([_], Behavior::Create) => {
                Err(Problem::rule(format!("{id} exists already; use behavior: merge or replace")))
            }
            (&[at], behavior) => {
                let old = &self.items[at];
                merge_metadata(&mut new, old);
                if behavior == Behavior::Merge {
                    for field in ["data", "binaryData"] {
                        overlay(&mut new.value, &old.value, field);
                    }
                }
                new.absorb_history(old);
                let (name, namespace) = (old.name().to_owned(), old.namespace().to_owned());
                new.set_name(&name);
                new.set_namespace(&namespace);
                self.ids = None;
                self.items[at] = new;
                Ok(())
            }
            _ => Err(Problem::rule(format!("several objects match {id}; name one of them"))),
        }
    }
}

fn merge_metadata(new: &mut Resource, old: &Resource) {
    for field in ["labels", "annotations"] {
        let (mut value, other) = (new.value["metadata"].take(), &old.value["metadata"]);
        overlay(&mut value, other, field);
        new.value["metadata"] = value;
    }
}

/// Puts the entries of an old map under those of the new one.
fn overlay(new: &mut Value, old: &Value, field: &str) {
    let Some(old) = old.get(field).and_then(Value::as_object).filter(|old| !old.is_empty()) else {
        return;
    };
    let mut merged = old.clone();
    if let Some(new) = new.get(field).and_then(Value::as_object) {
        merged.extend(new.clone());
    }
    if let Some(fields) = new.as_object_mut() {
        fields.insert(field.to_owned(), Value::Object(merged));
    }
}
