//! What wakes a GitRepository beside its own changes: new artifacts of those that it includes.

use std::collections::HashMap;
use std::sync::Arc;

use api::source::GitRepository;
use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use tracing::debug;

use super::context::Context;

/// Sees every change of every GitRepository, and wakes others for it.
pub(crate) struct Observer {
    pub(crate) cx: Arc<Context>,
    pub(crate) wake: UnboundedSender<ObjectRef<GitRepository>>,
    /// Revision and digest of the artifact that each had.
    pub(crate) seen: HashMap<ObjectRef<GitRepository>, Option<(String, String)>>,
}

impl Observer {
    pub(crate) fn observe(&mut self, event: &Event<GitRepository>) {
        match event {
            Event::Apply(obj) | Event::InitApply(obj) => self.changed(obj),
            Event::Delete(obj) => {
                self.seen.remove(&ObjectRef::from_obj(obj));
                self.cx.forget(obj);
            }
            Event::Init | Event::InitDone => {}
        }
    }

    fn changed(&mut self, obj: &GitRepository) {
        let artifact = obj.status.as_ref().and_then(|status| status.artifact.as_ref());
        let now = artifact.map(|it| (it.revision.clone(), it.digest.clone()));
        let before = self.seen.insert(ObjectRef::from_obj(obj), now.clone());
        if now.is_none() || before.flatten() == now {
            return;
        }
        for including in self.including(obj) {
            debug!(%including, "included artifact has changed");
            // The receiver is gone only when the controller ends.
            let _ = self.wake.unbounded_send(including);
        }
    }

    /// Returns who includes a GitRepository. On its first sight, nobody may be known yet; they are
    /// reconciled then anyway.
    fn including(&self, obj: &GitRepository) -> Vec<ObjectRef<GitRepository>> {
        let (namespace, name) = (obj.namespace(), obj.name_any());
        let all = self.cx.store.state().into_iter();
        let including = all.filter(|other| {
            let includes = other.spec.include.as_deref().unwrap_or_default();
            other.namespace() == namespace && includes.iter().any(|it| it.repository.name == name)
        });
        including.map(|other| ObjectRef::from_obj(&*other)).collect()
    }
}
