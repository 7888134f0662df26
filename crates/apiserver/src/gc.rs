//! Deletion: finalizers, owners and dependents, namespaces and definitions with their content.
//!
//! What controllers of a real control plane do some time later happens here within the same
//! transaction, so that a deleted owner never leaves orphans behind.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;
use crate::crd::CRDS;
use crate::object::Object;
use crate::storage::{Entry, Key, ResourceId, Transaction};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
pub(crate) const CRD_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const NAMESPACES: &str = "namespaces";

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// What a delete came to.
pub(crate) enum Deleted {
    /// It is gone; this was its last state.
    Gone(Arc<Entry>),
    /// It waits for finalizers.
    Waiting(Arc<Entry>),
}

/// Deletes an object and what depends on it, or marks it if finalizers are left.
pub(crate) fn delete(
    tx: &mut Transaction<'_>,
    resource: &str,
    key: &Key,
    propagation: Propagation,
) -> Option<Deleted> {
    let before = tx.get(resource, key)?;
    let mut queue = VecDeque::new();
    remove_or_mark(tx, &Arc::from(resource), key, propagation, &mut queue);
    collect(tx, queue);
    Some(match tx.get(resource, key) {
        Some(entry) if entry.value.uid() == before.value.uid() => Deleted::Waiting(entry),
        _ => Deleted::Gone(before),
    })
}

/// Follows up on a write: an object may have lost its last finalizer or its last owner.
pub(crate) fn after_write(tx: &mut Transaction<'_>, resource: &str, key: &Key) {
    collect(tx, VecDeque::from([(Arc::from(resource), Arc::new(key.clone()))]));
}

/// Returns whether nothing holds a deleted object any more.
pub(crate) fn is_done(object: &Value) -> bool {
    let held_by_spec = object["kind"] == "Namespace"
        && object["apiVersion"] == "v1"
        && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    object.is_terminating() && object.finalizers().next().is_none() && !held_by_spec
}

/// Removes an object that nothing holds, else marks it as terminating.
fn remove_or_mark(
    tx: &mut Transaction<'_>,
    resource: &ResourceId,
    key: &Key,
    propagation: Propagation,
    queue: &mut VecDeque<(ResourceId, Arc<Key>)>,
) {
    let Some(entry) = tx.get(resource, key) else { return };
    let mut value = entry.value.clone();
    if propagation == Propagation::Orphan {
        orphan(tx, value.uid().unwrap_or_default());
    }
    let has_dependents = value.uid().is_some_and(|uid| !tx.dependents(uid).is_empty());
    let waits = value.finalizers().any(|name| name == FOREGROUND);
    if propagation == Propagation::Foreground && has_dependents && !waits {
        add_finalizer(&mut value, FOREGROUND);
    }
    let cleans_up = value.finalizers().any(|name| name == CRD_CLEANUP);
    if &**resource == CRDS && !value.is_terminating() && !cleans_up {
        add_finalizer(&mut value, CRD_CLEANUP);
    }
    if !value.is_terminating() {
        let meta = value.meta_mut();
        meta.insert("deletionTimestamp".into(), clock::now().into());
        meta.insert("deletionGracePeriodSeconds".into(), 0.into());
        if let Some(generation) = value.generation() {
            value.meta_mut().insert("generation".into(), (generation + 1).into());
        }
        if &**resource == NAMESPACES {
            value["status"]["phase"] = "Terminating".into();
        }
    }
    if is_done(&value) {
        // No watcher sees an object terminating that nothing holds.
        remove(tx, resource, key, queue);
        return;
    }
    if value != entry.value {
        tx.put(resource, key, value);
    }
    queue.push_back((resource.clone(), Arc::new(key.clone())));
}

/// Removes an object and queues those that it concerns.
fn remove(
    tx: &mut Transaction<'_>,
    resource: &ResourceId,
    key: &Key,
    queue: &mut VecDeque<(ResourceId, Arc<Key>)>,
) {
    let Some(last) = tx.remove(resource, key) else { return };
    if let Some(uid) = last.value.uid() {
        queue.extend(tx.dependents(uid));
    }
    for owner in last.value.owners().filter_map(|owner| owner["uid"].as_str()) {
        queue.extend(tx.find_uid(owner));
    }
    let mut revisit = |resource: &str, key: Key| {
        if tx.get(resource, &key).is_some_and(|entry| entry.value.is_terminating()) {
            queue.push_back((Arc::from(resource), Arc::new(key)));
        }
    };
    if !key.namespace.is_empty() {
        revisit(NAMESPACES, Key::new("", &key.namespace));
    }
    revisit(CRDS, Key::new("", &**resource));
}

