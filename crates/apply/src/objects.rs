//! The live objects of a kind: what is known of them, and the watch that keeps it true.
//!
//! There is one watch for a kind, however many owners have objects of it. It is narrowed to objects
//! that carry a label of an owner, and is of their metadata alone unless somebody waits for health
//! that only the rest can tell. Without it everything works as well, with more requests.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::{DynamicObject, Request, Resource as _, WatchEvent};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use crate::error::api_message;
use crate::kinds::Kind;
use crate::kstatus::is_told_by_metadata;
use crate::memory::{Known, Memory, Moved, Place, State, Viewpoint};
use crate::object::text;
use crate::wait::Sight;

/// How many objects are read at a time.
const PAGE: u32 = 200;

/// How long a watch may be silent. The API says every minute that it is still there.
const SILENCE: Duration = Duration::from_secs(150);

/// How long whole objects are watched after the last one has stopped waiting: the next one often
/// follows at once.
const LINGER: Duration = Duration::from_secs(10);

/// How long nothing is tried where the API refuses a watch: rights may change, and a kind may be
/// served in a moment.
const FORBIDDEN: Duration = Duration::from_mins(5);
const MISSING: Duration = Duration::from_secs(5);

/// The delay after a failure; it doubles with each, up to the longest.
const LEAST_DELAY: Duration = Duration::from_millis(100);
const MOST_DELAY: Duration = Duration::from_secs(10);

/// How long a watch has to go well before its failures are forgotten.
const STABLE: Duration = Duration::from_secs(1);

/// How objects are watched.
#[derive(Clone)]
pub(crate) struct Watching {
    pub(crate) client: Client,
    pub(crate) view: Viewpoint,
    pub(crate) moved: tokio::sync::mpsc::UnboundedSender<Moved>,
}

/// The live objects of a kind.
pub(crate) struct Objects {
    kind: Kind,
    state: Mutex<Watched>,
    /// Somebody has begun to wait, or has stopped.
    turn: Arc<Notify>,
}

struct Watched {
    memory: Memory,
    /// Whether the rest of an object is needed to tell its health.
    is_told_by_metadata: bool,
    waiters: HashMap<Place, Vec<Waiter>>,
    waiting: u64,
    phase: Phase,
    /// When the watch last told anything.
    heard: Instant,
    /// When the last one has stopped waiting.
    idle_since: Option<Instant>,
    task: Option<Task>,
}

/// Somebody who waits for an object to be as it should.
struct Waiter {
    id: u64,
    index: usize,
    /// What is known already.
    after: u64,
    sights: UnboundedSender<(usize, Sight)>,
}

/// What a watch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing: there is none.
    Off,
    /// It begins, or begins anew. What it knows may be old.
    Starting,
    /// It tells of every change.
    Following,
    /// It may not be, and is not tried again before this time.
    Refused(Instant),
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a watch has ended.
enum End {
    /// Other things are to be told.
    Turn,
    /// The time was over; it goes on from where it was.
    Over,
    /// It has to begin anew.
    Expired,
    /// It is not allowed, or there is no such kind. It is tried again after a while.
    Refused(String, Duration),
    /// The API could not be asked, or has said that it cannot answer.
    Failed { message: String, is_answer: bool },
    /// Nobody needs it any more.
    Unused,
}

impl From<kube::Error> for End {
    fn from(error: kube::Error) -> Self {
        let message = api_message(&error);
        match &error {
            kube::Error::Api(status) => match status.code {
                410 => Self::Expired,
                403 | 405 => Self::Refused(message, FORBIDDEN),
                404 => Self::Refused(message, MISSING),
                _ => Self::Failed { message, is_answer: true },
            },
            _ => Self::Failed { message, is_answer: false },
        }
    }
}

