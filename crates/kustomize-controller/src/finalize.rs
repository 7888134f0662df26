//! Deletes what a Kustomization has applied, when it is deleted itself.

use std::collections::BTreeMap;

use api::conditions::{self, READY};
use api::inventory::{Inventory, InventoryEntry};
use api::kustomize::{DeletionPolicy, Kustomization};
use apply::{Action as Done, Subject};
use common::events::Severity;
use tracing::{info, warn};

use crate::context::Context;
use crate::reconcile::Error;

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
        // The objects may be in another cluster, or be none of this controller's business.
        let unsupported = [
            ("kubeConfig", obj.spec.kube_config.is_some()),
            ("serviceAccountName", obj.spec.service_account_name.is_some()),
        ];
        if let Some((field, _)) = unsupported.into_iter().find(|(_, is_set)| *is_set) {
            let message = format!(
                "unable to prune objects: spec.{field} is not supported by this version; set \
                 spec.deletionPolicy to Orphan to leave them"
            );
            self.tell(obj, Severity::Error, message.clone());
            return Err(Error::Cleanup(message));
        }
        let target = self.target(obj);
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

    fn tell(&self, obj: &Kustomization, severity: Severity, message: String) {
        let conditions = obj.status.as_ref().map(|status| status.conditions.as_slice());
        let ready = conditions.and_then(|conditions| conditions::find(conditions, READY));
        let word = if severity == Severity::Error { "error" } else { "info" };
        let reason = ready.map_or(word, |ready| ready.reason.as_str());
        self.recorder.publish(obj, severity, reason, message, BTreeMap::new());
    }
}
