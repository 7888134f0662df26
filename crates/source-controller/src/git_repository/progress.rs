//! The status of one GitRepository during one reconciliation, and the events that go with it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use api::conditions::{
    self, ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, INCLUDE_UNAVAILABLE, READY,
    RECONCILING, SOURCE_VERIFIED, STALLED, STORAGE_OPERATION_FAILED, Status,
};
use api::reason::{
    ARTIFACT_UP_TO_DATE, ARTIFACT_VERIFICATION_FAILED, GARBAGE_COLLECTION_SUCCEEDED,
    GIT_OPERATION_SUCCEEDED, INCLUDE_CHANGE, NEW_ARTIFACT, NEW_REVISION, PROGRESSING,
    PROGRESSING_WITH_RETRY, STAT_OPERATION_FAILED, SUCCEEDED,
};
use api::source::{
    Artifact, DIGEST_ANNOTATION, GitRepository, GitRepositoryStatus, REVISION_ANNOTATION,
};
use common::delay::jittered;
use common::events::Severity;
use common::status::requested_at;
use common::stop::{OrStop as _, Stop, StopKind, chain};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use tracing::{info, warn};

use super::context::Context;
use super::reconcile::Error;
use crate::failure::{Failure, Under as _};
use crate::storage::VerifyError;
use crate::summary::{GIT_REPOSITORY, GIT_REPOSITORY_FAILURES, summarize};

/// How a reconciliation has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// An artifact was stored; the text names what it was made from.
    Stored(String),
    /// The revision was fetched and turned out to be the one that is stored.
    UpToDate,
    /// The remote revision is the one that is stored; nothing was fetched.
    Unchanged,
}

/// The status of a GitRepository during a reconciliation.
pub(crate) struct Progress<'a> {
    cx: &'a Context,
    obj: &'a GitRepository,
    before: GitRepositoryStatus,
    written: GitRepositoryStatus,
    status: GitRepositoryStatus,
}

impl<'a> Progress<'a> {
    /// Begins a reconciliation; nothing is written yet.
    pub(crate) fn begin(cx: &'a Context, obj: &'a GitRepository) -> Self {
        let status = obj.status.clone().unwrap_or_default();
        Self { cx, obj, before: status.clone(), written: status.clone(), status }
    }

    /// Returns the artifact that is stored.
    pub(crate) fn artifact(&self) -> Option<&Artifact> {
        self.status.artifact.as_ref()
    }

    /// Says that work is under way. It is written when somebody waits for it.
    pub(crate) async fn start(&mut self) -> Result<(), Failure> {
        self.progress(false, "reconciliation in progress");
        // They are about the reconciliation before this one.
        conditions::remove(&mut self.status.conditions, STORAGE_OPERATION_FAILED);
        if conditions::has(&self.status.conditions, SOURCE_VERIFIED, Status::False) {
            conditions::remove(&mut self.status.conditions, SOURCE_VERIFIED);
        }
        let observed = self.status.observed_generation.unwrap_or(-1);
        let generation = self.generation();
        if observed != generation {
            let message = format!("processing object: new generation {observed} -> {generation}");
            self.progress(false, &message);
            return self.write().await;
        }
        if requested_at(self.obj) != self.status.last_handled_reconcile_at.as_ref() {
            return self.write().await;
        }
        Ok(())
    }

    /// Looks after what is stored: old artifacts go, and the current one has to be there, unharmed,
    /// under the address that is advertised now.
    pub(crate) async fn check_storage(&mut self) -> Result<(), Failure> {
        let Some(artifact) = self.status.artifact.clone() else {
            return self.rebuild("building artifact").await;
        };
        let checked = self.cx.with_storage(move |storage| {
            (storage.collect(&artifact, SystemTime::now()), storage.verify(&artifact))
        });
        let (collected, verified) = checked.await;
        match collected {
            Ok(0) => {}
            Ok(count) => {
                let message = format!("garbage collected {count} artifacts");
                info!(count, "garbage collected artifacts");
                self.event(Severity::Trace, GARBAGE_COLLECTION_SUCCEEDED, message);
            }
            // There is another chance the next time.
            Err(error) => warn!(%error, "garbage collection of artifacts failed"),
        }
        match verified {
            Ok(()) => {
                if let Some(artifact) = &mut self.status.artifact {
                    artifact.url = self.cx.storage.url(&artifact.path);
                }
                return Ok(());
            }
            Err(VerifyError::Missing | VerifyError::Path(_)) => {}
            // The file may be as good as ever.
            Err(error @ VerifyError::Read(_)) => {
                return Err(error).or_retry(STAT_OPERATION_FAILED).under(STORAGE_OPERATION_FAILED);
            }
            Err(error @ (VerifyError::Mismatch(_) | VerifyError::Parse { .. })) => {
                let message = format!("failed to verify integrity of artifact: {}", chain(&error));
                warn!(%error, "stored artifact is damaged");
                self.event(Severity::Error, ARTIFACT_VERIFICATION_FAILED, message);
                self.remove_artifact().await?;
            }
        }
        self.status.artifact = None;
        self.rebuild("building artifact: disappeared from storage").await
    }

