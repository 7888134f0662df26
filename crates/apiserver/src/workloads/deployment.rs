//! Deployments: a ReplicaSet for each template.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, Patch};
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::event::Recorder;
use super::{
    Outcome, beside, condition, delete, ensure, hash, is_owned_by, owner, selected_by, status_of,
    write_status, written_by,
};
use crate::clock;

const COMPONENT: &str = "deployment-controller";
const TEMPLATE_HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

const DEFAULT_DEADLINE: i32 = 600;
const DEFAULT_HISTORY: i32 = 10;

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<Deployment>(&client)
        .owns(Api::<ReplicaSet>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<Deployment>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let api: Api<ReplicaSet> = beside(&client, &*obj);
    let mut owned = api.list(&selected_by(&spec.selector)).await?.items;
    owned.retain(|set| is_owned_by(set, &*obj));
    let rollout = Rollout {
        client: &client,
        api: &api,
        deployment: &obj,
        spec,
        desired: spec.replicas.unwrap_or(1),
        name: format!("{}-{}", obj.name_any(), hash(&spec.template)),
        owned,
    };
    rollout.advance().await?;
    let status = rollout.status();
    write_status(&client, &*obj, &status).await?;
    Ok(rollout.next_run(&status))
}

/// One look at a Deployment and its ReplicaSets.
struct Rollout<'a> {
    client: &'a Client,
    api: &'a Api<ReplicaSet>,
    deployment: &'a Deployment,
    spec: &'a DeploymentSpec,
    desired: i32,
    /// Name of the ReplicaSet of the template.
    name: String,
    owned: Vec<ReplicaSet>,
}

