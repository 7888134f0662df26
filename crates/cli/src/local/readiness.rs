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

use crate::kind::{self, Kind};

/// How long nothing may happen before failing objects are taken to stay as they are.
const QUIET: Duration = Duration::from_secs(15);

/// Returns when every toolkit object is ready.
///
/// # Errors
///
/// With each object that is not ready and its cause: at once when one is stalled, because only an
/// edit can help then; when all the others have failed and nothing has happened for a while; and
/// when time is up.
pub(super) async fn wait(client: &Client, timeout: Duration) -> anyhow::Result<usize> {
    let deadline = tokio::time::Instant::now() + timeout;
    let mut changes: SelectAll<_> = kind::ALL
        .into_iter()
        .map(|kind| {
            watcher(api(client, kind), watcher::Config::default())
                .default_backoff()
                .touched_objects()
                .boxed()
        })
        .collect();
    loop {
        // Listing anew, rather than keeping what the watches said, gives one state across kinds: a
        // Kustomization may become ready before the watch of another kind shows what it created.
        let state = State::read(client).await?;
        if state.is_ready() {
            return Ok(state.seen);
        }
        if state.is_stalled() {
            bail!("{}", state.explain("cannot become ready"));
        }
        let quiet = tokio::time::Instant::now() + QUIET;
        let until = if state.has_only_failures() { quiet.min(deadline) } else { deadline };
        match tokio::time::timeout_at(until, changes.try_next()).await {
            Ok(change) => {
                change.context("failed to watch the local API")?;
            }
            Err(_) if until == deadline => bail!("{}", state.explain("not ready in time")),
            Err(_) => bail!("{}", state.explain("failed")),
        }
    }
}

fn api(client: &Client, kind: &Kind) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &kind.resource())
}

/// What is not ready, by object, with the cause.
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
        for kind in kind::ALL {
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
        if kind::suspended(object) {
            return;
        }
        self.seen += 1;
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

    fn is_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    fn has_only_failures(&self) -> bool {
        self.pending.is_empty() && !self.failing.is_empty()
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
    fn explains_each_failure_with_its_cause() {
        let failing = state(
            &json!({ "conditions": [
                { "type": "Ready", "status": "False", "message": "path not found" },
            ]}),
            false,
        );
        assert!(failing.has_only_failures());
        assert_eq!(
            failing.explain("failed"),
            "1 of 1 objects failed:\n  Kustomization/team/app: path not found"
        );
    }
}
