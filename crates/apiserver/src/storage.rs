//! Objects by resource and key, their revisions, and a bounded history for watches.
//!
//! The store knows nothing of Kubernetes but `metadata.uid`, `metadata.ownerReferences` and
//! `metadata.resourceVersion`: the first two are indexed for garbage collection, the third is
//! written on every change. All changes of one [`Store::transact`] become visible together.
//!
//! One lock guards everything. It is held while maps are read and changed, never while objects are
//! selected, written as JSON or sent. A store with a folder writes its journal under the lock: the
//! order there has to be that of the revisions.

mod document;
mod journal;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::object::Object;
pub(crate) use document::Document;
pub use journal::OpenError;
pub(crate) use journal::private;
use journal::{Journal, Record};

/// How long what was written may take until it is on disk.
const SYNC: Duration = Duration::from_secs(1);

/// The history of one resource is cut at about this many bytes, whatever its length.
const HISTORY_BYTES: usize = 32 * 1024 * 1024;

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
    document: OnceLock<Document>,
}

impl Entry {
    pub(crate) fn new(value: Value, revision: u64) -> Self {
        Self { value, revision, document: OnceLock::new() }
    }

    /// Returns the object as JSON; written once, when somebody first asks.
    pub(crate) fn document(&self) -> &Document {
        self.document.get_or_init(|| Document::of(&self.value))
    }
}

/// A change of one object. `old` is absent for a new object, `new` for a removed one is its last
/// state with the revision of the removal.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Arc<Key>,
    pub(crate) old: Option<Arc<Entry>>,
    pub(crate) new: Arc<Entry>,
    pub(crate) removed: bool,
}

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<Arc<Key>, Arc<Entry>>,
    history: VecDeque<(Change, usize)>,
    /// Size of the history in bytes, more or less.
    weight: usize,
    /// Revisions up to this one are no longer in the history.
    compacted: u64,
    /// Wakes the watches of this resource.
    signal: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    revision: u64,
    collections: HashMap<ResourceId, Collection>,
    by_uid: HashMap<String, (ResourceId, Arc<Key>)>,
    by_owner: HashMap<String, BTreeSet<(ResourceId, Arc<Key>)>>,
    history_limit: usize,
    /// The revision at the start, before which nothing is known of what happened.
    start: u64,
    journal: Option<Journal>,
}

/// The store; shared by reference.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    /// Why nothing can be stored any more. What is in memory then must not be seen: it would be
    /// gone after a restart.
    failure: OnceLock<String>,
    /// Wakes the thread that brings the journal to the disk.
    dirty: Option<SyncSender<()>>,
}

/// An object and where it is.
type Stored = (Arc<Key>, Arc<Entry>);

