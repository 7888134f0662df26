//! `metadata.managedFields`, read and written.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ANCIENT_CHANGES, Write};
use crate::fields::{FieldSet, FieldSetError};

/// How a manager came to its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// Who manages fields: what tells entries apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// Name, such as `kubectl`.
    pub name: String,
    /// How it writes.
    pub operation: Operation,
    /// Version it writes in; empty for [`Operation::Apply`], which goes on across versions.
    pub api_version: String,
    /// Subresource it writes to, or empty.
    pub subresource: String,
}

/// What a manager manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Version that the fields are of.
    pub api_version: String,
    /// When the fields or their values changed last.
    pub time: Option<String>,
    /// The fields.
    pub fields: FieldSet,
}

/// Why managed fields cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// Neither `Apply` nor `Update`.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// An entry does not name the version of its fields.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// Not `FieldsV1`.
    #[error("invalid fieldsType {text:?} in managed fields entry {index}")]
    FieldsType {
        /// What stands there.
        text: String,
        /// Place in the list.
        index: usize,
    },
    /// No `fieldsType`.
    #[error("missing fieldsType in managed fields entry {index}")]
    NoFieldsType {
        /// Place in the list.
        index: usize,
    },
    /// The fields are malformed.
    #[error("error decoding set: {0}")]
    Fields(#[from] FieldSetError),
}

/// Returns the managers of an object with what they manage.
pub fn entries_of(object: &Value) -> Result<Vec<(Manager, Entry)>, ManagedError> {
    Managed::read(object).map(|managed| managed.0.into_iter().collect())
}

impl Manager {
    pub(super) fn new(write: &Write<'_>, operation: Operation, name: &str) -> Self {
        let name = if name.is_empty() { "unknown" } else { name };
        let api_version = match operation {
            Operation::Apply => String::new(),
            Operation::Update => write.api_version.to_owned(),
        };
        Self {
            name: name.to_owned(),
            operation,
            api_version,
            subresource: write.subresource.to_owned(),
        }
    }

    pub(super) fn applies(&self) -> bool {
        self.operation == Operation::Apply
    }
}

/// All entries of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Managed(BTreeMap<Manager, Entry>);

impl Managed {
    pub(super) fn read(object: &Value) -> Result<Self, ManagedError> {
        let mut managed = BTreeMap::new();
        let list = object["metadata"]["managedFields"].as_array();
        for (index, value) in list.into_iter().flatten().enumerate() {
            let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
            let operation = match text("operation").as_str() {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err(ManagedError::Operation),
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() {
                return Err(ManagedError::ApiVersion);
            }
            match text("fieldsType") {
                kind if kind == "FieldsV1" => {}
                kind if kind.is_empty() => return Err(ManagedError::NoFieldsType { index }),
                kind => return Err(ManagedError::FieldsType { text: kind, index }),
            }
            let fields = match &value["fieldsV1"] {
                Value::Null => FieldSet::default(),
                fields => FieldSet::from_json(fields)?,
            };
            let key = Manager {
                name: text("manager"),
                operation,
                api_version: match operation {
                    Operation::Apply => String::new(),
                    Operation::Update => api_version.clone(),
                },
                subresource: text("subresource"),
            };
            let time = Some(text("time")).filter(|time| !time.is_empty());
            managed.insert(key, Entry { api_version, time, fields });
        }
        Ok(Self(managed))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, manager: &Manager) -> Option<&Entry> {
        self.0.get(manager)
    }

    pub(super) fn get_mut(&mut self, manager: &Manager) -> Option<&mut Entry> {
        self.0.get_mut(manager)
    }

    pub(super) fn insert(&mut self, manager: Manager, entry: Entry) {
        self.0.insert(manager, entry);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Manager, &Entry)> {
        self.0.iter()
    }

    /// Keeps the entries for which the function says so; it may change them.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Manager, &mut Entry) -> bool) {
        self.0.retain(|manager, entry| keep(manager, entry));
    }

    /// Takes fields away from one manager, and the entry with the last of them.
    pub(super) fn strip(&mut self, manager: &Manager, fields: &FieldSet) {
        if let Some(entry) = self.0.get_mut(manager) {
            entry.fields = entry.fields.difference(fields);
            if entry.fields.is_empty() {
                self.0.remove(manager);
            }
        }
    }

    /// Puts the oldest updates of a version together until there are no more than `limit`.
    pub(super) fn cap(&mut self, limit: usize) {
        let mut updaters: Vec<(String, Manager)> = self
            .0
            .iter()
            .filter(|(manager, _)| !manager.applies())
            .map(|(manager, entry)| (entry.time.clone().unwrap_or_default(), manager.clone()))
            .collect();
        let mut count = updaters.len();
        updaters.sort();
        let mut first: BTreeMap<String, Manager> = BTreeMap::new();
        for (time, manager) in updaters {
            if count <= limit {
                return;
            }
            let Some(version) = self.0.get(&manager).map(|entry| entry.api_version.clone()) else {
                continue;
            };
            let Some(oldest) = first.get(&version) else {
                first.insert(version, manager);
                continue;
            };
            let bucket = Manager {
                name: ANCIENT_CHANGES.to_owned(),
                operation: Operation::Update,
                api_version: version.clone(),
                subresource: String::new(),
            };
            if !self.0.contains_key(&bucket)
                && let Some(entry) = self.0.remove(oldest)
            {
                self.0.insert(bucket.clone(), entry);
            }
            if bucket == manager {
                continue;
            }
            if let Some(merged) = self.0.remove(&manager)
                && let Some(entry) = self.0.get_mut(&bucket)
            {
                entry.fields.extend(&merged.fields);
                entry.time = Some(time).filter(|time| !time.is_empty());
                count -= 1;
            }
        }
    }

    fn to_json(&self) -> Vec<Value> {
        let mut entries: Vec<_> = self.0.iter().collect();
        // Times are all in one form, so that their text sorts as they do.
        entries.sort_by_key(|(manager, entry)| {
            (
                manager.operation,
                entry.time.clone().unwrap_or_default(),
                manager.name.clone(),
                entry.api_version.clone(),
                manager.subresource.clone(),
            )
        });
        entries.into_iter().map(|(manager, entry)| to_json(manager, entry)).collect()
    }
}

fn to_json(manager: &Manager, entry: &Entry) -> Value {
    let mut map = Map::new();
    map.insert("manager".into(), manager.name.clone().into());
    let operation = if manager.applies() { "Apply" } else { "Update" };
    map.insert("operation".into(), operation.into());
    map.insert("apiVersion".into(), entry.api_version.clone().into());
    if let Some(time) = &entry.time {
        map.insert("time".into(), time.clone().into());
    }
    map.insert("fieldsType".into(), "FieldsV1".into());
    map.insert("fieldsV1".into(), entry.fields.to_json());
    if !manager.subresource.is_empty() {
        map.insert("subresource".into(), manager.subresource.clone().into());
    }
    map.into()
}

/// Writes the entries into an object; without any, the field is removed.
pub(super) fn store(object: &mut Value, managed: &Managed) {
    let entries = managed.to_json();
    let Some(map) = object.as_object_mut() else { return };
    if entries.is_empty() {
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.shift_remove("managedFields");
        }
        return;
    }
    let meta = map.entry("metadata").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("managedFields".into(), entries.into());
    }
}

/// Returns whether an object asks for its account to be started anew: with an empty list, or one of
/// an empty entry.
pub(super) fn is_reset(object: &Value) -> bool {
    match object["metadata"]["managedFields"].as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}
