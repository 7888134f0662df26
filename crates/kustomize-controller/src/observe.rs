//! What wakes a Kustomization: its own changes, new artifacts, and dependencies that become ready.

use std::collections::HashMap;
use std::sync::Arc;

use api::conditions::{READY, is_true};
use api::kustomize::{Kustomization, SourceKind};
use common::args::Watched;
use common::delay::WatchBackoff;
use common::status::requested_at;
use common::watch::is_undefined;
use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use tracing::{debug, warn};

use crate::context::Context;
use crate::dependencies::is_ready;
use crate::source::{News, ObjectRef, SourceId, artifact_of, resource};
use crate::wishes::Wishes;

/// Sees every change of every Kustomization, and wakes others for it.
pub(crate) struct Observer {
    pub(crate) cx: Arc<Context>,
    pub(crate) wake: UnboundedSender<ObjectRef>,
    pub(crate) seen: HashMap<ObjectRef, Seen>,
}

/// What matters about a Kustomization to others.
#[derive(PartialEq, Eq)]
pub(crate) struct Seen {
    generation: Option<i64>,
    requested_at: Option<String>,
    wishes: u64,
    ready: bool,
    revision: Option<String>,
}

impl Observer {
    /// Takes a change in.
    pub(crate) fn observe(&mut self, event: &Event<Kustomization>) {
        match event {
            Event::Apply(obj) | Event::InitApply(obj) => self.changed(obj),
            Event::Delete(obj) => {
                self.seen.remove(&ObjectRef::from_obj(obj));
                self.cx.forget(obj);
            }
            Event::Init | Event::InitDone => {}
        }
    }

    fn changed(&mut self, obj: &Kustomization) {
        let reference = ObjectRef::from_obj(obj);
        let status = obj.status.as_ref();
        let now = Seen {
            generation: obj.metadata.generation,
            requested_at: requested_at(obj).cloned(),
            wishes: Wishes::fingerprint(obj),
            ready: status.is_some_and(|it| is_true(&it.conditions, READY)) && is_ready(obj),
            revision: status.and_then(|it| it.last_applied_revision.clone()),
        };
        let before = self.seen.get(&reference);
        if before == Some(&now) {
            self.wake_waiting(obj, false);
            return;
        }
        let has_other_wishes = before.is_some_and(|before| before.wishes != now.wishes);
        let is_asked = before.is_some_and(|before| {
            before.generation != now.generation || before.requested_at != now.requested_at
        });
        if has_other_wishes {
            // An annotation makes no new generation.
            let _ = self.wake.unbounded_send(reference.clone());
        }
        if is_asked || has_other_wishes {
            let namespace = obj.namespace().unwrap_or_default();
            let cause = format!("Kustomization/{namespace}/{}", obj.name_any());
            self.cx.interrupts.send(&reference, &cause);
        }
        self.wake_waiting(obj, now.ready);
        self.seen.insert(reference, now);
    }

    fn wake_waiting(&self, obj: &Kustomization, is_ready: bool) {
        for dependant in self.cx.waiting_for(obj, is_ready) {
            debug!(%dependant, is_ready, "dependency has changed");
            // The receiver is gone only when the controller ends.
            let _ = self.wake.unbounded_send(dependant);
        }
    }
}

/// Watches the sources of a kind. Its definition may be missing, and may come later.
pub(crate) async fn observe_sources(
    cx: Arc<Context>,
    kind: SourceKind,
    watched: Watched,
    wake: UnboundedSender<ObjectRef>,
) {
    let client = cx.client.clone();
    let api: Api<DynamicObject> = match &watched.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource(kind)),
        None => Api::all_with(client, &resource(kind)),
    };
    let events = watcher(api, watcher::Config::default()).backoff(WatchBackoff::default());
    let mut events = std::pin::pin!(events);
    let mut was_missing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(source) | Event::InitApply(source)) => {
                let id = id(kind, &source);
                let artifact = artifact_of(&source);
                let revision = artifact.as_ref().map(|it| it.revision.clone());
                let news = cx.sources.insert(id.clone(), artifact);
                if let (News::First | News::Changed, Some(revision)) = (&news, revision) {
                    for user in cx.users_of(&id, &revision, &news) {
                        cx.interrupts.send(&user, &id.to_string());
                        // The receiver is gone only when the controller ends.
                        let _ = wake.unbounded_send(user);
                    }
                }
            }
            Ok(Event::Delete(source)) => cx.sources.remove(&id(kind, &source)),
            Ok(Event::Init) => {}
            Ok(Event::InitDone) => was_missing = false,
            Err(error) if is_undefined(&error) => {
                if !was_missing {
                    debug!(%kind, "the kind is not defined; waiting for its definition");
                }
                was_missing = true;
            }
            Err(error) => warn!(%kind, %error, "failed to watch sources"),
        }
    }
}

fn id(kind: SourceKind, source: &DynamicObject) -> SourceId {
    SourceId { kind, namespace: source.namespace().unwrap_or_default(), name: source.name_any() }
}
