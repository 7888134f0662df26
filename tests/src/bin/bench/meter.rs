//! What processes and the API have spent.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use e2e::memory;
use kube::Client;
use serde::Serialize;

/// What a process has used.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Usage {
    /// Which process, e.g. `kustomize-controller`.
    pub(crate) name: String,
    /// User and system time within the phase, in seconds.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident within the phase, in bytes.
    pub(crate) peak_rss: u64,
}

/// Requests that the API has answered, by what they were, e.g. `PATCH` or `PATCH dry run`.
pub(crate) type Requests = BTreeMap<String, f64>;

/// A measurement that goes on.
pub(crate) struct Meter {
    client: Client,
    processes: Vec<(String, u32, Duration)>,
    requests: Option<Requests>,
}

impl Meter {
    /// Starts to measure processes and the API.
    pub(crate) async fn start(
        client: &Client,
        processes: impl IntoIterator<Item = (&str, u32)>,
    ) -> anyhow::Result<Self> {
        let mut measured = Vec::new();
        for (name, id) in processes {
            // The peak starts anew. Not allowed for processes of others, whose peak is that of
            // their whole life then.
            let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
            measured.push((name.to_owned(), id, cpu(id)?));
        }
        let requests = requests(client).await?;
        Ok(Self { client: client.clone(), processes: measured, requests })
    }

    /// Returns what was used since the start.
    pub(crate) async fn stop(self) -> anyhow::Result<(Vec<Usage>, Option<Requests>)> {
        let mut usages = Vec::new();
        for (name, id, before) in self.processes {
            let cpu_seconds = cpu(id)?.saturating_sub(before).as_secs_f64();
            usages.push(Usage { name, cpu_seconds, peak_rss: memory(id, "VmHWM")? });
        }
        let requests = match (self.requests, requests(&self.client).await?) {
            (Some(before), Some(after)) => Some(difference(&before, after)),
            _ => None,
        };
        Ok((usages, requests))
    }
}

/// Returns the user and system time of a process.
fn cpu(id: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))
        .with_context(|| format!("process {id} has ended"))?;
    // The name of the program stands in parentheses and may hold spaces.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (fields.next().context("no time")??, fields.next().context("no time")??);
    let ticks = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis((user + system) * 1000 / ticks))
}

/// Reads the counters of the API; `None` if it has none.
async fn requests(client: &Client) -> anyhow::Result<Option<Requests>> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let Ok(text) = client.request_text(request).await else { return Ok(None) };
    let mut counts = Requests::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("apiserver_request_total{") else { continue };
        let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
        let label = |name: &str| {
            labels.split("\",").find_map(|label| {
                label.strip_prefix(name)?.strip_prefix("=\"").map(|it| it.trim_end_matches('"'))
            })
        };
        let verb = label("verb").unwrap_or_default();
        // They never end, and are counted when they do.
        if verb == "WATCH" {
            continue;
        }
        let dry = if label("dry_run").is_some_and(|it| !it.is_empty()) { " dry run" } else { "" };
        *counts.entry(format!("{verb}{dry}")).or_default() += value.parse::<f64>()?;
    }
    Ok(if counts.is_empty() { None } else { Some(counts) })
}

fn difference(before: &Requests, mut after: Requests) -> Requests {
    for (verb, count) in &mut after {
        *count -= before.get(verb).copied().unwrap_or_default();
    }
    after.retain(|_, count| *count > 0.0);
    after
}
