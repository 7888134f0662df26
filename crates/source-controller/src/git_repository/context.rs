//! What every reconciliation shares.

use std::path::PathBuf;
use std::sync::Arc;

use api::source::GitRepository;
use common::events::Recorder;
use common::metrics::Work;
use common::status::Statuses;
use kube::api::Api;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};

use crate::args::Settings;
use crate::storage::{Owner, Storage};

/// The name under which the status is written.
const FIELD_MANAGER: &str = "source-controller";

/// What every reconciliation shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) storage: Arc<Storage>,
    pub(crate) scratch: PathBuf,
    pub(crate) recorder: Recorder,
    pub(crate) statuses: Statuses<GitRepository>,
    pub(crate) store: Store<GitRepository>,
    pub(crate) work: Work,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        storage: Arc<Storage>,
        scratch: PathBuf,
        recorder: Recorder,
        store: Store<GitRepository>,
        work: Work,
    ) -> Self {
        let statuses = Statuses::new(FIELD_MANAGER);
        Self { client, settings, storage, scratch, recorder, statuses, store, work }
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
