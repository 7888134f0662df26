//! Who manages which field: server-side apply, and tracking of all other writes.
//!
//! `metadata.managedFields` has one entry for every manager, operation and subresource, and for
//! updates also API version, with the fields that this manager set last. [`update`] keeps the
//! account after a create, update or patch; [`apply`] merges an applied configuration and says
//! which fields belong to others.
//!
//! Source: `pkg/util/managedfields`, apimachinery 0.36, and structured-merge-diff 6.4.

mod account;
mod conflict;
mod entries;
mod last_applied;
mod reset;

use serde_json::Value;

use crate::fields::FieldSet;
use crate::prune;
use crate::schema::Schema;
use crate::typed::{self, Duplicates, TypeError};
use crate::value;

pub use conflict::{Conflict, Conflicts};
pub use entries::{Entry, ManagedError, Manager, Operation, entries_of};
pub use reset::reset_fields;

use account::Account;
use entries::{Managed, is_reset};

/// Manager of fields that were there before anybody kept account.
pub const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Manager that the oldest updates are put together under.
pub const ANCIENT_CHANGES: &str = "ancient-changes";
/// How many entries of updates an object can have.
pub const MAX_UPDATE_MANAGERS: usize = 10;

/// Metadata that is never tracked.
const STRIPPED: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.clusterName",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
];

/// A write to an object: who, where, when.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// Field manager; `unknown` if empty.
    pub manager: &'a str,
    /// Name of the subresource, empty for the object itself.
    pub subresource: &'a str,
    /// `apiVersion` of the objects in this write.
    pub api_version: &'a str,
    /// The time in whole seconds, such as `2026-11-24T14:00:00Z`.
    pub time: &'a str,
    /// Fields that this write cannot change, see [`reset_fields`].
    pub reset: &'a FieldSet,
    /// Returns the schema of another version of the kind, `None` if there is no such version. What
    /// was tracked in a version that is gone is forgotten.
    pub schemas: &'a dyn Fn(&str) -> Option<Schema>,
}

impl std::fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write")
            .field("manager", &self.manager)
            .field("subresource", &self.subresource)
            .field("api_version", &self.api_version)
            .finish_non_exhaustive()
    }
}

/// Why a configuration cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Other managers have other values, and the apply is not forced.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// The configuration is not of the kind's types.
    #[error("failed to create typed patch object ({object}): {problem}")]
    Config {
        /// Namespace, name and kind.
        object: String,
        /// What is wrong.
        problem: TypeError,
    },
    /// The live object is not of the kind's types.
    #[error("failed to create typed live object ({object}): {problem}")]
    Live {
        /// Namespace, name and kind.
        object: String,
        /// What is wrong.
        problem: TypeError,
    },
    /// The managed fields of the live object cannot be read.
    #[error("failed to decode managed fields: {0}")]
    Managed(#[from] ManagedError),
    /// The kind has no such version.
    #[error("no kind in version {0:?}")]
    NoVersion(String),
}

/// What applying a configuration gave.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The merged object, with its managed fields.
    pub object: Value,
    /// Whether anything but the managed fields differs from the live object.
    pub changed: bool,
}

/// Records in `new` what a create (without `live`) or update changed.
///
/// The entries that `new` brings along count, unless the write is to a subresource; an empty list
/// of them starts the account anew. Objects that nobody kept account of stay so. An object that
/// cannot be compared loses its account, as in the API server: a write does not fail over it.
pub fn update(write: &Write<'_>, live: Option<&Value>, new: &mut Value) {
    let recorded = record_update(write, live, new).unwrap_or_default();
    entries::store(new, &recorded);
}

fn record_update(
    write: &Write<'_>,
    live: Option<&Value>,
    new: &mut Value,
) -> Result<Managed, ApplyError> {
    let managed = live_or_new(write, live, new);
    entries::store(new, &Managed::default());
    if managed.is_empty() && live.is_some_and(|live| live["metadata"]["uid"].is_string()) {
        return Ok(managed);
    }
    let empty;
    let live = if let Some(live) = live {
        live
    } else {
        empty = empty_object(write, new)?;
        &empty
    };
    track(write, write.manager, live, new, managed)
}

