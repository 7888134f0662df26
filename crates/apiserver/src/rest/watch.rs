//! Watches: what changed after a revision, for as long as the client listens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::body::Body;
use crate::object::Object;
use crate::rest::list::no_revision;
use crate::rest::request::Call;
use crate::rest::{Reply, output};
use crate::selector::Selectors;
use crate::server::Cluster;
use crate::status::ApiError;
use crate::storage::{Change, Entry, Store};

const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);

/// Starts a watch.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let selectors = Selectors::of(call)?;
    let given = call.param("resourceVersion").unwrap_or_default();
    let matching = call.param("resourceVersionMatch").unwrap_or_default();
    let streaming_list = call.flag("sendInitialEvents");
    check_parameters(call, matching, streaming_list)?;
    let unforeseen = |_| ApiError::unclassified(no_revision(given));
    let revision = if given.is_empty() { 0 } else { given.parse().map_err(unforeseen)? };
    let signal = cluster.store.subscribe(&call.resource.storage);
    let current = cluster.store.revision();
    let bookmarks = call.flag("allowWatchBookmarks");
    let seconds = call.param("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(1800);
    let mut watch = Watch {
        store: cluster.store.clone(),
        call: call.with(call.method.clone(), None),
        selectors,
        signal,
        after: revision,
        cursor: revision.min(current),
        pending: VecDeque::new(),
        first: true,
        bookmarks,
        next_bookmark: Instant::now() + BOOKMARK_INTERVAL,
        deadline: Instant::now() + Duration::from_secs(seconds),
        ended: false,
    };
    if streaming_list || revision == 0 {
        // A watch from any revision is one with initial events, unless it is told otherwise.
        let is_list = streaming_list || call.param("sendInitialEvents").is_none();
        watch.begin_with_current(is_list && bookmarks)?;
    } else if revision > current {
        // Nothing is missed.
    } else if let Err(gone) = watch.store.changes(&call.resource.storage, revision) {
        watch.fail(ApiError::expired(revision, gone.oldest));
    }
    Ok(Reply::Stream(Body::stream(stream::unfold(watch, Watch::next))))
}

fn check_parameters(call: &Call, matching: &str, streaming_list: bool) -> Result<(), ApiError> {
    let forbidden = |message: &str| {
        let kind = "ListOptions";
        let cause = crate::status::Cause::forbidden(
            if message.ends_with("Bookmarks") {
                "sendInitialEvents"
            } else {
                "resourceVersionMatch"
            },
            message,
        );
        Err(ApiError::invalid("meta.k8s.io", kind, "", &[cause]))
    };
    if call.param("sendInitialEvents").is_some() {
        if matching != "NotOlderThan" {
            return forbidden(
                "sendInitialEvents requires setting resourceVersionMatch to \
                              NotOlderThan",
            );
        }
        if streaming_list && !call.flag("allowWatchBookmarks") {
            return forbidden("sendInitialEvents requires allowWatchBookmarks");
        }
    } else if !matching.is_empty() {
        return forbidden(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents \
                          is provided",
        );
    }
    Ok(())
}

/// What the client has yet to be told; written as JSON when it is sent.
enum Event {
    Object(&'static str, Arc<Entry>),
    Error(ApiError),
}

struct Watch {
    store: Arc<Store>,
    call: Call,
    selectors: Selectors,
    signal: watch::Receiver<u64>,
    /// Where the client wants to begin, which may be in the future.
    after: u64,
    cursor: u64,
    pending: VecDeque<Event>,
    /// The next event is the first: a table brings its columns.
    first: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    ended: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some((self.line(&event), self));
            }
            if self.ended {
                return None;
            }
            self.signal.borrow_and_update();
            self.read();
            if !self.pending.is_empty() || self.ended {
                continue;
            }
            tokio::select! {
                changed = self.signal.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
                    self.read();
                    self.bookmark(false);
                }
                () = tokio::time::sleep_until(self.deadline) => {
                    self.read();
                    if self.bookmarks && !self.ended {
                        self.bookmark(false);
                    }
                    self.ended = true;
                }
            }
        }
    }

    /// Queues the objects that exist as if they were just added.
    fn begin_with_current(&mut self, end_marker: bool) -> Result<(), ApiError> {
        let namespace = self.call.namespace.clone();
        let namespace = (!namespace.is_empty()).then_some(namespace.as_str());
        let selectors = &self.selectors;
        let snapshot = self
            .store
            .list(&self.call.resource.storage, namespace, None, None, None, |value| {
                selectors.take(value)
            })
            .map_err(|gone| ApiError::expired(0, gone.oldest))?;
        self.cursor = snapshot.revision;
        for (_, entry) in &snapshot.entries {
            self.pending.push_back(Event::Object("ADDED", entry.clone()));
        }
        if end_marker {
            self.bookmark(true);
        }
        Ok(())
    }

    fn read(&mut self) {
        match self.store.changes(&self.call.resource.storage, self.cursor) {
            Ok((revision, changes)) => {
                self.cursor = revision;
                for change in changes {
                    self.change(&change);
                }
            }
            Err(gone) => {
                self.fail(ApiError::expired(self.cursor, gone.oldest));
            }
        }
    }

    fn change(&mut self, change: &Change) {
        let is_elsewhere =
            !self.call.namespace.is_empty() && change.key.namespace != self.call.namespace;
        if is_elsewhere || change.revision <= self.after {
            return;
        }
        let was = change.old.as_ref().is_some_and(|old| self.selectors.take(&old.value));
        let is = !change.removed && self.selectors.take(&change.new.value);
        match (was, is) {
            (false, true) => self.pending.push_back(Event::Object("ADDED", change.new.clone())),
            (true, true) => self.pending.push_back(Event::Object("MODIFIED", change.new.clone())),
            // The last state that was selected, at the revision of the change.
            (true, false) => {
                let mut last = change.old.as_ref().map_or(Value::Null, |old| old.value.clone());
                last.set_resource_version(change.revision);
                let last = Arc::new(Entry::new(last, change.revision));
                self.pending.push_back(Event::Object("DELETED", last));
            }
            (false, false) => {}
        }
    }

    fn bookmark(&mut self, end_of_initial: bool) {
        let mut metadata = json!({
            "resourceVersion": self.cursor.to_string(),
            "creationTimestamp": null,
        });
        if end_of_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": self.call.resource.kind,
            "apiVersion": self.call.api_version(),
            "metadata": metadata,
        });
        let entry = Arc::new(Entry::new(object, self.cursor));
        self.pending.push_back(Event::Object("BOOKMARK", entry));
    }

    fn fail(&mut self, error: ApiError) {
        self.pending.push_back(Event::Error(error));
        self.ended = true;
    }

    fn line(&mut self, event: &Event) -> Bytes {
        match event {
            Event::Object(kind, entry) => {
                let first = std::mem::take(&mut self.first);
                output::event(&self.call, kind, entry, first)
            }
            Event::Error(error) => output::error_event(error),
        }
    }
}
