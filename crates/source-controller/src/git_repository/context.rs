//! What every reconciliation shares.

use std::sync::Arc;

use api::source::GitRepository;
use common::events::Recorder;
use common::metrics::Work;
use common::status::Statuses;
use common::stop::Stop;
use kube::api::Api;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::args::Settings;
use crate::scratch::Scratch;
use crate::storage::{Owner, Storage};

/// The name under which the status is written.
const FIELD_MANAGER: &str = "source-controller";

/// What every reconciliation shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) storage: Arc<Storage>,
    pub(crate) scratch: Scratch,
    pub(crate) recorder: Recorder,
    pub(crate) statuses: Statuses<GitRepository>,
    pub(crate) store: Store<GitRepository>,
    pub(crate) work: Work,
    pub(crate) shutdown: CancellationToken,
}

/// Returns the statuses of GitRepositories, under the name that this controller has there.
pub(crate) fn statuses() -> Statuses<GitRepository> {
    Statuses::new(FIELD_MANAGER)
}

impl Context {
    /// Waits for a server, unless the process ends: what was begun is given up then, and the next
    /// process does it.
    pub(crate) async fn until_shutdown<T>(
        &self,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        tokio::select! {
            result = work => result,
            () = self.shutdown.cancelled() => Err(Stop::abandon()),
        }
    }

    /// Returns the API of the namespace of a GitRepository.
    pub(crate) fn api(&self, obj: &GitRepository) -> Api<GitRepository> {
        Api::namespaced(self.client.clone(), &obj.namespace().unwrap_or_default())
    }

    /// Does something with the storage, where blocking is allowed.
    ///
    /// # Panics
    ///
    /// When it does.
    pub(crate) async fn with_storage<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage) -> T + Send + 'static,
    ) -> T {
        let storage = self.storage.clone();
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || span.in_scope(|| work(&storage)));
        match task.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only the end of the runtime cancels, and this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, obj: &GitRepository) {
        self.statuses.forget(&ObjectRef::from_obj(obj));
        self.work.forget(&obj.namespace().unwrap_or_default(), &obj.name_any());
    }
}

/// The namespace and name of a GitRepository, to store artifacts under.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    namespace: String,
    name: String,
}

impl Named {
    pub(crate) fn of(obj: &GitRepository) -> Self {
        Self { namespace: obj.namespace().unwrap_or_default(), name: obj.name_any() }
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { kind: "GitRepository", namespace: &self.namespace, name: &self.name }
    }
}