    async fn remove_artifact(&self) -> Result<(), Failure> {
        let Some(artifact) = self.status.artifact.clone() else { return Ok(()) };
        let removed = self.cx.with_storage(move |storage| storage.remove(&artifact)).await;
        removed.or_retry(ARTIFACT_VERIFICATION_FAILED).under(STORAGE_OPERATION_FAILED)
    }

    async fn rebuild(&mut self, message: &str) -> Result<(), Failure> {
        self.progress(true, message);
        conditions::remove(&mut self.status.conditions, ARTIFACT_IN_STORAGE);
        self.write().await
    }

    /// Takes the included artifacts, which are all there.
    pub(crate) async fn included(&mut self, includes: &[Artifact]) -> Result<(), Failure> {
        conditions::remove(&mut self.status.conditions, INCLUDE_UNAVAILABLE);
        if self.has_other_includes(includes) {
            let message = "included artifacts differ from last observed includes";
            if self.status.included_artifacts.is_some() {
                self.set(ARTIFACT_OUTDATED, Status::True, INCLUDE_CHANGE, message);
            }
            self.progress(true, &format!("building artifact: {message}"));
            self.write().await?;
        }
        conditions::remove(&mut self.status.conditions, ARTIFACT_OUTDATED);
        Ok(())
    }

    /// Says whether an artifact of a revision would be the one that is stored.
    pub(crate) fn is_current(&self, revision: &str, includes: &[Artifact]) -> bool {
        self.artifact().is_some_and(|artifact| artifact.revision == revision)
            && !self.has_changed(includes)
    }

    /// Says whether what goes into the artifact, beside the commit, is other than last time.
    fn has_changed(&self, includes: &[Artifact]) -> bool {
        let (spec, status) = (&self.obj.spec, &self.status);
        let recurses = |flag: Option<bool>| flag.unwrap_or_default();
        let digests = |artifacts: &[Artifact]| -> Vec<_> {
            artifacts.iter().map(|it| (it.revision.clone(), it.digest.clone())).collect()
        };
        spec.ignore != status.observed_ignore
            || recurses(spec.recurse_submodules) != recurses(status.observed_recurse_submodules)
            || list(spec.include.as_ref()) != list(status.observed_include.as_ref())
            || list(spec.sparse_checkout.as_ref()) != list(status.observed_sparse_checkout.as_ref())
            || digests(includes) != digests(list(status.included_artifacts.as_ref()))
    }

    fn has_other_includes(&self, includes: &[Artifact]) -> bool {
        let revisions = |artifacts: &[Artifact]| -> Vec<_> {
            artifacts.iter().map(|it| it.revision.clone()).collect()
        };
        revisions(includes) != revisions(list(self.status.included_artifacts.as_ref()))
    }

    /// Takes the revision that was fetched.
    pub(crate) async fn fetched(&mut self, revision: &str) -> Result<(), Failure> {
        conditions::remove(&mut self.status.conditions, FETCH_FAILED);
        if self.artifact().is_some_and(|artifact| artifact.revision == revision) {
            return Ok(());
        }
        let message = format!("new upstream revision '{revision}'");
        if self.artifact().is_some() {
            self.set(ARTIFACT_OUTDATED, Status::True, NEW_REVISION, &message);
        }
        self.progress(true, &format!("building artifact: {message}"));
        self.write().await
    }

