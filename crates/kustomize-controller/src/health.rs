//! Waits until what was applied is healthy, unless there is newer work.

use std::time::Instant;

use api::conditions::Status;
use api::duration::Duration;
use api::kustomize::{Kustomization, ObjectReference};
use api::reason::{HEALTH_CHECK_CANCELED, HEALTH_CHECK_FAILED, PROGRESSING, SUCCEEDED};
use apply::{Action, ChangeSet, Check, Subject, Target};
use common::events::Severity;
use common::stop::{Notice, Stop, StopKind, chain};
use kube::ResourceExt as _;

use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The version of references that name none.
const DEFAULT_VERSION: &str = "apps/v1";

impl Context {
    /// Waits until the applied objects, or those that the spec names, are healthy.
    pub(crate) async fn check_health(
        &self,
        obj: &Kustomization,
        target: &Target,
        changes: &ChangeSet,
        progress: &mut Progress<'_>,
        mut interrupt: Interrupt,
    ) -> Result<(), Stop> {
        let checks = checks(obj, changes);
        if checks.is_empty() {
            progress.remove_healthy();
            return Ok(());
        }
        let started = Instant::now();
        let wait = async {
            tokio::select! {
                result = target.wait(&checks, obj.spec.timeout()) => Ok(result),
                cause = interrupt.cause() => Err(preempted(&cause)),
                () = self.shutdown.cancelled() => Err(Stop::abandon()),
            }
        };
        let result = progress.during_checks(wait).await??;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let elapsed = Duration::from(std::time::Duration::from_millis(millis));
        if let Err(error) = result {
            let cause = chain(&error);
            progress.set_healthy(Status::False, HEALTH_CHECK_FAILED, cause.clone());
            let message = format!("health check failed after {elapsed}: {cause}");
            return Err(Stop::retry(HEALTH_CHECK_FAILED, message));
        }
        let message = format!("Health check passed in {elapsed}");
        let is_news =
            !progress.was_healthy() || (progress.is_new_revision() && changes.has_changed());
        if is_news {
            progress.event(Severity::Info, PROGRESSING, message.clone());
        }
        progress.set_healthy(Status::True, SUCCEEDED, message);
        Ok(())
    }
}

fn preempted(cause: &str) -> Stop {
    Stop {
        kind: StopKind::Preempted,
        reason: HEALTH_CHECK_CANCELED,
        message: format!("New reconciliation triggered by {cause}"),
        notice: Notice::Note(format!(
            "Health checks canceled due to new reconciliation triggered by {cause}"
        )),
    }
}

/// Returns the objects to check: with `wait`, all that were applied, else those that are named.
fn checks(obj: &Kustomization, changes: &ChangeSet) -> Vec<Check> {
    let is_itself = |subject: &Subject| {
        subject.kind == "Kustomization"
            && subject.group() == api::kustomize::GROUP
            && subject.name == obj.name_any()
            && Some(&subject.namespace) == obj.namespace().as_ref()
    };
    let checks: Vec<Check> = if obj.spec.wait.unwrap_or_default() {
        let touched = changes.changes.iter().filter(|change| change.action != Action::Skipped);
        touched.map(Check::from).collect()
    } else {
        let named = obj.spec.health_checks.iter().flatten().map(subject);
        let known = |subject: Subject| {
            let applied = changes.changes.iter().find(|it| it.subject.id() == subject.id());
            match applied {
                Some(change) => Check::from(change),
                None => Check { subject, health: None, is_ephemeral: false },
            }
        };
        named.map(known).collect()
    };
    checks.into_iter().filter(|check| !is_itself(&check.subject)).collect()
}

fn subject(reference: &ObjectReference) -> Subject {
    let ObjectReference { api_version, kind, name, namespace } = reference.clone();
    Subject {
        api_version: api_version
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
        kind,
        namespace: namespace.unwrap_or_default(),
        name,
    }
}
