//! Deletes what is no longer declared.

use api::inventory::{Inventory, InventoryEntry, ObjectId};

use crate::change::{Action, Change, ChangeSet};
use crate::error::{PruneError, api_message, is_conflict};
use crate::kinds::KindError;
use crate::memory::{Place, State};
use crate::object::{Subject, text};
use crate::order;
use crate::target::Target;

/// What became of the objects that were to be deleted.
#[derive(Debug)]
pub struct Pruned {
    /// What was done to each object.
    pub changes: ChangeSet,
    /// The entries of objects that may still exist and have to be tried again.
    pub survivors: Vec<InventoryEntry>,
    /// Why there are survivors.
    pub result: Result<(), PruneError>,
}

impl Target {
    /// Deletes the objects of `stale`, in the reverse of the order in which they were applied.
    ///
    /// Objects without the labels of the owner, and those that are marked to stay, are skipped.
    /// Nothing that is in `declared` is deleted. One failure does not stop the others.
    pub async fn prune(&self, stale: &[InventoryEntry], declared: &Inventory) -> Pruned {
        let mut objects = Vec::new();
        let mut pruned =
            Pruned { changes: ChangeSet::default(), survivors: Vec::new(), result: Ok(()) };
        let mut errors = Vec::new();
        for entry in stale {
            match entry.id.parse::<ObjectId>() {
                Ok(id) => objects.push((id, entry)),
                Err(error) => {
                    errors.push(error.to_string());
                    pruned.survivors.push(entry.clone());
                }
            }
        }
        objects.sort_by(|(a, _), (b, _)| order::key(b).cmp(&order::key(a)));
        for (id, entry) in objects {
            let subject = Subject::of_entry(&id, &entry.version);
            let action = match self.delete(&subject, declared).await {
                Ok(action) => action,
                Err(error) => {
                    errors.push(error);
                    pruned.survivors.push(entry.clone());
                    Action::Unknown
                }
            };
            pruned.changes.extend([Change::new(subject, action)]);
        }
        if !errors.is_empty() {
            pruned.result = Err(PruneError { errors });
        }
        pruned
    }

    async fn delete(&self, subject: &Subject, declared: &Inventory) -> Result<Action, String> {
        let kind = match self.cluster.kinds().get_any_version(subject).await {
            Ok(kind) => kind,
            // The objects of a kind end with it.
            Err(KindError::Unknown { .. }) => return Ok(Action::Deleted),
            Err(error) => return Err(format!("{subject} query failed: {error}")),
        };
        if !kind.namespaced {
            // An entry may hold a namespace that the object never had: then it is the same object.
            let real = Subject { namespace: String::new(), ..subject.clone() }.entry();
            if declared.entries.iter().any(|entry| entry.id == real.id) {
                return Ok(Action::Skipped);
            }
        }
        let known = self.cluster.objects(&kind).known(&Place::of(subject));
        let known = known.filter(|it| it.may_be_deleted && *it.owner == *self.owner);
        if let Some(State { uid, version, .. }) = known.map(|known| known.state) {
            // At another version it may be marked to stay: then it is looked at.
            match self.cluster.delete(&kind, subject, &uid, Some(version)).await {
                Err(error) if is_conflict(&error) => {}
                result => return self.deleted(subject, result),
            }
        }
        let live = self.cluster.get(&kind, subject).await;
        let live =
            live.map_err(|error| format!("{subject} query failed: {}", api_message(&error)))?;
        let Some(live) = live else { return Ok(Action::Deleted) };
        if !self.may_delete(&live) {
            return Ok(Action::Skipped);
        }
        let uid = text(&live, "/metadata/uid");
        self.deleted(subject, self.cluster.delete(&kind, subject, uid, None).await)
    }

    fn deleted(
        &self,
        subject: &Subject,
        result: Result<(), kube::Error>,
    ) -> Result<Action, String> {
        result.map_err(|error| format!("{subject} delete failed: {}", api_message(&error)))?;
        if subject.kind == "CustomResourceDefinition" {
            // Its name is that of its objects, and their group.
            let group = subject.name.split_once('.').map_or("", |(_, group)| group);
            self.cluster.kinds().forget(group);
        }
        Ok(Action::Deleted)
    }
}
