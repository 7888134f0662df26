//! The queue of a controller and what its reconciliations come to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;

use super::{Buckets, Metrics};

/// The work of one controller: what waits, what is under way, and what it came to.
#[derive(Clone)]
pub struct Work {
    pub(crate) metrics: Metrics,
    pub(crate) controller: &'static str,
    pub(crate) kind: &'static str,
    state: Arc<Mutex<State>>,
    adds: Counter,
    retries: Counter,
    queue_seconds: Histogram,
    busy_seconds: Histogram,
    reconcile_seconds: Histogram,
    active: Gauge,
    results: Family<ResultLabels, Counter>,
    errors: Counter,
    panics: Counter,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Key, Instant>,
    running: HashMap<Key, Instant>,
}

/// Namespace and name of an object.
pub(crate) type Key = (String, String);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    name: String,
    controller: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DepthLabels {
    name: String,
    controller: String,
    priority: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: String,
    result: String,
}

/// What a reconciliation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done until something changes.
    Success,
    /// It comes again by itself.
    RequeueAfter,
    /// It failed.
    Error,
    /// It failed in a way that nobody has foreseen.
    Panic,
}

const QUEUE_SECONDS: Buckets =
    Buckets(&[1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0]);

const RECONCILE_SECONDS: Buckets = Buckets(&[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
    1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0,
    25.0, 30.0, 40.0, 50.0, 60.0,
]);

impl Work {
    /// Returns the work of a controller, e.g. `kustomization` for `Kustomization`, of which
    /// `concurrency` are done at a time.
    pub fn new(
        metrics: &Metrics,
        controller: &'static str,
        kind: &'static str,
        concurrency: u16,
    ) -> Self {
        let labels = ControllerLabels { controller: controller.to_owned() };
        let queue = QueueLabels { name: controller.to_owned(), controller: controller.to_owned() };
        let results = Family::<ResultLabels, Counter>::default();
        for result in ["success", "requeue", "requeue_after", "error"] {
            drop(results.get_or_create(&result_labels(controller, result)));
        }
        let most = Gauge::<i64>::default();
        most.set(concurrency.into());
        let state = Arc::<Mutex<State>>::default();
        metrics.with_registry(|registry| {
            registry.register(
                "controller_runtime_reconcile",
                "Total number of reconciliations per controller",
                results.clone(),
            );
            registry.register_collector(Box::new(Queue { controller, state: state.clone() }));
        });
        let counter = |name: &str, help: &str| registered(metrics, &labels, name, help);
        let terminal: Counter = counter(
            "controller_runtime_terminal_reconcile_errors",
            "Total number of reconciliation errors that are not tried again",
        );
        drop(terminal);
        register(
            metrics,
            &labels,
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles per controller",
            most,
        );
        Self {
            metrics: metrics.clone(),
            controller,
            kind,
            errors: counter(
                "controller_runtime_reconcile_errors",
                "Total number of reconciliation errors per controller",
            ),
            panics: counter(
                "controller_runtime_reconcile_panics",
                "Total number of reconciliation panics per controller",
            ),
            active: registered(
                metrics,
                &labels,
                "controller_runtime_active_workers",
                "Number of currently used workers per controller",
            ),
            reconcile_seconds: register(
                metrics,
                &labels,
                "controller_runtime_reconcile_time_seconds",
                "Length of time per reconciliation per controller",
                histogram(RECONCILE_SECONDS),
            ),
            adds: registered(
                metrics,
                &queue,
                "workqueue_adds",
                "Total number of adds handled by workqueue",
            ),
            retries: registered(
                metrics,
                &queue,
                "workqueue_retries",
                "Total number of retries handled by workqueue",
            ),
            queue_seconds: register(
                metrics,
                &queue,
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested",
                histogram(QUEUE_SECONDS),
            ),
            busy_seconds: register(
                metrics,
                &queue,
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes",
                histogram(QUEUE_SECONDS),
            ),
            results,
            state,
        }
    }

    /// Counts an object that has something to be done about it.
    pub(crate) fn queued(&self, key: Key) {
        self.lock().waiting.entry(key).or_insert_with(|| {
            self.adds.inc();
            Instant::now()
        });
    }

    /// Counts an object whose turn it is.
    pub(crate) fn started(&self, key: Key) {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(since) = state.waiting.remove(&key) {
            self.queue_seconds.observe(now.duration_since(since).as_secs_f64());
        } else {
            // It came again by itself, and did not wait.
            self.adds.inc();
            self.queue_seconds.observe(0.0);
        }
        state.running.insert(key, now);
        self.active.inc();
    }