/// What a list saw.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) entries: Vec<Stored>,
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
            start: 0,
            journal: None,
        };
        Self { state: Mutex::new(state), failure: OnceLock::new(), dirty: None }
    }

    /// Returns a store with what the folder holds, and that keeps its changes there.
    pub(crate) fn open(folder: &Path, history_limit: usize) -> Result<Arc<Self>, OpenError> {
        let (sender, receiver) = sync_channel(1);
        let mut store = Self::new(history_limit);
        store.dirty = Some(sender);
        let state = store.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let journal = Journal::open(folder, |record| state.replay(record))?;
        state.start = if state.collections.is_empty() { 0 } else { state.revision };
        for collection in state.collections.values_mut() {
            collection.compacted = state.start;
        }
        state.journal = Some(journal);
        let store = Arc::new(store);
        let weak = Arc::downgrade(&store);
        let spawned = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || keep_synced(&weak, &receiver));
        let failed = |source| OpenError::Io { path: folder.to_owned(), source };
        spawned.map_err(failed)?;
        Ok(store)
    }

    /// Returns why nothing can be stored any more.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Brings the journal to the disk, and writes it anew when most of it has changed since.
    fn sync(&self) -> std::io::Result<()> {
        let file = self.lock().journal.as_ref().map(Journal::file);
        file.map_or(Ok(()), |file| file.sync_data())?;
        let (folder, revision, objects) = {
            let mut state = self.lock();
            let Some(journal) = state.journal.as_mut().filter(|it| it.is_wasteful()) else {
                return Ok(());
            };
            let folder = journal.begin_anew();
            let all = state.collections.iter();
            let stored = |(id, collection): (&ResourceId, &Collection)| {
                let objects = collection.objects.iter();
                (id.clone(), objects.map(|(key, entry)| (key.clone(), entry.clone())).collect())
            };
            (folder, state.revision, all.map(stored).collect::<Vec<_>>())
        };
        let written = journal::write_anew(&folder, revision, &objects);
        let mut state = self.lock();
        let Some(journal) = state.journal.as_mut() else { return Ok(()) };
        match written {
            Ok((new, length)) => journal.replace(new, length),
            Err(error) => {
                tracing::warn!(%error, "failed to write the journal anew");
                journal.keep();
                Ok(())
            }
        }
    }

    /// Returns how many objects of each resource there are, in the order of their names.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let state = self.lock();
        let counts = state.collections.iter();
        counts.map(|(resource, all)| (resource.to_string(), all.objects.len())).collect()
    }

    /// Returns the revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Returns a receiver that wakes on every change of a resource.
    pub(crate) fn subscribe(&self, resource: &str) -> watch::Receiver<u64> {
        self.lock().collection(resource).1.signal.subscribe()
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
            (revision, collection.at(at, namespace, after)?)
        };
        let mut found = entries.into_iter().filter(|(_, entry)| matches(&entry.value));
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
        let start = collection.history.partition_point(|(change, _)| change.revision <= since);
        let changes = collection.history.range(start..).map(|(change, _)| change.clone());
        Ok((revision, changes.collect()))
    }

    /// Forgets the history up to now, so that a watch from an older revision is refused.
    pub(crate) fn compact(&self) {
        let mut state = self.lock();
        let revision = state.revision;
        for collection in state.collections.values_mut() {
            collection.history.clear();
            collection.weight = 0;
            collection.compacted = revision;
        }
    }

    /// Runs `change` with exclusive access; what it wrote becomes visible when it returns, also
    /// when it returns an error: check before you write.
    pub(crate) fn transact<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let (result, signals) = {
            let mut state = self.lock();
            let before = state.revision;
            let mut transaction = Transaction { state: &mut state, changed: BTreeMap::new() };
            let result = change(&mut transaction);
            let changed = transaction.changed;
            if state.revision != before
                && let Err(error) = state.write_down(&changed, before)
            {
                self.fail(&error);
            }
            let signal = |id: &ResourceId| Some(state.collections.get(id)?.signal.clone());
            (result, changed.keys().filter_map(signal).collect::<Vec<_>>())
        };
        if let Some(dirty) = self.dirty.as_ref().filter(|_| !signals.is_empty()) {
            // A full channel means that it is awake already.
            let _ = dirty.try_send(());
        }
        for signal in signals {
            signal.send_modify(|count| *count += 1);
        }
        result
    }

    fn fail(&self, error: &std::io::Error) {
        tracing::error!(%error, "the journal cannot be written; nothing is served any more");
        let _ = self.failure.set(error.to_string());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings the journal to the disk after changes, until the store is gone.
fn keep_synced(store: &Weak<Store>, dirty: &Receiver<()>) {
    while dirty.recv().is_ok() {
        // What changes within that time goes along.
        std::thread::sleep(SYNC);
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.sync() {
            store.fail(&error);
            return;
        }
    }
}

impl State {
    fn collection(&mut self, resource: &str) -> (ResourceId, &mut Collection) {
        let id = match self.collections.get_key_value(resource) {
            Some((id, _)) => id.clone(),
            None => resource.into(),
        };
        let new = || Collection { compacted: self.start, ..Collection::default() };
        (id.clone(), self.collections.entry(id).or_insert_with(new))
    }

    /// Adds a transaction to the journal, if there is one.
    fn write_down(
        &mut self,
        changed: &BTreeMap<ResourceId, Vec<Arc<Key>>>,
        before: u64,
    ) -> std::io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let mut record = Record { revision: self.revision, changes: Vec::new() };
        for (resource, keys) in changed {
            let keys: BTreeSet<_> = keys.iter().collect();
            let objects = self.collections.get(resource).map(|collection| &collection.objects);
            for key in keys {
                let entry = objects.and_then(|objects| objects.get(key));
                if entry.is_none_or(|entry| entry.revision > before) {
                    let object = entry.map(|entry| &entry.value);
                    record.changes.push(journal::Change::new(resource, key, object));
                }
            }
        }
        journal.write(&record)
    }

    /// Repeats a transaction of the journal.
    fn replay(&mut self, record: Record<'static>) {
        self.revision = self.revision.max(record.revision);
        for journal::Change { resource, namespace, name, object } in record.changes {
            let key = Arc::new(Key::new(namespace, name));
            let (id, collection) = self.collection(&resource);
            let old = match object {
                Some(object) => {
                    let value = object.into_owned();
                    let version = value["metadata"]["resourceVersion"].as_str();
                    let version = version.and_then(|version| version.parse().ok());
                    let revision = version.unwrap_or(record.revision);
                    let entry = Arc::new(Entry::new(value, revision));
                    let old = collection.objects.insert(key.clone(), entry.clone());
                    self.reindex(&id, &key, old.as_ref(), Some(&entry));
                    continue;
                }
                None => collection.objects.remove(&key),
            };
            self.reindex(&id, &key, old.as_ref(), None);
        }
    }

    /// Brings the indices up to date with a change.
    fn reindex(
        &mut self,
        id: &ResourceId,
        key: &Arc<Key>,
        old: Option<&Arc<Entry>>,
        new: Option<&Arc<Entry>>,
    ) {
        if let Some(old) = old {
            self.unindex(id, key, &old.value);
        }
        if let Some(new) = new {
            self.index(id, key, &new.value);
        }
    }
    fn index(&mut self, id: &ResourceId, key: &Arc<Key>, value: &Value) {
        if let Some(uid) = value.uid() {
            self.by_uid.insert(uid.to_owned(), (id.clone(), key.clone()));
        }
        for owner in value.owners().filter_map(|owner| owner["uid"].as_str()) {
            let dependents = self.by_owner.entry(owner.to_owned()).or_default();
            dependents.insert((id.clone(), key.clone()));
        }
    }

    fn unindex(&mut self, id: &ResourceId, key: &Arc<Key>, value: &Value) {
        if let Some(uid) = value.uid() {
            self.by_uid.remove(uid);
        }
        for owner in value.owners().filter_map(|owner| owner["uid"].as_str()) {
            if let Some(dependents) = self.by_owner.get_mut(owner) {
                dependents.remove(&(id.clone(), key.clone()));
                if dependents.is_empty() {
                    self.by_owner.remove(owner);
                }
            }
        }
    }
}

