//! A cluster, acted in on behalf of one owner.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api::inventory::Inventory;
use serde_json::Value;

use crate::assess::Assess;
use crate::cluster::{Cluster, Look};
use crate::ignore::IgnoreRules;
use crate::kinds::KindError;
use crate::memory::{Known, State, Viewpoint};
use crate::normalize::normalize;
use crate::object::{Subject, is_marked, label, metadata_map, text};
use crate::order::{self, GroupKind};

/// Whose objects they are. Every object gets the labels `<group>/name` and `<group>/namespace`; the
/// annotations that say how to treat an object have the same prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The prefix of labels and annotations, e.g. `kustomize.toolkit.fluxcd.io`.
    pub group: String,
    /// Namespace of the owner.
    pub namespace: String,
    /// Name of the owner.
    pub name: String,
}

impl Owner {
    /// Labels an object with its owner, and adds what the owner wants on every object.
    pub fn label(&self, object: &mut Value, metadata: &Metadata) {
        let Self { group, namespace, name } = self;
        let labels = metadata_map(object, "labels");
        labels.insert(format!("{group}/name"), name.clone().into());
        labels.insert(format!("{group}/namespace"), namespace.clone().into());
        for (field, extra) in [("labels", &metadata.labels), ("annotations", &metadata.annotations)]
        {
            if !extra.is_empty() {
                let map = metadata_map(object, field);
                map.extend(extra.iter().map(|(key, value)| (key.clone(), value.clone().into())));
            }
        }
    }
}

/// How to act.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name under which fields are managed.
    pub field_manager: String,
    /// Whose objects they are.
    pub owner: Owner,
    /// Whether to recreate objects whose change is refused because a field is immutable.
    pub force: bool,
    /// How many dry runs are made at a time; at least one.
    pub concurrency: usize,
    /// Managers, by prefix of their name, whose fields are taken over besides those of kubectl.
    pub overridden_managers: Vec<String>,
    /// Kinds that are applied in a stage before the rest.
    pub custom_stage: Vec<GroupKind>,
    /// How long a stage may take to become ready for the next one.
    pub stage_timeout: Duration,
    /// Whether to stop waiting at the first object that cannot become healthy.
    pub fail_fast: bool,
    /// Who knows the health of some kinds better than kstatus.
    pub assess: Option<Arc<dyn Assess>>,
    /// The fields that are left as they are in the cluster.
    pub ignore: IgnoreRules,
    /// Whether the managed fields of an object are brought to its declared version first. Fields
    /// that a version of a custom resource adds with a default need it.
    pub migrate_api_version: bool,
}

/// Labels and annotations for every object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Labels; they win over those of the object.
    pub labels: BTreeMap<String, String>,
    /// Annotations; they win over those of the object.
    pub annotations: BTreeMap<String, String>,
}

/// A set of objects that is ready to be applied, in the order in which it will be.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) objects: Vec<Value>,
}

impl Prepared {
    /// Returns the inventory that the set will have once it is applied.
    pub fn inventory(&self) -> Inventory {
        self.objects.iter().map(|object| Subject::of(object).entry()).collect()
    }

    /// Returns the objects as they are sent.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }
}

/// A cluster, acted in on behalf of one owner.
#[derive(Clone)]
pub struct Target {
    pub(crate) cluster: Cluster,
    pub(crate) options: Options,
    pub(crate) owner: Arc<Owner>,
    view: Arc<Viewpoint>,
}

impl Target {
    /// Returns a target in a cluster.
    pub fn new(cluster: Cluster, options: Options) -> Self {
        let owner = Arc::new(options.owner.clone());
        let view = Arc::new(Viewpoint::of(&options));
        Self { cluster, options, owner, view }
    }

    /// Returns the cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Normalises objects, labels them with their owner and sorts them.
    ///
    /// Objects of a kind without namespaces lose theirs; for a kind that the set itself defines,
    /// the definition tells. An unknown kind is no error yet: the definition may come from
    /// elsewhere before the object is applied.
    ///
    /// # Errors
    ///
    /// When the API could not be asked for its kinds.
    pub async fn prepare(
        &self,
        mut objects: Vec<Value>,
        metadata: &Metadata,
    ) -> Result<Prepared, KindError> {
        let defined = defined_scopes(&objects);
        for object in &mut objects {
            normalize(object);
            self.options.owner.label(object, metadata);
            let subject = Subject::of(object);
            if subject.namespace.is_empty() {
                continue;
            }
            let id = (subject.group().to_owned(), subject.kind.clone());
            let namespaced = match defined.get(&id) {
                Some(namespaced) => *namespaced,
                None => match self.cluster.kind(&subject.api_version, &subject.kind).await {
                    Ok(kind) => kind.namespaced,
                    Err(KindError::Unknown { .. }) => true,
                    Err(error) => return Err(error),
                },
            };
            if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| !namespaced) {
                metadata.shift_remove("namespace");
            }
        }
        order::sort(&mut objects, &self.options.custom_stage);
        Ok(Prepared { objects })
    }

    /// Says whether a live object has the labels of the owner.
    pub(crate) fn owns(&self, live: &Value) -> bool {
        let Owner { group, namespace, name } = &self.options.owner;
        label(live, &format!("{group}/name")) == Some(name)
            && label(live, &format!("{group}/namespace")) == Some(namespace)
    }

    /// Says whether a live object may be deleted: it is the owner's, and nothing on it forbids it.
    pub(crate) fn may_delete(&self, live: &Value) -> bool {
        self.owns(live) && !self.is_off_limits(live) && !self.is_marked(live, "prune", "disabled")
    }

    /// Returns what stands for a declared object, with what is ignored of it.
    pub(crate) fn declared(&self, object: &Value) -> u64 {
        self.cluster.declared(object).wrapping_add(self.options.ignore.fingerprint())
    }

    /// Remembers that a live object is as declared.
    pub(crate) fn remember(&self, look: &Look, subject: &Subject, declared: u64, live: &Value) {
        let state = State::read(&self.view, subject.group(), &subject.kind, live, true);
        if let Some(state) = state {
            let known = Known::new(declared, self.owner.clone(), state, self.may_delete(live));
            self.cluster.remember(look, known);
        }
    }

    /// Says whether an object carries a marker of the owner's group.
    pub(crate) fn is_marked(&self, object: &Value, key: &str, value: &str) -> bool {
        is_marked(object, &format!("{}/{key}", self.options.owner.group), value)
    }

    /// Says whether an object asks to be left alone.
    pub(crate) fn is_off_limits(&self, object: &Value) -> bool {
        self.is_marked(object, "reconcile", "disabled") || self.is_marked(object, "ssa", "Ignore")
    }
}

/// Returns whether the kinds that a set defines have namespaces, by group and kind.
pub(crate) fn defined_scopes(objects: &[Value]) -> HashMap<(String, String), bool> {
    let definitions = objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition");
    let scopes = definitions.map(|object| {
        let id =
            (text(object, "/spec/group").to_owned(), text(object, "/spec/names/kind").to_owned());
        (id, object["spec"]["scope"] != "Cluster")
    });
    scopes.collect()
}
