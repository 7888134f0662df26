//! Fields that an apply wants and others have.

use std::fmt;

use super::entries::{Manager, Operation};
use crate::fields::FieldSet;
use crate::path::{Path, display};
use crate::value::quote;

/// A field that another manager has with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who has it.
    pub manager: Manager,
    /// The field.
    pub path: Path,
}

/// Everything that keeps an apply from being done; shown as the message of the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflict {
    /// Returns the message of this conflict alone, without the field: `conflict with "helm" using
    /// apps/v1`.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }

    /// Returns the field, such as `.spec.replicas`.
    pub fn field(&self) -> String {
        display(&self.path)
    }
}

impl Conflicts {
    pub(super) fn add(&mut self, manager: &Manager, fields: &FieldSet) {
        let paths = fields.paths();
        self.0.extend(paths.into_iter().map(|path| Conflict { manager: manager.clone(), path }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn without(self, fields: &FieldSet) -> Self {
        Self(self.0.into_iter().filter(|conflict| !fields.has(&conflict.path)).collect())
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: {}: {}", one.message(), one.field());
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut previous = None;
        for conflict in &self.0 {
            if previous != Some(&conflict.manager) {
                let line = if previous.is_some() { "\n" } else { "" };
                write!(f, "{line}conflicts with {}:", conflict.manager)?;
                previous = Some(&conflict.manager);
            }
            write!(f, "\n- {}", conflict.field())?;
        }
        Ok(())
    }
}

impl std::error::Error for Conflicts {}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.name))?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {}", quote(&self.subresource))?;
        }
        if self.operation == Operation::Update {
            write!(f, " using {}", self.api_version)?;
        }
        Ok(())
    }
}
