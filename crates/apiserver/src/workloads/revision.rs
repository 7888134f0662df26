//! The history of StatefulSets and DaemonSets: a ControllerRevision for each template they had.

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, Patch};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::{beside, delete, ensure, is_owned_by, owner, selected_by, written_by};

const DEFAULT_LIMIT: i32 = 10;

/// What a set wants its history to hold.
pub(super) struct Current<'a> {
    pub(super) selector: &'a LabelSelector,
    pub(super) template: &'a PodTemplateSpec,
    /// Name of the revision.
    pub(super) name: &'a str,
    /// Label by which the revision is told from others, and its value.
    pub(super) label: (&'a str, &'a str),
    pub(super) limit: Option<i32>,
}

/// Makes the current template the latest revision, and forgets those beyond the limit.
pub(super) async fn record<O>(
    client: &Client,
    object: &O,
    current: &Current<'_>,
) -> Result<(), kube::Error>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let api: Api<ControllerRevision> = beside(client, object);
    let mut owned = api.list(&selected_by(current.selector)).await?.items;
    owned.retain(|revision| is_owned_by(revision, object));
    owned.sort_by_key(|revision| revision.revision);
    let latest = owned.last().map_or(0, |revision| revision.revision);
    match owned.iter().find(|revision| revision.name_any() == current.name) {
        // A template that comes back, as after an undo, is the latest again.
        Some(known) if known.revision < latest => {
            let patch = Patch::Merge(json!({"revision": latest + 1}));
            api.patch(current.name, &written_by(), &patch).await?;
        }
        Some(_) => {}
        None => {
            ensure(&api, &revision(object, current, latest + 1)).await?;
        }
    }
    owned.retain(|revision| revision.name_any() != current.name);
    let limit = usize::try_from(current.limit.unwrap_or(DEFAULT_LIMIT)).unwrap_or_default();
    let surplus = owned.len().saturating_sub(limit);
    for old in owned.iter().take(surplus) {
        delete(&api, &old.name_any()).await?;
    }
    Ok(())
}

fn revision<O>(object: &O, current: &Current<'_>, number: i64) -> Value
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let meta = current.template.metadata.clone().unwrap_or_default();
    let mut labels = json!(meta.labels.unwrap_or_default());
    let (label, value) = current.label;
    labels[label] = value.into();
    let mut template = json!(current.template);
    template["$patch"] = "replace".into();
    json!({
        "metadata": {
            "name": current.name,
            "labels": labels,
            "annotations": object.annotations(),
            "ownerReferences": [owner(object)],
        },
        "data": {"spec": {"template": template}},
        "revision": number,
    })
}
