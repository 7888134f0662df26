//! Makes clusters equal to what artifacts declare.
//!
//! `reconcile` tells the whole story; every step is a file of its own. `observe` says what wakes a
//! Kustomization. Nothing here is global: several controllers may run in one process.

mod args;
mod assess;
mod build;
mod builds;
mod configs;
mod context;
mod decryption;
mod dependencies;
mod drift;
mod finalize;
mod health;
mod ignore;
mod interrupt;
mod observe;
mod owner;
mod progress;
mod prune;
mod reconcile;
mod source;
mod substitute;
mod tree;
mod wishes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::kustomize::{Kustomization, SourceKind};
use common::Runtime;
use common::controller::Reconciliations;
use common::events::Recorder;
use common::fetch::{Fetcher, Limits};
use common::metrics::Work;
use common::watch;
use futures::channel::mpsc;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector;
use tokio::task::JoinSet;

pub use args::{Args, ArgsError, CustomStage};
pub use build::{BuildError, Built, build};
pub use decryption::{
    Decryptor, Environment, EnvironmentError, KeysError, ObjectError, SourcesError,
};
pub use owner::{metadata, owner};
pub use substitute::{SubstituteError, Variables, VariablesError, envsubst};

use crate::args::Parts;
use crate::configs::observe_configs;
use crate::context::Context;
use crate::drift::observe_drift;
use crate::observe::{Observer, observe_sources};

/// The name of the controller, as events and its Lease have it.
pub const CONTROLLER: &str = "kustomize-controller";

/// How long events may take to be delivered once the controller has ended.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// Runs the controller until the runtime shuts down, and then finishes the work that is under way.
/// Waits for health are left to the next process.
///
/// # Errors
///
/// When a flag cannot be obeyed.
pub async fn run(args: Args, runtime: Runtime) -> Result<(), ArgsError> {
    let Parts { settings, concurrency, http_retry, hosts, events, watched, configs, retries } =
        args.into_parts()?;
    let (reader, writer) = reflector::store::<Kustomization>();
    let work = Work::new(&runtime.metrics, "kustomization", "Kustomization", concurrency);
    let (cx, moved) = Context::new(
        &runtime,
        settings,
        Fetcher::new(http_retry, hosts, Limits::default())?,
        Recorder::new(CONTROLLER, runtime.client.clone(), events, runtime.metrics.clone()),
        reader.clone(),
        work.clone(),
    );
    let cx = Arc::new(cx);

    let (wake, woken) = mpsc::unbounded();
    let mut watches = JoinSet::new();
    for kind in SourceKind::ALL {
        if kind != SourceKind::ExternalArtifact || cx.settings.gates.external_artifact {
            watches.spawn(observe_sources(cx.clone(), kind, watched.clone(), wake.clone()));
        }
    }
    if let Some(labels) = configs {
        let config_maps = observe_configs::<ConfigMap>;
        watches.spawn(config_maps(cx.clone(), watched.clone(), labels.clone(), wake.clone()));
        let secrets = observe_configs::<Secret>;
        watches.spawn(secrets(cx.clone(), watched.clone(), labels, wake.clone()));
    }
    watches.spawn(observe_drift(cx.clone(), moved, wake.clone()));
    let mut observer = Observer { cx: cx.clone(), wake, seen: HashMap::new() };
    let changes = watch::changes(runtime.client.clone(), &watched, writer, move |event| {
        observer.observe(event);
    });
    Reconciliations { reader, concurrency, retries: retries.into(), work }
        .run(&runtime, changes, woken, reconcile::reconcile, cx.clone())
        .await;
    cx.recorder.flush(LAST_EVENTS).await;
    Ok(())
}