impl Objects {
    pub(crate) fn new(kind: Kind) -> Self {
        let state = Watched {
            memory: Memory::default(),
            is_told_by_metadata: is_told_by_metadata(&kind.resource.group, &kind.resource.kind),
            waiters: HashMap::new(),
            waiting: 0,
            phase: Phase::Off,
            heard: Instant::now(),
            idle_since: None,
            task: None,
        };
        Self { kind, state: Mutex::new(state), turn: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the watch, unless there is one or it was refused a moment ago.
    pub(crate) fn watch(self: &Arc<Self>, watching: &Watching) {
        let mut state = self.lock();
        let is_due = match state.phase {
            Phase::Off => true,
            Phase::Refused(until) => Instant::now() > until,
            Phase::Starting | Phase::Following => false,
        };
        if is_due {
            state.phase = Phase::Starting;
            let follow = follow(
                watching.clone(),
                self.kind.clone(),
                Arc::downgrade(self),
                self.turn.clone(),
            );
            state.task = Some(Task(tokio::spawn(follow)));
        }
    }

    pub(crate) fn begin(&self, place: Place) {
        self.lock().memory.begin(place);
    }

    pub(crate) fn end(&self, place: &Place) {
        self.lock().memory.end(place);
    }

    pub(crate) fn remember(&self, place: Place, known: Known) -> Option<Moved> {
        self.lock().memory.remember(place, known)
    }

    pub(crate) fn known(&self, place: &Place) -> Option<Known> {
        self.lock().memory.known(place).cloned()
    }

    /// Returns what is known of an object if it is sure that nothing has changed since, and notes
    /// that it was relied on.
    pub(crate) fn trusted(&self, place: &Place, declared: u64) -> Option<Known> {
        let mut state = self.lock();
        if !state.is_current() {
            return None;
        }
        let known = state.memory.known(place).filter(|known| known.declared == declared)?.clone();
        state.memory.trust(place, Instant::now());
        Some(known)
    }

    pub(crate) fn forget(&self, place: &Place) {
        self.lock().memory.forget(place);
    }

    /// Tells of every later version of an object, as long as what is returned exists, and first of
    /// its health as it is known. `None` if the watch does not know the object.
    pub(crate) fn wait_for(
        self: &Arc<Self>,
        place: Place,
        index: usize,
        sights: &UnboundedSender<(usize, Sight)>,
    ) -> Option<Waiting> {
        let mut state = self.lock();
        if !state.is_current() {
            return None;
        }
        let known = state.memory.known(&place)?;
        let after = known.state.version;
        let first = known.state.health.map_or(Sight::Changed, Sight::Told);
        // The receiver is there: it is the caller's.
        let _ = sights.unbounded_send((index, first));
        let id = state.waiting;
        state.waiting += 1;
        state.idle_since = None;
        let waiter = Waiter { id, index, after, sights: sights.clone() };
        state.waiters.entry(place.clone()).or_default().push(waiter);
        drop(state);
        self.turn.notify_one();
        Some(Waiting { objects: self.clone(), place, id })
    }

    /// Takes in what the watch tells. Returns what has become of an object that is not as we left
    /// it.
    fn observe(
        &self,
        view: &Viewpoint,
        mut object: Value,
        is_full: bool,
        is_gone: bool,
    ) -> Option<Moved> {
        let now = Instant::now();
        let place = Place::of_object(&object);
        let version = text(&object, "/metadata/resourceVersion").parse().unwrap_or_default();
        let mut state = self.lock();
        state.heard = now;
        if !state.memory.contains(&place) && !state.waiters.contains_key(&place) {
            return None;
        }
        if is_full && !is_gone {
            // An item of a list does not say what it is.
            object["apiVersion"] = self.kind.resource.api_version.as_str().into();
            object["kind"] = self.kind.resource.kind.as_str().into();
        }
        let read = State::read(
            view,
            &self.kind.resource.group,
            &self.kind.resource.kind,
            &object,
            is_full,
        );
        for waiter in state.waiters.get(&place).into_iter().flatten() {
            let health = read.as_ref().and_then(|read| read.health);
            let sight = match health {
                _ if version <= waiter.after => continue,
                _ if is_gone => Sight::Absent,
                _ if is_full => Sight::Present(Box::new(object.clone())),
                Some(health) => Sight::Told(health),
                None => Sight::Changed,
            };
            // The receiver goes before the waiter does.
            let _ = waiter.sights.unbounded_send((waiter.index, sight));
        }
        if is_gone {
            state.memory.removed(&place, version, now)
        } else {
            state.memory.observe(&place, read?, now)
        }
    }
}

impl Objects {
    /// Takes in how a watch has ended; returns whether it is for good.
    fn ended(&self, end: End) -> bool {
        let resource = &self.kind.resource.plural;
        let mut state = self.lock();
        state.phase = Phase::Starting;
        match end {
            End::Unused if state.is_unused() => {
                state.phase = Phase::Off;
                return true;
            }
            End::Refused(error, pause) => {
                debug!(resource, error, "objects are not watched");
                state.phase = Phase::Refused(Instant::now() + pause);
                state.tell(|| Sight::Lost);
                return true;
            }
            End::Failed { message, .. } => {
                warn!(resource, error = message, "failed to watch objects");
                state.tell(|| Sight::Unreadable(message.clone()));
            }
            End::Expired => debug!(resource, "the watch begins anew"),
            End::Unused | End::Turn | End::Over => {}
        }
        false
    }
}

impl Watched {
    fn is_current(&self) -> bool {
        self.phase == Phase::Following && self.heard.elapsed() < SILENCE
    }

    fn is_unused(&self) -> bool {
        self.memory.is_empty() && self.waiters.is_empty()
    }

    /// Says whether whole objects are needed.
    fn wants_all(&self) -> bool {
        let is_waiting = !self.waiters.is_empty();
        !self.is_told_by_metadata
            && (is_waiting || self.idle_since.is_some_and(|since| since.elapsed() < LINGER))
    }

    fn tell(&self, sight: impl Fn() -> Sight) {
        for waiter in self.waiters.values().flatten() {
            let _ = waiter.sights.unbounded_send((waiter.index, sight()));
        }
    }
}

/// That somebody waits for an object.
pub(crate) struct Waiting {
    objects: Arc<Objects>,
    place: Place,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.objects.lock();
        if let Some(waiters) = state.waiters.get_mut(&self.place) {
            waiters.retain(|waiter| waiter.id != self.id);
            if waiters.is_empty() {
                state.waiters.remove(&self.place);
            }
        }
        if state.waiters.is_empty() {
            state.idle_since = Some(Instant::now());
            drop(state);
            self.objects.turn.notify_one();
        }
    }
}

/// Keeps what is known of the objects of a kind true, for as long as somebody needs it.
async fn follow(watching: Watching, kind: Kind, objects: Weak<Objects>, turn: Arc<Notify>) {
    let mut position = None;
    let mut delay = LEAST_DELAY;
    loop {
        let began = Instant::now();
        let end = step(&watching, &kind, &objects, &turn, &mut position).await;
        let Some(objects) = objects.upgrade() else { return };
        let is_stable = began.elapsed() > STABLE;
        match end {
            // A position that is not known any more may be refused in other words too.
            End::Expired | End::Failed { is_answer: true, .. } => position = None,
            End::Turn => continue,
            // What was cut off at once is not asked for again at once.
            End::Over if is_stable => continue,
            _ => {}
        }
        if objects.ended(end) {
            return;
        }
        drop(objects);
        if is_stable {
            delay = LEAST_DELAY;
        }
        sleep(delay).await;
        delay = (delay * 2).min(MOST_DELAY);
    }
}

/// Lists the objects where there is no position, and watches from there until the watch ends.
async fn step(
    watching: &Watching,
    kind: &Kind,
    objects: &Weak<Objects>,
    turn: &Notify,
    position: &mut Option<String>,
) -> End {
    let Some(is_full) = objects.upgrade().map(|objects| objects.lock().wants_all()) else {
        return End::Unused;
    };
    let reading = Reading {
        watching,
        kind,
        objects,
        is_full,
        selector: format!("{}/name", watching.view.group),
    };
    if position.is_none() {
        match reading.list().await {
            Ok(listed) => *position = Some(listed),
            Err(end) => return end,
        }
    }
    reading.watch(position.get_or_insert_default(), turn).await.unwrap_or_else(|end| end)
}

/// One reading of the objects of a kind.
struct Reading<'a> {
    watching: &'a Watching,
    kind: &'a Kind,
    objects: &'a Weak<Objects>,
    /// Whether objects are read as a whole.
    is_full: bool,
    selector: String,
}

