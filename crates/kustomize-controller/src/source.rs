//! The sources of artifacts: what is known of them, and which one a Kustomization means.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use api::kustomize::{Kustomization, SourceKind};
use api::source::{Artifact, GROUP};
use common::stop::{Notice, OrStop as _, Stop};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};

use api::reason::{ACCESS_DENIED, ARTIFACT_FAILED};

use crate::context::Context;

/// Which source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SourceId {
    pub(crate) kind: SourceKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl SourceId {
    /// Returns the source that a Kustomization refers to.
    pub(crate) fn of(obj: &Kustomization) -> Self {
        let reference = &obj.spec.source_ref;
        let own = || obj.namespace().unwrap_or_default();
        Self {
            kind: reference.kind,
            namespace: reference.namespace.clone().filter(|it| !it.is_empty()).unwrap_or_else(own),
            name: reference.name.clone(),
        }
    }
}

impl std::fmt::Display for SourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// Where the objects of a kind of source are.
pub(crate) fn resource(kind: SourceKind) -> ApiResource {
    let gvk = GroupVersionKind::gvk(GROUP, "v1", kind.as_str());
    ApiResource::from_gvk_with_plural(&gvk, kind.plural())
}

/// Reads the artifact of a source.
pub(crate) fn artifact_of(source: &DynamicObject) -> Option<Artifact> {
    let artifact = source.data.get("status")?.get("artifact")?;
    serde_json::from_value(artifact.clone()).ok()
}

/// A source that has been seen.
struct Known {
    artifact: Option<Artifact>,
}

/// What is new about a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing that matters.
    None,
    /// It was not known before; what uses it may have tried its artifact already.
    First,
    /// It has another artifact. The revision may be the same: what is left out of it is no part of
    /// the revision.
    Changed,
}

/// The artifacts of the sources that are watched.
#[derive(Default)]
pub(crate) struct Sources {
    known: Mutex<HashMap<SourceId, Option<Artifact>>>,
}

impl Sources {
    /// Records what a watch has told; returns what is new about it.
    pub(crate) fn insert(&self, id: SourceId, artifact: Option<Artifact>) -> News {
        let content = |artifact: &Artifact| (artifact.revision.clone(), artifact.digest.clone());
        let Some(new) = artifact.as_ref().map(content) else {
            self.lock().insert(id, None);
            return News::None;
        };
        match self.lock().insert(id, artifact) {
            None => News::First,
            Some(old) if old.as_ref().map(content) == Some(new) => News::None,
            Some(_) => News::Changed,
        }
    }

    pub(crate) fn remove(&self, id: &SourceId) {
        self.lock().remove(id);
    }

    /// Returns what is known of a source: its artifact, if it has one.
    fn get(&self, id: &SourceId) -> Option<Known> {
        let artifact = self.lock().get(id).cloned();
        artifact.map(|artifact| Known { artifact })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SourceId, Option<Artifact>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Returns the artifact that a Kustomization is about.
    pub(crate) async fn artifact(&self, obj: &Kustomization) -> Result<Artifact, Stop> {
        let id = SourceId::of(obj);
        if self.settings.no_cross_namespace_refs && obj.namespace().as_ref() != Some(&id.namespace)
        {
            let message =
                format!("can't access '{id}', cross-namespace references have been blocked");
            return Err(Stop::stall(ACCESS_DENIED, message));
        }
        if id.kind == SourceKind::ExternalArtifact && !self.settings.gates.external_artifact {
            let message = format!("can't access '{id}', ExternalArtifact feature gate is disabled");
            return Err(Stop::stall(ACCESS_DENIED, message));
        }
        let known = self.sources.get(&id).filter(|_| !self.settings.gates.direct_source_fetch);
        let artifact = if let Some(known) = known {
            known.artifact
        } else if let Some(source) = self.read_source(&id).await.or_retry(ARTIFACT_FAILED)? {
            // Not seen yet: the watch is behind.
            artifact_of(&source)
        } else {
            let message = format!("Source '{id}' not found");
            let after = obj.spec.retry_interval();
            return Err(Stop::wait(ARTIFACT_FAILED, message, after, Notice::Silent));
        };
        artifact.ok_or_else(|| {
            let after = self.settings.requeue_dependency;
            let shown = api::duration::Duration::from(after);
            let message = format!("Source artifact not found, retrying in {shown}");
            Stop::wait(ARTIFACT_FAILED, message, after, Notice::Silent)
        })
    }

    async fn read_source(&self, id: &SourceId) -> Result<Option<DynamicObject>, kube::Error> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &id.namespace, &resource(id.kind));
        match api.get(&id.name).await {
            Ok(source) => Ok(Some(source)),
            // That a kind is not served is said in plain text, which has no reason.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the Kustomizations that a new artifact is about. When all that is new is that it is
    /// known, those that have tried it are left out.
    pub(crate) fn users_of(&self, id: &SourceId, revision: &str, news: &News) -> Vec<ObjectRef> {
        let users = self.store.state().into_iter().filter(|obj| SourceId::of(obj) == *id);
        let users = users.filter(|obj| *news == News::Changed || !is_at(obj, revision));
        users.map(|obj| ObjectRef::from_obj(&*obj)).collect()
    }
}

/// A reference to a Kustomization.
pub(crate) type ObjectRef = kube::runtime::reflector::ObjectRef<Kustomization>;

/// Says whether a Kustomization is at a revision, or on the way to it.
fn is_at(obj: &Kustomization, revision: &str) -> bool {
    let Some(status) = &obj.status else { return false };
    let conditions = &status.conditions;
    let is_busy = api::conditions::is_true(conditions, api::conditions::READY)
        || api::conditions::is_true(conditions, api::conditions::RECONCILING);
    is_busy && status.last_attempted_revision.as_deref() == Some(revision)
}
