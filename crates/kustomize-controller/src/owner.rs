//! What the objects of a Kustomization are labelled with.

use api::kustomize::Kustomization;
use apply::{Metadata, Owner};
use kube::ResourceExt as _;

/// Returns the owner of the objects that a Kustomization applies.
pub fn owner(obj: &Kustomization) -> Owner {
    Owner {
        group: api::kustomize::GROUP.to_owned(),
        namespace: obj.namespace().unwrap_or_default(),
        name: obj.name_any(),
    }
}

/// Returns the labels and annotations that a Kustomization wants on every object.
pub fn metadata(obj: &Kustomization) -> Metadata {
    let common = obj.spec.common_metadata.clone().unwrap_or_default();
    Metadata {
        labels: common.labels.unwrap_or_default(),
        annotations: common.annotations.unwrap_or_default(),
    }
}
