//! `tidegate suspend` and `tidegate resume`.

use anyhow::{Context as _, bail};
use kube::{
    Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    args::{Global, NamesArg, ResumeArgs, SuspendArgs, SuspendKind, SuspendSource},
    client,
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
    let client = client::connect(global).await?;
    for name in select(&client, kind, &global.namespace, names).await? {
        output::action(format_args!(
            "suspending {} {name} in {} namespace",
            kind.words, global.namespace
        ));
        match set(&client, kind, &global.namespace, &name, true).await {
            Ok(()) => output::success(format_args!("{} suspended", kind.words)),
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
/// With `--all`, the first failure to resume; in any case the number of objects that did not
/// become ready.
pub(crate) async fn resume(global: &Global, args: &ResumeArgs) -> anyhow::Result<()> {
    let (kind, names) = target(&args.what);
    let client = client::connect(global).await?;
    let mut resumed = Vec::new();
    for name in select(&client, kind, &global.namespace, names).await? {
        output::action(format_args!(
            "resuming {} {name} in {} namespace",
            kind.words, global.namespace
        ));
        match set(&client, kind, &global.namespace, &name, false).await {
            Ok(()) => {
                output::success(format_args!("{} resumed", kind.words));
                resumed.push(name);
            }
            Err(err) if names.all => return Err(err),
            Err(err) => output::failure(format_args!("{err:#}")),
        }
    }
    if !args.wait && names.names.len() != 1 {
        return Ok(());
    }
    let client = &client;
    let waits = resumed.iter().map(|name| async move {
        let wait = reconcile::wait(client, kind, &global.namespace, name, |_| true);
        tokio::time::timeout(global.timeout, wait)
            .await
            .with_context(|| format!("{name} not ready after {:?}", global.timeout))?
    });
    let failures: Vec<_> =
        futures::future::join_all(waits).await.into_iter().filter_map(Result::err).collect();
    for failure in &failures {
        output::failure(format_args!("{failure:#}"));
    }
    if !failures.is_empty() {
        bail!("reconciliation failed for {} {}(s)", failures.len(), kind.name);
    }
    Ok(())
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
) -> anyhow::Result<()> {
    let object = reconcile::get(client, kind, namespace, name).await?;
    // Resuming removes the field, so that an object reads as if it had never been suspended.
    let patch = json!({ "spec": { "suspend": suspend.then_some(true) } });
    reconcile::api(client, kind, namespace)
        .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .with_context(|| format!("failed to change {} {name}", kind.name))?;
    Ok(())
}
