//! Objects by resource and key, their revisions, and a bounded history for watches.
//!
//! The store knows nothing of Kubernetes but `metadata.uid`, `metadata.ownerReferences` and
//! `metadata.resourceVersion`: the first two are indexed for garbage collection, the third is
//! written on every change. All changes of one [`Store::transact`] become visible together.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::object::Object;

/// Identity of an object within its resource; `namespace` is empty for cluster-scoped ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// Name of a resource in the store: `deployments.apps`.
pub(crate) type ResourceId = Arc<str>;

/// A stored object at one revision.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) revision: u64,
}

/// A change of one object. `old` is absent for a new object, `new` for a removed one is its last
/// state with the revision of the removal.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    pub(crate) old: Option<Arc<Entry>>,
    pub(crate) new: Arc<Entry>,
    pub(crate) removed: bool,
}

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<Key, Arc<Entry>>,
    history: VecDeque<Change>,
    /// Revisions up to this one are no longer in the history.
    compacted: u64,
}

#[derive(Debug)]
struct State {
    revision: u64,
    collections: HashMap<ResourceId, Collection>,
    by_uid: HashMap<String, (ResourceId, Key)>,
    by_owner: HashMap<String, BTreeSet<(ResourceId, Key)>>,
    history_limit: usize,
}

/// The store; shared by reference.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    signal: watch::Sender<u64>,
}

/// What a list saw.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) entries: Vec<(Key, Arc<Entry>)>,
    /// How many more entries match after the ones returned.
    pub(crate) remaining: usize,
}

/// Asked for a revision that the history no longer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) oldest: u64,
}

impl Store {
    pub(crate) fn new(history_limit: usize) -> Self {
        let state = State {
            revision: 1,
            collections: HashMap::new(),
            by_uid: HashMap::new(),
            by_owner: HashMap::new(),
            history_limit,
        };
        Self { state: Mutex::new(state), signal: watch::Sender::new(1) }
    }

    /// Returns the revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Returns a receiver that wakes on every change of the store.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }

    pub(crate) fn get(&self, resource: &str, key: &Key) -> Option<Arc<Entry>> {
        self.lock().collections.get(resource)?.objects.get(key).cloned()
    }

    /// Returns the objects of `resource` as they were at revision `at` (now if absent), after
    /// `after`, at most `limit` of those that `matches` takes.
    pub(crate) fn list(
        &self,
        resource: &str,
        namespace: Option<&str>,
        at: Option<u64>,
        after: Option<&Key>,
        limit: Option<usize>,
        matches: impl Fn(&Value) -> bool,
    ) -> Result<Snapshot, Compacted> {
        let (revision, entries) = {
            let state = self.lock();
            let revision = at.unwrap_or(state.revision);
            let Some(collection) = state.collections.get(resource) else {
                return Ok(Snapshot { revision, entries: Vec::new(), remaining: 0 });
            };
            (revision, collection.at(at, namespace)?)
        };
        let mut found = entries
            .into_iter()
            .filter(|(key, entry)| after.is_none_or(|after| key > after) && matches(&entry.value));
        let entries: Vec<_> = match limit {
            Some(limit) => found.by_ref().take(limit).collect(),
            None => found.by_ref().collect(),
        };
        let remaining = found.count();
        Ok(Snapshot { revision, entries, remaining })
    }

    /// Returns the changes of `resource` after revision `since`, oldest first, and the revision up
    /// to which they are complete.
    pub(crate) fn changes(
        &self,
        resource: &str,
        since: u64,
    ) -> Result<(u64, Vec<Change>), Compacted> {
        let state = self.lock();
        let revision = state.revision;
        let Some(collection) = state.collections.get(resource) else {
            return Ok((revision, Vec::new()));
        };
        if since < collection.compacted {
            return Err(Compacted { oldest: collection.compacted });
        }
        let start = collection.history.partition_point(|change| change.revision <= since);
        Ok((revision, collection.history.range(start..).cloned().collect()))
    }

    /// Forgets the history up to now, so that a watch from an older revision is refused.
    pub(crate) fn compact(&self) {
        let mut state = self.lock();
        let revision = state.revision;
        for collection in state.collections.values_mut() {
            collection.history.clear();
            collection.compacted = revision;
        }
    }

    /// Runs `change` with exclusive access; what it wrote becomes visible when it returns, also
    /// when it returns an error: check before you write.
    pub(crate) fn transact<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let (result, before, after) = {
            let mut state = self.lock();
            let before = state.revision;
            let result = change(&mut Transaction { state: &mut state });
            (result, before, state.revision)
        };
        if after != before {
            self.signal.send_replace(after);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collection {
    fn at(
        &self,
        at: Option<u64>,
        namespace: Option<&str>,
    ) -> Result<Vec<(Key, Arc<Entry>)>, Compacted> {
        let within = |key: &Key| namespace.is_none_or(|namespace| key.namespace == namespace);
        let undo = match at {
            Some(revision) if revision < self.compacted => {
                return Err(Compacted { oldest: self.compacted });
            }
            Some(revision) => {
                self.history.partition_point(|change| change.revision <= revision)
                    ..self.history.len()
            }
            None => 0..0,
        };
        let current = self.objects.iter().filter(|(key, _)| within(key));
        if undo.is_empty() {
            return Ok(current.map(|(key, entry)| (key.clone(), entry.clone())).collect());
        }
        let mut objects: BTreeMap<Key, Arc<Entry>> =
            current.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        for change in self.history.range(undo).rev().filter(|change| within(&change.key)) {
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), old.clone()),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects.into_iter().collect())
    }
}

