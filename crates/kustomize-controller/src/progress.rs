//! The status of one Kustomization during one run: conditions, inventory, history, and the events
//! that go with them.

use std::collections::BTreeMap;
use std::time::Instant;

use api::conditions::{self, HEALTHY, PRUNE_HELD, READY, RECONCILING, STALLED, Status};
use api::duration::Duration;
use api::inventory::Inventory;
use api::kustomize::{
    COMMIT_STATUS_ANNOTATION, Kustomization, KustomizationStatus, ORIGIN_REVISION_ANNOTATION,
    ORIGIN_REVISION_METADATA, REVISION_ANNOTATION, Snapshot, record,
};
use api::reason::{
    HEALTH_CHECK_FAILED, PROGRESSING, PROGRESSING_WITH_RETRY, PRUNE_FAILED, PRUNE_LIMIT_EXCEEDED,
    RECONCILIATION_FAILED, RECONCILIATION_SUCCEEDED,
};
use api::source::Artifact;
use common::delay::jittered;
use common::events::Severity;
use common::status::requested_at;
use common::stop::{Notice, Stop, StopKind};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use tracing::{info, warn};

use crate::context::Context;
use crate::prune::Held;
use crate::reconcile::Error;
use crate::wishes::Wishes;

/// How long a step may take before the conditions tell it.
const TOLD_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// The status of a Kustomization during a run.
pub(crate) struct Progress<'a> {
    cx: &'a Context,
    obj: &'a Kustomization,
    status: KustomizationStatus,
    written: KustomizationStatus,
    started: Instant,
    artifact: Option<Artifact>,
    digest: Option<String>,
    /// Whether steps are left out of the status, because they are expected to change nothing.
    quiet: bool,
}

impl<'a> Progress<'a> {
    /// Begins a run; nothing is written yet.
    pub(crate) fn begin(cx: &'a Context, obj: &'a Kustomization) -> Self {
        let status = obj.status.clone().unwrap_or_default();
        let started = Instant::now();
        let written = status.clone();
        Self { cx, obj, status, written, started, artifact: None, digest: None, quiet: false }
    }

    /// Takes the artifact that the run is about. When the object is ready with its revision, the
    /// steps are not worth a write each, and dependants need not see it unready in between.
    pub(crate) fn about(&mut self, artifact: &Artifact) {
        let status = &self.status;
        self.quiet = conditions::is_true(&status.conditions, READY)
            && !conditions::is_true(&status.conditions, RECONCILING)
            && status.observed_generation == self.obj.metadata.generation
            && status.last_applied_revision.as_ref() == Some(&artifact.revision);
        self.artifact = Some(artifact.clone());
    }

    /// Says that something has changed, so that the steps that follow are written.
    pub(crate) fn speak_up(&mut self) {
        self.quiet = false;
    }

    /// Returns the inventory as it is recorded.
    pub(crate) fn inventory(&self) -> Inventory {
        self.status.inventory.clone().unwrap_or_default()
    }

    /// Replaces the inventory; it is recorded with the next write.
    pub(crate) fn set_inventory(&mut self, inventory: Inventory) {
        self.status.inventory = Some(inventory);
    }

    /// Replaces the inventory and records it now.
    pub(crate) async fn record_inventory(&mut self, inventory: Inventory) -> Result<(), Stop> {
        if self.status.inventory.as_ref() == Some(&inventory) {
            return Ok(());
        }
        self.status.inventory = Some(inventory);
        self.write().await.map_err(Stop::unrecorded)
    }

    /// Says whether stale objects have to wait until somebody confirms that they are deleted. The
    /// condition is written with the inventory, so that it cannot be lost.
    pub(crate) fn hold(
        &mut self,
        wishes: &Wishes,
        before: &Inventory,
        declared: &Inventory,
    ) -> Option<Held> {
        let revision = self.artifact.as_ref().map(|artifact| artifact.revision.as_str());
        let told = conditions::find(&self.status.conditions, PRUNE_HELD);
        let told = told.map(|condition| condition.message.as_str());
        let inventories = (before, declared);
        let held = Held::check(wishes, inventories, revision.unwrap_or_default(), told);
        let held = held.filter(|_| self.obj.spec.prune);
        match &held {
            Some(held) => {
                self.set(PRUNE_HELD, Status::True, PRUNE_LIMIT_EXCEEDED, held.condition());
            }
            None => conditions::remove(&mut self.status.conditions, PRUNE_HELD),
        }
        held
    }

    /// Records that the artifact was fetched and is tried.
    pub(crate) fn attempt(&mut self) {
        self.status.last_attempted_revision =
            self.artifact.as_ref().map(|artifact| artifact.revision.clone());
    }

