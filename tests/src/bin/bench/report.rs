//! The results, as a table, as JSON and as a chart.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use crate::meter::{Requests, Usage};

/// The results of a benchmark.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What was done, e.g. `1000 Kustomizations of 4 objects`.
    workload: String,
    /// How many there were of what was done.
    count: usize,
    /// The process that works.
    subject: &'static str,
    /// The label of the run that the times are held against.
    floor: &'static str,
    concurrency: usize,
    cores: usize,
    version: &'static str,
    runs: Vec<Run>,
}

/// What one set of controllers, or a floor, took in one round.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) label: String,
    pub(crate) round: usize,
    pub(crate) phases: Vec<Phase>,
}

/// What one phase took. Times are in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Until the last source was ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sources: Option<f64>,
    /// Until the last object was done.
    pub(crate) total: f64,
    pub(crate) mean: f64,
    pub(crate) p99: f64,
    pub(crate) usage: Vec<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requests: Option<Requests>,
}

impl Phase {
    /// Returns a phase of the times at which each object was done.
    pub(crate) fn of(
        name: &'static str,
        mut times: Vec<Duration>,
        (usage, requests): (Vec<Usage>, Option<Requests>),
    ) -> Self {
        times.sort_unstable();
        let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
        Self {
            name,
            sources: None,
            total: seconds(times.last()),
            mean: (times.iter().sum::<Duration>() / count).as_secs_f64(),
            p99: seconds(times.get((times.len() * 99).div_ceil(100).saturating_sub(1))),
            usage,
            requests,
        }
    }
}

impl Report {
    /// Returns a report without results.
    pub(crate) fn new(
        workload: String,
        count: usize,
        subject: &'static str,
        floor: &'static str,
        concurrency: usize,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (version, runs) = (env!("CARGO_PKG_VERSION"), Vec::new());
        Self { workload, count, subject, floor, concurrency, cores, version, runs }
    }

    /// Adds what a run has given.
    pub(crate) fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// Returns the names of all phases. A floor may lack some.
    fn phases(&self) -> impl Iterator<Item = &'static str> {
        let longest = self.runs.iter().max_by_key(|run| run.phases.len());
        longest.into_iter().flat_map(|run| run.phases.iter().map(|phase| phase.name))
    }

    /// Returns a table for people: a block a phase, a line a run.
    pub(crate) fn table(&self) -> String {
        let Self { workload, concurrency, cores, version, runs, .. } = self;
        let mut text =
            format!("{workload}, {concurrency} at a time, {cores} cores, version {version}\n");
        for name in self.phases() {
            let _ = writeln!(
                text,
                "\n{name:<26}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}  requests each",
                "total s", "/ floor", "mean s", "p99 s", "CPU ms", "peak MB", "API CPU ms"
            );
            for run in runs {
                let Some(phase) = run.phases.iter().find(|phase| phase.name == name) else {
                    continue;
                };
                let _ = writeln!(text, "{}", self.line(run, phase));
            }
        }
        text
    }

    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    fn line(&self, run: &Run, phase: &Phase) -> String {
        let each = |value: f64| value / self.count.max(1) as f64;
        let usage = |name: &str| phase.usage.iter().find(|usage| usage.name == name);
        let cpu = |name: &str| {
            usage(name).map_or(String::new(), |it| format!("{:.2}", each(it.cpu_seconds * 1e3)))
        };
        let peak = usage(self.subject)
            .map_or(String::new(), |it| format!("{:.1}", it.peak_rss as f64 / 1e6));
        let floor = self.runs.iter().find(|it| it.label == self.floor && it.round == run.round);
        let floor = floor.and_then(|run| run.phases.iter().find(|it| it.name == phase.name));
        let ratio = floor.map_or(String::new(), |it| format!("{:.2}", phase.total / it.total));
        let requests = phase.requests.iter().flatten();
        let requests: Vec<_> =
            requests.map(|(verb, count)| format!("{verb} {:.1}", each(*count))).collect();
        format!(
            "{:<26}{:>9.2}{ratio:>9}{:>9.2}{:>9.2}{:>9}{peak:>9}{:>11}  {}",
            format!("  {} #{}", run.label, run.round),
            phase.total,
            phase.mean,
            phase.p99,
            cpu(self.subject),
            cpu("api"),
            requests.join(", "),
        )
    }

    /// Draws the time of every run and phase as bars.
    pub(crate) fn chart(&self) -> String {
        const WIDTH: f64 = 420.0;
        const LEFT: f64 = 210.0;
        let totals = self.runs.iter().flat_map(|run| run.phases.iter().map(|phase| phase.total));
        let longest = totals.fold(0.001_f64, f64::max);
        let mut bars = String::new();
        let mut top = 40.0;
        for name in self.phases() {
            let _ = writeln!(bars, r#"<text x="10" y="{top}" font-weight="bold">{name}</text>"#);
            for run in &self.runs {
                let Some(phase) = run.phases.iter().find(|phase| phase.name == name) else {
                    continue;
                };
                top += 20.0;
                let width = (phase.total / longest * WIDTH).max(1.0);
                let fill = if run.label.ends_with("floor") || run.label == self.floor {
                    "#b8c4ce"
                } else {
                    "#2f6f9f"
                };
                let _ = writeln!(
                    bars,
                    r#"<text x="20" y="{top}">{} #{}</text><rect x="{LEFT}" y="{}" width="{width:.1}" height="14" fill="{fill}"/><text x="{:.1}" y="{top}">{:.2} s</text>"#,
                    run.label,
                    run.round,
                    top - 11.0,
                    LEFT + width + 6.0,
                    phase.total,
                );
            }
            top += 30.0;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{top}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<text x=\"10\" y=\"18\" \
             font-size=\"14\">{}</text>\n{bars}</svg>\n",
            self.workload
        )
    }
}
