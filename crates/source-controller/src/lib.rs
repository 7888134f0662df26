//! Fetches sources and serves them as artifacts.
//!
//! Every kind of source has a module, whose `reconcile` tells the whole story. `storage` keeps the
//! artifacts and `server` serves them, for as long as [`run`] runs. Nothing here is global: several
//! controllers may run in one process.

mod address;
mod archive;
mod args;
mod digest;
mod failure;
mod git_repository;
mod ignore;
mod scratch;
mod server;
mod storage;
mod summary;
mod tree;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::Runtime;
use common::delay::Retries;
use common::events::Recorder;
use tracing::info;

pub use args::{Args, ArgsError};
pub use digest::{Algorithm, UnknownAlgorithm};

use crate::address::Advertised;
use crate::args::{Parts, StorageParts};
use crate::scratch::Scratch;
use crate::storage::{OpenError, Storage};

/// The name of the controller, as events have it.
const CONTROLLER: &str = "source-controller";

/// How long the last events may take.
const EVENTS_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the controller ends early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The flags cannot be obeyed.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// Artifacts cannot be kept.
    #[error("failed to open the storage")]
    Storage(#[from] StorageError),
    /// Artifacts cannot be served.
    #[error("failed to serve artifacts at {address}")]
    Serve {
        /// The address.
        address: String,
        #[source]
        #[doc = "What happened."]
        source: io::Error,
    },
    /// There is no place to check repositories out to.
    #[error("failed to create {}", .path.display())]
    Scratch {
        /// The directory.
        path: PathBuf,
        #[source]
        #[doc = "What happened."]
        source: io::Error,
    },
}

/// Artifacts cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StorageError(#[from] OpenError);

/// Reconciles sources and serves their artifacts until the runtime shuts down, and then finishes
/// the work that is under way.
///
/// # Errors
///
/// When a flag cannot be obeyed, or artifacts be neither kept nor served.
pub async fn run(args: Args, runtime: Runtime) -> Result<(), RunError> {
    let Parts { settings, storage, watched, concurrent, events, retry_delays } =
        args.into_parts()?;
    let StorageParts { path, listen, advertised, hostname, algorithm, retention } = storage;
    let unserved = |source| RunError::Serve { address: listen.to_string(), source };
    let listener = listen.bind().await.map_err(unserved)?;
    let listener = listener.ok_or(ArgsError::NoStorageAddress)?;
    let bound = listener.local_addr().map_err(unserved)?;
    let advertised = if advertised.is_empty() {
        Advertised::of(&listen, bound, &hostname)
    } else {
        Advertised::from(advertised)
    };
    let storage = Storage::open(&path, advertised, algorithm, retention);
    let storage = Arc::new(storage.map_err(StorageError)?);
    let scratch = Scratch::path_for(storage.root());
    let scratch = Scratch::make(scratch.clone())
        .map_err(|source| RunError::Scratch { path: scratch, source })?;
    let left = storage.sweep();
    info!(path = %storage.root().display(), %bound, left, "serving artifacts");

    // Artifacts that nobody can download are not worth making.
    let ended = runtime.shutdown.child_token();
    let runtime = Runtime { shutdown: ended.clone(), ..runtime };
    let recorder =
        Recorder::new(CONTROLLER, runtime.client.clone(), events, runtime.metrics.clone());
    let (least, most) = retry_delays;
    let parts = git_repository::Parts {
        settings,
        storage: storage.clone(),
        recorder: recorder.clone(),
        scratch,
        watched,
        concurrent,
        retries: Arc::new(Retries::new(least, most)),
    };
    let server = async {
        let shutdown = ended.clone().cancelled_owned();
        let result = server::serve(listener, storage.root(), shutdown).await;
        ended.cancel();
        result
    };
    let ((), outcome) = tokio::join!(git_repository::run(&runtime, parts), server);
    recorder.flush(EVENTS_TIMEOUT).await;
    outcome.map_err(unserved)
}
