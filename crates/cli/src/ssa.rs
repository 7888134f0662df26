//! Applies single objects, and tells what that has changed.

use std::fmt;

use anyhow::Context as _;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    core::{DynamicObject, GroupVersionKind},
    discovery::{self, Scope},
};

/// What applying an object has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It did not exist.
    Created,
    /// It was different.
    Configured,
    /// It was the same.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        })
    }
}

/// Applies an object on the server's side, by force, under the name of a field manager.
///
/// # Errors
///
/// When its kind is unknown, or the API refuses it.
pub(crate) async fn apply(
    client: &Client,
    manager: &str,
    object: &DynamicObject,
) -> anyhow::Result<Change> {
    let id = identity(object);
    let api = api(client, object).await?;
    let failed = || format!("failed to apply {id}");
    let name = object.name_any();
    let before = api.get_metadata_opt(&name).await.with_context(failed)?;
    let params = PatchParams::apply(manager).force();
    let after = api.patch(&name, &params, &Patch::Apply(object)).await.with_context(failed)?;
    // A write that changes nothing leaves the version as it is.
    Ok(match before.map(|before| before.metadata.resource_version) {
        None => Change::Created,
        Some(version) if version == after.metadata.resource_version => Change::Unchanged,
        Some(_) => Change::Configured,
    })
}

/// Returns the API that an object lives in; without a namespace of its own, `default`.
async fn api(client: &Client, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("an object without kind")?;
    let gvk = GroupVersionKind::try_from(types)
        .with_context(|| format!("{:?} is not an API version", types.api_version))?;
    let (resource, capabilities) = discovery::pinned_kind(client, &gvk)
        .await
        .with_context(|| format!("the API does not know {} of {}", gvk.kind, gvk.api_version()))?;
    Ok(match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    })
}

/// Returns an object as people read it: `Deployment/default/podinfo` or `Namespace/default`.
pub(crate) fn identity(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
    match &object.metadata.namespace {
        Some(namespace) => format!("{kind}/{namespace}/{}", object.name_any()),
        None => format!("{kind}/{}", object.name_any()),
    }
}