    /// Takes the artifact that was stored, and records what it was made with.
    pub(crate) fn stored(&mut self, artifact: Artifact, includes: Vec<Artifact>) {
        let spec = &self.obj.spec;
        let set = |flag: &bool| *flag;
        self.status.artifact = Some(artifact);
        self.status.included_artifacts = Some(includes).filter(|list| !list.is_empty());
        self.status.observed_ignore.clone_from(&spec.ignore);
        self.status.observed_recurse_submodules = spec.recurse_submodules.filter(set);
        self.status.observed_include = spec.include.clone().filter(|list| !list.is_empty());
        self.status.observed_sparse_checkout =
            spec.sparse_checkout.clone().filter(|list| !list.is_empty());
        self.keep();
    }

    /// Says that what is stored is what should be.
    pub(crate) fn keep(&mut self) {
        for r#type in [FETCH_FAILED, ARTIFACT_OUTDATED] {
            conditions::remove(&mut self.status.conditions, r#type);
        }
        let revision = self.artifact().map(|artifact| artifact.revision.clone());
        let message = format!("stored artifact for revision '{}'", revision.unwrap_or_default());
        self.set(ARTIFACT_IN_STORAGE, Status::True, SUCCEEDED, &message);
    }

    /// Ends a reconciliation that does nothing, because reconciliation is off.
    pub(crate) async fn suspend(mut self) -> Result<Action, Error> {
        self.handle_request();
        self.settle();
        self.summarize();
        self.record().await?;
        Ok(Action::await_change())
    }

    /// Ends the reconciliation: conditions, events, and when the next one is.
    pub(crate) async fn finish(mut self, outcome: Result<Done, Failure>) -> Result<Action, Error> {
        self.handle_request();
        match outcome {
            Ok(done) => self.succeed(done).await,
            Err(failure) => self.fail(failure).await,
        }
    }

    fn handle_request(&mut self) {
        if let Some(requested_at) = requested_at(self.obj) {
            self.status.last_handled_reconcile_at = Some(requested_at.clone());
        }
    }

    /// Says that the generation is done with.
    fn settle(&mut self) {
        if !self.status.conditions.is_empty() {
            self.status.observed_generation = self.obj.metadata.generation;
        }
        conditions::remove(&mut self.status.conditions, STALLED);
    }

    async fn succeed(mut self, done: Done) -> Result<Action, Error> {
        conditions::remove(&mut self.status.conditions, RECONCILING);
        self.settle();
        self.summarize();
        self.record().await?;
        self.tell(&done);
        let ready = conditions::find(&self.status.conditions, READY);
        if let Some(ready) = ready.filter(|ready| ready.status != Status::True.as_str()) {
            return Err(Error::Failed(ready.message.clone()));
        }
        Ok(next(self.obj.spec.interval.as_std(), self.cx.settings.interval_jitter))
    }

    /// Publishes the events of a success.
    fn tell(&self, done: &Done) {
        let Some(artifact) = self.artifact() else { return };
        let Artifact { revision, digest, .. } = artifact;
        match done {
            Done::Stored(_) => info!(revision, digest, "stored artifact"),
            Done::UpToDate => {
                let message = format!("artifact up-to-date with remote revision: '{revision}'");
                self.event(Severity::Trace, ARTIFACT_UP_TO_DATE, message);
            }
            Done::Unchanged => {
                let message =
                    format!("no changes since last reconciliation: observed revision '{revision}'");
                info!(revision, "no changes since last reconciliation");
                self.event(Severity::Trace, GIT_OPERATION_SUCCEEDED, message);
            }
        }
        let had_digest = self.before.artifact.as_ref().map(|artifact| &artifact.digest);
        let reason = if had_digest != Some(digest) {
            NEW_ARTIFACT
        } else if self.has_recovered() {
            SUCCEEDED
        } else {
            return;
        };
        let from = match done {
            Done::Stored(from) => from,
            Done::UpToDate | Done::Unchanged => revision,
        };
        let metadata = BTreeMap::from([
            (REVISION_ANNOTATION.to_owned(), revision.clone()),
            (DIGEST_ANNOTATION.to_owned(), digest.clone()),
        ]);
        let message = format!("stored artifact for commit '{from}'");
        self.cx.recorder.publish(self.obj, Severity::Info, reason, message, metadata);
    }

    /// Says whether something had failed that does not fail any more.
    fn has_recovered(&self) -> bool {
        let fails = |status: &GitRepositoryStatus| {
            let find = |r#type: &&str| conditions::find(&status.conditions, r#type).is_some();
            GIT_REPOSITORY_FAILURES.iter().any(find)
        };
        fails(&self.before) && !fails(&self.status)
    }