impl Collection {
    /// Returns the objects of one namespace, or of all.
    fn within(
        &self,
        namespace: Option<&str>,
        after: Option<&Key>,
    ) -> impl Iterator<Item = (&Arc<Key>, &Arc<Entry>)> {
        let first = Key::new(namespace.unwrap_or_default(), "");
        let start = match after {
            Some(after) if *after >= first => Bound::Excluded(after),
            _ => Bound::Included(&first),
        };
        let namespace = namespace.map(str::to_owned);
        self.objects.range::<Key, _>((start, Bound::Unbounded)).take_while(move |(key, _)| {
            namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
        })
    }

    /// Returns the objects as they were at a revision, by undoing what happened since.
    fn at(
        &self,
        at: Option<u64>,
        namespace: Option<&str>,
        after: Option<&Key>,
    ) -> Result<Vec<Stored>, Compacted> {
        let current =
            self.within(namespace, after).map(|(key, entry)| (key.clone(), entry.clone()));
        let undo = match at {
            Some(revision) if revision < self.compacted => {
                return Err(Compacted { oldest: self.compacted });
            }
            Some(revision) => {
                self.history.partition_point(|(change, _)| change.revision <= revision)
                    ..self.history.len()
            }
            None => 0..0,
        };
        if undo.is_empty() {
            return Ok(current.collect());
        }
        let mut objects: BTreeMap<_, _> = current.collect();
        for (change, _) in self.history.range(undo).rev() {
            let within = namespace.is_none_or(|namespace| change.key.namespace == namespace);
            if !within || after.is_some_and(|after| *change.key <= *after) {
                continue;
            }
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), old.clone()),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects.into_iter().collect())
    }

    fn record(&mut self, change: Change, limit: usize) {
        let weight = weigh(&change.new.value);
        self.weight += weight;
        self.history.push_back((change, weight));
        while self.history.len() > limit || self.weight > HISTORY_BYTES {
            let Some((dropped, weight)) = self.history.pop_front() else { break };
            self.weight -= weight;
            self.compacted = dropped.revision;
        }
    }
}

