//! What was done to which object.

use std::fmt;

use api::inventory::Inventory;

use crate::kstatus::Health;
use crate::object::Subject;

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It was made, or made anew.
    Created,
    /// It was changed.
    Configured,
    /// It is as declared.
    Unchanged,
    /// It was deleted, or was gone already.
    Deleted,
    /// It may not be touched.
    Skipped,
    /// It is not known what became of it.
    Unknown,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        })
    }
}

/// What was done to one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object.
    pub subject: Subject,
    /// What was done.
    pub action: Action,
    /// How the object was afterwards, where the API has said it.
    pub health: Option<Health>,
    /// Whether the object deletes itself when it is done, as a Job with a time to live does.
    pub is_ephemeral: bool,
    /// The fields that were left out because the kind does not have them, e.g. `spec.replica`.
    pub dropped: Vec<String>,
}

impl Change {
    pub(crate) fn new(subject: Subject, action: Action) -> Self {
        Self { subject, action, health: None, is_ephemeral: false, dropped: Vec::new() }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.action)
    }
}

/// What was done to a set of objects, in the order in which it was.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// One change for each object.
    pub changes: Vec<Change>,
}

impl ChangeSet {
    /// Returns the inventory of the objects, in order.
    pub fn inventory(&self) -> Inventory {
        self.changes.iter().map(|change| change.subject.entry()).collect()
    }

    /// Says whether the API was written to.
    pub fn has_changed(&self) -> bool {
        self.changes.iter().any(|change| {
            matches!(change.action, Action::Created | Action::Configured | Action::Deleted)
        })
    }

    /// Returns a line for each object that was given one of the actions, e.g.
    /// `Deployment/default/podinfo created`.
    pub fn lines(&self, actions: &[Action]) -> String {
        let shown = self.changes.iter().filter(|change| actions.contains(&change.action));
        shown.map(Change::to_string).collect::<Vec<_>>().join("\n")
    }

    /// Returns a line for each written object of which fields were left out, e.g.
    /// `Deployment/default/podinfo: spec.replica, spec.selecter`.
    pub fn dropped(&self) -> String {
        let written = |change: &&Change| {
            matches!(change.action, Action::Created | Action::Configured)
                && !change.dropped.is_empty()
        };
        let line = |change: &Change| format!("{}: {}", change.subject, change.dropped.join(", "));
        self.changes.iter().filter(written).map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Extend<Change> for ChangeSet {
    fn extend<I: IntoIterator<Item = Change>>(&mut self, changes: I) {
        self.changes.extend(changes);
    }
}
