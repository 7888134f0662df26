//! Kustomizations that have to be ready first.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use api::conditions::{READY, is_true};
use api::kustomize::{DependencyReference, Kustomization};
use api::reason::{DEPENDENCY_NOT_READY, INVALID_CEL_EXPRESSION};
use api::source::Artifact;
use common::expression::{Expression, ExpressionError};
use common::stop::{Notice, Stop, chain};
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
    #[error("dependency '{0}' is not ready according to readyExpr eval")]
    NotReadyByExpression(String),
    #[error("dependency '{0}' is not ready")]
    NotReady(String),
    #[error("dependency '{0}' revision is not up to date")]
    Outdated(String),
    #[error("failed to convert an object to a map")]
    Convert(#[from] serde_json::Error),
    #[error(transparent)]
    Evaluate(ExpressionError),
    /// Nothing but another expression can help.
    #[error("failed to evaluate dependency {name}")]
    Expression {
        name: String,
        #[source]
        source: ExpressionError,
    },
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
                if let Unmet::Expression { .. } = cause {
                    self.waiting.leave(&reference);
                    return Err(misconfigured(INVALID_CEL_EXPRESSION, &cause));
                }
                let after = self.settings.requeue_dependency;
                let shown = api::duration::Duration::from(after);
                let note = format!("Dependencies do not meet ready condition, retrying in {shown}");
                let message = chain(&cause);
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
        if let Some(text) = dependency.ready_expr.as_deref().filter(|text| !text.is_empty()) {
            let expression = Expression::compile(text, &["self", "dep"])
                .map_err(|source| Unmet::Expression { name: dependency.name.clone(), source })?;
            let (own, other) = (serde_json::to_value(obj)?, serde_json::to_value(&found)?);
            let variables = [("self", &own), ("dep", &other)];
            if !expression.is_true(variables).map_err(Unmet::Evaluate)? {
                return Err(Unmet::NotReadyByExpression(id));
            }
            if !self.settings.gates.additive_dependency_check {
                return Ok(());
            }
        }
        if !is_ready(&found) {
            return Err(Unmet::NotReady(id));
        }
        let applied = found.status.as_ref().and_then(|it| it.last_applied_revision.as_ref());
        if SourceId::of(&found) == SourceId::of(obj) && applied != Some(&artifact.revision) {
            return Err(Unmet::Outdated(id));
        }
        Ok(())
    }

    /// Returns the Kustomizations that wait for one, when it is ready; otherwise those that have an
    /// expression for it, which may look at anything.
    pub(crate) fn waiting_for(&self, obj: &Kustomization, is_ready: bool) -> Vec<ObjectRef> {
        let (namespace, name) = (obj.namespace(), obj.name_any());
        let depends = |waiting: &ObjectRef| {
            let dependant = self.store.get(waiting);
            dependant.is_some_and(|dependant| {
                dependant.spec.depends_on.iter().flatten().any(|it| {
                    it.name == name
                        && it.namespace.as_ref().or(waiting.namespace.as_ref())
                            == namespace.as_ref()
                        && (is_ready || it.ready_expr.is_some())
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

/// Returns the end of a run that nothing but another spec can help.
pub(crate) fn misconfigured(
    reason: &'static str,
    error: &(dyn std::error::Error + 'static),
) -> Stop {
    let cause = chain(error);
    let message = format!("Reconciliation failed terminally due to configuration error: {cause}");
    Stop::stall(reason, message)
}

/// Says whether a Kustomization is ready for its generation.
pub(crate) fn is_ready(obj: &Kustomization) -> bool {
    let Some(status) = &obj.status else { return false };
    status.observed_generation == obj.metadata.generation && is_true(&status.conditions, READY)
}
