//! Events: what the simulated components tell about their work.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;
use uuid::Uuid;

use super::{NODE, ensure};
use crate::clock;

/// How long events are kept, as a real cluster does.
const LIFETIME: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
const INTERVAL: Duration = Duration::from_mins(1);

/// Whether an event tells of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Warning,
}

/// Who tells of something, and what is told of.
pub(super) struct Recorder<'a, K> {
    client: &'a Client,
    component: &'static str,
    object: &'a K,
}

impl<'a, K: Resource<DynamicType = ()>> Recorder<'a, K> {
    pub(super) fn new(client: &'a Client, component: &'static str, object: &'a K) -> Self {
        Self { client, component, object }
    }

    /// Records an event; a failure to do so does not stop the work.
    pub(super) async fn say(&self, kind: Kind, reason: &str, message: &str) {
        let namespace = self.object.namespace().unwrap_or_else(|| "default".to_owned());
        let now = clock::now();
        let mut source = json!({"component": self.component});
        if self.component == "kubelet" {
            source["host"] = NODE.into();
        }
        let id = Uuid::new_v4().simple().to_string();
        let event = json!({
            "metadata": {
                "name": format!("{}.{}", self.object.name_any(), &id[..16]),
                "namespace": namespace,
            },
            "involvedObject": self.object.object_ref(&()),
            "type": match kind {
                Kind::Normal => "Normal",
                Kind::Warning => "Warning",
            },
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": source,
            "reportingComponent": self.component,
            "reportingInstance": source.get("host"),
        });
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = ensure(&api, &event).await {
            tracing::debug!(%error, reason, "failed to record an event");
        }
    }

    pub(super) async fn normal(&self, reason: &str, message: &str) {
        self.say(Kind::Normal, reason, message).await;
    }

    pub(super) async fn warning(&self, reason: &str, message: &str) {
        self.say(Kind::Warning, reason, message).await;
    }
}

/// Removes old events, whoever recorded them.
pub(super) async fn expire(client: Client) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = remove_old(&client).await {
            tracing::debug!(%error, "failed to remove old events");
        }
    }
}

async fn remove_old(client: &Client) -> Result<(), kube::Error> {
    let oldest = jiff::Timestamp::now() - LIFETIME;
    let events: Api<Event> = Api::all(client.clone());
    for event in events.list(&ListParams::default()).await? {
        let time = event.last_timestamp.as_ref().or(event.metadata.creation_timestamp.as_ref());
        if time.is_some_and(|time| time.0 < oldest) {
            let namespace = event.namespace().unwrap_or_default();
            let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
            super::delete(&api, &event.name_any()).await?;
        }
    }
    Ok(())
}
