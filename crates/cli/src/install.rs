//! `tidegate install`: applies the controllers' manifests, or prints them.

use std::{fmt::Write as _, io::IsTerminal as _, time::Duration};

use anyhow::{Context as _, bail};
use apply::kstatus::{self, Status};
use futures::{TryStreamExt as _, future};
use k8s_openapi::{
    api::apps::v1::Deployment,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    core::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        wait::{await_condition, conditions},
        watcher,
    },
};
use manifests::Options;
use serde_json::Value;

use crate::{
    args::{Global, InstallArgs},
    client::{self, Cluster},
    output, ssa,
};

/// The field manager of an installation; the `flux` CLI uses the same, so either can take over.
const FIELD_MANAGER: &str = "flux";

/// How long the API may take to serve the kinds that were just defined.
const ESTABLISH_TIMEOUT: Duration = Duration::from_mins(1);

/// The CRD whose labels tell who manages the installation.
const MARKER: &str = "gitrepositories.source.toolkit.fluxcd.io";

/// Installs the chosen components.
///
/// # Errors
///
/// When the installation is managed otherwise, an object is refused, or a controller does not
/// become ready in time.
pub(crate) async fn run(global: &Global, args: &InstallArgs) -> anyhow::Result<()> {
    if args.export {
        let options = options(global.namespace(None), args);
        return output::print(&manifests::to_yaml(&options));
    }
    let Cluster { client, namespace } = client::connect(global).await?;
    let options = options(namespace, args);
    output::generate(format_args!("generating manifests"));
    let objects = objects(&options)?;
    output::success(format_args!("manifests build completed"));

    let work = install(&client, &options, args.force, &objects);
    let deadline = tokio::time::Instant::now() + global.timeout;
    let late = || format!("not finished after {:?}", global.timeout);
    tokio::time::timeout_at(deadline, work).await.with_context(late)??;

    output::waiting(format_args!("verifying installation"));
    let deployments = objects.iter().filter(|object| kind(object) == "Deployment");
    let waits = deployments.map(|object| verify(&client, object, deadline));
    let outcomes = future::join_all(waits).await;
    if outcomes.iter().any(|ready| !ready) {
        bail!("install failed");
    }
    output::success(format_args!("install finished"));
    Ok(())
}

fn options(namespace: String, args: &InstallArgs) -> Options {
    let defaults = Options::default();
    Options {
        namespace,
        components: args.components.clone(),
        registry: args.registry.clone(),
        version: args.tag.clone().unwrap_or(defaults.version),
        image_pull_secret: args.image_pull_secret.clone(),
        registry_credentials: args.registry_creds.clone(),
        watch_all_namespaces: args.watch_all_namespaces,
        log_level: args.log_level.clone(),
        network_policy: args.network_policy,
        cluster_domain: args.cluster_domain.clone(),
        toleration_keys: args.toleration_keys.clone(),
    }
}

fn objects(options: &Options) -> anyhow::Result<Vec<DynamicObject>> {
    let parse = |object: Value| serde_json::from_value(object).context("a manifest is no object");
    manifests::install(options).into_iter().map(parse).collect()
}

async fn install(
    client: &Client,
    options: &Options,
    force: bool,
    objects: &[DynamicObject],
) -> anyhow::Result<()> {
    check_manager(client, force).await?;
    output::action(format_args!("installing components in {} namespace", options.namespace));
    let is_first = |object: &&DynamicObject| matches!(kind(object), "Namespace" | CRD);
    let (first, rest): (Vec<_>, Vec<_>) = objects.iter().partition(is_first);
    apply_all(client, &first).await?;
    establish(client, &first).await?;
    apply_all(client, &rest).await?;
    Ok(())
}

const CRD: &str = "CustomResourceDefinition";

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

/// Refuses to replace what Git or another tool manages: it would be put back, or broken.
async fn check_manager(client: &Client, force: bool) -> anyhow::Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let marker = crds.get_metadata_opt(MARKER).await.context("failed to look for CRDs")?;
    let Some(marker) = marker else { return Ok(()) };
    let labels = marker.labels();
    if labels.contains_key("kustomize.toolkit.fluxcd.io/name") {
        bail!(
            "this cluster has been bootstrapped: its components are managed by a Kustomization, \
             change them in Git"
        );
    }
    match labels.get("app.kubernetes.io/managed-by").map(String::as_str) {
        None | Some("" | "flux") => Ok(()),
        Some(_) if force => Ok(()),
        Some(manager) => confirm(manager),
    }
}

fn confirm(manager: &str) -> anyhow::Result<()> {
    let refused = || {
        format!(
            "the installation in this cluster is managed by {manager}; use --force to override it"
        )
    };
    if !std::io::stdin().is_terminal() {
        bail!(refused());
    }
    output::question(format_args!("override the installation managed by {manager}? [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("failed to read the answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { bail!(refused()) }
}

/// Applies objects in order, and prints the change of each.
async fn apply_all(client: &Client, objects: &[&DynamicObject]) -> anyhow::Result<()> {
    for object in objects {
        let change = ssa::apply(client, FIELD_MANAGER, object).await?;
        let mut line = ssa::identity(object);
        writeln!(line, " {change}")?;
        output::print(&line)?;
    }
    Ok(())
}

/// Waits until the API serves every kind that was defined.
async fn establish(client: &Client, objects: &[&DynamicObject]) -> anyhow::Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definitions = objects.iter().filter(|object| kind(object) == CRD);
    let waits = definitions.map(|object| {
        let (crds, name) = (crds.clone(), object.name_any());
        async move {
            let established = await_condition(crds, &name, conditions::is_crd_established());
            tokio::time::timeout(ESTABLISH_TIMEOUT, established)
                .await
                .with_context(|| format!("{name} not established after {ESTABLISH_TIMEOUT:?}"))?
                .with_context(|| format!("failed to wait for {name}"))
        }
    });
    future::try_join_all(waits).await?;
    Ok(())
}

/// Waits until a Deployment is ready, and tells the outcome.
async fn verify(
    client: &Client,
    deployment: &DynamicObject,
    deadline: tokio::time::Instant,
) -> bool {
    let name = deployment.name_any();
    let namespace = deployment.namespace().unwrap_or_default();
    let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    match tokio::time::timeout_at(deadline, ready(api, &name)).await {
        Ok(Ok(())) => {
            output::success(format_args!("{name}: deployment ready"));
            true
        }
        Ok(Err(err)) => {
            output::failure(format_args!("{name}: deployment not ready: {err:#}"));
            false
        }
        Err(_) => {
            output::failure(format_args!("{name}: deployment not ready in time"));
            false
        }
    }
}

/// Follows a Deployment until it is as declared, or cannot become so.
async fn ready(api: Api<Deployment>, name: &str) -> anyhow::Result<()> {
    let changes = watcher::watch_object(api, name).default_backoff();
    futures::pin_mut!(changes);
    while let Some(deployment) = changes.try_next().await.context("failed to watch it")? {
        let Some(deployment) = deployment else { continue };
        let object = serde_json::to_value(deployment)?;
        let health = kstatus::compute(&object, jiff::Timestamp::now());
        match health.status {
            Status::Current => return Ok(()),
            Status::Failed => bail!(health.message),
            _ => {}
        }
    }
    bail!("the watch ended")
}
