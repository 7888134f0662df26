//! `tidegate version`.

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::{Map, Value, json};

use crate::{
    args::{Global, VersionArgs},
    client::{self, Cluster},
    output,
};

/// Prints the version of this command and, unless told otherwise, of the installed controllers.
///
/// # Errors
///
/// When the cluster cannot be asked.
pub(crate) async fn run(global: &Global, args: &VersionArgs) -> anyhow::Result<()> {
    let mut versions = Map::new();
    versions.insert("tidegate".to_owned(), json!(concat!("v", env!("CARGO_PKG_VERSION"))));
    if !args.client {
        let Cluster { client, namespace } = client::connect(global).await?;
        let deployments = Api::<Deployment>::namespaced(client, &namespace)
            .list(&ListParams::default().labels("app.kubernetes.io/part-of=flux"))
            .await
            .context("failed to list the installed controllers")?;
        if let Some(distribution) = deployments.iter().find_map(distribution) {
            versions.insert("distribution".to_owned(), json!(distribution));
        }
        for deployment in &deployments {
            versions.insert(deployment.name_any(), json!(tag(deployment)));
        }
    }
    output::document(&Value::Object(versions), args.output)
}

/// Returns what a controller is part of, e.g. `flux-v0.1.0`.
fn distribution(deployment: &Deployment) -> Option<String> {
    let label = |name: &str| deployment.labels().get(&format!("app.kubernetes.io/{name}"));
    Some(format!("{}-{}", label("part-of")?, label("version")?))
}

/// Returns the image tag of the controller's container, or an empty string.
fn tag(deployment: &Deployment) -> &str {
    deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref())
        .and_then(|pod| pod.containers.iter().find(|container| container.name == "manager"))
        .and_then(|container| container.image.as_deref())
        .and_then(|image| image.rsplit_once(':'))
        .map_or("", |(_, tag)| tag)
}
