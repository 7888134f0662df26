//! What is known of the live objects of a kind, so that they need not be looked at again. Pure.
//!
//! An object that we have applied, or found to be as declared, is known at a version. A later
//! version is the same to us when nothing of it that we own has changed: the managed fields tell.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::kstatus::{Status, compute, is_told_by_metadata};
use crate::object::{Subject, text};
use crate::takeover::cleanup;
use crate::target::{Options, Owner};

/// Where an object is, within its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    namespace: Box<str>,
    name: Box<str>,
}

impl Place {
    pub(crate) fn of(subject: &Subject) -> Self {
        let Subject { namespace, name, .. } = subject;
        Self { namespace: namespace.as_str().into(), name: name.as_str().into() }
    }

    /// Returns the place of an object; cluster-scoped ones have no namespace.
    pub(crate) fn of_object(object: &Value) -> Self {
        Self {
            namespace: text(object, "/metadata/namespace").into(),
            name: text(object, "/metadata/name").into(),
        }
    }
}

/// What all targets in a cluster have in common: it tells which changes of an object matter.
#[derive(Debug, Clone)]
pub struct Viewpoint {
    /// The prefix of labels and annotations, as an owner has it.
    pub group: String,
    /// The name under which fields are managed.
    pub field_manager: String,
    /// Managers, by prefix of their name, whose fields are taken over besides those of kubectl.
    pub overridden_managers: Vec<String>,
}

impl Viewpoint {
    pub(crate) fn of(options: &Options) -> Self {
        let Options { owner, field_manager, overridden_managers, .. } = options.clone();
        Self { group: owner.group, field_manager, overridden_managers }
    }
}

/// A version of a live object, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uid: Box<str>,
    pub(crate) version: u64,
    generation: Option<i64>,
    /// The fields that we have applied; none if no entry of ours is there.
    ours: Option<u64>,
    /// What was tracked of the writes of anyone, except of the status.
    writes: u64,
    /// What was tracked of the writes of the status.
    status: u64,
    /// Labels and annotations that say how to treat the object, and whether it is being deleted.
    marks: u64,
    /// Whether something of other tools has to be taken over.
    is_foreign: bool,
    /// How it is, where that is known.
    pub(crate) health: Option<Status>,
    /// What it is apart from metadata and status, with labels and annotations, where that is known.
    pub(crate) content: Option<u64>,
}

impl State {
    /// Reads a live object, or its metadata alone. `None` if its version is no number, or it has no
    /// identity.
    pub(crate) fn read(
        view: &Viewpoint,
        group: &str,
        kind: &str,
        object: &Value,
        is_full: bool,
    ) -> Option<Self> {
        let metadata = object.get("metadata")?.as_object()?;
        let version = metadata.get("resourceVersion")?.as_str()?.parse().ok()?;
        let uid: Box<str> = metadata.get("uid")?.as_str()?.into();
        let is_deleted = metadata.contains_key("deletionTimestamp");
        let entries = metadata.get("managedFields").and_then(Value::as_array);
        let (mut ours, mut writes, mut status) = (None, 0_u64, 0_u64);
        for entry in entries.into_iter().flatten() {
            let subresource = text(entry, "/subresource");
            if subresource == "status" {
                status = status.wrapping_add(hash(entry));
                continue;
            }
            writes = writes.wrapping_add(hash(entry));
            let is_ours = entry["manager"] == *view.field_manager && entry["operation"] == "Apply";
            if is_ours && subresource.is_empty() {
                ours = Some(hash(&entry["fieldsV1"]).wrapping_add(hash(&entry["apiVersion"])));
            }
        }
        let mut marks = u64::from(is_deleted);
        for field in ["labels", "annotations"] {
            for (key, value) in metadata.get(field).and_then(Value::as_object).into_iter().flatten()
            {
                if key.strip_prefix(&view.group).is_some_and(|rest| rest.starts_with('/')) {
                    marks = marks.wrapping_add(hash_entry(key, value));
                }
            }
        }
        let health = if is_deleted {
            Some(Status::Terminating)
        } else if is_full {
            Some(compute(object, Timestamp::now()).status)
        } else {
            is_told_by_metadata(group, kind).then_some(Status::Current)
        };
        Some(Self {
            uid,
            version,
            generation: metadata.get("generation").and_then(Value::as_i64),
            ours,
            writes,
            status,
            marks,
            is_foreign: !cleanup(object, &view.field_manager, &view.overridden_managers).is_empty(),
            health,
            content: is_full.then(|| content(object)),
        })
    }

