//! Kustomizations that have to be ready first.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use api::conditions::{READY, is_true};
use api::kustomize::{DependencyReference, Kustomization};
use api::reason::DEPENDENCY_NOT_READY;
use api::source::Artifact;
use common::stop::{Notice, Stop};
use kube::ResourceExt as _;
use kube::api::Api;

use crate::context::Context;
use crate::source::{ObjectRef, SourceId};

/// The Kustomizations that wait for another one. They hold no worker: a change of the other wakes
/// them.
#[derive(Default)]
pub(crate) struct Waiting {
    waiting: Mutex<HashSet<ObjectRef>>,
}

impl Waiting {
    fn enter(&self, obj: ObjectRef) {
        self.lock().insert(obj);
    }

    fn leave(&self, obj: &ObjectRef) {
        self.lock().remove(obj);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<ObjectRef>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a dependency is not ready.
#[derive(Debug, thiserror::Error)]
enum Unmet {
    #[error("dependency '{0}' not found: {1}")]
    NotFound(String, String),
    #[error("dependency '{0}' is not ready")]
    NotReady(String),
    #[error("dependency '{0}' revision is not up to date")]
    Outdated(String),
}

impl Context {
    /// Checks the dependencies in order; the first that is not ready ends the run.
    pub(crate) async fn check_dependencies(
        &self,
        obj: &Kustomization,
        artifact: &Artifact,
    ) -> Result<(), Stop> {
        let dependencies = obj.spec.depends_on.as_deref().unwrap_or_default();
        let reference = ObjectRef::from_obj(obj);
        if dependencies.is_empty() {
            return Ok(());
        }
        // Before looking: a dependency that becomes ready meanwhile wakes this one.
        self.waiting.enter(reference.clone());
        for dependency in dependencies {
            if let Err(cause) = self.check_dependency(obj, dependency, artifact).await {
                let after = self.settings.requeue_dependency;
                let shown = api::duration::Duration::from(after);
                let note = format!("Dependencies do not meet ready condition, retrying in {shown}");
                let message = cause.to_string();
                // Waking up early to find nothing changed is not worth an event.
                let conditions = obj.status.as_ref().map(|status| status.conditions.as_slice());
                let ready = conditions.and_then(|it| api::conditions::find(it, READY));
                let notice = match ready {
                    Some(ready) if ready.message == message => Notice::Silent,
                    _ => Notice::Note(note),
                };
                return Err(Stop::wait(DEPENDENCY_NOT_READY, message, after, notice));
            }
        }
        self.waiting.leave(&reference);
        Ok(())
    }

    async fn check_dependency(
        &self,
        obj: &Kustomization,
        dependency: &DependencyReference,
        artifact: &Artifact,
    ) -> Result<(), Unmet> {
        let own = || obj.namespace().unwrap_or_default();
        let namespace =
            dependency.namespace.clone().filter(|it| !it.is_empty()).unwrap_or_else(own);
        let id = format!("{namespace}/{}", dependency.name);
        // Read from the API: a watch that is behind could show it ready for an older revision.
        let api: Api<Kustomization> = Api::namespaced(self.client.clone(), &namespace);
        let found = match api.get(&dependency.name).await {
            Ok(found) => found,
            Err(kube::Error::Api(status)) => {
                return Err(Unmet::NotFound(id, status.message));
            }
            Err(error) => return Err(Unmet::NotFound(id, error.to_string())),
        };
        if !is_ready(&found) {
            return Err(Unmet::NotReady(id));
        }
        let applied = found.status.as_ref().and_then(|it| it.last_applied_revision.as_ref());
        if SourceId::of(&found) == SourceId::of(obj) && applied != Some(&artifact.revision) {
            return Err(Unmet::Outdated(id));
        }
        Ok(())
    }

    /// Returns the Kustomizations that wait for one.
    pub(crate) fn waiting_for(&self, obj: &Kustomization) -> Vec<ObjectRef> {
        let (namespace, name) = (obj.namespace(), obj.name_any());
        let depends = |waiting: &ObjectRef| {
            let dependant = self.store.get(waiting);
            dependant.is_some_and(|dependant| {
                dependant.spec.depends_on.iter().flatten().any(|it| {
                    it.name == name
                        && it.namespace.as_ref().or(waiting.namespace.as_ref())
                            == namespace.as_ref()
                })
            })
        };
        self.waiting.lock().iter().filter(|waiting| depends(waiting)).cloned().collect()
    }

    /// Stops waiting, because the Kustomization is being deleted or does not want to any more.
    pub(crate) fn stop_waiting(&self, obj: &Kustomization) {
        self.waiting.leave(&ObjectRef::from_obj(obj));
    }
}

/// Says whether a Kustomization is ready for its generation.
pub(crate) fn is_ready(obj: &Kustomization) -> bool {
    let Some(status) = &obj.status else { return false };
    status.observed_generation == obj.metadata.generation && is_true(&status.conditions, READY)
}