    /// Takes the digest of the built objects, for the history.
    pub(crate) fn built(&mut self, digest: &str) {
        self.digest = Some(digest.to_owned());
    }

    /// Does the work of a step, e.g. `Fetching manifests`. The conditions tell the step with the
    /// next write, and at once when it takes long: most are over before anyone could look.
    pub(crate) async fn during<T>(
        &mut self,
        step: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        self.step(step);
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(TOLD_AFTER, &mut work).await {
            return Ok(done);
        }
        self.write().await.map_err(Stop::unrecorded)?;
        Ok(work.await)
    }

    /// Begins a step, which the next write tells.
    pub(crate) fn step(&mut self, step: &str) {
        if self.quiet {
            return;
        }
        let message = self.step_message(step);
        conditions::remove(&mut self.status.conditions, STALLED);
        self.set(READY, Status::Unknown, PROGRESSING, "Reconciliation in progress");
        self.set(RECONCILING, Status::True, PROGRESSING, message);
    }

    /// Waits for health, as a step.
    pub(crate) async fn during_checks<T>(
        &mut self,
        checks: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let step = "Running health checks";
        if !self.quiet {
            let message = self.step_message(step);
            self.set(HEALTHY, Status::Unknown, PROGRESSING, message);
        }
        self.during(step, checks).await
    }

    fn step_message(&self, step: &str) -> String {
        let revision = self.artifact.as_ref().map(|artifact| artifact.revision.as_str());
        let revision = revision.unwrap_or_default();
        let timeout = Duration::from(self.obj.spec.timeout());
        format!("{step} for revision {revision} with a timeout of {timeout}")
    }

    /// Says whether the objects were healthy at the end of the last run.
    pub(crate) fn was_healthy(&self) -> bool {
        let before = self.obj.status.as_ref().map(|status| status.conditions.as_slice());
        before.is_some_and(|before| conditions::is_true(before, HEALTHY))
    }

    /// Says whether the artifact is another one than the last that was applied.
    pub(crate) fn is_new_revision(&self) -> bool {
        let revision = self.artifact.as_ref().map(|artifact| &artifact.revision);
        self.status.last_applied_revision.as_ref() != revision
    }

    /// Says whether the objects are healthy.
    pub(crate) fn set_healthy(&mut self, status: Status, reason: &str, message: String) {
        // A check that passes again is no transition.
        let again = status == Status::True && conditions::is_true(&self.status.conditions, HEALTHY);
        if !again {
            self.set(HEALTHY, status, reason, message);
        }
    }

    /// Says that there is nothing whose health is checked.
    pub(crate) fn remove_healthy(&mut self) {
        conditions::remove(&mut self.status.conditions, HEALTHY);
    }

    /// Publishes an event about the run.
    pub(crate) fn event(&self, severity: Severity, reason: &str, message: String) {
        self.cx.recorder.publish(self.obj, severity, reason, message, self.metadata());
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::new();
        if let Some(artifact) = &self.artifact {
            metadata.insert(REVISION_ANNOTATION.to_owned(), artifact.revision.clone());
            if let Some(origin) = origin(artifact) {
                metadata.insert(ORIGIN_REVISION_ANNOTATION.to_owned(), origin);
            }
        }
        metadata
    }

    /// Ends a run that does nothing, because reconciliation is off.
    pub(crate) async fn suspend(mut self) -> Result<Action, Error> {
        self.handle_request();
        self.write().await.map_err(Error::Status)?;
        Ok(Action::await_change())
    }

    fn handle_request(&mut self) {
        let requested_at = requested_at(self.obj).cloned();
        if requested_at.is_some() {
            self.status.last_handled_reconcile_at = requested_at;
        }
    }

    /// Ends the run: conditions, history, event, and when the next one is.
    pub(crate) async fn finish(mut self, outcome: Result<(), Stop>) -> Result<Action, Error> {
        self.handle_request();
        match outcome {
            Ok(()) => self.succeed().await,
            Err(stop) => self.stop(stop).await,
        }
    }

