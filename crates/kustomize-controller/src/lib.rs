//! Makes clusters equal to what artifacts declare.
//!
//! `reconcile` tells the whole story; every step is a file of its own. `watch` says what wakes a
//! Kustomization. Nothing here is global: several controllers may run in one process.

mod args;
mod build;
mod context;
mod dependencies;
mod events;
mod fetch;
mod finalize;
mod health;
mod interrupt;
mod progress;
mod reconcile;
mod source;
mod stop;
mod tree;
mod unsupported;
mod watch;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use api::kustomize::{Kustomization, SourceKind};
use futures::StreamExt as _;
use futures::channel::mpsc;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::{reflector, watcher};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tracing::{debug, error, info};

pub use args::{Args, ArgsError, CustomStage, GateList};

use crate::args::Parts;
use crate::context::Context;
use crate::events::Recorder;
use crate::fetch::Fetcher;
use crate::watch::Observer;

/// The name of the controller, as events have it.
const CONTROLLER: &str = "kustomize-controller";

/// Runs the controller until `shutdown`, and then finishes the work that is under way. Waits for
/// health are left to the next process.
///
/// # Errors
///
/// When a flag cannot be obeyed.
pub async fn run(
    args: Args,
    client: Client,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ArgsError> {
    let Parts { settings, concurrent, http_retry, events, namespace, labels } =
        args.into_parts()?;
    let (reader, writer) = reflector::store::<Kustomization>();
    let (over, is_over) = tokio::sync::watch::channel(false);
    let recorder = Recorder::new(client.clone(), events);
    let fetcher = Fetcher::new(http_retry);
    let cx =
        Context::new(client.clone(), settings, fetcher, recorder, reader.clone(), is_over.clone());
    let cx = Arc::new(cx);

    let (wake, woken) = mpsc::unbounded();
    let mut watches = JoinSet::new();
    for kind in SourceKind::ALL {
        if kind == SourceKind::ExternalArtifact && !cx.settings.gates.external_artifact {
            continue;
        }
        watches.spawn(watch::sources(cx.clone(), kind, namespace.clone(), wake.clone()));
    }
    watches.spawn(async move {
        shutdown.await;
        // The receivers are gone only when the controller has ended.
        let _ = over.send(true);
        std::future::pending::<()>().await;
    });

    let api: Api<Kustomization> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut config = watcher::Config::default();
    if let Some(labels) = &labels {
        config = config.labels(labels);
    }
    let observer = Observer { cx: cx.clone(), wake, seen: HashMap::new() };
    let changes = watch::kustomizations(api, config, writer, observer);
    let mut is_over = is_over;
    info!("starting");
    Controller::for_stream(changes, reader)
        .with_config(Config::default().concurrency(concurrent))
        .reconcile_on(woken)
        .graceful_shutdown_on(async move {
            // An error means that the sender is gone, which is the end too.
            let _ = is_over.wait_for(|is_over| *is_over).await;
        })
        .run(
            reconcile::reconcile,
            |obj, failure: &reconcile::Error, cx| {
                error!(error = %stop::chain(failure), "failed to record the outcome");
                kube::runtime::controller::Action::requeue(cx.back_off(&obj))
            },
            cx,
        )
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(%error, "reconciliation ended");
            }
        })
        .await;
    info!("stopped");
    Ok(())
}
