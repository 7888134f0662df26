//! Shows what the controllers do, as it happens.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};

use crate::output;

/// Prints a line for every event of a toolkit object, each time that it happens.
#[derive(Clone)]
pub(super) struct Progress {
    events: Api<Event>,
    // Versions of events that were printed: the watch and the last look may both see one.
    shown: Arc<Mutex<HashSet<Option<String>>>>,
}

impl Progress {
    /// Returns one that has printed nothing yet.
    pub(super) fn new(client: Client) -> Self {
        Self { events: Api::all(client), shown: Arc::default() }
    }

    /// Prints events until it is dropped.
    pub(super) async fn follow(self) {
        let events = watcher(self.events.clone(), watcher::Config::default())
            .default_backoff()
            .applied_objects();
        futures::pin_mut!(events);
        loop {
            match events.try_next().await {
                Ok(Some(event)) => self.show(&event),
                Ok(None) => return,
                // The watcher starts again by itself.
                Err(err) => tracing::debug!(error = %err, "event watch interrupted"),
            }
        }
    }

    /// Prints the events that the watch has not brought yet.
    pub(super) async fn catch_up(&self) {
        // What cannot be listed is only missing from the output.
        for event in self.events.list(&ListParams::default()).await.into_iter().flatten() {
            self.show(&event);
        }
    }

    fn show(&self, event: &Event) {
        let object = &event.involved_object;
        let version = object.api_version.as_deref().unwrap_or_default();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !version.contains(".toolkit.fluxcd.io/")
            || !shown.insert(event.metadata.resource_version.clone())
        {
            return;
        }
        let kind = object.kind.as_deref().unwrap_or_default();
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let name = object.name.as_deref().unwrap_or_default();
        // A change set is a line an object; each stays recognisable as part of the same event.
        for line in event.message.as_deref().unwrap_or_default().lines() {
            let text = format_args!("{kind}/{namespace}/{name} {line}");
            match event.type_.as_deref() {
                Some("Warning") => output::failure(text),
                _ => output::action(text),
            }
        }
    }
}
