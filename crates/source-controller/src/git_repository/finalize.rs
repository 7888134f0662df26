//! Removes the artifacts of a GitRepository that is deleted.

use std::collections::BTreeMap;

use api::reason::{GARBAGE_COLLECTION_FAILED, GARBAGE_COLLECTION_SUCCEEDED};
use api::source::GitRepository;
use common::events::Severity;
use tracing::info;

use super::context::{Context, Named};
use super::reconcile::Error;

impl Context {
    /// Removes everything that was stored. The finalizer is removed afterwards.
    ///
    /// # Errors
    ///
    /// When something could not be removed; the finalizer stays, and it is tried again.
    pub(crate) async fn finalize(&self, obj: &GitRepository) -> Result<(), Error> {
        let named = Named::of(obj);
        let removed = self.with_storage(move |storage| storage.remove_all(named.owner())).await;
        let event = |severity, reason, message: &str| {
            self.recorder.publish(obj, severity, reason, message, BTreeMap::new());
        };
        match removed {
            Ok(removed) => {
                if removed {
                    let message = "garbage collected artifacts for deleted resource";
                    info!("{message}");
                    event(Severity::Trace, GARBAGE_COLLECTION_SUCCEEDED, message);
                }
                self.forget(obj);
                Ok(())
            }
            Err(error) => {
                let message = format!("garbage collection for deleted resource failed: {error}");
                event(Severity::Error, GARBAGE_COLLECTION_FAILED, &message);
                Err(Error::Cleanup(message))
            }
        }
    }
}
