//! Events about objects: in the API, and to the address of a notification controller.
//!
//! Publishing never delays a reconciliation. Events wait in two bounded queues, one for the API and
//! one for the address; what does not fit is dropped, counted and logged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::meta::EVENT_ANNOTATION_PREFIX;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use serde_json::json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tracing::{debug, warn};
use url::Url;

use crate::metrics::Metrics;

/// How many events wait for each destination.
const QUEUE: usize = 4096;

/// How many deliveries to the address are under way at a time.
const DELIVERIES: usize = 4;

/// How long one delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a failed delivery is tried again, after 1, 2, 4 and 8 seconds.
const DELIVERY_RETRIES: u32 = 4;

/// How many recent events are remembered, so that a repetition is counted rather than added.
const REMEMBERED: usize = 4096;

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// For the API alone: nobody has to be told.
    Trace,
    /// Something happened.
    Info,
    /// Something failed.
    Error,
}

impl Severity {
    /// Returns the word that notification controllers know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Info => "info",
            Self::Error => "error",
        }
    }

    const fn event_type(self) -> &'static str {
        match self {
            Self::Trace | Self::Info => "Normal",
            Self::Error => "Warning",
        }
    }
}

/// Publishes the events of one controller. Clones share the queues.
#[derive(Clone)]
pub struct Recorder {
    controller: &'static str,
    host: Arc<str>,
    api: mpsc::Sender<Message>,
    address: Option<mpsc::Sender<Message>>,
    last: Arc<AtomicI64>,
    metrics: Metrics,
}

enum Message {
    Publish(Box<Published>),
    /// Answered when everything before it is done.
    Flush(oneshot::Sender<()>),
}

struct Published {
    object: ObjectReference,
    severity: Severity,
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
    at: Timestamp,
}

impl Recorder {
    /// Returns a recorder and starts to work off its queues.
    ///
    /// `controller` is the name that events carry, e.g. `source-controller`; with an `address`,
    /// every event but traces is posted there too.
    pub fn new(
        controller: &'static str,
        client: Client,
        address: Option<Url>,
        metrics: Metrics,
    ) -> Self {
        let host: Arc<str> = crate::process::hostname().into();
        let (api, events) = mpsc::channel(QUEUE);
        tokio::spawn(record(client, controller, events));
        let address = address.map(|address| {
            let (sender, events) = mpsc::channel(QUEUE);
            tokio::spawn(deliver(address, controller, host.clone(), events));
            sender
        });
        Self { controller, host, api, address, last: Arc::default(), metrics }
    }

    /// Publishes an event about an object.
    ///
    /// `metadata` becomes annotations of the event; the annotations of the object that start with
    /// `event.toolkit.fluxcd.io/` are added.
    pub fn publish<K>(
        &self,
        obj: &K,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
        mut metadata: BTreeMap<String, String>,
    ) where
        K: Resource<DynamicType = ()>,
    {
        let copied = obj.annotations().iter();
        let copied = copied.filter(|(key, _)| key.starts_with(EVENT_ANNOTATION_PREFIX));
        metadata.extend(copied.map(|(key, value)| (key.clone(), value.clone())));
        let object = ObjectReference {
            uid: obj.uid(),
            resource_version: obj.resource_version(),
            ..obj.object_ref(&())
        };
        let published = || {
            Message::Publish(Box::new(Published {
                object: object.clone(),
                severity,
                reason: reason.to_owned(),
                message: String::new(),
                metadata: metadata.clone(),
                at: Timestamp::UNIX_EPOCH,
            }))
        };
        let message = message.into();
        let at = self.now();
        let destinations = [
            Some(("api", &self.api)),
            self.address.as_ref().filter(|_| severity != Severity::Trace).map(|it| ("address", it)),
        ];
        for (destination, queue) in destinations.into_iter().flatten() {
            let mut event = published();
            if let Message::Publish(event) = &mut event {
                event.message.clone_from(&message);
                event.at = at;
            }
            if let Err(TrySendError::Full(_)) = queue.try_send(event) {
                self.metrics.event_dropped(destination);
                warn!(controller = self.controller, destination, "dropped an event: too many wait");
            }
        }
    }

    /// Waits until what was published so far is written and delivered, but not for ever.
    pub async fn flush(&self, timeout: Duration) {
        let flush = async |queue: &mpsc::Sender<Message>| {
            let (done, is_done) = oneshot::channel();
            if queue.send(Message::Flush(done)).await.is_ok() {
                // The worker is gone only when the runtime is.
                let _ = is_done.await;
            }
        };
        let everything = async {
            flush(&self.api).await;
            if let Some(address) = &self.address {
                flush(address).await;
            }
        };
        if tokio::time::timeout(timeout, everything).await.is_err() {
            warn!(host = %self.host, "gave up on events that could not be delivered in time");
        }
    }

    /// Returns the time, later with every call: the names of events are made of it.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        let nanos = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let previous = self.last.fetch_max(nanos, Ordering::Relaxed);
        if previous < nanos {
            return now;
        }
        let next = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        Timestamp::from_nanosecond(i128::from(next)).unwrap_or(now)
    }
}

