//! Measures how long controllers take to bring many Kustomizations to a cluster, or to fetch a
//! large tree.
//!
//! The workload of Kustomizations is the one that is published as "mean time to production": sources and
//! Kustomizations of four objects each are created, changed, looked at again without a change, and
//! deleted. Several sets of controllers run one after the other against the same API, and bare
//! clients that make only the necessary requests give the floors. Ratios within one run are the
//! result: machines differ, and so does one machine from day to day.

mod controllers;
mod fetch;
mod floor;
mod meter;
mod report;
mod watch;
mod workload;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use e2e::{Server, fleet};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use testkit::{cluster, repository::Repository};

use crate::{
    controllers::Set,
    fetch::Fetch,
    floor::Floor,
    report::{Report, Run},
    workload::Workload,
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Kustomizations of four objects each
    Kustomizations,
    /// GitRepositories of a large tree
    Fetch,
}

/// Measures how long controllers take to bring many Kustomizations to a cluster
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  \
    bench\n  \
    bench --workload fetch --sources 10 --files 10000\n  \
    bench --kustomizations 1000 --kubeconfig real.kubeconfig --api-pid 4711\n  \
    bench --controllers ours=target/release --controllers theirs=bin")]
struct Args {
    /// What is measured
    #[arg(short, long, value_enum, default_value_t = Kind::Kustomizations)]
    workload: Kind,
    /// How many files the large tree has
    #[arg(long, default_value_t = 5000)]
    files: usize,
    /// The size of each of them in bytes
    #[arg(long, default_value_t = 2000, value_name = "BYTES")]
    file_size: usize,
    /// How many Kustomizations
    #[arg(short = 'n', long, default_value_t = 100)]
    kustomizations: usize,
    /// How many GitRepositories they are of, all of the same content
    #[arg(short, long, default_value_t = 1)]
    sources: usize,
    /// How often everything is run
    #[arg(short, long, default_value_t = 1)]
    rounds: usize,
    /// How many objects are reconciled at a time, also by the floors
    #[arg(short, long, default_value_t = 10)]
    concurrency: usize,
    /// Controllers by name and the directory of their binaries [default: those beside this program]
    #[arg(long, value_name = "LABEL=DIR", value_parser = set)]
    controllers: Vec<Set>,
    /// Do not measure the floors
    #[arg(long)]
    no_floors: bool,
    /// Let the controllers act as themselves, not as a service account
    #[arg(long)]
    no_service_account: bool,
    /// Name the objects of each Kustomization by a suffix, not by a substituted variable
    #[arg(long)]
    no_substitution: bool,
    /// An API to use [default: an embedded one, started for the purpose]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The process of that API, to measure it
    #[arg(long, value_name = "PID", requires = "kubeconfig")]
    api_pid: Option<u32>,
    /// Where to write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to draw the times to production
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
}

fn set(text: &str) -> Result<Set, String> {
    match text.split_once('=') {
        Some((label, dir)) if !label.is_empty() && !dir.is_empty() => {
            Ok(Set { label: label.to_owned(), dir: PathBuf::from(dir) })
        }
        _ => Err("expected LABEL=DIR, e.g. ours=target/release".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = Args::parse();
    if args.controllers.is_empty() {
        let running = std::env::current_exe().context("failed to find the running program")?;
        let dir = running.parent().context("the program is in a directory")?.to_owned();
        args.controllers.push(Set { label: "tidegate".to_owned(), dir });
    }
    for set in &args.controllers {
        set.check()?;
    }
    let report = run(&args).await?;
    anstream::print!("{}", report.table());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    if let Some(path) = &args.chart {
        std::fs::write(path, report.chart())
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

async fn run(args: &Args) -> anyhow::Result<Report> {
    let scratch = tempfile::tempdir().context("failed to create a scratch directory")?;
    let server = match &args.kubeconfig {
        Some(kubeconfig) => Server::at(kubeconfig).await?,
        None => Server::start(scratch.path()).await?,
    };
    cluster::define(&server.client, &api::crds()).await?;
    let (repository, git) = fleet(scratch.path()).await?;
    let api_pid = server.id().or(args.api_pid);
    if args.workload == Kind::Fetch {
        fetch::fill(&repository, args.files, args.file_size)?;
        return fetches(args, &server, &repository, &git.url("fleet"), scratch.path()).await;
    }
    let mut report = Report::new(
        format!(
            "{} Kustomizations of 4 objects of {} GitRepositories",
            args.kustomizations, args.sources
        ),
        args.kustomizations,
        "kustomize-controller",
        Floor::Validated.label(),
        args.concurrency,
    );
    for round in 1..=args.rounds {
        let workload = |label: &str| {
            let namespace = format!("bench-{label}-{round}-{}", std::process::id());
            Workload {
                client: server.client.clone(),
                namespace,
                repository: &repository,
                url: git.url("fleet"),
                kustomizations: args.kustomizations,
                sources: args.sources,
                service_account: !args.no_service_account,
                substitution: !args.no_substitution,
            }
        };
        if !args.no_floors {
            for floor in [Floor::Writes, Floor::Validated] {
                let workload = workload(floor.label());
                namespace(&server.client, &workload.namespace).await?;
                let phases = floor.measure(&workload, args.concurrency, api_pid).await?;
                report.add(Run { label: floor.label().to_owned(), round, phases });
            }
        }
        for set in &args.controllers {
            let workload = workload(&set.label);
            namespace(&server.client, &workload.namespace).await?;
            let running = set.start(&server.kubeconfig, &workload.namespace, args.concurrency)?;
            let phases = workload
                .measure(&set.label, &running, api_pid)
                .await
                .with_context(|| running.logs())?;
            report.add(Run { label: set.label.clone(), round, phases });
        }
    }
    Ok(report)
}

/// Measures fetching.
async fn fetches(
    args: &Args,
    server: &Server,
    repository: &Repository,
    url: &str,
    scratch: &Path,
) -> anyhow::Result<Report> {
    let Args { files, file_size, sources, .. } = args;
    let workload = format!("{sources} GitRepositories of {files} files of {file_size} bytes");
    let subject = "source-controller";
    let mut report = Report::new(workload, *sources, subject, fetch::FLOOR, args.concurrency);
    for round in 1..=args.rounds {
        let workload = |label: &str| Fetch {
            client: server.client.clone(),
            namespace: format!("bench-{label}-{round}-{}", std::process::id()),
            repository,
            url: url.to_owned(),
            sources: *sources,
        };
        if !args.no_floors {
            let phases = workload(fetch::FLOOR).floor(scratch, args.concurrency).await?;
            report.add(Run { label: fetch::FLOOR.to_owned(), round, phases });
        }
        for set in &args.controllers {
            let workload = workload(&set.label);
            namespace(&server.client, &workload.namespace).await?;
            let running = set.start(&server.kubeconfig, &workload.namespace, args.concurrency)?;
            let api = server.id().or(args.api_pid);
            let phases = workload.measure(&set.label, &running, api).await;
            let phases = phases.with_context(|| running.logs())?;
            report.add(Run { label: set.label.clone(), round, phases });
        }
    }
    Ok(report)
}

/// Makes a namespace whose name no other run has.
async fn namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    if let Err(error) = api.create(&PostParams::default(), &namespace).await {
        bail!("failed to create namespace {name}: {error}");
    }
    Ok(())
}
