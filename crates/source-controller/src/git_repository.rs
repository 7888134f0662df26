//! GitRepositories to artifacts.

mod checkout;
mod context;
mod finalize;
mod include;
mod progress;
mod reconcile;
mod remote;
mod unsupported;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use api::source::GitRepository;
use common::Runtime;
use common::args::Watched;
use common::controller::Reconciliations;
use common::delay::Retries;
use common::events::Recorder;
use common::metrics::Work;
use common::watch::changes;
use futures::channel::mpsc;
use kube::runtime::reflector;

use crate::args::Settings;
use crate::git_repository::context::Context;
use crate::git_repository::watch::Observer;
use crate::scratch::Scratch;
use crate::storage::Storage;

/// What the reconciliations of this kind need.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) storage: Arc<Storage>,
    pub(crate) recorder: Recorder,
    pub(crate) scratch: Scratch,
    pub(crate) watched: Watched,
    pub(crate) concurrent: u16,
    pub(crate) retries: Arc<Retries<GitRepository>>,
}

/// Reconciles GitRepositories until the runtime shuts down.
pub(crate) async fn run(runtime: &Runtime, parts: Parts) {
    let Parts { settings, storage, recorder, scratch, watched, concurrent, retries } = parts;
    let work = Work::new(&runtime.metrics, "gitrepository", "GitRepository", concurrent);
    let (reader, writer) = reflector::store::<GitRepository>();
    let cx = Arc::new(Context {
        client: runtime.client.clone(),
        settings,
        storage,
        scratch,
        recorder,
        statuses: context::statuses(),
        store: reader.clone(),
        work: work.clone(),
        shutdown: runtime.shutdown.clone(),
    });
    let (wake, woken) = mpsc::unbounded();
    let mut observer = Observer { cx: cx.clone(), wake, seen: HashMap::new() };
    let observe = move |event: &_| observer.observe(event);
    let changes = changes(runtime.client.clone(), &watched, writer, observe);
    Reconciliations { reader, concurrency: concurrent, retries, work }
        .run(runtime, changes, woken, reconcile::reconcile, cx)
        .await;
}
