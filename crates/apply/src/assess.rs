//! Who says how healthy an object is: the rules of kstatus, or somebody who knows its kind better.

use std::fmt::Debug;

use jiff::Timestamp;
use serde_json::Value;

use crate::change::{Action, Change};
use crate::detect::is_ephemeral;
use crate::kstatus::{Health, Status, compute};
use crate::object::Subject;
use crate::target::Target;

/// Says how healthy the objects of some kinds are, in the place of [`kstatus`](crate::kstatus).
pub trait Assess: Debug + Send + Sync {
    /// Says whether the health of a kind is told here.
    fn concerns(&self, group: &str, kind: &str) -> bool;

    /// Returns the health of a live object of a kind that is told here; `None` leaves it to kstatus.
    ///
    /// # Errors
    ///
    /// When it cannot be told. The object counts as unknown then, and the text is shown when the
    /// wait for it is over.
    fn assess(&self, object: &Value) -> Option<Result<Health, String>>;
}

impl Target {
    /// Says whether somebody else than kstatus tells the health of an object.
    pub(crate) fn is_assessed(&self, subject: &Subject) -> bool {
        let assess = self.options.assess.as_ref();
        assess.is_some_and(|assess| assess.concerns(subject.group(), &subject.kind))
    }

    /// Returns the health of a live object, and why it is unknown.
    pub(crate) fn health(&self, object: &Value) -> (Health, String) {
        match self.options.assess.as_ref().and_then(|assess| assess.assess(object)) {
            None => (compute(object, Timestamp::now()), String::new()),
            Some(Ok(health)) => (health, String::new()),
            Some(Err(error)) => (Health::new(Status::Unknown, error.clone()), error),
        }
    }

    /// Returns what was done to an object, with its health.
    pub(crate) fn settled(
        &self,
        object: &Value,
        subject: Subject,
        action: Action,
        live: &Value,
    ) -> Change {
        let is_ephemeral = is_ephemeral(object, &subject);
        Change { health: Some(self.health(live).0), is_ephemeral, ..Change::new(subject, action) }
    }
}
