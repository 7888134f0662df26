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
mod server;
mod storage;
mod summary;
mod tree;

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::Runtime;
use common::delay::Retries;
use common::events::Recorder;
use sha2::{Digest as _, Sha256};
use tracing::info;

pub use args::{Args, ArgsError};
pub use digest::{Algorithm, UnknownAlgorithm};

use crate::address::Advertised;
use crate::args::{Parts, StorageParts};
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
    let scratch = scratch(storage.root());
    empty(&scratch).map_err(|source| RunError::Scratch { path: scratch.clone(), source })?;
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
        scratch: scratch.clone(),
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
    // It is emptied at the next start if not now.
    let _ = fs::remove_dir_all(&scratch);
    outcome.map_err(unserved)
}

/// Returns where repositories are checked out. It is that of the storage, which only one process
/// has, so that what a killed one has left can be told from what another one works on.
fn scratch(storage: &Path) -> PathBuf {
    let id = hex::encode(Sha256::digest(storage.as_os_str().as_bytes()));
    std::env::temp_dir().join(format!("{CONTROLLER}-{}", &id[..8]))
}

/// Makes a directory, anew if it is there.
fn empty(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::DirBuilder::new().mode(0o700).create(dir),
    }
}