    async fn fail(mut self, failure: Failure) -> Result<Action, Error> {
        let Failure { condition, stop: Stop { kind, reason, message, .. } } = failure;
        match kind {
            StopKind::Unrecorded(error) => return Err(Error::Status(*error)),
            StopKind::Preempted | StopKind::Abandon => {
                return Ok(Action::requeue(Duration::ZERO));
            }
            StopKind::Stall | StopKind::Wait(_) | StopKind::Retry => {}
        }
        if let Some(condition) = condition {
            self.set(condition, Status::True, reason, &message);
        }
        if matches!(kind, StopKind::Stall) {
            if condition.is_none() {
                // Nothing was tried that could have failed.
                for r#type in GIT_REPOSITORY_FAILURES {
                    conditions::remove(&mut self.status.conditions, r#type);
                }
            }
            conditions::remove(&mut self.status.conditions, RECONCILING);
            self.settle();
            self.set(STALLED, Status::True, reason, &message);
            self.status.observed_generation = self.obj.metadata.generation;
        } else {
            conditions::remove(&mut self.status.conditions, STALLED);
        }
        self.summarize();
        self.record().await?;
        match kind {
            StopKind::Stall => {
                warn!(reason, error = message, "reconciliation stalled");
                self.event(Severity::Error, reason, message);
                Ok(Action::await_change())
            }
            StopKind::Wait(after) => {
                let after_ms = after.as_millis();
                info!(reason, error = message, after_ms, "reconciliation waiting");
                self.event(Severity::Trace, reason, message);
                Ok(Action::requeue(after))
            }
            _ => {
                self.event(Severity::Error, reason, message.clone());
                Err(Error::Failed(message))
            }
        }
    }

    /// Computes `Ready` from the other conditions.
    fn summarize(&mut self) {
        // It was not removed, so the reconciliation did not come to its end.
        let reconciling = conditions::find(&self.status.conditions, RECONCILING);
        if let Some(message) = reconciling.map(|it| it.message.clone()) {
            self.set(RECONCILING, Status::True, PROGRESSING_WITH_RETRY, &message);
        }
        if let Some(summary) = summarize(&self.status.conditions, GIT_REPOSITORY) {
            self.set(READY, summary.status, &summary.reason, &summary.message);
        }
    }

    /// Says what is being done; with `drift`, that what is stored is not what should be.
    fn progress(&mut self, drift: bool, message: &str) {
        conditions::remove(&mut self.status.conditions, STALLED);
        self.set(RECONCILING, Status::True, PROGRESSING, message);
        let ready = conditions::find(&self.status.conditions, READY);
        if drift || ready.is_none_or(|ready| ready.status == Status::Unknown.as_str()) {
            self.set(READY, Status::Unknown, PROGRESSING, message);
        }
    }

    fn set(&mut self, r#type: &str, status: Status, reason: &str, message: &str) {
        let (generation, now) = (self.generation(), Timestamp::now());
        let conditions = &mut self.status.conditions;
        conditions::set(conditions, r#type, status, reason, message, generation, now);
    }

    fn generation(&self) -> i64 {
        self.obj.metadata.generation.unwrap_or_default()
    }

    fn event(&self, severity: Severity, reason: &str, message: String) {
        self.cx.recorder.publish(self.obj, severity, reason, message, BTreeMap::new());
    }

    async fn write(&mut self) -> Result<(), Failure> {
        self.record().await.map_err(|error| match error {
            Error::Status(error) => Stop::unrecorded(error).into(),
            error => Stop::retry(PROGRESSING, chain(&error)).into(),
        })
    }

    /// Writes the status, unless it is what was written last.
    async fn record(&mut self) -> Result<(), Error> {
        if self.status == self.written {
            return Ok(());
        }
        let api = self.cx.api(self.obj);
        self.cx.statuses.write(&api, self.obj, &self.status).await.map_err(Error::Status)?;
        self.written = self.status.clone();
        Ok(())
    }
}

/// Returns when the next reconciliation is. Without an interval, something has to ask for it.
fn next(interval: Duration, jitter: f64) -> Action {
    if interval.is_zero() {
        return Action::await_change();
    }
    Action::requeue(jittered(interval, jitter))
}

fn list<T>(list: Option<&Vec<T>>) -> &[T] {
    list.map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_run_without_a_pause() {
        assert_eq!(next(Duration::ZERO, 0.05), Action::await_change());
        let minute = Duration::from_mins(1);
        assert_eq!(next(minute, 0.0), Action::requeue(minute));
    }
}