/// Exclusive access to the store.
pub(crate) struct Transaction<'a> {
    state: &'a mut State,
}

impl Transaction<'_> {
    pub(crate) fn get(&self, resource: &str, key: &Key) -> Option<Arc<Entry>> {
        self.state.collections.get(resource)?.objects.get(key).cloned()
    }

    /// Returns where the object with this uid is.
    pub(crate) fn find_uid(&self, uid: &str) -> Option<(ResourceId, Key)> {
        self.state.by_uid.get(uid).cloned()
    }

    /// Returns the objects whose `ownerReferences` name this uid.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(ResourceId, Key)> {
        self.state.by_owner.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Returns the keys of one resource, of one namespace if given.
    pub(crate) fn keys(&self, resource: &str, namespace: Option<&str>) -> Vec<Key> {
        self.state
            .collections
            .get(resource)
            .into_iter()
            .flat_map(|collection| collection.objects.keys())
            .filter(|key| namespace.is_none_or(|namespace| key.namespace == namespace))
            .cloned()
            .collect()
    }

    /// Returns every object in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<(ResourceId, Key)> {
        let mut found = Vec::new();
        for (resource, collection) in &self.state.collections {
            for key in collection.objects.keys().filter(|key| key.namespace == namespace) {
                found.push((resource.clone(), key.clone()));
            }
        }
        found.sort();
        found
    }

    /// Stores an object and gives it the next revision.
    pub(crate) fn put(&mut self, resource: &str, key: &Key, mut value: Value) -> Arc<Entry> {
        let id = self.id(resource);
        let revision = self.next();
        value.set_resource_version(revision);
        let entry = Arc::new(Entry { value, revision });
        let collection = self.state.collections.entry(id.clone()).or_default();
        let old = collection.objects.insert(key.clone(), entry.clone());
        if let Some(old) = &old {
            self.unindex(&id, key, &old.value);
        }
        self.index(&id, key, &entry.value);
        self.record(&id, key, old, entry.clone(), false);
        entry
    }

    /// Removes an object; its last state carries the revision of the removal.
    pub(crate) fn remove(&mut self, resource: &str, key: &Key) -> Option<Arc<Entry>> {
        let id = self.id(resource);
        let old = self.state.collections.get_mut(&id)?.objects.remove(key)?;
        let revision = self.next();
        self.unindex(&id, key, &old.value);
        let mut value = old.value.clone();
        value.set_resource_version(revision);
        let last = Arc::new(Entry { value, revision });
        self.record(&id, key, Some(old), last.clone(), true);
        Some(last)
    }

    fn id(&self, resource: &str) -> ResourceId {
        match self.state.collections.get_key_value(resource) {
            Some((id, _)) => id.clone(),
            None => resource.into(),
        }
    }

    fn next(&mut self) -> u64 {
        self.state.revision += 1;
        self.state.revision
    }

    fn index(&mut self, id: &ResourceId, key: &Key, value: &Value) {
        if let Some(uid) = value.uid() {
            self.state.by_uid.insert(uid.to_owned(), (id.clone(), key.clone()));
        }
        for owner in value.owners().filter_map(|owner| owner["uid"].as_str()) {
            let dependents = self.state.by_owner.entry(owner.to_owned()).or_default();
            dependents.insert((id.clone(), key.clone()));
        }
    }

    fn unindex(&mut self, id: &ResourceId, key: &Key, value: &Value) {
        if let Some(uid) = value.uid() {
            self.state.by_uid.remove(uid);
        }
        for owner in value.owners().filter_map(|owner| owner["uid"].as_str()) {
            if let Some(dependents) = self.state.by_owner.get_mut(owner) {
                dependents.remove(&(id.clone(), key.clone()));
                if dependents.is_empty() {
                    self.state.by_owner.remove(owner);
                }
            }
        }
    }

    fn record(
        &mut self,
        id: &ResourceId,
        key: &Key,
        old: Option<Arc<Entry>>,
        new: Arc<Entry>,
        removed: bool,
    ) {
        let limit = self.state.history_limit;
        let collection = self.state.collections.entry(id.clone()).or_default();
        let revision = new.revision;
        collection.history.push_back(Change { revision, key: key.clone(), old, new, removed });
        while collection.history.len() > limit {
            if let Some(dropped) = collection.history.pop_front() {
                collection.compacted = dropped.revision;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(store: &Store, name: &str, value: u8) -> u64 {
        let object = json!({"metadata": {"name": name}, "value": value});
        store.transact(|tx| tx.put("things", &Key::new("", name), object)).revision
    }

    #[test]
    fn lists_the_past_by_undoing_the_history() {
        let store = Store::new(10);
        put(&store, "a", 1);
        let then = put(&store, "b", 1);
        put(&store, "a", 2);
        store.transact(|tx| tx.remove("things", &Key::new("", "b")));
        let snapshot = store.list("things", None, Some(then), None, None, |_| true).unwrap();
        let values: Vec<_> =
            snapshot.entries.iter().map(|(_, e)| e.value["value"].clone()).collect();
        assert_eq!(values, [json!(1), json!(1)]);
    }

    #[test]
    fn refuses_changes_older_than_the_history() {
        let store = Store::new(2);
        let first = put(&store, "a", 1);
        for value in 2..6 {
            put(&store, "a", value);
        }
        assert!(store.changes("things", first).is_err());
        let (_, recent) = store.changes("things", store.revision() - 1).unwrap();
        assert_eq!(recent.len(), 1);
    }
}