    /// Says whether a later version of the object is as declared if this one is: a dry run would
    /// find nothing.
    ///
    /// Whoever changes a value that we have applied takes the field from our entry of the managed
    /// fields. A write of anything else is tracked there too. A version without one is of the status,
    /// if the generation stays; where there is none, such a write has to be tracked as well.
    fn is_kept_by(&self, later: &Self) -> bool {
        let is_ours = later.ours.is_some()
            && (&self.uid, self.ours, self.marks, self.is_foreign)
                == (&later.uid, later.ours, later.marks, later.is_foreign);
        let is_tracked = self.writes != later.writes;
        let is_status = self.generation == later.generation
            && (self.generation.is_some() || self.status != later.status);
        is_ours && (is_tracked || is_status)
    }
}

/// A live object that is as declared.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// What was declared.
    pub(crate) declared: u64,
    /// Who declared it.
    pub(crate) owner: Arc<Owner>,
    pub(crate) state: State,
    /// Whether nothing on the object forbids to delete it.
    pub(crate) may_be_deleted: bool,
    /// Whether there was nothing to take over from other tools.
    pub(crate) is_clean: bool,
    /// When it was last taken to be unchanged without a look.
    trusted: Option<Instant>,
}

impl Known {
    pub(crate) fn new(
        declared: u64,
        owner: Arc<Owner>,
        state: State,
        may_be_deleted: bool,
    ) -> Self {
        let is_clean = !state.is_foreign;
        Self { declared, owner, state, may_be_deleted, is_clean, trusted: None }
    }

    /// Returns the same object, which is as something else declares it too.
    pub(crate) fn declared_as(self, declared: u64) -> Self {
        Self { declared, ..self }
    }
}

/// That an object is not as we left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Who declared it.
    pub owner: Owner,
    /// Whether it was taken to be unchanged just before: the watch was behind.
    pub was_trusted: bool,
}

/// How long a watch may be behind without anyone noticing.
const LAG: std::time::Duration = std::time::Duration::from_secs(2);

/// What was last seen of an object while it was looked at.
#[derive(Debug, Default)]
enum Last {
    #[default]
    Nothing,
    Seen(Box<State>),
    Gone(u64),
}

impl Last {
    fn version(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Seen(state) => state.version,
            Self::Gone(version) => *version,
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    /// How many look at the object now: what they read may be older than what the watch tells.
    looks: u32,
    last: Last,
    known: Option<Known>,
}

/// What is known of the objects of a kind. Only objects that were looked at are here.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    entries: HashMap<Place, Entry>,
}

impl Memory {
    /// Notes that somebody begins to look at an object. What the watch tells meanwhile is kept.
    pub(crate) fn begin(&mut self, place: Place) {
        self.entries.entry(place).or_default().looks += 1;
    }

    pub(crate) fn end(&mut self, place: &Place) {
        let Some(entry) = self.entries.get_mut(place) else { return };
        entry.looks = entry.looks.saturating_sub(1);
        if entry.looks == 0 {
            entry.last = Last::Nothing;
            if entry.known.is_none() {
                self.entries.remove(place);
            }
        }
    }

    /// Remembers what was found. Returns what has become of it if the watch knows better.
    pub(crate) fn remember(&mut self, place: Place, mut known: Known) -> Option<Moved> {
        let entry = self.entries.entry(place).or_default();
        if entry.last.version() > known.state.version {
            match &entry.last {
                Last::Seen(last) if known.state.is_kept_by(last) => {
                    known.state = advanced(&known.state, (**last).clone());
                }
                _ => {
                    entry.known = None;
                    return Some(Moved { owner: (*known.owner).clone(), was_trusted: true });
                }
            }
        }
        entry.known = Some(known);
        None
    }

    pub(crate) fn known(&self, place: &Place) -> Option<&Known> {
        self.entries.get(place)?.known.as_ref()
    }

    /// Notes that an object is taken to be unchanged.
    pub(crate) fn trust(&mut self, place: &Place, now: Instant) {
        if let Some(known) = self.entries.get_mut(place).and_then(|entry| entry.known.as_mut()) {
            known.trusted = Some(now);
        }
    }

