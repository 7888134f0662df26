//! Waits until objects are healthy, or gone, by watching them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, future, stream};
use kube::Api;
use kube::core::{ApiResource, DynamicObject, TypeMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::change::Change;
use crate::cluster::Cluster;
use crate::error::{WaitError, api_message};
use crate::kinds::Kind;
use crate::kstatus::{Health, Status};
use crate::memory::Place;
use crate::object::Subject;
use crate::objects::Waiting;
use crate::target::Target;

/// How often the health of what depends on the time is computed again.
const TICK: Duration = Duration::from_secs(5);

/// An object whose health is waited for.
#[derive(Debug, Clone)]
pub struct Check {
    /// The object.
    pub subject: Subject,
    /// Its health, where it is known: one that is healthy is not looked at again.
    pub health: Option<Health>,
    /// Whether the object deletes itself when it is done.
    pub is_ephemeral: bool,
}

impl From<&Change> for Check {
    fn from(change: &Change) -> Self {
        let Change { subject, health, is_ephemeral, .. } = change.clone();
        Self { subject, health, is_ephemeral }
    }
}

/// What a watch has told about an object.
#[derive(Debug)]
pub(crate) enum Sight {
    Present(Box<Value>),
    /// How it is.
    Told(Status),
    /// It has to be read.
    Changed,
    Absent,
    Unreadable(String),
    /// Nothing more will be told.
    Lost,
}

/// How many objects are read at a time.
const READS: usize = 8;

impl Target {
    /// Waits until every object is healthy.
    ///
    /// What is known of the objects is kept true by the watches of the cluster, where it has any. For
    /// the others there is one watch for each kind and namespace, none when everything is known to be
    /// healthy.
    ///
    /// # Errors
    ///
    /// When the time is over, or no more can change.
    pub async fn wait(&self, checks: &[Check], timeout: Duration) -> Result<(), WaitError> {
        let deadline = Instant::now() + timeout;
        let pending: Vec<&Check> = checks
            .iter()
            .filter(|check| !matches!(&check.health, Some(it) if it.status == Status::Current))
            .collect();
        if pending.is_empty() {
            return Ok(());
        }
        let mut watched = Vec::new();
        for check in &pending {
            watched.push((self.kind_for(&check.subject).await?, check.subject.clone()));
        }
        let is_assessed = |subject: &Subject| self.is_assessed(subject);
        let mut sights = Sights::of(&self.cluster, &watched, is_assessed);
        let mut states: Vec<Health> = pending
            .iter()
            .map(|check| check.health.clone().unwrap_or_else(|| Health::new(Status::Unknown, "")))
            .collect();
        let mut unreadable = vec![String::new(); pending.len()];
        let mut timed: HashMap<usize, Value> = HashMap::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let report = |shown: fn(Status) -> bool| {
                let objects = states.iter().zip(&pending).zip(&unreadable);
                let objects = objects.filter(|((health, _), _)| shown(health.status));
                let objects = objects.map(|((health, check), error)| {
                    (check.subject.clone(), health.status, error.clone())
                });
                objects.collect::<Vec<_>>()
            };
            let is_done =
                states.iter().all(|it| matches!(it.status, Status::Current | Status::Failed));
            let has_failed = states.iter().any(|it| it.status == Status::Failed);
            if has_failed && (is_done || self.options.fail_fast) {
                return Err(WaitError::Failed(report(|status| status == Status::Failed)));
            }
            if is_done {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {
                    return Err(WaitError::Timeout(report(|status| status != Status::Current)));
                }
                _ = tick.tick() => {
                    for (index, object) in &timed {
                        (states[*index], _) = self.health(object);
                    }
                }
                sight = sights.next() => match sight {
                    Some((index, Sight::Present(object))) => {
                        (states[index], unreadable[index]) = self.health(&object);
                        if object["kind"] == "Pod" {
                            timed.insert(index, *object);
                        }
                    }
                    Some((index, Sight::Told(health))) => {
                        unreadable[index].clear();
                        states[index] = Health::new(health, "");
                    }
                    Some((index, Sight::Absent)) => {
                        timed.remove(&index);
                        let ephemeral = pending[index].is_ephemeral;
                        let end = if ephemeral { Status::Current } else { Status::NotFound };
                        states[index] = Health::new(end, "Resource not found");
                    }
                    Some((index, Sight::Unreadable(error))) => unreadable[index] = error,
                    // Watches do not end by themselves; the deadline is left.
                    Some((_, Sight::Changed | Sight::Lost)) => {}
                    None => future::pending().await,
                }
            }
        }
    }

    /// Waits until every object is gone.
    ///
    /// # Errors
    ///
    /// When the time is over.
    pub async fn wait_gone(
        &self,
        subjects: &[Subject],
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let deadline = Instant::now() + timeout;
        let mut watched = Vec::new();
        for subject in subjects {
            // The objects of a kind end with it.
            if let Ok(kind) = self.cluster.kinds().get_any_version(subject).await {
                watched.push((kind, subject.clone()));
            }
        }
        let mut sights = Sights::of(&self.cluster, &watched, |_| false);
        let mut states = vec![Status::Unknown; watched.len()];
        let mut errors = vec![String::new(); watched.len()];
        while states.iter().any(|status| *status != Status::NotFound) {
            match tokio::time::timeout_at(deadline, sights.next()).await {
                Ok(Some((index, Sight::Present(_) | Sight::Told(_)))) => {
                    states[index] = Status::Terminating;
                }
                Ok(Some((index, Sight::Absent))) => states[index] = Status::NotFound,
                Ok(Some((index, Sight::Unreadable(error)))) => errors[index] = error,
                Ok(Some((_, Sight::Changed | Sight::Lost))) => {}
                Ok(None) | Err(_) => {
                    let left = watched.into_iter().zip(states).zip(errors);
                    let left = left.map(|(((_, subject), status), error)| (subject, status, error));
                    let left = left.filter(|(_, status, _)| *status != Status::NotFound);
                    return Err(WaitError::Timeout(left.collect()));
                }
            }
        }
        Ok(())
    }

    async fn kind_for(&self, subject: &Subject) -> Result<Kind, WaitError> {
        let kind = self.cluster.kinds().get_any_version(subject).await;
        let kind = kind.map_err(|source| WaitError::Kind { subject: subject.clone(), source })?;
        if kind.namespaced && subject.namespace.is_empty() {
            let group = subject.group();
            let dot = if group.is_empty() { "" } else { "." };
            let kind = format!("{}{dot}{group}", subject.kind);
            return Err(WaitError::NoNamespace { kind, name: subject.name.clone() });
        }
        Ok(kind)
    }
}