impl Reading<'_> {
    fn request(&self) -> Request {
        Request::new(DynamicObject::url_path(&self.kind.resource, None))
    }

    /// Reads all objects, and returns the version at which they were like that.
    async fn list(&self) -> Result<String, End> {
        let mut present = HashSet::new();
        let mut next = None;
        loop {
            let mut params = ListParams::default().labels(&self.selector).limit(PAGE);
            params.continue_token = next;
            let request = if self.is_full {
                self.request().list(&params)
            } else {
                self.request().list_metadata(&params)
            };
            let request = request.map_err(kube::Error::BuildRequest)?;
            let page: Page = self.watching.client.request(request).await?;
            for object in page.items {
                present.insert(Place::of_object(&object));
                self.observe(object, false)?;
            }
            next = page.metadata.continue_token.filter(|token| !token.is_empty());
            if next.is_some() {
                continue;
            }
            let version = page.metadata.resource_version;
            let objects = self.objects.upgrade().ok_or(End::Unused)?;
            let mut state = objects.lock();
            let number = version.parse().unwrap_or_default();
            let moved = state.memory.listed(&present, number, Instant::now());
            for place in state.waiters.keys().filter(|place| !present.contains(place)) {
                for waiter in state.waiters[place].iter().filter(|waiter| waiter.after < number) {
                    let _ = waiter.sights.unbounded_send((waiter.index, Sight::Absent));
                }
            }
            for moved in moved {
                self.tell(moved);
            }
            return Ok(version);
        }
    }

    /// Takes in every change from a position on, which it moves.
    async fn watch(&self, position: &mut String, turn: &Notify) -> Result<End, End> {
        let params = WatchParams::default().labels(&self.selector);
        let request = if self.is_full {
            self.request().watch(&params, position)
        } else {
            self.request().watch_metadata(&params, position)
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let events = self.watching.client.request_events::<Value>(request).await?;
        let events = events.map(std::convert::identity::<kube::Result<WatchEvent<Value>>>);
        let mut events = std::pin::pin!(events);
        self.with(|state| {
            state.phase = Phase::Following;
            state.heard = Instant::now();
        })?;
        loop {
            let until = self.with(|state| state.idle_since.filter(|_| self.is_full))?;
            let event = tokio::select! {
                event = events.next() => event,
                () = turn.notified() => {
                    if self.with(|state| state.wants_all())? != self.is_full {
                        return Ok(End::Turn);
                    }
                    continue;
                }
                () = over(until.map(|since| since + LINGER)) => return Ok(End::Turn),
            };
            let Some(event) = event else { return Ok(End::Over) };
            let (object, is_gone) = match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
                WatchEvent::Deleted(object) => (object, true),
                WatchEvent::Bookmark(bookmark) => {
                    *position = bookmark.metadata.resource_version;
                    let is_unused = self.with(|state| {
                        state.heard = Instant::now();
                        state.is_unused()
                    })?;
                    if is_unused {
                        return Ok(End::Unused);
                    }
                    continue;
                }
                WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
            };
            text(&object, "/metadata/resourceVersion").clone_into(position);
            self.observe(object, is_gone)?;
        }
    }

    fn observe(&self, object: Value, is_gone: bool) -> Result<(), End> {
        let objects = self.objects.upgrade().ok_or(End::Unused)?;
        if let Some(moved) = objects.observe(&self.watching.view, object, self.is_full, is_gone) {
            self.tell(moved);
        }
        Ok(())
    }

    fn tell(&self, moved: Moved) {
        // Nobody may want to know.
        let _ = self.watching.moved.send(moved);
    }

    fn with<T>(&self, look: impl FnOnce(&mut Watched) -> T) -> Result<T, End> {
        let objects = self.objects.upgrade().ok_or(End::Unused)?;
        let mut state = objects.lock();
        Ok(look(&mut state))
    }
}

/// Waits until a time; for ever without one.
async fn over(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// A part of a list.
#[derive(serde::Deserialize)]
struct Page {
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}