    async fn succeed(mut self) -> Result<Action, Error> {
        let artifact = self.artifact.clone();
        let revision = artifact.as_ref().map(|it| it.revision.clone()).unwrap_or_default();
        for r#type in [RECONCILING, STALLED] {
            conditions::remove(&mut self.status.conditions, r#type);
        }
        let message = format!("Applied revision: {revision}");
        self.set(READY, Status::True, RECONCILIATION_SUCCEEDED, message);
        self.status.observed_generation = self.obj.metadata.generation;
        self.status.last_applied_origin_revision = artifact.as_ref().and_then(origin);
        self.status.last_applied_revision = Some(revision);
        self.record(RECONCILIATION_SUCCEEDED);
        self.write().await.map_err(Error::Status)?;

        let interval = self.obj.spec.interval;
        let elapsed = self.elapsed();
        let message = format!("Reconciliation finished in {elapsed}, next run in {interval}");
        info!(revision = self.status.last_applied_revision, %elapsed, "reconciled");
        let mut metadata = self.metadata();
        metadata.insert(COMMIT_STATUS_ANNOTATION.to_owned(), "update".to_owned());
        self.cx.recorder.publish(
            self.obj,
            Severity::Info,
            RECONCILIATION_SUCCEEDED,
            message,
            metadata,
        );
        Ok(Action::requeue(jittered(interval.as_std(), self.cx.settings.interval_jitter)))
    }

    async fn stop(mut self, stop: Stop) -> Result<Action, Error> {
        let Stop { kind, reason, message, notice } = stop;
        let is_stalled = matches!(kind, StopKind::Stall);
        let next = match kind {
            StopKind::Abandon => return Ok(Action::requeue(self.obj.spec.retry_interval())),
            StopKind::Unrecorded(error) => return Err(Error::Status(*error)),
            StopKind::Wait(after) => Action::requeue(after),
            StopKind::Retry => Action::requeue(self.obj.spec.retry_interval()),
            StopKind::Preempted => Action::requeue(std::time::Duration::ZERO),
            StopKind::Stall => Action::await_change(),
        };
        if is_stalled {
            conditions::remove(&mut self.status.conditions, RECONCILING);
            self.set(STALLED, Status::True, reason, message.clone());
            self.status.observed_generation = self.obj.metadata.generation;
        } else {
            let progress = conditions::find(&self.status.conditions, RECONCILING);
            let progress = progress.map_or_else(|| message.clone(), |it| it.message.clone());
            conditions::remove(&mut self.status.conditions, STALLED);
            self.set(RECONCILING, Status::True, PROGRESSING_WITH_RETRY, progress);
        }
        self.set(READY, Status::False, reason, message.clone());
        if [RECONCILIATION_FAILED, PRUNE_FAILED, HEALTH_CHECK_FAILED].contains(&reason) {
            self.record(reason);
        }
        self.write().await.map_err(Error::Status)?;
        match notice {
            Notice::Warning => {
                warn!(reason, error = message, "reconciliation failed");
                self.event(Severity::Error, reason, message);
            }
            Notice::Note(note) => {
                info!(reason, message, "{note}");
                self.event(Severity::Info, reason, note);
            }
            Notice::Silent => info!(reason, message, "waiting"),
        }
        Ok(next)
    }

    fn set(&mut self, r#type: &str, status: Status, reason: &str, message: impl Into<String>) {
        let generation = self.obj.metadata.generation.unwrap_or_default();
        let conditions = &mut self.status.conditions;
        conditions::set(conditions, r#type, status, reason, message, generation, Timestamp::now());
    }

    /// Adds the outcome to the history, once there is something built that it is about.
    fn record(&mut self, outcome: &str) {
        let (Some(digest), Some(artifact)) = (self.digest.clone(), &self.artifact) else { return };
        let mut metadata = BTreeMap::from([("revision".to_owned(), artifact.revision.clone())]);
        if let Some(origin) = origin(artifact) {
            metadata.insert("originRevision".to_owned(), origin);
        }
        let now = Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
        let snapshot = Snapshot {
            digest,
            first_reconciled: now.clone(),
            last_reconciled: now,
            last_reconciled_duration: self.elapsed(),
            last_reconciled_status: outcome.to_owned(),
            total_reconciliations: 1,
            metadata: Some(metadata),
        };
        record(self.status.history.get_or_insert_default(), snapshot);
    }

    /// How long the run has taken, in milliseconds and more.
    fn elapsed(&self) -> Duration {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        std::time::Duration::from_millis(millis.max(1)).into()
    }

    /// Applies the status, unless it is what was written last.
    async fn write(&mut self) -> Result<(), kube::Error> {
        if self.status == self.written {
            return Ok(());
        }
        let api = self.cx.api(self.obj);
        self.cx.statuses.write(&api, self.obj, &self.status).await?;
        self.written = self.status.clone();
        Ok(())
    }
}

fn origin(artifact: &Artifact) -> Option<String> {
    let metadata = artifact.metadata.as_ref()?;
    metadata.get(ORIGIN_REVISION_METADATA).filter(|origin| !origin.is_empty()).cloned()
}
