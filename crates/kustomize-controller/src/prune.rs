//! Deletes what is no longer declared, unless that is so much that somebody has to confirm it.

use std::fmt;
use std::str::FromStr;

use api::inventory::{Inventory, InventoryEntry};
use api::kustomize::{CONFIRM_PRUNE_ANNOTATION, Kustomization};
use api::reason::{PROGRESSING, PRUNE_FAILED};
use apply::{Action as Done, Subject, Target};
use common::events::Severity;
use common::stop::{OrStop as _, Stop};

use crate::progress::Progress;
use crate::wishes::{PruneLimit, Wishes};

/// How many objects a message names.
const NAMED: usize = 5;

/// That objects wait to be deleted until somebody confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    limit: PruneLimit,
    hold: Hold,
    named: Vec<String>,
    revision: String,
}

/// How many objects of how many wait. The condition holds it, because the inventory does not tell any
/// more: it has the new objects by then, and of those none is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hold {
    stale: usize,
    total: usize,
}

impl Held {
    /// Returns what waits, if it does. `before` is what was applied before, `declared` what the build
    /// declares of `revision`, and `told` what the condition said after the last run.
    pub(crate) fn check(
        wishes: &Wishes,
        (before, declared): (&Inventory, &Inventory),
        revision: &str,
        told: Option<&str>,
    ) -> Option<Self> {
        let limit = wishes.prune_limit?;
        let stale = before.stale(declared);
        let total = told
            .and_then(|told| told.parse().ok())
            .map_or(before.entries.len(), |hold: Hold| hold.total);
        let hold = Hold { stale: stale.len(), total };
        let is_confirmed = wishes.confirmed.as_deref() == Some(revision);
        if is_confirmed || !limit.is_exceeded(hold.stale, hold.total) {
            return None;
        }
        let named = stale.into_iter().take(NAMED).map(name).collect();
        Some(Self { limit, hold, named, revision: revision.to_owned() })
    }

    /// Returns what the condition says.
    pub(crate) fn condition(&self) -> String {
        self.hold.to_string()
    }
}

fn name(entry: &InventoryEntry) -> String {
    match entry.id.parse() {
        Ok(id) => Subject::of_entry(&id, &entry.version).to_string(),
        Err(_) => entry.id.clone(),
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, hold, named, revision } = self;
        let rest = hold.stale - named.len();
        let and = if rest == 0 { String::new() } else { format!(" and {rest} more") };
        let named = named.join(", ");
        let why = if hold.stale >= hold.total {
            "everything is never deleted".to_owned()
        } else {
            format!("the limit is {limit}")
        };
        write!(
            f,
            "{hold} are no longer declared and wait to be deleted, because {why} without \
             confirmation: {named}{and}. To delete them set the annotation \
             {CONFIRM_PRUNE_ANNOTATION}: \"{revision}\""
        )
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} objects", self.stale, self.total)
    }
}

impl FromStr for Hold {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.strip_suffix(" objects").and_then(|text| text.split_once(" of "));
        let (stale, total) = numbers.ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self { stale: number(stale)?, total: number(total)? })
    }
}

/// Deletes what was applied before and is not declared any more. What stays is in the inventory, so
/// the next run tries it again.
pub(crate) async fn prune(
    obj: &Kustomization,
    target: &Target,
    (before, applied): (&Inventory, Inventory),
    held: Option<Held>,
    progress: &mut Progress<'_>,
) -> Result<(), Stop> {
    if !obj.spec.prune {
        progress.set_inventory(applied);
        return Ok(());
    }
    if let Some(held) = held {
        progress.set_inventory(applied.union(before));
        return Err(Stop::retry(PRUNE_FAILED, held.to_string()));
    }
    let stale: Vec<_> = before.stale(&applied).into_iter().cloned().collect();
    let pruned = target.prune(&stale, &applied).await;
    let lines = pruned.changes.lines(&[Done::Deleted, Done::Skipped]);
    if !lines.is_empty() {
        progress.speak_up();
        progress.event(Severity::Info, PROGRESSING, lines);
    }
    progress.set_inventory(applied.union(&pruned.survivors.into_iter().collect()));
    pruned.result.or_retry(PRUNE_FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(names: &[&str]) -> Inventory {
        let entry = |name: &&str| InventoryEntry {
            id: format!("apps_{name}__ConfigMap"),
            version: "v1".to_owned(),
        };
        names.iter().map(entry).collect()
    }

    fn wishes(limit: PruneLimit) -> Wishes {
        Wishes { prune_limit: Some(limit), ..Wishes::default() }
    }

    #[test]
    fn says_what_waits_and_how_to_confirm_it() {
        let before = inventory(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        let declared = inventory(&["h", "new"]);
        let wishes = wishes(PruneLimit::Percent(50));
        let held = Held::check(&wishes, (&before, &declared), "main@sha1:2", None).unwrap();
        assert_eq!(
            held.to_string(),
            "7 of 8 objects are no longer declared and wait to be deleted, because the limit is 50% \
             without confirmation: ConfigMap/apps/a, ConfigMap/apps/b, ConfigMap/apps/c, \
             ConfigMap/apps/d, ConfigMap/apps/e and 2 more. To delete them set the annotation \
             kustomize.tidegate.dev/confirm-prune: \"main@sha1:2\""
        );
        let confirmed =
            |revision: &str| Wishes { confirmed: Some(revision.to_owned()), ..wishes.clone() };
        let check =
            |revision| Held::check(&confirmed(revision), (&before, &declared), "main@sha1:2", None);
        assert_eq!(check("main@sha1:1"), Some(held));
        assert_eq!(check("main@sha1:2"), None);
    }

    #[test]
    fn holds_what_was_held_although_the_inventory_has_grown() {
        let wishes = wishes(PruneLimit::Percent(50));
        let before = inventory(&["a", "b", "c"]);
        let declared = inventory(&["x", "y", "z"]);
        let held = Held::check(&wishes, (&before, &declared), "2", None).unwrap();
        assert!(held.to_string().contains("because everything is never deleted"));
        let told = held.condition();
        // As the next run finds it.
        let grown = declared.union(&before);
        assert_eq!(Held::check(&wishes, (&grown, &declared), "2", Some(&told)), Some(held));
        // Two of three are declared again.
        let restored = inventory(&["a", "b", "x"]);
        let held = Held::check(&wishes, (&restored.union(&before), &restored), "3", Some(&told));
        assert_eq!(held, None);
        assert_eq!("3 of 3 objects".parse(), Ok(Hold { stale: 3, total: 3 }));
        assert_eq!("3 of many objects".parse::<Hold>(), Err(()));
    }
}
