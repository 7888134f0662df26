//! Runs a controller as a process of its own.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::args::{Args, ArgsError};
use crate::election::{Election, Terms, lease_name};
use crate::metrics::{CountRequests, Metrics};
use crate::runtime::Runtime;
use crate::stop::chain;
use crate::{logging, server};

/// How long the endpoints may take to finish what they are answering.
const GRACE: Duration = Duration::from_secs(2);

/// Why a process ends early.
#[derive(Debug, thiserror::Error)]
enum ProcessError {
    #[error("failed to start the async runtime")]
    Runtime(#[source] std::io::Error),
    #[error("failed to find the cluster")]
    Infer(#[source] kube::config::InferConfigError),
    #[error("failed to make a client of the cluster")]
    Client(#[source] kube::Error),
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("failed to listen on {flag}={address}")]
    Listen { flag: &'static str, address: String, source: std::io::Error },
    #[error(transparent)]
    Args(#[from] ArgsError),
    #[error("the leadership is lost")]
    Deposed,
    #[error(transparent)]
    Controller(Box<dyn Error + Send + Sync>),
}

/// Runs a controller until it is told to end by SIGTERM or SIGINT, and returns the exit code: zero
/// after it has finished the work that was under way.
///
/// Logs, serves metrics and health, waits for the leadership where that is asked for, and ends at
/// once when it is lost: another process may work on the same objects from then on.
pub fn main<F, E>(controller: &'static str, args: &Args, run: impl FnOnce(Runtime) -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    logging::start(args.log_encoding, args.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(ProcessError::Runtime).and_then(|runtime| {
        let outcome = runtime.block_on(live(controller, args, run));
        // Blocking work that was abandoned must not hold up the exit.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!(error = %chain(&failure), "{controller} ends");
            ExitCode::FAILURE
        }
    }
}

async fn live<F, E>(
    controller: &'static str,
    args: &Args,
    run: impl FnOnce(Runtime) -> F,
) -> Result<(), ProcessError>
where
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let shutdown = CancellationToken::new();
    listen_for_signals(shutdown.clone()).map_err(ProcessError::Signals)?;
    let metrics = Metrics::new();
    let client = client(&metrics).await?;
    let watched = args.watched()?;

    let terms = args.enable_leader_election.then(|| Terms {
        name: lease_name(controller, watched.labels.as_deref()),
        namespace: Some(args.runtime_namespace.clone())
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or_else(|| client.default_namespace().to_owned()),
        lease_duration: args.leader_election_lease_duration.as_std(),
        renew_deadline: args.leader_election_renew_deadline.as_std(),
        retry_period: args.leader_election_retry_period.as_std(),
    });
    if let Some(terms) = &terms {
        // From the first answer of the endpoint on, whoever leads.
        metrics.lead(&terms.name, false);
    }

    let endpoints = CancellationToken::new();
    let mut served = tokio::task::JoinSet::new();
    if let Some(listener) = bind("--metrics-addr", &args.metrics_addr).await? {
        served.spawn(server::metrics(listener, metrics.clone(), endpoints.clone()));
    }
    if let Some(listener) = bind("--health-addr", &args.health_addr).await? {
        served.spawn(server::health(listener, endpoints.clone()));
    }
    info!(controller, version = env!("CARGO_PKG_VERSION"), "started");

    let runtime = Runtime { client, shutdown: shutdown.clone(), metrics };
    let result = match terms {
        Some(terms) => lead(terms, args.leader_election_release_on_cancel, runtime, run).await,
        None => run(runtime).await.map_err(|error| ProcessError::Controller(error.into())),
    };
    endpoints.cancel();
    // What is still being answered then is cut off by the exit.
    let _ = tokio::time::timeout(GRACE, served.join_all()).await;
    result
}

/// Runs a controller while it leads.
async fn lead<F, E>(
    terms: Terms,
    release: bool,
    runtime: Runtime,
    run: impl FnOnce(Runtime) -> F,
) -> Result<(), ProcessError>
where
    F: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (metrics, name) = (runtime.metrics.clone(), terms.name.clone());
    let mut election = Election::new(runtime.client.clone(), terms);
    tokio::select! {
        () = election.win() => {}
        () = runtime.shutdown.cancelled() => return Ok(()),
    }
    metrics.lead(&name, true);
    let result = tokio::select! {
        result = run(runtime) => result.map_err(|error| ProcessError::Controller(error.into())),
        () = election.keep() => Err(ProcessError::Deposed),
    };
    metrics.lead(&name, false);
    if release && !matches!(result, Err(ProcessError::Deposed)) {
        election.release().await;
    }
    result
}

async fn bind(
    flag: &'static str,
    address: &crate::args::Listen,
) -> Result<Option<tokio::net::TcpListener>, ProcessError> {
    let failed = |source| ProcessError::Listen { flag, address: address.to_string(), source };
    address.bind().await.map_err(failed)
}

/// Returns a client of the cluster that the process is in, or that the kubeconfig names.
async fn client(metrics: &Metrics) -> Result<Client, ProcessError> {
    let config = Config::infer().await.map_err(ProcessError::Infer)?;
    let builder = ClientBuilder::try_from(config).map_err(ProcessError::Client)?;
    Ok(builder.with_layer(&CountRequests(metrics.clone())).build())
}

fn listen_for_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "shutting down");
        shutdown.cancel();
    });
    Ok(())
}

/// Returns the name of the machine, or of the Pod.
pub fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
