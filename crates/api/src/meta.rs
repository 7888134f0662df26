//! Names, labels and small types that every group shares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The finalizer that every controller puts on the objects that it has to clean up after.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// The annotation whose change asks a controller to reconcile the object now.
pub const REQUESTED_AT_ANNOTATION: &str = "reconcile.fluxcd.io/requestedAt";

/// The prefix of annotations that are copied from an object to the events about it.
pub const EVENT_ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";

/// The name of an object in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LocalObjectReference {
    /// Name of the referent.
    pub name: String,
}