/// Takes a terminating object one step further.
fn finish(
    tx: &mut Transaction<'_>,
    resource: &ResourceId,
    key: &Key,
    entry: &Entry,
    queue: &mut VecDeque<(ResourceId, Arc<Key>)>,
) {
    let mut value = entry.value.clone();
    if value.finalizers().any(|name| name == FOREGROUND) {
        let uid = value.uid().unwrap_or_default().to_owned();
        for (resource, key) in tx.dependents(&uid) {
            let dependent = tx.get(&resource, &key);
            if dependent.is_some_and(|dependent| !dependent.value.is_terminating()) {
                remove_or_mark(tx, &resource, &key, Propagation::Foreground, queue);
            }
        }
        let blocked = tx.dependents(&uid).into_iter().any(|(resource, key)| {
            tx.get(&resource, &key).is_some_and(|dependent| blocks(&dependent.value, &uid))
        });
        if !blocked {
            drop_finalizer(&mut value, FOREGROUND);
        }
    }
    if value.finalizers().any(|name| name == ORPHAN) {
        orphan(tx, value.uid().unwrap_or_default());
        drop_finalizer(&mut value, ORPHAN);
    }
    if &**resource == NAMESPACES {
        finish_namespace(tx, &key.name, &mut value, queue);
    }
    if &**resource == CRDS && value.finalizers().any(|name| name == CRD_CLEANUP) {
        let instances: ResourceId = Arc::from(key.name.as_str());
        for instance in tx.keys(&instances) {
            if tx.get(&instances, &instance).is_some_and(|one| !one.value.is_terminating()) {
                remove_or_mark(tx, &instances, &instance, Propagation::Background, queue);
            }
        }
        if tx.keys(&instances).is_empty() {
            drop_finalizer(&mut value, CRD_CLEANUP);
        }
    }
    if is_done(&value) {
        remove(tx, resource, key, queue);
    } else if value != entry.value && tx.get(resource, key).is_some() {
        tx.put(resource, key, value);
    }
}

fn blocks(dependent: &Value, owner: &str) -> bool {
    dependent
        .owners()
        .any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
}

/// Deletes the content of a namespace, and lets go of it once it is empty.
fn finish_namespace(
    tx: &mut Transaction<'_>,
    name: &str,
    value: &mut Value,
    queue: &mut VecDeque<(ResourceId, Arc<Key>)>,
) {
    for (resource, key) in tx.in_namespace(name) {
        if tx.get(&resource, &key).is_some_and(|one| !one.value.is_terminating()) {
            remove_or_mark(tx, &resource, &key, Propagation::Background, queue);
        }
    }
    let remaining = tx.in_namespace(name);
    if remaining.is_empty() {
        if let Some(Value::Array(list)) = value["spec"].get_mut("finalizers") {
            list.retain(|finalizer| finalizer != "kubernetes");
        }
    } else {
        value["status"]["conditions"] = conditions_of_remaining(tx, &remaining);
    }
}

/// Returns the conditions of a namespace whose content waits for finalizers.
fn conditions_of_remaining(tx: &Transaction<'_>, remaining: &[(ResourceId, Arc<Key>)]) -> Value {
    let mut resources: Vec<(String, usize)> = Vec::new();
    let mut finalizers: Vec<(String, usize)> = Vec::new();
    let count = |list: &mut Vec<(String, usize)>, name: &str| match list
        .iter_mut()
        .find(|(known, _)| known == name)
    {
        Some((_, count)) => *count += 1,
        None => list.push((name.to_owned(), 1)),
    };
    for (resource, key) in remaining {
        count(
            &mut resources,
            &if resource.contains('.') { resource.to_string() } else { format!("{resource}.") },
        );
        if let Some(entry) = tx.get(resource, key) {
            entry.value.finalizers().for_each(|finalizer| count(&mut finalizers, finalizer));
        }
    }
    let sentence = |list: &[(String, usize)], words: &str| {
        let parts: Vec<String> = list
            .iter()
            .map(|(name, count)| format!("{name} {words} {count} resource instances"))
            .collect();
        parts.join(", ")
    };
    let condition = |kind: &str, status: &str, reason: &str, message: String| {
        json!({
            "type": kind,
            "status": status,
            "lastTransitionTime": clock::now(),
            "reason": reason,
            "message": message,
        })
    };
    json!([
        condition(
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", sentence(&resources, "has")),
        ),
        condition(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                sentence(&finalizers, "in")
            ),
        ),
    ])
}

fn orphan(tx: &mut Transaction<'_>, uid: &str) {
    for (resource, key) in tx.dependents(uid) {
        let Some(entry) = tx.get(&resource, &key) else { continue };
        let mut value = entry.value.clone();
        if let Some(Value::Array(owners)) = value.meta_mut().get_mut("ownerReferences") {
            owners.retain(|owner| owner["uid"] != uid);
            if owners.is_empty() {
                value.meta_mut().shift_remove("ownerReferences");
            }
        }
        tx.put(&resource, &key, value);
    }
}

fn add_finalizer(value: &mut Value, name: &str) {
    let list = value.meta_mut().entry("finalizers").or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.push(name.into());
    }
}

fn drop_finalizer(value: &mut Value, name: &str) {
    if let Some(Value::Array(list)) = value.meta_mut().get_mut("finalizers") {
        list.retain(|finalizer| finalizer != name);
        if list.is_empty() {
            value.meta_mut().shift_remove("finalizers");
        }
    }
}

/// Works through objects whose fate may have changed, until nothing changes any more.
fn collect(tx: &mut Transaction<'_>, mut queue: VecDeque<(ResourceId, Arc<Key>)>) {
    while let Some((resource, key)) = queue.pop_front() {
        let Some(entry) = tx.get(&resource, &key) else { continue };
        if entry.value.is_terminating() {
            finish(tx, &resource, &key, &entry, &mut queue);
        } else if lost_its_owners(tx, &entry.value) {
            remove_or_mark(tx, &resource, &key, Propagation::Background, &mut queue);
        }
    }
}

/// Returns whether an object names owners and none of them exists.
fn lost_its_owners(tx: &Transaction<'_>, value: &Value) -> bool {
    let mut owners = value.owners().filter_map(|owner| owner["uid"].as_str()).peekable();
    owners.peek().is_some() && owners.all(|uid| tx.find_uid(uid).is_none())
}
