//! Waits for many objects, and notes when each is as it should be.

use std::{
    collections::HashMap,
    fmt::Debug,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use kube::{Api, Resource, ResourceExt as _, runtime::watcher};
use serde::de::DeserializeOwned;

/// How long nothing at all may happen before a run is given up.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often progress is shown.
const SHOWN: Duration = Duration::from_millis(500);

/// What is waited for.
pub(crate) enum Goal<K> {
    /// An object is as described.
    Is(fn(&K, &str) -> bool),
    /// An object is gone.
    Gone,
}

/// Waits until every object of a kind has reached a goal, and returns how long after `start` each
/// did. `expected` is handed to the description of the goal.
pub(crate) async fn all<K>(
    api: Api<K>,
    what: &str,
    count: usize,
    goal: Goal<K>,
    expected: &str,
    start: Instant,
) -> anyhow::Result<Vec<Duration>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut progress = Progress { what: what.to_owned(), count, shown: None };
    let mut reached: HashMap<String, Duration> = HashMap::new();
    let mut listed = 0;
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while reached.len() < count {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        let Ok(event) = event else {
            bail!("{what}: only {} of {count} in time", reached.len());
        };
        match (event.context("the watch has ended")??, &goal) {
            (watcher::Event::Apply(object) | watcher::Event::InitApply(object), goal) => {
                listed += 1;
                if let Goal::Is(is) = goal
                    && is(&object, expected)
                {
                    reached.entry(object.name_any()).or_insert_with(|| start.elapsed());
                }
            }
            (watcher::Event::Init, _) => listed = 0,
            // Some may have gone before the list was made.
            (watcher::Event::InitDone, Goal::Gone) => {
                for unseen in reached.len()..count.saturating_sub(listed) {
                    reached.insert(format!("unseen-{unseen}"), start.elapsed());
                }
            }
            (watcher::Event::Delete(object), Goal::Gone) => {
                reached.entry(object.name_any()).or_insert_with(|| start.elapsed());
            }
            _ => {}
        }
        progress.show(reached.len());
    }
    Ok(reached.into_values().collect())
}

/// A line on the terminal that counts up.
struct Progress {
    what: String,
    count: usize,
    shown: Option<Instant>,
}

impl Progress {
    fn show(&mut self, reached: usize) {
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() > SHOWN);
        if std::io::stderr().is_terminal() && (is_due || reached == self.count) {
            self.shown = Some(Instant::now());
            let end = if reached == self.count { "\n" } else { "" };
            anstream::eprint!("\r{}: {reached} of {}{end}", self.what, self.count);
            let _ = std::io::stderr().flush();
        }
    }
}
