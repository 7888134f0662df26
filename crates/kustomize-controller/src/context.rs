//! What every run shares.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::kustomize::Kustomization;
use apply::order::GroupKind;
use apply::{Cluster, Options, Owner, Target};
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt as _};
use tokio::sync::watch;

use crate::dependencies::Waiting;
use crate::events::Recorder;
use crate::fetch::Fetcher;
use crate::interrupt::Interrupts;
use crate::source::{ObjectRef, Sources};

/// The name under which objects are applied.
const FIELD_MANAGER: &str = "kustomize-controller";

/// How long a stage of definitions may take to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// What the flags say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) concurrent_ssa: usize,
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) override_managers: Vec<String>,
    pub(crate) custom_stage: Vec<GroupKind>,
    pub(crate) interval_jitter: f64,
    pub(crate) min_retry_delay: Duration,
    pub(crate) max_retry_delay: Duration,
    pub(crate) gates: Gates,
}

/// The feature gates that change what is done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gates {
    pub(crate) external_artifact: bool,
    pub(crate) direct_source_fetch: bool,
    pub(crate) disable_fail_fast: bool,
}

/// What every run shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) cluster: Cluster,
    pub(crate) fetcher: Fetcher,
    pub(crate) recorder: Recorder,
    pub(crate) sources: Sources,
    pub(crate) store: Store<Kustomization>,
    pub(crate) waiting: Waiting,
    pub(crate) interrupts: Interrupts,
    pub(crate) shutdown: watch::Receiver<bool>,
    written: Mutex<HashMap<ObjectRef, String>>,
    failures: Mutex<HashMap<ObjectRef, u32>>,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        fetcher: Fetcher,
        recorder: Recorder,
        store: Store<Kustomization>,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        Self {
            cluster: Cluster::new(client.clone()),
            client,
            settings,
            fetcher,
            recorder,
            sources: Sources::default(),
            store,
            waiting: Waiting::default(),
            interrupts: Interrupts::default(),
            shutdown,
            written: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Returns the API of the namespace of a Kustomization.
    pub(crate) fn api(&self, obj: &Kustomization) -> Api<Kustomization> {
        Api::namespaced(self.client.clone(), &obj.namespace().unwrap_or_default())
    }

    /// Returns the cluster, acted in on behalf of a Kustomization.
    pub(crate) fn target(&self, obj: &Kustomization) -> Target {
        let options = Options {
            field_manager: FIELD_MANAGER.to_owned(),
            owner: Owner {
                group: api::kustomize::GROUP.to_owned(),
                namespace: obj.namespace().unwrap_or_default(),
                name: obj.name_any(),
            },
            force: obj.spec.force.unwrap_or_default(),
            concurrency: self.settings.concurrent_ssa,
            overridden_managers: self.settings.override_managers.clone(),
            custom_stage: self.settings.custom_stage.clone(),
            stage_timeout: STAGE_TIMEOUT,
            fail_fast: !self.settings.gates.disable_fail_fast,
        };
        Target::new(self.cluster.clone(), options)
    }

    /// Returns a Kustomization as it is, `None` when it is gone.
    ///
    /// The watch may be behind our own writes, and the inventory is in the status: acting on an old
    /// one would lose what was recorded since.
    pub(crate) async fn latest(
        &self,
        obj: Arc<Kustomization>,
    ) -> Result<Option<Arc<Kustomization>>, kube::Error> {
        let written = lock(&self.written).get(&ObjectRef::from_obj(&obj)).cloned();
        if written.is_none_or(|version| obj.metadata.resource_version.as_ref() == Some(&version)) {
            return Ok(Some(obj));
        }
        Ok(self.api(&obj).get_opt(&obj.name_any()).await?.map(Arc::new))
    }

    /// Remembers the version that our own write has made.
    pub(crate) fn has_written(&self, obj: &Kustomization) {
        if let Some(version) = obj.resource_version() {
            lock(&self.written).insert(ObjectRef::from_obj(obj), version);
        }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, obj: &Kustomization) {
        let reference = ObjectRef::from_obj(obj);
        lock(&self.written).remove(&reference);
        lock(&self.failures).remove(&reference);
        self.interrupts.forget(&reference);
        self.stop_waiting(obj);
    }

    /// Returns how long to wait after one more failure in a row.
    pub(crate) fn back_off(&self, obj: &Kustomization) -> Duration {
        let mut failures = lock(&self.failures);
        let count = failures.entry(ObjectRef::from_obj(obj)).or_default();
        let delay = self.settings.min_retry_delay.saturating_mul(1 << (*count).min(20));
        *count += 1;
        delay.min(self.settings.max_retry_delay)
    }

    /// Ends a row of failures.
    pub(crate) fn has_succeeded(&self, obj: &Kustomization) {
        lock(&self.failures).remove(&ObjectRef::from_obj(obj));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