/// Returns about how many bytes a value takes.
fn weigh(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(weigh).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + weigh(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

/// Exclusive access to the store.
pub(crate) struct Transaction<'a> {
    state: &'a mut State,
    changed: BTreeMap<ResourceId, Vec<Arc<Key>>>,
}

impl Transaction<'_> {
    pub(crate) fn get(&self, resource: &str, key: &Key) -> Option<Arc<Entry>> {
        self.state.collections.get(resource)?.objects.get(key).cloned()
    }

    /// Returns where the object with this uid is.
    pub(crate) fn find_uid(&self, uid: &str) -> Option<(ResourceId, Arc<Key>)> {
        self.state.by_uid.get(uid).cloned()
    }

    /// Returns the objects whose `ownerReferences` name this uid.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(ResourceId, Arc<Key>)> {
        self.state.by_owner.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Returns whether this transaction changed a resource.
    pub(crate) fn has_changed(&self, resource: &str) -> bool {
        self.changed.contains_key(resource)
    }

    /// Returns the resources that this transaction changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &ResourceId> {
        self.changed.keys()
    }

    /// Returns which objects of a resource this transaction changed, some of them repeatedly.
    pub(crate) fn changed_keys(&self, resource: &str) -> Vec<Arc<Key>> {
        self.changed.get(resource).cloned().unwrap_or_default()
    }

    /// Takes every object for changed, so that what follows from changes follows.
    pub(crate) fn touch_all(&mut self) {
        for (id, collection) in &self.state.collections {
            self.changed.insert(id.clone(), collection.objects.keys().cloned().collect());
        }
    }

    /// Returns the keys of one resource.
    pub(crate) fn keys(&self, resource: &str) -> Vec<Arc<Key>> {
        let collection = self.state.collections.get(resource);
        collection.into_iter().flat_map(|all| all.objects.keys()).cloned().collect()
    }

    /// Returns every object in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<(ResourceId, Arc<Key>)> {
        let mut found = Vec::new();
        for (resource, collection) in &self.state.collections {
            let keys = collection.within(Some(namespace), None);
            found.extend(keys.map(|(key, _)| (resource.clone(), key.clone())));
        }
        found.sort();
        found
    }

    /// Stores an object and gives it the next revision.
    pub(crate) fn put(&mut self, resource: &str, key: &Key, mut value: Value) -> Arc<Entry> {
        let revision = self.next();
        value.set_resource_version(revision);
        let entry = Arc::new(Entry::new(value, revision));
        let (id, collection) = self.state.collection(resource);
        let key = match collection.objects.get_key_value(key) {
            Some((key, _)) => key.clone(),
            None => Arc::new(key.clone()),
        };
        let old = collection.objects.insert(key.clone(), entry.clone());
        self.state.reindex(&id, &key, old.as_ref(), Some(&entry));
        self.record(&id, key, old, entry.clone(), false);
        entry
    }

    /// Removes an object; its last state carries the revision of the removal.
    pub(crate) fn remove(&mut self, resource: &str, key: &Key) -> Option<Arc<Entry>> {
        let (id, collection) = self.state.collection(resource);
        let (key, old) = collection.objects.remove_entry(key)?;
        let revision = self.next();
        self.state.reindex(&id, &key, Some(&old), None);
        let mut value = old.value.clone();
        value.set_resource_version(revision);
        let last = Arc::new(Entry::new(value, revision));
        self.record(&id, key, Some(old), last.clone(), true);
        Some(last)
    }

    fn next(&mut self) -> u64 {
        self.state.revision += 1;
        self.state.revision
    }

    fn record(
        &mut self,
        id: &ResourceId,
        key: Arc<Key>,
        old: Option<Arc<Entry>>,
        new: Arc<Entry>,
        removed: bool,
    ) {
        let limit = self.state.history_limit;
        let revision = new.revision;
        let (_, collection) = self.state.collection(id);
        let changed = key.clone();
        collection.record(Change { revision, key, old, new, removed }, limit);
        self.changed.entry(id.clone()).or_default().push(changed);
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
    fn lists_one_namespace_page_by_page() {
        let store = Store::new(10);
        for (namespace, name) in [("a", "x"), ("b", "x"), ("b", "y"), ("b", "z"), ("c", "x")] {
            let object = json!({"metadata": {"name": name, "namespace": namespace}});
            store.transact(|tx| tx.put("things", &Key::new(namespace, name), object));
        }
        let page = |after: Option<&Key>| {
            store.list("things", Some("b"), None, after, Some(2), |_| true).unwrap()
        };
        let first = page(None);
        assert_eq!((first.entries.len(), first.remaining), (2, 1));
        let second = page(Some(&*first.entries[1].0));
        assert_eq!(*second.entries[0].0, Key::new("b", "z"));
        assert_eq!((second.entries.len(), second.remaining), (1, 0));
    }

    #[test]
    fn cuts_the_history_of_large_objects_early() {
        let store = Store::new(1_000_000);
        let large = "x".repeat(HISTORY_BYTES / 4);
        for _ in 0..8 {
            let object = json!({"metadata": {"name": "a"}, "data": large});
            store.transact(|tx| tx.put("things", &Key::new("", "a"), object));
        }
        let state = store.lock();
        assert_eq!(state.collections["things"].history.len(), 3);
        assert!(state.collections["things"].weight <= HISTORY_BYTES);
    }

    #[test]
    fn writes_a_journal_anew_that_has_mostly_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), 10).unwrap();
        let large = "x".repeat(1024 * 1024);
        for value in 0..20 {
            let object = json!({"metadata": {"name": "a"}, "value": value, "data": large});
            store.transact(|tx| tx.put("things", &Key::new("", "a"), object));
        }
        put(&store, "gone", 1);
        store.transact(|tx| tx.remove("things", &Key::new("", "gone")));
        store.sync().unwrap();
        let revision = store.revision();
        let length = std::fs::metadata(folder.path().join("journal")).unwrap().len();
        assert!(length < 2 * 1024 * 1024, "{length}");
        let after = put(&store, "b", 2);
        drop(store);

        // The thread that synced the first may still hold it.
        let store = (0..1000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            Store::open(folder.path(), 10).ok()
        });
        let store = store.unwrap();
        assert_eq!((store.revision(), after), (revision + 1, revision + 1));
        let value =
            |name: &str| store.get("things", &Key::new("", name)).unwrap().value["value"].clone();
        assert_eq!((value("a"), value("b")), (json!(19), json!(2)));
        assert!(store.get("things", &Key::new("", "gone")).is_none());
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
