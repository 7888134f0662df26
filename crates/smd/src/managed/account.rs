//! The account of one object through one write.

use std::collections::BTreeMap;

use serde_json::Value;

use super::conflict::Conflicts;
use super::entries::{Entry, Managed, Manager};
use super::{ApplyError, Write, describe};
use crate::fields::FieldSet;
use crate::schema::Schema;
use crate::typed::{self, Comparison};

pub(super) struct Account<'a> {
    pub(super) write: &'a Write<'a>,
    /// Schema of the version that is written in.
    pub(super) schema: &'a Schema,
    pub(super) managed: Managed,
}

impl Account<'_> {
    /// Takes what changes from everybody, and returns it.
    pub(super) fn update(&mut self, live: &Value, new: &Value) -> Result<FieldSet, ApplyError> {
        self.reconcile();
        let changes = self.settle(live, new, None, true)?;
        Ok(changes.changed().recursive_difference(self.write.reset))
    }

    /// Returns the merged object; the manager has what is in the configuration.
    pub(super) fn apply(
        &mut self,
        live: &Value,
        config: &Value,
        manager: &Manager,
        force: bool,
    ) -> Result<Value, ApplyError> {
        self.reconcile();
        let merged = typed::merge(self.schema, live, config)
            .map_err(|problem| ApplyError::Config { object: describe(config), problem })?;
        let last = self.managed.get(manager).cloned();
        let fields = typed::field_set(self.schema, config).recursive_difference(self.write.reset);
        let time = last.as_ref().and_then(|last| last.time.clone());
        let entry = Entry { api_version: self.write.api_version.to_owned(), time, fields };
        self.managed.insert(manager.clone(), entry);
        let merged = match last {
            Some(last) if !last.fields.is_empty() => self.prune(merged, &last),
            _ => merged,
        };
        self.settle(live, &merged, Some(manager), force)?;
        Ok(merged)
    }

    /// Brings the entries in line with schemas that changed since, and forgets those of versions
    /// that are gone.
    fn reconcile(&mut self) {
        let schemas = self.write.schemas;
        self.managed.retain(|_, entry| match schemas(&entry.api_version) {
            Some(schema) => {
                entry.fields = typed::reconcile(schema.root(), &entry.fields);
                true
            }
            None => false,
        });
    }

    /// Takes from all managers but one what is changed or removed.
    fn settle(
        &mut self,
        live: &Value,
        new: &Value,
        writer: Option<&Manager>,
        force: bool,
    ) -> Result<Comparison, ApplyError> {
        let changes = compare(self.schema, live, new)?;
        let mut by_version: BTreeMap<String, Comparison> = BTreeMap::new();
        let own = changes.without(self.write.reset);
        by_version.insert(self.write.api_version.to_owned(), own);
        for (manager, entry) in self.managed.iter() {
            if Some(manager) != writer
                && !by_version.contains_key(&entry.api_version)
                && let Some(schema) = (self.write.schemas)(&entry.api_version)
            {
                let (live, new) =
                    (convert(live, &entry.api_version), convert(new, &entry.api_version));
                let changes = compare(&schema, &live, &new)?;
                by_version.insert(entry.api_version.clone(), changes.without(self.write.reset));
            }
        }
        let mut conflicts = Conflicts::default();
        let mut taken: Vec<(Manager, FieldSet)> = Vec::new();
        for (manager, entry) in self.managed.iter().filter(|(other, _)| Some(*other) != writer) {
            let Some(changes) = by_version.get(&entry.api_version) else { continue };
            let conflict = entry.fields.intersection(&changes.changed());
            conflicts.add(manager, &conflict);
            taken.push((manager.clone(), conflict.union(&changes.removed)));
        }
        if !force && !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
        for (manager, fields) in taken {
            if let Some(entry) = self.managed.get_mut(&manager) {
                entry.fields = entry.fields.difference(&fields);
            }
        }
        self.managed.retain(|_, entry| !entry.fields.is_empty());
        Ok(changes)
    }

    /// Removes what the manager applied last and not this time, unless somebody has it.
    fn prune(&self, merged: Value, last: &Entry) -> Value {
        let Some(schema) = (self.write.schemas)(&last.api_version) else { return merged };
        let merged = convert(&merged, &last.api_version);
        let last_fields = named(&schema, &last.fields);
        let pruned = typed::without(&schema, &merged, &last_fields);
        let pruned = self.add_back_owned(&merged, pruned, &last.api_version);
        let kept = named(&schema, &typed::field_set(&schema, &pruned));
        let all = named(&schema, &typed::field_set(&schema, &merged));
        // What nobody applied stays, even if it went with its parent.
        let gone = all.difference(&kept).intersection(&last_fields);
        convert(&typed::without(&schema, &merged, &gone), self.write.api_version)
    }

    /// Puts back what somebody has, version by version, the pruned one first.
    fn add_back_owned(&self, merged: &Value, mut pruned: Value, version: &str) -> Value {
        let mut owned: BTreeMap<(bool, &str), FieldSet> = BTreeMap::new();
        for (_, entry) in self.managed.iter() {
            let key = (entry.api_version != version, entry.api_version.as_str());
            owned.entry(key).or_default().extend(&entry.fields);
        }
        for ((_, version), owned) in owned {
            let Some(schema) = (self.write.schemas)(version) else { continue };
            let merged = convert(merged, version);
            let here = convert(&pruned, version);
            let all = named(&schema, &typed::field_set(&schema, &merged));
            let kept =
                named(&schema, &typed::field_set(&schema, &here)).union(&named(&schema, &owned));
            pruned = typed::without(&schema, &merged, &all.difference(&kept));
        }
        convert(&pruned, version)
    }
}

fn compare(schema: &Schema, live: &Value, new: &Value) -> Result<Comparison, ApplyError> {
    typed::compare(schema, live, new)
        .map_err(|problem| ApplyError::Live { object: describe(live), problem })
}

fn named(schema: &Schema, fields: &FieldSet) -> FieldSet {
    typed::ensure_named(Some(schema.root()), fields)
}

/// Returns the object in another version. Versions of a kind have the same fields here: conversion
/// by webhook is not supported.
fn convert(object: &Value, api_version: &str) -> Value {
    let mut object = object.clone();
    if object.get("apiVersion").is_some_and(|version| version != api_version) {
        object["apiVersion"] = api_version.into();
    }
    object
}
