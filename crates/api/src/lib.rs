//! The types of every custom resource that Tidegate reads or writes, and what belongs to them:
//! conditions and reasons, artifacts, inventories, labels and annotations.
//!
//! The API is Flux's: the same groups, kinds, fields, defaults and validation. The doc comments of
//! fields become the descriptions in the CRDs. The crate is pure: it talks to nobody.

pub mod conditions;
pub mod duration;
pub mod inventory;
pub mod kustomize;
pub mod meta;
pub mod reason;
mod schema;
pub mod source;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// Returns the definition of every custom resource, in the order in which they are installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [source::GitRepository::crd(), source::ExternalArtifact::crd(), kustomize::Kustomization::crd()]
        .into_iter()
        .map(schema::finish)
        .collect()
}
