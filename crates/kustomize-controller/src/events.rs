//! Events about Kustomizations: in the API, and to the address of a notification controller.

use std::collections::BTreeMap;
use std::time::Duration;

use api::kustomize::Kustomization;
use api::meta::EVENT_ANNOTATION_PREFIX;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, PostParams};
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::warn;
use url::Url;

use crate::CONTROLLER;

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Error,
}

/// Publishes events.
#[derive(Clone)]
pub(crate) struct Recorder {
    client: Client,
    sink: Option<(reqwest::Client, Url)>,
}

/// How long one delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

impl Recorder {
    pub(crate) fn new(client: Client, address: Option<Url>) -> Self {
        Self { client, sink: address.map(|address| (reqwest::Client::new(), address)) }
    }

    /// Publishes an event; a failure is logged, and does not fail the run.
    pub(crate) fn publish(
        &self,
        obj: &Kustomization,
        severity: Severity,
        reason: &str,
        message: String,
        mut metadata: BTreeMap<String, String>,
    ) {
        let copied = obj.annotations().iter();
        let copied = copied.filter(|(key, _)| key.starts_with(EVENT_ANNOTATION_PREFIX));
        metadata.extend(copied.map(|(key, value)| (key.clone(), value.clone())));
        let now = Timestamp::now();
        let reference = ObjectReference {
            uid: obj.uid(),
            resource_version: obj.resource_version(),
            ..obj.object_ref(&())
        };
        if let Some((client, address)) = &self.sink {
            let body = json!({
                "involvedObject": reference,
                "severity": match severity { Severity::Info => "info", Severity::Error => "error" },
                "timestamp": now.to_string(),
                "message": message,
                "reason": reason,
                "metadata": metadata,
                "reportingController": CONTROLLER,
                "reportingInstance": hostname(),
            });
            let request = client.post(address.clone()).timeout(DELIVERY_TIMEOUT).json(&body);
            tokio::spawn(async move {
                if let Err(error) = request.send().await {
                    warn!(error = %error.without_url(), "failed to deliver event");
                }
            });
        }
        let namespace = obj.namespace().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                // The order of names is the order of time.
                name: Some(format!("{}.{:x}", obj.name_any(), now.as_nanosecond())),
                namespace: Some(namespace.clone()),
                annotations: Some(metadata).filter(|metadata| !metadata.is_empty()),
                ..ObjectMeta::default()
            },
            involved_object: reference,
            type_: Some(match severity {
                Severity::Info => "Normal".to_owned(),
                Severity::Error => "Warning".to_owned(),
            }),
            reason: Some(reason.to_owned()),
            message: Some(message),
            source: Some(EventSource { component: Some(CONTROLLER.to_owned()), host: None }),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            count: Some(1),
            reporting_component: Some(CONTROLLER.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        tokio::spawn(async move {
            if let Err(error) = api.create(&PostParams::default(), &event).await {
                warn!(%error, "failed to publish event");
            }
        });
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
