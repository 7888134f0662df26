//! Ends waits for health when there is newer work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::source::ObjectRef;

/// Who has asked for newer work, by the Kustomization that it is about.
#[derive(Default)]
pub(crate) struct Interrupts {
    causes: Mutex<HashMap<ObjectRef, watch::Sender<String>>>,
}

/// Tells about newer work that is asked for after it was made.
pub(crate) struct Interrupt {
    causes: watch::Receiver<String>,
}

impl Interrupts {
    /// Starts to listen. What was asked for before is what the caller is about to do.
    pub(crate) fn listen(&self, obj: ObjectRef) -> Interrupt {
        let mut causes = self.lock();
        let sender = causes.entry(obj).or_insert_with(|| watch::Sender::new(String::new()));
        Interrupt { causes: sender.subscribe() }
    }

    /// Tells that there is newer work; `cause` is `<kind>/<namespace>/<name>`.
    pub(crate) fn send(&self, obj: &ObjectRef, cause: &str) {
        if let Some(sender) = self.lock().get(obj) {
            sender.send_replace(cause.to_owned());
        }
    }

    pub(crate) fn forget(&self, obj: &ObjectRef) {
        self.lock().remove(obj);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef, watch::Sender<String>>> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt {
    /// Returns the cause once there is newer work.
    pub(crate) async fn cause(&mut self) -> String {
        if self.causes.changed().await.is_err() {
            // The object is gone; its deletion is no work of this run.
            return std::future::pending().await;
        }
        self.causes.borrow_and_update().clone()
    }
}