/// What watches tell about objects, by their index.
struct Sights {
    cluster: Cluster,
    objects: Vec<(Kind, Subject)>,
    streams: stream::SelectAll<BoxStream<'static, (usize, Sight)>>,
    /// The objects of which the watches of the cluster tell.
    _waiting: Vec<Waiting>,
}

impl Sights {
    /// `is_whole` says whether it takes the whole object to tell how it is.
    fn of(
        cluster: &Cluster,
        objects: &[(Kind, Subject)],
        is_whole: impl Fn(&Subject) -> bool,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded();
        let mut waiting = Vec::new();
        let mut others = Vec::new();
        for (index, (kind, subject)) in objects.iter().enumerate() {
            // How a Pod is depends on the time too: it is needed as a whole.
            let is_whole = kind.resource.kind == "Pod" || is_whole(subject);
            let wait = || cluster.objects(kind).wait_for(Place::of(subject), index, &sender);
            match (!is_whole).then(wait).flatten() {
                Some(known) => waiting.push(known),
                None => others.push(index),
            }
        }
        let (reader, kinds) = (cluster.clone(), objects.to_vec());
        let read = receiver.map(move |(index, sight): (usize, Sight)| {
            let (reader, (kind, subject)) = (reader.clone(), kinds[index].clone());
            async move {
                let Sight::Changed = sight else { return (index, sight) };
                let sight = match reader.get(&kind, &subject).await {
                    Ok(Some(object)) => Sight::Present(Box::new(object)),
                    Ok(None) => Sight::Absent,
                    Err(error) => Sight::Unreadable(api_message(&error)),
                };
                (index, sight)
            }
        });
        let mut sights = Self {
            cluster: cluster.clone(),
            objects: objects.to_vec(),
            streams: stream::SelectAll::new(),
            _waiting: waiting,
        };
        // In order: what was read before it changed again is older.
        sights.streams.push(read.buffered(READS).boxed());
        sights.watch(&others);
        sights
    }

