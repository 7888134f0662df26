//! Deletes what a Kustomization has applied, when it is deleted itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::conditions::{self, READY};
use api::inventory::{Inventory, InventoryEntry};
use api::kustomize::{DeletionPolicy, Kustomization};
use apply::{Action as Done, IgnoreRules, Subject};
use common::events::Severity;
use common::stop::chain;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, ResourceExt as _};
use tracing::{info, warn};

use crate::context::Context;
use crate::reconcile::Error;

/// How long an account that was there a moment ago is not asked for again: Kustomizations often go
/// together.
const ACCOUNT_LASTS: Duration = Duration::from_secs(1);

/// The ServiceAccounts that were seen a moment ago.
#[derive(Default)]
pub(crate) struct Accounts {
    seen: Mutex<HashMap<(String, String), Instant>>,
}

impl Accounts {
    async fn has(&self, client: &Client, namespace: &str, name: &str) -> Result<bool, kube::Error> {
        let key = (namespace.to_owned(), name.to_owned());
        let is_fresh = |seen: &Instant| seen.elapsed() < ACCOUNT_LASTS;
        if self.lock().get(&key).is_some_and(is_fresh) {
            return Ok(true);
        }
        let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let exists = api.get_metadata_opt(name).await?.is_some();
        let mut seen = self.lock();
        seen.retain(|_, seen| is_fresh(seen));
        if exists {
            seen.insert(key, Instant::now());
        }
        Ok(exists)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Instant>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Cleans up after a Kustomization as its policy says. The finalizer is removed afterwards.
    ///
    /// # Errors
    ///
    /// When an object could not be deleted; the finalizer stays, and it is tried again.
    pub(crate) async fn finalize(&self, obj: &Kustomization) -> Result<(), Error> {
        let policy = obj.spec.deletion_policy.unwrap_or_default();
        let deletes = match policy {
            DeletionPolicy::MirrorPrune => obj.spec.prune,
            DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
            DeletionPolicy::Orphan => false,
        };
        let inventory = obj.status.as_ref().and_then(|status| status.inventory.as_ref());
        let entries = inventory.map(|it| it.entries.as_slice()).unwrap_or_default();
        if deletes && !obj.spec.suspend.unwrap_or_default() && !entries.is_empty() {
            self.delete_all(obj, entries, policy).await?;
        }
        Ok(())
    }

    async fn delete_all(
        &self,
        obj: &Kustomization,
        entries: &[InventoryEntry],
        policy: DeletionPolicy,
    ) -> Result<(), Error> {
        if !self.has_service_account(obj).await? {
            // Nobody may delete the objects any more, so waiting would not help.
            let parsed = entries.iter().filter_map(|entry| {
                Some(Subject::of_entry(&entry.id.parse().ok()?, &entry.version).to_string())
            });
            let lines = parsed.collect::<Vec<_>>().join("\n");
            warn!(count = entries.len(), "the service account is gone; objects are left");
            self.tell(obj, Severity::Error, format!("unable to prune objects: \n{lines}"));
            return Ok(());
        }
        let target = self.target(obj, None, IgnoreRules::default()).await;
        let target = target.map_err(|error| Error::Cleanup(chain(&error)))?;
        let pruned = target.prune(entries, &Inventory::default()).await;
        if let Err(error) = pruned.result {
            warn!(%error, "pruning for deleted resource failed");
            self.tell(obj, Severity::Error, "pruning for deleted resource failed".to_owned());
            return Err(Error::Cleanup(error.to_string()));
        }
        let lines = pruned.changes.lines(&[Done::Deleted, Done::Skipped]);
        if !lines.is_empty() {
            info!(count = entries.len(), "deleted objects");
            self.tell(obj, Severity::Info, lines);
        }
        if policy == DeletionPolicy::WaitForTermination {
            let deleted = pruned.changes.changes.into_iter();
            let deleted = deleted.filter(|change| change.action == Done::Deleted);
            let gone: Vec<Subject> = deleted.map(|change| change.subject).collect();
            let result = tokio::select! {
                result = target.wait_gone(&gone, obj.spec.timeout()) => result,
                () = self.shutdown.cancelled() => {
                    return Err(Error::Cleanup("the controller is shutting down".to_owned()));
                }
            };
            if let Err(error) = result {
                warn!(%error, "failed to wait for resources termination");
                let message = "failed to wait for resources termination".to_owned();
                self.tell(obj, Severity::Error, message);
            }
        }
        Ok(())
    }

    /// Says whether the ServiceAccount that objects were applied as exists, if one is named.
    async fn has_service_account(&self, obj: &Kustomization) -> Result<bool, Error> {
        let Some(name) = self.service_account(obj) else { return Ok(true) };
        let namespace = obj.namespace().unwrap_or_default();
        self.accounts.has(&self.client, &namespace, &name).await.map_err(Error::Read)
    }

    fn tell(&self, obj: &Kustomization, severity: Severity, message: String) {
        let conditions = obj.status.as_ref().map(|status| status.conditions.as_slice());
        let ready = conditions.and_then(|conditions| conditions::find(conditions, READY));
        let word = if severity == Severity::Error { "error" } else { "info" };
        let reason = ready.map_or(word, |ready| ready.reason.as_str());
        self.recorder.publish(obj, severity, reason, message, BTreeMap::new());
    }
}
