//! Finds out what has to be done to an object, without writing anything.

use std::borrow::Cow;

use serde_json::Value;
use smd::Schema;
use smd::prune::unknown_fields;

use crate::change::{Action, Change};
use crate::error::{Problem, api_message, api_reason, is_immutable, is_not_found};
use crate::ignore::{payload, without};
use crate::kinds::Kind;
use crate::kstatus::{Health, Status};
use crate::mask::mask;
use crate::memory::content;
use crate::object::{Subject, text};
use crate::takeover::cleanup;
use crate::target::Target;

/// What was found out about an object.
pub(crate) struct Detected<'a> {
    /// The object as the API takes it.
    pub(crate) object: Cow<'a, Value>,
    /// The fields that had to go for that.
    pub(crate) dropped: Vec<String>,
    /// What has to be done.
    pub(crate) plan: Plan,
}

/// What has to be done to an object.
pub(crate) enum Plan {
    /// Nothing.
    Keep(Change),
    /// It has to be applied, after its metadata is cleaned up.
    Apply {
        kind: Kind,
        action: Action,
        cleanup: Vec<Value>,
        /// What is applied in the place of the declared object, to leave fields as they are.
        payload: Option<Value>,
    },
    /// The live object has to be deleted first.
    Recreate { kind: Kind, live: Value },
}

impl Plan {
    fn apply(kind: Kind, action: Action) -> Self {
        Self::Apply { kind, action, cleanup: Vec::new(), payload: None }
    }
}

impl Target {
    /// Makes a dry run of an object and compares the answer with the live object.
    ///
    /// Fields that a built-in kind does not have are left out when the API refuses them: users have
    /// such manifests, because other tools drop the fields without a word.
    pub(crate) async fn detect<'a>(&self, object: &'a Value) -> Result<Detected<'a>, Problem> {
        let problem = match self.plan(object).await {
            Ok(plan) => {
                return Ok(Detected { object: Cow::Borrowed(object), dropped: Vec::new(), plan });
            }
            Err(problem) if problem.is_about_undeclared_fields() => problem,
            Err(problem) => return Err(problem),
        };
        let subject = Subject::of(object);
        let schema = Schema::builtin(subject.group(), subject.version(), &subject.kind);
        let Some(schema) = schema else { return Err(problem) };
        let mut declared = object.clone();
        let dropped = unknown_fields(&schema, &mut declared);
        if dropped.is_empty() {
            return Err(problem);
        }
        let plan = self.plan(&declared).await?;
        Ok(Detected { object: Cow::Owned(declared), dropped, plan })
    }

    async fn plan(&self, object: &Value) -> Result<Plan, Problem> {
        let subject = Subject::of(object);
        let skipped = || Ok(Plan::Keep(Change::new(subject.clone(), Action::Skipped)));
        if self.is_off_limits(object) {
            return skipped();
        }
        let kind = match self.cluster.kind(&subject.api_version, &subject.kind).await {
            Ok(kind) => kind,
            Err(error) => {
                let message = error.to_string();
                return Err(Problem::DryRun {
                    subject: subject.into(),
                    reason: String::new(),
                    message,
                });
            }
        };
        if kind.namespaced && subject.namespace.is_empty() {
            let message = "the server could not find the requested resource".to_owned();
            return Err(Problem::NoNamespace { subject: subject.into(), message });
        }
        let once = self.is_marked(object, "ssa", "IfNotPresent");
        let look = self.cluster.look(&kind, &subject);
        let declared = self.declared(object);
        if let Some(known) = look.trusted(declared).filter(|_| !once) {
            let health = known.state.health.filter(|_| !self.is_assessed(&subject));
            return Ok(Plan::Keep(unchanged(object, subject, health)));
        }
        let migrated = self.options.migrate_api_version && self.migrate(&kind, object).await?;
        let manager = &self.options.field_manager;
        let answer = match self.cluster.apply(&kind, object, manager, true).await {
            Ok(answer) => answer,
            Err(error) => {
                let live = self.cluster.get(&kind, &subject).await.ok().flatten();
                return match live {
                    Some(live) if once || self.is_off_limits(&live) => skipped(),
                    Some(live) if is_immutable(&error) && self.may_recreate(object, &live) => {
                        Ok(Plan::Recreate { kind, live })
                    }
                    _ => Err(dry_run_problem(object, subject, &error)),
                };
            }
        };

        // The answer carries the version of the object that it was made against; an object that
        // does not exist yet has none.
        let version = text(&answer, "/metadata/resourceVersion");
        if version.is_empty() {
            return Ok(Plan::apply(kind, Action::Created));
        }
        if once || self.is_off_limits(&answer) {
            return skipped();
        }
        let ignored = self.options.ignore.paths(&answer);
        if let Some(known) = look.known().filter(|it| it.state.version.to_string() == version) {
            // What a live object at this version is, is known.
            let is_same = known.declared == declared
                || (known.is_clean && known.state.content == Some(content(&answer)));
            if is_same {
                self.cluster.remember(&look, known.declared_as(declared));
                let change = self.settled(object, subject, Action::Unchanged, &answer);
                return Ok(Plan::Keep(change));
            }
            if known.is_clean && known.state.content.is_some() && ignored.is_empty() {
                return Ok(Plan::apply(kind, Action::Configured));
            }
        }
        let live = self.cluster.get(&kind, &subject).await;
        let live = live.map_err(|error| dry_run_problem(object, subject.clone(), &error))?;
        let Some(live) = live else {
            return Ok(Plan::apply(kind, Action::Created));
        };
        if self.is_off_limits(&live) {
            return skipped();
        }
        let operations = self.cleanup(object, &live);
        let differs = if ignored.is_empty() {
            differs(&live, &answer)
        } else {
            differs(&without(&live, &ignored), &without(&answer, &ignored))
        };
        if migrated || !operations.is_empty() || differs {
            let entries = managers(&live, &operations);
            let by = (entries, self.options.field_manager.as_str());
            let payload = payload(object, &live, &answer, &ignored, by);
            let action = Action::Configured;
            return Ok(Plan::Apply { kind, action, cleanup: operations, payload });
        }
        if text(&live, "/metadata/resourceVersion") == version {
            self.remember(&look, &subject, declared, &live);
        }
        Ok(Plan::Keep(self.settled(object, subject, Action::Unchanged, &live)))
    }

    /// Returns the patch that cleans up the metadata of a live object; empty when it is clean.
    pub(crate) fn cleanup(&self, object: &Value, live: &Value) -> Vec<Value> {
        let merge = |object| self.is_marked(object, "ssa", "Merge");
        if merge(object) || merge(live) {
            return Vec::new();
        }
        cleanup(live, &self.options.field_manager, &self.options.overridden_managers)
    }

    fn may_recreate(&self, object: &Value, live: &Value) -> bool {
        let forced = |object| self.is_marked(object, "force", "enabled");
        self.options.force || forced(object) || forced(live)
    }
}