    /// Watches objects: one watch for each kind and namespace.
    fn watch(&mut self, indices: &[usize]) {
        let mut groups: BTreeMap<(String, String), (Kind, BTreeMap<String, usize>)> =
            BTreeMap::new();
        for index in indices {
            let (kind, subject) = &self.objects[*index];
            let resource = format!("{}/{}", kind.resource.api_version, kind.resource.plural);
            let namespace = if kind.namespaced { subject.namespace.clone() } else { String::new() };
            let group = groups.entry((resource, namespace));
            let (_, names) = group.or_insert_with(|| (kind.clone(), BTreeMap::new()));
            names.insert(subject.name.clone(), *index);
        }
        for ((_, namespace), (kind, names)) in groups {
            self.streams.push(watch(&self.cluster, &kind, &namespace, names).boxed());
        }
    }

    async fn next(&mut self) -> Option<(usize, Sight)> {
        loop {
            match self.streams.next().await {
                Some((index, Sight::Lost)) => self.watch(&[index]),
                sight => return sight,
            }
        }
    }
}

fn watch(
    cluster: &Cluster,
    kind: &Kind,
    namespace: &str,
    names: BTreeMap<String, usize>,
) -> impl Stream<Item = (usize, Sight)> + use<> {
    let client = cluster.client().clone();
    let api: Api<DynamicObject> = if kind.namespaced {
        Api::namespaced_with(client, namespace, &kind.resource)
    } else {
        Api::all_with(client, &kind.resource)
    };
    let mut config = watcher::Config::default();
    if let (1, Some((name, _))) = (names.len(), names.first_key_value()) {
        config = config.fields(&format!("metadata.name={name}"));
    }
    let resource = kind.resource.clone();
    let mut listed: Vec<usize> = Vec::new();
    let sights = watcher(api, config).default_backoff().map(move |event| {
        let known = |object: &DynamicObject| {
            object.metadata.name.as_ref().and_then(|name| names.get(name)).copied()
        };
        match event {
            Ok(Event::Init) => {
                listed.clear();
                Vec::new()
            }
            Ok(Event::InitApply(object)) => {
                let index = known(&object);
                listed.extend(index);
                index.map(|index| (index, present(object, &resource))).into_iter().collect()
            }
            Ok(Event::InitDone) => {
                let missing = names.values().filter(|index| !listed.contains(index));
                missing.map(|index| (*index, Sight::Absent)).collect()
            }
            Ok(Event::Apply(object)) => known(&object)
                .map(|index| (index, present(object, &resource)))
                .into_iter()
                .collect(),
            Ok(Event::Delete(object)) => {
                known(&object).map(|index| (index, Sight::Absent)).into_iter().collect()
            }
            Err(error) => {
                let error = error.to_string();
                names.values().map(|index| (*index, Sight::Unreadable(error.clone()))).collect()
            }
        }
    });
    sights.flat_map(stream::iter)
}

/// An item of a list does not say what it is; that stands in the list.
fn present(mut object: DynamicObject, resource: &ApiResource) -> Sight {
    object.types =
        Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
    match serde_json::to_value(object) {
        Ok(object) => Sight::Present(Box::new(object)),
        Err(error) => Sight::Unreadable(error.to_string()),
    }
}