impl Rollout<'_> {
    fn current(&self) -> Option<&ReplicaSet> {
        self.owned.iter().find(|set| set.name_any() == self.name)
    }

    fn old(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.owned.iter().filter(|set| set.name_any() != self.name)
    }

    /// Takes the next step: the new set first, the old ones once it is available.
    async fn advance(&self) -> Result<(), kube::Error> {
        let newest = self.old().map(revision_of).max().unwrap_or_default();
        let revision = match self.current() {
            Some(set) if revision_of(set) > newest => revision_of(set),
            _ => newest + 1,
        };
        match self.current() {
            None if self.spec.paused == Some(true) => return Ok(()),
            None => {
                if ensure(self.api, &self.replica_set(revision)).await?.is_some() {
                    self.tell_scaled(&self.name, 0, self.desired).await;
                }
            }
            Some(set) => {
                if revision_of(set) != revision {
                    let annotations = json!({"metadata": {"annotations":
                        {REVISION: revision.to_string()}}});
                    self.api.patch(&self.name, &written_by(), &Patch::Merge(annotations)).await?;
                }
                if replicas_of(set) != self.desired {
                    self.scale(set, self.desired).await?;
                }
            }
        }
        self.annotate(revision).await?;
        let recreate =
            self.spec.strategy.as_ref().is_some_and(|s| s.type_.as_deref() == Some("Recreate"));
        let replaced = self.current().map_or(0, available_of) >= self.desired;
        for set in self.old() {
            if replicas_of(set) != 0 && (recreate || replaced) {
                self.scale(set, 0).await?;
            }
        }
        self.forget_oldest().await
    }

    async fn scale(&self, set: &ReplicaSet, to: i32) -> Result<(), kube::Error> {
        let patch = Patch::Merge(json!({"spec": {"replicas": to}}));
        match self.api.patch(&set.name_any(), &written_by(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            other => drop(other?),
        }
        self.tell_scaled(&set.name_any(), replicas_of(set), to).await;
        Ok(())
    }

    async fn tell_scaled(&self, set: &str, from: i32, to: i32) {
        let direction = if to < from { "down" } else { "up" };
        let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
        let recorder = Recorder::new(self.client, COMPONENT, self.deployment);
        recorder.normal("ScalingReplicaSet", &message).await;
    }

    async fn annotate(&self, revision: i64) -> Result<(), kube::Error> {
        let revision = revision.to_string();
        if self.deployment.annotations().get(REVISION) == Some(&revision) {
            return Ok(());
        }
        let api: Api<Deployment> = beside(self.client, self.deployment);
        let patch = Patch::Merge(json!({"metadata": {"annotations": {REVISION: revision}}}));
        match api.patch(&self.deployment.name_any(), &written_by(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        }
    }

    async fn forget_oldest(&self) -> Result<(), kube::Error> {
        let limit = self.spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY);
        let limit = usize::try_from(limit).unwrap_or_default();
        let mut idle: Vec<&ReplicaSet> = self
            .old()
            .filter(|set| replicas_of(set) == 0 && counted(set, "replicas") == 0)
            .collect();
        idle.sort_by_key(|set| std::cmp::Reverse(revision_of(set)));
        for set in idle.into_iter().skip(limit) {
            delete(self.api, &set.name_any()).await?;
        }
        Ok(())
    }

    fn replica_set(&self, revision: i64) -> Value {
        let spec = serde_json::to_value(self.spec).unwrap_or_default();
        let hash = hash(&self.spec.template);
        let (mut template, mut selector) = (spec["template"].clone(), spec["selector"].clone());
        template["metadata"]["labels"][TEMPLATE_HASH] = hash.clone().into();
        selector["matchLabels"][TEMPLATE_HASH] = hash.into();
        let mut annotations: BTreeMap<String, String> = self.deployment.annotations().clone();
        annotations.remove(LAST_APPLIED);
        annotations.insert(REVISION.to_owned(), revision.to_string());
        annotations.insert(
            "deployment.kubernetes.io/desired-replicas".to_owned(),
            self.desired.to_string(),
        );
        json!({
            "metadata": {
                "name": self.name,
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [owner(self.deployment)],
            },
            "spec": {
                "minReadySeconds": self.spec.min_ready_seconds,
                "replicas": self.desired,
                "selector": selector,
                "template": template,
            },
        })
    }

    fn status(&self) -> Value {
        let count = |field: &str| -> i32 { self.owned.iter().map(|set| counted(set, field)).sum() };
        let updated = self.current().map_or(0, |set| counted(set, "replicas"));
        let (total, ready) = (count("replicas"), count("readyReplicas"));
        let available = count("availableReplicas");
        let some = |number: i32| if number > 0 { json!(number) } else { Value::Null };
        let mut status = json!({
            "observedGeneration": self.deployment.metadata.generation,
            "replicas": some(total),
            "updatedReplicas": some(updated),
            "readyReplicas": some(ready),
            "availableReplicas": some(available),
            "unavailableReplicas": some(self.desired.max(total) - available),
        });
        let old = status_of(self.deployment);
        let enough = available >= self.desired - self.may_be_unavailable();
        let (reason, message) = if enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let mut is_available = condition(&old, "Available", enough, reason, message);
        let progressing = self.progressing(&old, &status);
        is_available["lastUpdateTime"] = is_available["lastTransitionTime"].clone();
        status["conditions"] = json!([is_available, progressing]);
        status
    }

    fn may_be_unavailable(&self) -> i32 {
        let strategy = self.spec.strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate")) {
            return 0;
        }
        let given = strategy
            .and_then(|strategy| strategy.rolling_update.as_ref()?.max_unavailable.clone())
            .unwrap_or_else(|| IntOrString::String("25%".to_owned()));
        match given {
            IntOrString::Int(number) => number,
            IntOrString::String(text) => {
                self.desired * text.trim_end_matches('%').parse::<i32>().unwrap_or(25) / 100
            }
        }
    }

    fn is_complete(&self) -> bool {
        let running = |set: &ReplicaSet| counted(set, "replicas");
        self.current()
            .is_some_and(|set| running(set) == self.desired && available_of(set) >= self.desired)
            && self.old().map(running).sum::<i32>() == 0
    }

    /// Returns the condition that tells how the rollout goes; its `lastUpdateTime` is when the
    /// counts last changed.
    fn progressing(&self, old: &Value, status: &Value) -> Value {
        let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
        let moved = old["observedGeneration"] != status["observedGeneration"]
            || counts.iter().any(|count| old[*count] != status[*count]);
        let known = old["conditions"].as_array().into_iter().flatten();
        let known = known.into_iter().find(|condition| condition["type"] == "Progressing");
        let since = known
            .filter(|_| !moved)
            .and_then(|condition| condition["lastUpdateTime"].as_str())
            .map_or_else(clock::now, str::to_owned);
        let fails = Outcome::of_template(&self.spec.template) == Outcome::Failed;
        let set = &self.name;
        let (good, reason, message) = if self.is_complete() {
            (
                true,
                "NewReplicaSetAvailable",
                format!("ReplicaSet \"{set}\" has successfully progressed."),
            )
        } else if self.spec.paused == Some(true) {
            (true, "DeploymentPaused", "Deployment is paused".to_owned())
        } else if fails || self.remaining(&since).is_zero() {
            (
                false,
                "ProgressDeadlineExceeded",
                format!("ReplicaSet \"{set}\" has timed out progressing."),
            )
        } else if self.current().is_none() {
            (true, "NewReplicaSetCreated", format!("Created new replica set \"{set}\""))
        } else {
            (true, "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."))
        };
        let mut condition = condition(old, "Progressing", good, reason, &message);
        condition["lastUpdateTime"] = since.into();
        condition
    }

    /// Returns how long the rollout may still take.
    fn remaining(&self, since: &str) -> Duration {
        let deadline = self.spec.progress_deadline_seconds.unwrap_or(DEFAULT_DEADLINE);
        let since: Timestamp = since.parse().unwrap_or_else(|_| Timestamp::now());
        let elapsed = Timestamp::now().as_second() - since.as_second();
        let left = i64::from(deadline) - elapsed;
        Duration::from_secs(u64::try_from(left).unwrap_or_default())
    }

    fn next_run(&self, status: &Value) -> Action {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let progressing = conditions.into_iter().find(|one| one["type"] == "Progressing");
        let waiting = progressing.filter(|_| !self.is_complete());
        match waiting.and_then(|condition| condition["lastUpdateTime"].as_str()) {
            Some(since) if !self.remaining(since).is_zero() => {
                Action::requeue(self.remaining(since))
            }
            _ => Action::await_change(),
        }
    }
}

fn revision_of(set: &ReplicaSet) -> i64 {
    set.annotations().get(REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn replicas_of(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn available_of(set: &ReplicaSet) -> i32 {
    counted(set, "availableReplicas")
}

fn counted(set: &ReplicaSet, field: &str) -> i32 {
    let Some(status) = &set.status else { return 0 };
    match field {
        "readyReplicas" => status.ready_replicas.unwrap_or_default(),
        "availableReplicas" => status.available_replicas.unwrap_or_default(),
        _ => status.replicas,
    }
}