    pub(crate) fn forget(&mut self, place: &Place) -> Option<Known> {
        let entry = self.entries.get_mut(place)?;
        let known = entry.known.take();
        if entry.looks == 0 {
            self.entries.remove(place);
        }
        known
    }

    pub(crate) fn contains(&self, place: &Place) -> bool {
        self.entries.contains_key(place)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in a version of an object. Returns what has become of it if it is not as we left it.
    pub(crate) fn observe(&mut self, place: &Place, state: State, now: Instant) -> Option<Moved> {
        let entry = self.entries.get_mut(place)?;
        if entry.looks > 0 && state.version > entry.last.version() {
            entry.last = Last::Seen(Box::new(state.clone()));
        }
        let known = entry.known.as_mut()?;
        if state.version < known.state.version {
            return None;
        }
        if state.version == known.state.version {
            known.state.health = state.health.or(known.state.health);
            return None;
        }
        if known.state.is_kept_by(&state) {
            known.state = advanced(&known.state, state);
            return None;
        }
        self.lose(place, now)
    }

    /// Takes in that an object is gone at a version.
    pub(crate) fn removed(&mut self, place: &Place, version: u64, now: Instant) -> Option<Moved> {
        let entry = self.entries.get_mut(place)?;
        if entry.looks > 0 && version > entry.last.version() {
            entry.last = Last::Gone(version);
        }
        if entry.known.as_ref()?.state.version > version {
            return None;
        }
        self.lose(place, now)
    }

    /// Takes in that a list at a version is complete: what was not in it is gone. Of what is known at
    /// a later version, the watch has still to tell; an API that was set back never would.
    pub(crate) fn listed(
        &mut self,
        present: &HashSet<Place>,
        version: u64,
        now: Instant,
    ) -> Vec<Moved> {
        for entry in self.entries.values_mut() {
            entry.known = entry.known.take().filter(|known| known.state.version <= version);
        }
        self.entries.retain(|_, entry| entry.looks > 0 || entry.known.is_some());
        let missing = self.entries.keys().filter(|place| !present.contains(*place));
        let missing: Vec<Place> = missing.cloned().collect();
        missing.iter().filter_map(|place| self.removed(place, version, now)).collect()
    }

    fn lose(&mut self, place: &Place, now: Instant) -> Option<Moved> {
        let is_looked_at = self.entries.get(place).is_some_and(|entry| entry.looks > 0);
        let known = self.forget(place)?;
        // Whoever looks at it sees for themselves.
        if is_looked_at {
            return None;
        }
        let was_trusted = known.trusted.is_some_and(|at| now.saturating_duration_since(at) < LAG);
        Some(Moved { owner: (*known.owner).clone(), was_trusted })
    }
}

/// Returns a later version of an object that is kept as it was, with what the earlier one tells.
fn advanced(before: &State, mut after: State) -> State {
    let is_status = before.writes == after.writes;
    after.content = after.content.or(before.content.filter(|_| is_status));
    after
}

/// Returns a hash of what an apply can change: labels, annotations, and everything outside of
/// metadata and status.
pub(crate) fn content(object: &Value) -> u64 {
    let mut sum = 0_u64;
    for field in ["labels", "annotations"] {
        let map = object["metadata"][field].as_object().filter(|map| !map.is_empty());
        sum = sum.wrapping_add(map.map_or(0, |map| hash_map(map).rotate_left(1)));
    }
    for (field, value) in object.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "metadata" | "status") {
            sum = sum.wrapping_add(hash_entry(field, value));
        }
    }
    sum
}

/// Returns a hash of a value; the order of fields does not matter.
pub(crate) fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Null => 0_u8.hash(&mut hasher),
        Value::Bool(value) => (1_u8, value).hash(&mut hasher),
        Value::Number(value) => (2_u8, value).hash(&mut hasher),
        Value::String(value) => (3_u8, value).hash(&mut hasher),
        Value::Array(items) => {
            4_u8.hash(&mut hasher);
            for item in items {
                hash(item).hash(&mut hasher);
            }
        }
        Value::Object(fields) => (5_u8, hash_map(fields)).hash(&mut hasher),
    }
    hasher.finish()
}

fn hash_map(fields: &Map<String, Value>) -> u64 {
    fields.iter().fold(0, |sum, (key, value)| sum.wrapping_add(hash_entry(key, value)))
}

fn hash_entry(key: &str, value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, hash(value)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
