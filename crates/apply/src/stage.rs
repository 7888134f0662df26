//! Applies a set of objects, stage by stage.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use kube::api::{Patch, PatchParams};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::change::{Action, Change, ChangeSet};
use crate::detect::{Detected, Plan, dry_run_problem};
use crate::error::{ApplyError, Failure, Problem, api_message};
use crate::kinds::{Kind, KindError};
use crate::mask::mask;
use crate::object::{Subject, text};
use crate::order::Stage;
use crate::target::{Prepared, Target, defined_scopes};
use crate::wait::Check;

/// How long the API may take to list a kind whose definition is established.
const DISCOVERY_LAG: Duration = Duration::from_secs(10);

/// How often it is asked meanwhile.
const DISCOVERY_INTERVAL: Duration = Duration::from_millis(50);

/// How often metadata is cleaned up again when the object has changed meanwhile.
const CLEANUP_ATTEMPTS: usize = 3;

impl Target {
    /// Applies a set of objects: those that do not exist or differ are written, the others are not.
    ///
    /// Every object of a stage is dry run before any of it is written, and every refusal is
    /// reported. The stage of definitions, and that of classes, has to be ready before the next one
    /// begins.
    ///
    /// # Errors
    ///
    /// With every refused object of a stage, and with what was written before.
    pub async fn apply(&self, set: &Prepared) -> Result<ChangeSet, ApplyError> {
        let mut changes = ChangeSet::default();
        for stage in Stage::ALL {
            let objects: Vec<&Value> = set
                .objects
                .iter()
                .filter(|object| {
                    Stage::of(&Subject::of(object), &self.options.custom_stage) == stage
                })
                .collect();
            if objects.is_empty() {
                continue;
            }
            let first = changes.changes.len();
            if let Err(failure) = self.apply_stage(stage, &objects, &mut changes).await {
                return Err(ApplyError { failure, changes });
            }
            if stage.is_awaited() {
                let checks: Vec<Check> = changes.changes[first..].iter().map(Check::from).collect();
                if let Err(error) = self.wait(&checks, self.options.stage_timeout).await {
                    return Err(ApplyError { failure: error.into(), changes });
                }
            }
            if stage == Stage::Definitions {
                self.await_defined(set).await;
            }
        }
        Ok(changes)
    }

    /// Waits until the API knows the kinds that objects of a set have and that it defines itself:
    /// a definition is established a moment before discovery lists its kind. What is not listed in
    /// time is refused in the dry run.
    async fn await_defined(&self, set: &Prepared) {
        let deadline = Instant::now() + DISCOVERY_LAG;
        let defined = defined_scopes(&set.objects);
        for subject in set.objects.iter().map(Subject::of) {
            let Subject { api_version, kind, .. } = &subject;
            if !defined.contains_key(&(subject.group().to_owned(), kind.clone())) {
                continue;
            }
            while let Err(KindError::Unknown { .. }) = self.cluster.kind(api_version, kind).await {
                if Instant::now() >= deadline {
                    return;
                }
                // Nothing tells of it.
                sleep(DISCOVERY_INTERVAL).await;
            }
        }
    }

    async fn apply_stage(
        &self,
        stage: Stage,
        objects: &[&Value],
        changes: &mut ChangeSet,
    ) -> Result<(), Failure> {
        // Boxed: the future of a dry run is large, and there may be many of them.
        let detections: Vec<_> = objects.iter().map(|object| self.detect(object).boxed()).collect();
        let results: Vec<_> =
            stream::iter(detections).buffered(self.options.concurrency.max(1)).collect().await;
        let (detected, problems): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let problems: Vec<Problem> = problems.into_iter().filter_map(Result::err).collect();
        if !problems.is_empty() {
            return Err(Failure::Objects(problems));
        }
        for Detected { object, dropped, plan } in detected.into_iter().filter_map(Result::ok) {
            let change = self.carry_out(&object, plan).await;
            let mut change = change.map_err(|problem| Failure::Objects(vec![problem]))?;
            change.dropped = dropped;
            let is_written = matches!(change.action, Action::Created | Action::Configured);
            if stage == Stage::Definitions && is_written {
                self.cluster.kinds().forget(text(&object, "/spec/group"));
            }
            changes.extend([change]);
        }
        Ok(())
    }

    async fn carry_out(&self, object: &Value, plan: Plan) -> Result<Change, Problem> {
        match plan {
            Plan::Keep(change) => Ok(change),
            Plan::Apply { kind, action, cleanup, payload } => {
                if !cleanup.is_empty() {
                    self.clean_up(&kind, object, cleanup).await?;
                }
                self.write(&kind, object, payload.as_ref(), action).await
            }
            Plan::Recreate { kind, live } => {
                self.remove(&kind, object, &live).await?;
                self.write(&kind, object, None, Action::Created).await
            }
        }
    }

    async fn write(
        &self,
        kind: &Kind,
        object: &Value,
        payload: Option<&Value>,
        action: Action,
    ) -> Result<Change, Problem> {
        let subject = Subject::of(object);
        let manager = &self.options.field_manager;
        let look = self.cluster.look(kind, &subject);
        match self.cluster.apply(kind, payload.unwrap_or(object), manager, false).await {
            Ok(live) => {
                let declared = self.declared(object);
                self.remember(&look, &subject, declared, &live);
                Ok(self.settled(object, subject, action, &live))
            }
            Err(error) => {
                let message = mask(object, api_message(&error));
                Err(Problem::Apply { subject: subject.into(), message })
            }
        }
    }

    /// Takes over the fields of other tools; when the object has changed meanwhile, from what it
    /// is now.
    async fn clean_up(
        &self,
        kind: &Kind,
        object: &Value,
        mut operations: Vec<Value>,
    ) -> Result<(), Problem> {
        let subject = Subject::of(object);
        let params = PatchParams {
            field_manager: Some(self.options.field_manager.clone()),
            ..PatchParams::default()
        };
        let mut attempt = 1;
        loop {
            let patch = serde_json::from_value(Value::Array(operations)).map_err(|error| {
                Problem::Apply { subject: Box::new(subject.clone()), message: error.to_string() }
            })?;
            let patched = self.cluster.patch(kind, &subject, &params, &Patch::Json(patch)).await;
            let Err(error) = patched else { return Ok(()) };
            let is_conflict = matches!(&error, kube::Error::Api(status) if status.code == 409);
            if !is_conflict || attempt == CLEANUP_ATTEMPTS {
                return Err(dry_run_problem(object, subject, &error));
            }
            attempt += 1;
            let live = self.cluster.get(kind, &subject).await;
            let live = live.map_err(|error| dry_run_problem(object, subject.clone(), &error))?;
            operations = live.map(|live| self.cleanup(object, &live)).unwrap_or_default();
            if operations.is_empty() {
                return Ok(());
            }
        }
    }

    /// Deletes a live object and waits until it is gone.
    async fn remove(&self, kind: &Kind, object: &Value, live: &Value) -> Result<(), Problem> {
        let subject = Subject::of(object);
        let failed = |message| Problem::Recreate { subject: Box::new(subject.clone()), message };
        let deleted = self.cluster.delete(kind, &subject, text(live, "/metadata/uid"), None).await;
        deleted.map_err(|error| failed(mask(object, api_message(&error))))?;
        self.wait_gone(std::slice::from_ref(&subject), self.options.stage_timeout)
            .await
            .map_err(|error| failed(error.to_string()))
    }
}
