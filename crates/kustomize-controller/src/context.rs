//! What every run shares.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api::kustomize::Kustomization;
use apply::order::GroupKind;
use apply::{Assess, Cluster, IgnoreRules, ImpersonationError, Moved, Options, Target, Viewpoint};
use common::Runtime;
use common::events::Recorder;
use common::fetch::Fetcher;
use common::metrics::Work;
use common::remote::{Reference, RemoteError, RemoteOptions, Remotes};
use common::status::Statuses;
use kube::api::Api;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt as _};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::builds::Builds;
use crate::decryption;
use crate::dependencies::Waiting;
use crate::finalize::Accounts;
use crate::interrupt::Interrupts;
use crate::owner::owner;
use crate::source::{ObjectRef, Sources};

/// The name under which objects are applied.
const FIELD_MANAGER: &str = "kustomize-controller";

/// The name under which the status is written.
const STATUS_MANAGER: &str = "gotk-kustomize-controller";

/// How long a stage of definitions may take to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// What the flags say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) concurrent_ssa: usize,
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) default_service_account: Option<String>,
    pub(crate) override_managers: Vec<String>,
    pub(crate) custom_stage: Vec<GroupKind>,
    pub(crate) remote: RemoteOptions,
    pub(crate) interval_jitter: f64,
    pub(crate) decryption: decryption::Settings,
    pub(crate) gates: Gates,
}

/// The feature gates that change what is done.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a gate")]
pub(crate) struct Gates {
    pub(crate) additive_dependency_check: bool,
    pub(crate) external_artifact: bool,
    pub(crate) direct_source_fetch: bool,
    pub(crate) disable_fail_fast: bool,
    pub(crate) migrate_api_version: bool,
    pub(crate) strict_substitutions: bool,
}

/// Why a cluster cannot be acted in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Impersonation(#[from] ImpersonationError),
}

/// What every run shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) cluster: Cluster,
    pub(crate) remotes: Remotes<Cluster>,
    pub(crate) fetcher: Fetcher,
    pub(crate) recorder: Recorder,
    pub(crate) sources: Sources,
    pub(crate) store: Store<Kustomization>,
    pub(crate) waiting: Waiting,
    pub(crate) interrupts: Interrupts,
    pub(crate) statuses: Statuses<Kustomization>,
    pub(crate) accounts: Accounts,
    pub(crate) builds: Arc<Builds>,
    pub(crate) shutdown: CancellationToken,
    work: Work,
}

impl Context {
    /// Returns the context, and what tells of objects that are not as they were left.
    pub(crate) fn new(
        runtime: &Runtime,
        settings: Settings,
        fetcher: Fetcher,
        recorder: Recorder,
        store: Store<Kustomization>,
        work: Work,
    ) -> (Self, UnboundedReceiver<Moved>) {
        let view = Viewpoint {
            group: api::kustomize::GROUP.to_owned(),
            field_manager: FIELD_MANAGER.to_owned(),
            overridden_managers: settings.override_managers.clone(),
        };
        let (cluster, moved) = Cluster::watching(runtime.client.clone(), view);
        let remotes = Remotes::new(runtime.client.clone(), settings.remote.clone());
        let cx = Self {
            cluster,
            remotes,
            client: runtime.client.clone(),
            settings,
            fetcher,
            recorder,
            sources: Sources::default(),
            store,
            waiting: Waiting::default(),
            interrupts: Interrupts::default(),
            statuses: Statuses::new(STATUS_MANAGER),
            accounts: Accounts::default(),
            builds: Arc::default(),
            shutdown: runtime.shutdown.clone(),
            work,
        };
        (cx, moved)
    }

    /// Returns the API of the namespace of a Kustomization.
    pub(crate) fn api(&self, obj: &Kustomization) -> Api<Kustomization> {
        Api::namespaced(self.client.clone(), &obj.namespace().unwrap_or_default())
    }

    /// Returns the ServiceAccount that objects of a Kustomization are applied as, if any.
    pub(crate) fn service_account(&self, obj: &Kustomization) -> Option<String> {
        let own = obj.spec.service_account_name.clone().filter(|name| !name.is_empty());
        own.or_else(|| self.settings.default_service_account.clone())
    }

    /// Returns the cluster of a Kustomization, acted in on its behalf and with the rights of its
    /// ServiceAccount. That of another cluster is the one with the same name and namespace there.
    ///
    /// # Errors
    ///
    /// When it is not said how to reach the cluster, or when the name of the ServiceAccount is none.
    pub(crate) async fn target(
        &self,
        obj: &Kustomization,
        assess: Option<Arc<dyn Assess>>,
        ignore: IgnoreRules,
    ) -> Result<Target, TargetError> {
        let namespace = obj.namespace().unwrap_or_default();
        let cluster = match &obj.spec.kube_config {
            None => self.cluster.clone(),
            Some(reference) => {
                let make = |client| self.cluster.beside(client);
                self.remotes.get(&namespace, reference, make).await?
            }
        };
        let cluster = match self.service_account(obj) {
            None => cluster,
            Some(name) => {
                cluster.acting_as(&format!("system:serviceaccount:{namespace}:{name}"))?
            }
        };
        let options = Options {
            field_manager: FIELD_MANAGER.to_owned(),
            owner: owner(obj),
            force: obj.spec.force.unwrap_or_default(),
            concurrency: self.settings.concurrent_ssa,
            overridden_managers: self.settings.override_managers.clone(),
            custom_stage: self.settings.custom_stage.clone(),
            stage_timeout: STAGE_TIMEOUT,
            fail_fast: !self.settings.gates.disable_fail_fast,
            assess,
            ignore,
            migrate_api_version: self.settings.gates.migrate_api_version,
        };
        Ok(Target::new(cluster, options))
    }

    /// Forgets the clusters that nobody names any more, now that an object is gone.
    fn forget_remotes(&self, gone: &ObjectRef) {
        let others =
            self.store.state().into_iter().filter(|it| ObjectRef::from_obj(&**it) != *gone);
        let used = others.filter_map(|it| {
            Reference::new(&it.namespace().unwrap_or_default(), it.spec.kube_config.as_ref()?)
        });
        let used: HashSet<Reference> = used.collect();
        self.remotes.retain(|reference| used.contains(reference));
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, obj: &Kustomization) {
        let reference = ObjectRef::from_obj(obj);
        self.statuses.forget(&reference);
        self.interrupts.forget(&reference);
        self.builds.forget(&reference);
        self.stop_waiting(obj);
        if obj.spec.kube_config.is_some() {
            self.forget_remotes(&reference);
        }
        self.work.forget(&obj.namespace().unwrap_or_default(), &obj.name_any());
    }
}
