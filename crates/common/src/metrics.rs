//! What a controller counts, under the names that dashboards know.
//!
//! Source: the metrics of fluxcd/pkg `runtime/metrics`, and those of controller-runtime and
//! client-go as their documentation lists them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

mod process;
mod requests;
mod work;

pub use requests::CountRequests;
pub(crate) use work::Outcome;
pub use work::Work;

/// The counters of one controller. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    duration: Family<ObjectLabels, Histogram, Buckets>,
    requests: Family<RequestLabels, Counter>,
    leader: Family<LeaderLabels, Gauge>,
    dropped: Family<DestinationLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    kind: String,
    name: String,
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    code: String,
    host: String,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaderLabels {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabels {
    destination: String,
}

/// Makes histograms with the same buckets.
#[derive(Debug, Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Ten steps from 10 ms to half an hour.
const RECONCILE_DURATION: Buckets = Buckets(&[
    0.01,
    0.038_364,
    0.147_176,
    0.564_622,
    2.166_091,
    8.309_901,
    31.879_757,
    122.302_172,
    469.194_959,
    1800.0,
]);

impl Metrics {
    /// Returns counters that are all at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let duration = Family::new_with_constructor(RECONCILE_DURATION);
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a reconciliation",
            duration.clone(),
        );
        let requests = Family::default();
        registry.register(
            "rest_client_requests",
            "Number of HTTP requests, partitioned by status code, method, and host",
            requests.clone(),
        );
        let leader = Family::default();
        registry.register(
            "leader_election_master_status",
            "Whether the process is the leader of the election of this name",
            leader.clone(),
        );
        let dropped = Family::default();
        registry.register(
            "gotk_events_dropped",
            "Number of events that were dropped because too many were waiting",
            dropped.clone(),
        );
        // Nothing asks a provider for tokens yet: the cache is on, and empty.
        registry.register(
            "gotk_token_cached_items",
            "Number of access tokens in the cache",
            Gauge::<i64>::default(),
        );
        registry.register(
            "gotk_token_cache_evictions",
            "Number of access tokens that had to leave the cache",
            Counter::<u64>::default(),
        );
        registry.register_collector(Box::new(process::Process));
        let registry = Mutex::new(registry);
        Self(Arc::new(Inner { registry, duration, requests, leader, dropped }))
    }

    /// Adds what a controller alone counts; the name of a counter is without `_total`.
    pub fn register(
        &self,
        name: &str,
        help: &str,
        metric: impl prometheus_client::registry::Metric,
    ) {
        self.with_registry(|registry| registry.register(name, help, metric));
    }

    fn with_registry<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        change(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a reconciliation of an object.
    pub fn reconciled(&self, kind: &str, namespace: &str, name: &str, duration: Duration) {
        let labels = object(kind, namespace, name);
        self.0.duration.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.0.duration.remove(&object(kind, namespace, name));
    }

    /// Says whether the process is the leader of an election.
    pub fn lead(&self, election: &str, leads: bool) {
        let labels = LeaderLabels { name: election.to_owned() };
        self.0.leader.get_or_create(&labels).set(leads.into());
    }

    pub(crate) fn event_dropped(&self, destination: &str) {
        let labels = DestinationLabels { destination: destination.to_owned() };
        self.0.dropped.get_or_create(&labels).inc();
    }

    pub(crate) fn requested(&self, method: &str, host: &str, code: &str) {
        let labels = RequestLabels {
            code: code.to_owned(),
            host: host.to_owned(),
            method: method.to_owned(),
        };
        self.0.requests.get_or_create(&labels).inc();
    }

    /// Returns everything in the text format of Prometheus, version 0.0.4.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written as text.
    pub fn to_text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        self.with_registry(|registry| text::encode(&mut text, registry))?;
        Ok(to_prometheus(&text))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn object(kind: &str, namespace: &str, name: &str) -> ObjectLabels {
    ObjectLabels { kind: kind.to_owned(), name: name.to_owned(), namespace: namespace.to_owned() }
}

/// Turns OpenMetrics into the older text format, which every scraper reads: there, the type and help
/// of a counter stand under its full name, there are no units, and no mark at the end.
fn to_prometheus(text: &str) -> String {
    let mut counters = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|it| it.strip_suffix(" counter"))
        {
            counters.insert(name);
        }
    }
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let header = ["# TYPE ", "# HELP "].into_iter().find_map(|prefix| {
            let (name, rest) = line.strip_prefix(prefix)?.split_once(' ')?;
            counters.contains(name).then(|| format!("{prefix}{name}_total {rest}"))
        });
        out.push_str(header.as_deref().unwrap_or(line));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_text_format_of_prometheus() {
        let metrics = Metrics::new();
        metrics.requested("GET", "localhost", "200");
        metrics.lead("source-controller-leader-election", true);
        let text = metrics.to_text().unwrap();
        assert!(text.contains("# TYPE rest_client_requests_total counter\n"), "{text}");
        let line = "rest_client_requests_total{code=\"200\",host=\"localhost\",method=\"GET\"} 1\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("leader_election_master_status{"), "{text}");
        assert!(!text.contains("# EOF"), "{text}");
    }

    #[test]
    fn forgets_objects_that_are_gone() {
        let metrics = Metrics::new();
        metrics.reconciled("Kustomization", "apps", "podinfo", Duration::from_millis(20));
        let series = "gotk_reconcile_duration_seconds_count{kind=\"Kustomization\",\
                      name=\"podinfo\",namespace=\"apps\"} 1";
        assert!(metrics.to_text().unwrap().contains(series), "{}", metrics.to_text().unwrap());
        metrics.forget("Kustomization", "apps", "podinfo");
        assert!(!metrics.to_text().unwrap().contains("podinfo"));
    }
}