/// Returns the managers of a live object, as they will be once its metadata is cleaned up.
fn managers<'a>(live: &'a Value, cleanup: &'a [Value]) -> &'a [Value] {
    let replaced = cleanup.iter().find(|operation| operation["path"] == "/metadata/managedFields");
    let entries = replaced.map_or(&live["metadata"]["managedFields"], |it| &it["value"]);
    entries.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns that nothing was done to an object, with its health where that is known.
fn unchanged(object: &Value, subject: Subject, health: Option<Status>) -> Change {
    Change {
        health: health.map(|status| Health::new(status, "")),
        is_ephemeral: is_ephemeral(object, &subject),
        ..Change::new(subject, Action::Unchanged)
    }
}

pub(crate) fn is_ephemeral(object: &Value, subject: &Subject) -> bool {
    subject.group() == "batch"
        && subject.kind == "Job"
        && !object["spec"]["ttlSecondsAfterFinished"].is_null()
}

pub(crate) fn dry_run_problem(object: &Value, subject: Subject, error: &kube::Error) -> Problem {
    let message = mask(object, api_message(error));
    if is_not_found(error) {
        return Problem::NotFound { subject: subject.into(), message };
    }
    Problem::DryRun { subject: subject.into(), reason: api_reason(error), message }
}

/// Says whether an apply would change a live object: its labels, its annotations, or anything
/// outside of metadata and status.
///
/// Source: `hasDrifted`, fluxcd/pkg `ssa/manager_diff.go`.
fn differs(live: &Value, answer: &Value) -> bool {
    let metadata = ["labels", "annotations"];
    if metadata.iter().any(|field| !same_map(&live["metadata"][field], &answer["metadata"][field]))
    {
        return true;
    }
    let (Some(live), Some(answer)) = (live.as_object(), answer.as_object()) else { return true };
    let counts = |field: &&String| !matches!(field.as_str(), "metadata" | "status");
    let fields = live.keys().chain(answer.keys()).filter(counts);
    fields.into_iter().any(|field| live.get(field) != answer.get(field))
}

/// Compares two maps; a missing one is empty.
fn same_map(a: &Value, b: &Value) -> bool {
    let is_empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    (is_empty(a) && is_empty(b)) || a == b
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn looks_at_labels_annotations_and_content_alone() {
        let live = json!({
            "kind": "ConfigMap",
            "metadata": {"resourceVersion": "1", "labels": {"a": "b"}, "finalizers": ["x"]},
            "data": {"k": "v"}, "status": {"phase": "old"},
        });
        let mut answer = live.clone();
        answer["metadata"]["resourceVersion"] = json!("2");
        answer["metadata"]["finalizers"] = json!([]);
        answer["metadata"]["annotations"] = json!({});
        answer["status"] = json!({"phase": "new"});
        assert!(!differs(&live, &answer));
        for (pointer, value) in [("/metadata/labels", json!({})), ("/data", json!({"k": "w"}))] {
            let mut changed = live.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(differs(&live, &changed), "{pointer}");
        }
    }
}
