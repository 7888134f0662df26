//! Cluster roles that gather the rules of others, as the controller
//! `clusterrole-aggregation-controller` of a real control plane keeps them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{CLUSTER_ROLES, Index};
use crate::clock;
use crate::object::Object;
use crate::selector::Selectors;
use crate::storage::{Key, Transaction};

const MANAGER: &str = "clusterrole-aggregation-controller";

/// Roles that gather from roles that gather are followed this deep.
const ROUNDS: usize = 32;

/// What aggregation has to look at.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Roles that gather rules, and from which others.
    gathering: BTreeMap<String, Vec<Selectors>>,
    /// Roles that have labels, so that others may gather from them.
    labelled: BTreeSet<String>,
}

impl Sources {
    /// Learns of a role; returns whether others may gather from it, or could before.
    fn set(&mut self, name: &str, role: Option<&Value>) -> bool {
        let labels = role.and_then(|role| role.meta()?.get("labels")?.as_object());
        let had_labels = if labels.is_some_and(|labels| !labels.is_empty()) {
            !self.labelled.insert(name.to_owned())
        } else {
            self.labelled.remove(name)
        };
        let selectors = role.and_then(|role| role["aggregationRule"].as_object()).map(|rule| {
            let selectors = rule.get("clusterRoleSelectors").and_then(Value::as_array);
            selectors.into_iter().flatten().filter_map(Selectors::of_labels).collect()
        });
        match selectors {
            Some(selectors) => self.gathering.insert(name.to_owned(), selectors),
            None => self.gathering.remove(name),
        };
        had_labels || self.labelled.contains(name)
    }
}

/// Brings the index and the roles that gather rules up to date with the roles that changed.
pub(super) fn run(index: &mut Index, tx: &mut Transaction<'_>) {
    let mut changed: BTreeSet<String> =
        tx.changed_keys(CLUSTER_ROLES).iter().map(|key| key.name.clone()).collect();
    for _ in 0..ROUNDS {
        let mut concerned = BTreeSet::new();
        for name in std::mem::take(&mut changed) {
            let key = Key::new("", name);
            let entry = tx.get(CLUSTER_ROLES, &key);
            let role = entry.as_ref().map(|entry| &entry.value);
            index.set_role(&key, role);
            if index.aggregation.set(&key.name, role) || role.is_none() {
                concerned.extend(index.aggregation.gathering.keys().cloned());
            } else if index.aggregation.gathering.contains_key(&key.name) {
                concerned.insert(key.name);
            }
        }
        for name in concerned {
            if gather(&index.aggregation, tx, &name) {
                changed.insert(name);
            }
        }
        if changed.is_empty() {
            return;
        }
    }
}

/// Writes the rules that a role gathers, if they changed.
fn gather(sources: &Sources, tx: &mut Transaction<'_>, name: &str) -> bool {
    let key = Key::new("", name);
    let Some(role) = tx.get(CLUSTER_ROLES, &key) else { return false };
    let mut rules: Vec<Value> = Vec::new();
    for selector in sources.gathering.get(name).into_iter().flatten() {
        for other in sources.labelled.iter().filter(|other| *other != name) {
            let Some(other) = tx.get(CLUSTER_ROLES, &Key::new("", other.as_str())) else {
                continue;
            };
            if !selector.take(&other.value) {
                continue;
            }
            for rule in other.value["rules"].as_array().into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    let current = role.value["rules"].as_array().map_or(&[][..], Vec::as_slice);
    if current == rules {
        return false;
    }
    let mut role = role.value.clone();
    role["rules"] = rules.into();
    take_over(&mut role);
    tx.put(CLUSTER_ROLES, &key, role);
    true
}

/// Records the controller as the manager of the rules, and no other.
fn take_over(role: &mut Value) {
    let entries = role.meta_mut().entry("managedFields").or_insert_with(|| json!([]));
    let Value::Array(entries) = entries else { return };
    entries.retain_mut(|entry| {
        let is_own = entry["manager"] == MANAGER && entry["operation"] == "Apply";
        if let Some(Value::Object(fields)) = entry.get_mut("fieldsV1") {
            fields.shift_remove("f:rules");
            return !is_own && !fields.is_empty();
        }
        !is_own
    });
    // Those who apply come before those who update.
    let at = entries.iter().take_while(|entry| entry["operation"] == "Apply").count();
    let own = json!({
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "time": clock::now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:rules": {}},
    });
    entries.insert(at, own);
}
