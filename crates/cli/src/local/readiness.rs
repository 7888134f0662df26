//! Decides when everything is ready, or that it will not be.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream::SelectAll};
use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    core::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::kind::{self, Kind};

/// How long every object that is not ready has to have failed for the same cause before that is
/// taken to be the end: what one waits for may be about to appear.
const SETTLED: Duration = Duration::from_secs(10);

/// Returns how many objects there are when every toolkit object is ready.
///
/// # Errors
///
/// With each object that is not ready and its cause: at once when one is stalled, because only an
/// edit can help then; when all of them go on failing for the same cause; and when time is up.
pub(super) async fn wait(client: &Client, timeout: Duration) -> anyhow::Result<usize> {
    let deadline = Instant::now() + timeout;
    let mut changes: SelectAll<_> = kind::ALL
        .into_iter()
        .map(|kind| {
            watcher(api(client, kind), watcher::Config::default())
                .default_backoff()
                .touched_objects()
                .boxed()
        })
        .collect();
    let mut failures = Failures::default();
    loop {
        let state = State::read(client).await?;
        if state.is_ready() {
            if state.seen == 0 {
                bail!("there is nothing to wait for: no GitRepository and no Kustomization");
            }
            return Ok(state.seen);
        }
        if !state.stalled.is_empty() {
            bail!("{}", state.explain("cannot become ready"));
        }
        let settled = failures.note(&state, Instant::now());
        let until = settled.unwrap_or(deadline).min(deadline);
        match tokio::time::timeout_at(until, changes.try_next()).await {
            Ok(change) => {
                change.context("failed to watch the local API")?;
            }
            Err(_) if until == deadline => bail!("{}", state.explain("not ready in time")),
            Err(_) => bail!("{}", state.explain("failed")),
        }
    }
}

/// Since when each object has been failing for the same cause.
#[derive(Debug, Default)]
struct Failures {
    since: BTreeMap<String, (String, Instant)>,
}

impl Failures {
    /// Notes what fails now, and returns when that is to be taken as the end, if nothing changes.
    ///
    /// Between two failures an object is pending for a moment, which does not begin anew.
    fn note(&mut self, state: &State, now: Instant) -> Option<Instant> {
        self.since.retain(|id, _| state.failing.contains_key(id) || state.pending.contains_key(id));
        for (id, message) in &state.failing {
            let known = self.since.get(id).is_some_and(|(known, _)| known == message);
            if !known {
                self.since.insert(id.clone(), (message.clone(), now));
            }
        }
        if !state.pending.is_empty() {
            return None;
        }
        self.since.values().map(|(_, since)| *since + SETTLED).max()
    }
}

fn api(client: &Client, kind: &Kind) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &kind.resource())
}

/// What is not ready, by object, with the cause. Suspended objects are left out.
#[derive(Debug, Default)]
struct State {
    seen: usize,
    pending: BTreeMap<String, String>,
    failing: BTreeMap<String, String>,
    stalled: BTreeMap<String, String>,
}

impl State {
    async fn read(client: &Client) -> anyhow::Result<Self> {
        let mut state = Self::default();
        // What an object creates exists before the object is ready: sources are listed after the
        // Kustomizations that may have created them.
        for kind in kind::ALL.into_iter().rev() {
            let objects = api(client, kind)
                .list(&ListParams::default())
                .await
                .with_context(|| format!("failed to list {} objects", kind.name))?;
            for object in &objects {
                state.add(kind, object);
            }
        }
        Ok(state)
    }

    fn add(&mut self, kind: &Kind, object: &DynamicObject) {
        self.seen += 1;
        if kind::suspended(object) {
            return;
        }
        let namespace = object.namespace().unwrap_or_default();
        let id = format!("{}/{namespace}/{}", kind.name, object.name_any());
        let is = |r#type: &str, status: &str| {
            kind::condition(object, r#type).is_some_and(|condition| condition["status"] == status)
        };
        let observed = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
        let (_, message) = kind::ready(object);
        if is("Stalled", "True") {
            self.stalled.insert(id, message);
        } else if is("Ready", "False") {
            self.failing.insert(id, message);
        } else if !is("Ready", "True")
            || is("Reconciling", "True")
            || observed.is_some_and(|observed| Some(observed) != object.metadata.generation)
        {
            self.pending.insert(id, message);
        }
    }

    fn is_ready(&self) -> bool {
        self.pending.is_empty() && self.failing.is_empty() && self.stalled.is_empty()
    }

    fn explain(&self, outcome: &str) -> String {
        let unready = self.stalled.len() + self.failing.len() + self.pending.len();
        let mut text = format!("{unready} of {} objects {outcome}:", self.seen);
        for (id, message) in self.stalled.iter().chain(&self.failing).chain(&self.pending) {
            text.push_str("\n  ");
            text.push_str(id);
            text.push_str(": ");
            text.push_str(message);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(status: &Value, suspend: bool) -> State {
        let object = serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": "app", "namespace": "team", "generation": 2 },
            "spec": { "suspend": suspend },
            "status": status,
        }))
        .unwrap();
        let mut state = State::default();
        state.add(&kind::KUSTOMIZATION, &object);
        state
    }

    #[test]
    fn is_ready_only_at_the_current_generation() {
        let conditions = json!([{ "type": "Ready", "status": "True" }]);
        let at = |observed: i64| {
            state(&json!({ "observedGeneration": observed, "conditions": conditions }), false)
        };
        assert!(at(2).is_ready());
        assert!(!at(1).is_ready());
    }

    #[test]
    fn passes_over_suspended_objects() {
        assert!(state(&json!({}), true).is_ready());
    }

    #[test]
    fn takes_a_failure_for_the_end_only_when_it_stays() {
        let failing = |message: &str| {
            let ready = json!({ "type": "Ready", "status": "False", "message": message });
            state(&json!({ "conditions": [ready] }), false)
        };
        let retrying = state(
            &json!({ "conditions": [{ "type": "Ready", "status": "Unknown", "message": "" }] }),
            false,
        );
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut failures = Failures::default();
        assert_eq!(failures.note(&failing("no source"), at(0)), Some(at(0) + SETTLED));
        assert_eq!(failures.note(&failing("no path"), at(1)), Some(at(1) + SETTLED));
        assert_eq!(failures.note(&retrying, at(2)), None);
        assert_eq!(failures.note(&failing("no path"), at(3)), Some(at(1) + SETTLED));
        assert_eq!(failures.note(&State::default(), at(4)), None);
        assert_eq!(failures.note(&failing("no path"), at(5)), Some(at(5) + SETTLED));
    }

    #[test]
    fn explains_each_failure_with_its_cause() {
        let failing = state(
            &json!({ "conditions": [
                { "type": "Ready", "status": "False", "message": "path not found" },
            ]}),
            false,
        );
        assert_eq!(
            failing.explain("failed"),
            "1 of 1 objects failed:\n  Kustomization/team/app: path not found"
        );
    }
}
