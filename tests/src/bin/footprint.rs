//! Measures what the controllers take: time to start, memory, size, and requests to the API.
//!
//! `make footprint` builds the release binaries and runs it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::{Controller, Toolkit, fleet, program};

/// How many objects the repository declares, and how many commits change one of them.
const OBJECTS: usize = 50;
const COMMITS: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let toolkit = Toolkit::start().await?;
    let started = Instant::now();
    let source = toolkit.source_controller(&[])?;
    source.metrics().await?;
    say("source-controller answers after", &ms(started));
    let started = Instant::now();
    let kustomize = toolkit.kustomize_controller(&[])?;
    kustomize.metrics().await?;
    say("kustomize-controller answers after", &ms(started));
    let controllers = [("source-controller", &source), ("kustomize-controller", &kustomize)];

    // Long enough for the first lists, and for what was needed to start to be given back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for (name, controller) in controllers {
        let size = program(name)?.metadata()?.len();
        say(&format!("{name}, size of the binary"), &mib(size));
        say(&format!("{name}, idle"), &mib(memory(controller, "VmRSS")?));
    }

    let (repository, server) = fleet(&toolkit.repositories()?).await?;
    let config = |name: usize, value: usize| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-{name}\ndata:\n  key: v{value}\n"
        );
        repository.write(&format!("apps/{name}.yaml"), &text)
    };
    for name in 0..OBJECTS {
        config(name, 0)?;
    }
    let commit = repository.commit("Add objects")?;
    toolkit.declare("fleet", &server.url("fleet")).await?;
    toolkit.until_applied("fleet", &commit).await?;
    let mut times = Vec::new();
    for round in 1..=COMMITS {
        config(round % OBJECTS, round)?;
        let commit = repository.commit("Change an object")?;
        let started = Instant::now();
        toolkit.request("fleet", &commit).await?;
        toolkit.until_applied("fleet", &commit).await?;
        times.push(started.elapsed());
    }
    times.sort();
    let median = format!("{} ms", times[times.len() / 2].as_millis());
    say(&format!("request to ready, {OBJECTS} objects, median of {COMMITS} commits"), &median);
    for (name, controller) in controllers {
        say(&format!("{name}, after work"), &mib(memory(controller, "VmRSS")?));
        say(&format!("{name}, at most"), &mib(memory(controller, "VmHWM")?));
    }

    let before = requests(&kustomize).await?;
    toolkit.request_kustomization("fleet", "nothing-changed").await?;
    let handled = |obj: &api::kustomize::Kustomization| {
        let status = obj.status.as_ref();
        status.and_then(|it| it.last_handled_reconcile_at.as_deref()) == Some("nothing-changed")
    };
    toolkit.until("fleet", "done with the request", handled).await?;
    let count = requests(&kustomize).await? - before;
    say(&format!("requests of a run that changes none of {OBJECTS} objects"), &count.to_string());
    Ok(())
}

/// Returns a figure of the kernel about the memory of a controller, in bytes.
fn memory(controller: &Controller, figure: &str) -> anyhow::Result<u64> {
    e2e::memory(controller.process.id().context("the controller has ended")?, figure)
}

/// Returns how many requests a controller has sent to the API, without watches.
async fn requests(controller: &Controller) -> anyhow::Result<u64> {
    let text = controller.metrics().await?;
    let counts = text.lines().filter(|line| line.starts_with("rest_client_requests_total{"));
    Ok(counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
}

fn ms(since: Instant) -> String {
    format!("{} ms", since.elapsed().as_millis())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn say(what: &str, figure: &str) {
    anstream::println!("{what:<75} {figure:>10}");
}