    /// Counts an object that is done.
    pub(crate) fn ended(&self, key: &Key, outcome: Outcome) {
        let since = self.lock().running.remove(key);
        let duration = since.map(|since| since.elapsed()).unwrap_or_default();
        self.active.dec();
        self.busy_seconds.observe(duration.as_secs_f64());
        self.reconcile_seconds.observe(duration.as_secs_f64());
        self.metrics.reconciled(self.kind, &key.0, &key.1, duration);
        let result = match outcome {
            Outcome::Success => "success",
            Outcome::RequeueAfter => "requeue_after",
            Outcome::Error | Outcome::Panic => "error",
        };
        self.results.get_or_create(&result_labels(self.controller, result)).inc();
        if matches!(outcome, Outcome::Error | Outcome::Panic) {
            self.errors.inc();
            self.retries.inc();
        }
        if outcome == Outcome::Panic {
            self.panics.inc();
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().waiting.remove(&(namespace.to_owned(), name.to_owned()));
        self.metrics.forget(self.kind, namespace, name);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn histogram(buckets: Buckets) -> Histogram {
    use prometheus_client::metrics::family::MetricConstructor as _;
    buckets.new_metric()
}

/// Registers a metric under one set of labels, and returns it.
fn register<L, M>(metrics: &Metrics, labels: &L, name: &str, help: &str, metric: M) -> M
where
    L: EncodeLabelSet + Clone + std::hash::Hash + Eq + std::fmt::Debug + Send + Sync + 'static,
    M: Clone + prometheus_client::registry::Metric + prometheus_client::metrics::TypedMetric,
{
    let made = metric.clone();
    let family = Family::<L, M, _>::new_with_constructor(move || made.clone());
    drop(family.get_or_create(labels));
    metrics.register(name, help, family);
    metric
}

fn registered<L, M>(metrics: &Metrics, labels: &L, name: &str, help: &str) -> M
where
    L: EncodeLabelSet + Clone + std::hash::Hash + Eq + std::fmt::Debug + Send + Sync + 'static,
    M: Default + Clone + prometheus_client::registry::Metric,
    M: prometheus_client::metrics::TypedMetric,
{
    register(metrics, labels, name, help, M::default())
}

fn result_labels(controller: &str, result: &str) -> ResultLabels {
    ResultLabels { controller: controller.to_owned(), result: result.to_owned() }
}

/// What the queue looks like when somebody asks.
#[derive(Debug)]
struct Queue {
    controller: &'static str,
    state: Arc<Mutex<State>>,
}

impl Collector for Queue {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (depth, unfinished, longest) = {
            let state = lock(&self.state);
            let seconds = state.running.values().map(|since| since.elapsed().as_secs_f64());
            let (sum, longest) =
                seconds.fold((0.0, 0.0_f64), |(sum, most), it| (sum + it, most.max(it)));
            (state.waiting.len(), sum, longest)
        };
        let name = self.controller.to_owned();
        let labels = QueueLabels { name: name.clone(), controller: name.clone() };
        let depth_labels =
            DepthLabels { name: name.clone(), controller: name, priority: "0".to_owned() };
        gauge(
            &mut encoder,
            "workqueue_depth",
            "Current depth of workqueue by workqueue and priority",
            &depth_labels,
            f64::from(u32::try_from(depth).unwrap_or(u32::MAX)),
        )?;
        gauge(
            &mut encoder,
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has been done that is in progress",
            &labels,
            unfinished,
        )?;
        gauge(
            &mut encoder,
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor been running",
            &labels,
            longest,
        )
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: &impl EncodeLabelSet,
    value: f64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value);
    let mut metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric.encode_family(labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_waits_runs_and_ends() {
        let metrics = Metrics::new();
        let work = Work::new(&metrics, "kustomization", "Kustomization", 4);
        let key = || ("apps".to_owned(), "podinfo".to_owned());
        let has = |line: &str| {
            let text = metrics.to_text().unwrap();
            assert!(text.contains(line), "{line}\nis missing from\n{text}");
        };
        work.queued(key());
        work.queued(key());
        let labels = r#"{name="kustomization",controller="kustomization",priority="0"}"#;
        has(&format!("workqueue_depth{labels} 1"));
        work.started(key());
        has(&format!("workqueue_depth{labels} 0"));
        has(r#"controller_runtime_active_workers{controller="kustomization"} 1"#);
        work.ended(&key(), Outcome::RequeueAfter);
        has(r#"controller_runtime_active_workers{controller="kustomization"} 0"#);
        has(r#"controller_runtime_max_concurrent_reconciles{controller="kustomization"} 4"#);
        has(r#"_reconcile_total{controller="kustomization",result="requeue_after"} 1"#);
        has(r#"workqueue_adds_total{name="kustomization",controller="kustomization"} 1"#);
        has(r#"controller_runtime_reconcile_errors_total{controller="kustomization"} 0"#);
    }
}