/// Merges a configuration into the live object, `None` if it does not exist yet.
///
/// Fields that the manager applied before and left out now are removed, unless somebody else has
/// them. `force` takes over what belongs to others.
pub fn apply(
    write: &Write<'_>,
    live: Option<&Value>,
    config: &Value,
    force: bool,
) -> Result<Applied, ApplyError> {
    let empty;
    let live = if let Some(live) = live {
        live
    } else {
        empty = empty_object(write, config)?;
        &empty
    };
    let mut managed = Managed::read(live)?;
    if managed.is_empty() {
        let nothing = empty_object(write, config)?;
        managed = track(write, BEFORE_FIRST_APPLY, &nothing, live, managed)?;
    }
    let first = merge(write, live, config, &managed, force);
    let mut applied = match first {
        Err(ApplyError::Conflicts(conflicts)) if write.manager == last_applied::KUBECTL => {
            match last_applied::allowed(write, live) {
                None => return Err(ApplyError::Conflicts(conflicts)),
                Some(allowed) => {
                    let rest = conflicts.without(&allowed);
                    if !rest.is_empty() {
                        return Err(ApplyError::Conflicts(rest));
                    }
                    merge(write, live, config, &managed, true)?
                }
            }
        }
        other => other?,
    };
    if write.manager == last_applied::KUBECTL {
        last_applied::renew(&mut applied.object, config);
    }
    Ok(applied)
}

fn merge(
    write: &Write<'_>,
    live: &Value,
    config: &Value,
    managed: &Managed,
    force: bool,
) -> Result<Applied, ApplyError> {
    let schema = schema_of(write)?;
    typed::check(&schema, config, Duplicates::Refused)
        .map_err(|problem| ApplyError::Config { object: describe(config), problem })?;
    typed::check(&schema, live, Duplicates::Allowed)
        .map_err(|problem| ApplyError::Live { object: describe(live), problem })?;
    let applier = Manager::new(write, Operation::Apply, write.manager);
    let mut account = Account { write, schema: &schema, managed: managed.clone() };
    let object = account.apply(live, config, &applier, force)?;
    let mut managed = account.managed;
    managed.strip(&applier, &stripped());
    let changed = !value::equal(&object, live);
    if changed && let Some(entry) = managed.get_mut(&applier) {
        entry.time = Some(write.time.to_owned());
    }
    let mut object = if changed { object } else { live.clone() };
    entries::store(&mut object, &managed);
    Ok(Applied { object, changed })
}

/// Records what differs between two objects as set by `name`.
fn track(
    write: &Write<'_>,
    name: &str,
    live: &Value,
    new: &Value,
    managed: Managed,
) -> Result<Managed, ApplyError> {
    let schema = schema_of(write)?;
    let mut account = Account { write, schema: &schema, managed };
    let mut set = account.update(live, new)?;
    let mut managed = account.managed;
    set = set.difference(&stripped());
    if !set.is_empty() {
        let updater = Manager::new(write, Operation::Update, name);
        let fields = match managed.get(&updater) {
            Some(previous) => set.union(&previous.fields),
            None => set,
        };
        let entry = Entry {
            api_version: write.api_version.to_owned(),
            time: Some(write.time.to_owned()),
            fields,
        };
        managed.insert(updater, entry);
    }
    managed.cap(MAX_UPDATE_MANAGERS);
    Ok(managed)
}

/// Returns the entries that an update starts from.
fn live_or_new(write: &Write<'_>, live: Option<&Value>, new: &Value) -> Managed {
    let of_live = || live.and_then(|live| Managed::read(live).ok()).unwrap_or_default();
    if !write.subresource.is_empty() {
        return of_live();
    }
    if is_reset(new) {
        return Managed::default();
    }
    match Managed::read(new) {
        Ok(managed) if !managed.is_empty() => managed,
        _ => of_live(),
    }
}

fn schema_of(write: &Write<'_>) -> Result<Schema, ApplyError> {
    (write.schemas)(write.api_version)
        .ok_or_else(|| ApplyError::NoVersion(write.api_version.to_owned()))
}

/// Returns an object of the kind with nothing in it.
fn empty_object(write: &Write<'_>, like: &Value) -> Result<Value, ApplyError> {
    let mut empty = prune::empty(&schema_of(write)?);
    for field in ["apiVersion", "kind"] {
        empty.insert(field.to_owned(), like[field].clone());
    }
    Ok(empty.into())
}

fn stripped() -> FieldSet {
    FieldSet::of_fields(STRIPPED)
}

/// Returns namespace, name and kind as messages have them.
fn describe(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let meta = &object["metadata"];
    format!(
        "{}/{}; {}, Kind={}",
        text(&meta["namespace"]),
        text(&meta["name"]),
        match text(&object["apiVersion"]) {
            version if version.contains('/') => version,
            version => format!("/{version}"),
        },
        text(&object["kind"]),
    )
}

#[cfg(test)]
mod tests;
