//! Shows what the controllers do, as it happens.

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};

use crate::output;

/// Prints a line for every event of a toolkit object, until the stream is dropped.
pub(super) async fn follow(client: Client) {
    let events = watcher(Api::<Event>::all(client), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    futures::pin_mut!(events);
    loop {
        match events.try_next().await {
            Ok(Some(event)) => show(&event),
            Ok(None) => return,
            // The watcher starts again by itself.
            Err(err) => tracing::debug!(error = %err, "event watch interrupted"),
        }
    }
}

fn show(event: &Event) {
    let object = &event.involved_object;
    let ours = object
        .api_version
        .as_deref()
        .is_some_and(|version| version.contains(".toolkit.fluxcd.io/"));
    if !ours {
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
