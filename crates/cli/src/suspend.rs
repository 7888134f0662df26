//! `tidegate suspend` and `tidegate resume`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::{
    Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::json;

use crate::{
    args::{Global, NamesArg, ResumeArgs, SuspendArgs, SuspendKind, SuspendSource},
    client::{self, Cluster},
    kind::{self, Kind},
    output, reconcile,
};

/// Suspends what the arguments name.
///
/// # Errors
///
/// With `--all`, the first failure. With names, failures are printed and the rest goes on, as
/// scripts know it from `flux`.
pub(crate) async fn suspend(global: &Global, args: &SuspendArgs) -> anyhow::Result<()> {
    let (kind, names) = target(&args.what);
    let Cluster { client, namespace } = client::connect(global).await?;
    for name in select(&client, kind, &namespace, names).await? {
        output::action(format_args!("suspending {} {name} in {namespace} namespace", kind.words));
        match set(&client, kind, &namespace, &name, true).await {
            Ok(_) => output::success(format_args!("{} suspended", kind.words)),
            Err(err) if names.all => return Err(err),
            Err(err) => output::failure(format_args!("{err:#}")),
        }
    }
    Ok(())
}

/// Resumes what the arguments name, and waits for the outcome if asked to or if it is one object.
///
/// # Errors
///
/// With `--all`, the first failure to resume; in any case the number of objects that were not
/// resumed or did not become ready.
pub(crate) async fn resume(global: &Global, args: &ResumeArgs) -> anyhow::Result<()> {
    let (kind, names) = target(&args.what);
    let Cluster { client, namespace } = client::connect(global).await?;
    let mut resumed = Vec::new();
    let mut failures = 0;
    for name in select(&client, kind, &namespace, names).await? {
        output::action(format_args!("resuming {} {name} in {namespace} namespace", kind.words));
        match set(&client, kind, &namespace, &name, false).await {
            Ok(object) => {
                output::success(format_args!("{} resumed", kind.words));
                resumed.push(object);
            }
            Err(err) if names.all => return Err(err),
            Err(err) => {
                failures += 1;
                output::failure(format_args!("{err:#}"));
            }
        }
    }
    if args.wait.unwrap_or(names.names.len() == 1) {
        let waits = resumed.iter().map(|object| until_ready(&client, kind, object, global.timeout));
        let outcomes = futures::future::join_all(waits).await;
        for failure in outcomes.into_iter().filter_map(Result::err) {
            failures += 1;
            output::failure(format_args!("{failure:#}"));
        }
    }
    if failures > 0 {
        bail!("reconciliation failed for {failures} {}(s)", kind.name);
    }
    Ok(())
}

/// Waits for the first outcome after an object was resumed.
async fn until_ready(
    client: &Client,
    kind: &Kind,
    object: &DynamicObject,
    timeout: Duration,
) -> anyhow::Result<()> {
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    // What the status says until the controller touches it is from before the suspension.
    let mut touched = false;
    let wait = reconcile::wait(client, kind, &namespace, &name, |now| {
        touched |= now.data.get("status") != object.data.get("status");
        touched
    });
    tokio::time::timeout(timeout, wait)
        .await
        .with_context(|| format!("{name} not ready after {timeout:?}"))?
}

fn target(what: &SuspendKind) -> (&'static Kind, &NamesArg) {
    match what {
        SuspendKind::Kustomization(names) => (&kind::KUSTOMIZATION, names),
        SuspendKind::Source { kind: SuspendSource::Git(names) } => (&kind::GIT_REPOSITORY, names),
    }
}

/// Returns the names to work on, each once, in the order in which they were given.
async fn select(
    client: &Client,
    kind: &Kind,
    namespace: &str,
    names: &NamesArg,
) -> anyhow::Result<Vec<String>> {
    if names.all {
        let objects = reconcile::api(client, kind, namespace)
            .list(&ListParams::default())
            .await
            .with_context(|| format!("failed to list {} objects", kind.name))?;
        if objects.items.is_empty() {
            bail!("no {} objects found in {namespace:?} namespace", kind.name);
        }
        return Ok(objects.iter().map(kube::ResourceExt::name_any).collect());
    }
    let mut seen = std::collections::HashSet::new();
    Ok(names.names.iter().filter(|name| seen.insert(name.as_str())).cloned().collect())
}

async fn set(
    client: &Client,
    kind: &Kind,
    namespace: &str,
    name: &str,
    suspend: bool,
) -> anyhow::Result<DynamicObject> {
    reconcile::get(client, kind, namespace, name).await?;
    // Resuming removes the field, so that an object reads as if it had never been suspended.
    let patch = json!({ "spec": { "suspend": suspend.then_some(true) } });
    reconcile::api(client, kind, namespace)
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .with_context(|| format!("failed to change {} {name}", kind.name))
}