/// Writes events into the API, one after the other.
async fn record(client: Client, controller: &'static str, mut events: mpsc::Receiver<Message>) {
    let mut recent = Recent::default();
    while let Some(message) = events.recv().await {
        match message {
            Message::Publish(event) => {
                if let Err(error) = recent.write(&client, controller, &event).await {
                    warn!(%error, reason = event.reason, "failed to write an event");
                }
            }
            Message::Flush(done) => {
                // Nobody waits any more when the time is up.
                let _ = done.send(());
            }
        }
    }
}

/// The events that were written last, by content.
#[derive(Default)]
struct Recent {
    written: HashMap<Content, (String, i32)>,
    order: VecDeque<Content>,
}

/// What makes two events the same one.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Content {
    uid: Option<String>,
    severity: Severity,
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
}

impl Recent {
    async fn write(
        &mut self,
        client: &Client,
        controller: &'static str,
        event: &Published,
    ) -> Result<(), kube::Error> {
        let namespace = event.object.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let content = Content {
            uid: event.object.uid.clone(),
            severity: event.severity,
            reason: event.reason.clone(),
            message: event.message.clone(),
            metadata: event.metadata.clone(),
        };
        if let Some((name, count)) = self.written.get_mut(&content) {
            *count = count.saturating_add(1);
            let again = json!({ "count": *count, "lastTimestamp": Time(event.at) });
            match api.patch(name, &PatchParams::default(), &Patch::Merge(&again)).await {
                Ok(_) => return Ok(()),
                // It has expired; it is written anew.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let created = to_event(controller, &namespace, event);
        let name = created.name_any();
        api.create(&PostParams::default(), &created).await?;
        if self.written.insert(content.clone(), (name, 1)).is_none() {
            self.order.push_back(content);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.written.remove(&oldest);
        }
        Ok(())
    }
}

fn to_event(controller: &str, namespace: &str, event: &Published) -> Event {
    let suffix = format!(".{:x}", event.at.as_nanosecond());
    let mut name = event.object.name.clone().unwrap_or_default();
    name.truncate(253 - suffix.len());
    Event {
        metadata: ObjectMeta {
            // Clients take the order of names for the order of time.
            name: Some(name + &suffix),
            namespace: Some(namespace.to_owned()),
            annotations: Some(event.metadata.clone()).filter(|metadata| !metadata.is_empty()),
            ..ObjectMeta::default()
        },
        involved_object: event.object.clone(),
        type_: Some(event.severity.event_type().to_owned()),
        reason: Some(event.reason.clone()),
        message: Some(event.message.clone()),
        source: Some(EventSource { component: Some(controller.to_owned()), host: None }),
        first_timestamp: Some(Time(event.at)),
        last_timestamp: Some(Time(event.at)),
        event_time: None::<MicroTime>,
        count: Some(1),
        reporting_component: Some(controller.to_owned()),
        ..Event::default()
    }
}

/// Posts events to an address, a few at a time.
async fn deliver(
    address: Url,
    controller: &'static str,
    host: Arc<str>,
    events: mpsc::Receiver<Message>,
) {
    let client = reqwest::Client::builder().timeout(DELIVERY_TIMEOUT).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            warn!(%error, "events are not delivered: no HTTP client");
            return;
        }
    };
    let mut done = ReceiverStream::new(events)
        .map(|message| async {
            match message {
                Message::Publish(event) => {
                    post(&client, &address, &body(controller, &host, &event)).await;
                    None
                }
                Message::Flush(done) => Some(done),
            }
        })
        .buffered(DELIVERIES);
    while let Some(flushed) = done.next().await {
        if let Some(done) = flushed {
            // Nobody waits any more when the time is up.
            let _ = done.send(());
        }
    }
}

/// Source: `Event`, fluxcd/pkg `apis/event/v1beta1/event.go`.
fn body(controller: &str, host: &str, event: &Published) -> serde_json::Value {
    json!({
        "involvedObject": event.object,
        "severity": event.severity.as_str(),
        "timestamp": event.at.to_string(),
        "message": event.message,
        "reason": event.reason,
        "metadata": event.metadata,
        "reportingController": controller,
        "reportingInstance": host,
    })
}

async fn post(client: &reqwest::Client, address: &Url, body: &serde_json::Value) {
    for attempt in 0..=DELIVERY_RETRIES {
        let failure = match client.post(address.clone()).json(body).send().await {
            // A receiver answers 429 to what it has seen already.
            Ok(answer) if answer.status() == reqwest::StatusCode::TOO_MANY_REQUESTS => return,
            Ok(answer) if answer.status().is_server_error() => answer.status().to_string(),
            Ok(answer) if !answer.status().is_success() => {
                warn!(status = %answer.status(), "an event was refused");
                return;
            }
            Ok(_) => return,
            Err(error) => error.without_url().to_string(),
        };
        if attempt == DELIVERY_RETRIES {
            warn!(error = failure, "failed to deliver an event");
        } else {
            debug!(error = failure, attempt, "failed to deliver an event, trying again");
            tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
        }
    }
}
