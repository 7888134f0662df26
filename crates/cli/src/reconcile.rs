//! `tidegate reconcile`: asks a controller to run now, and follows it to its outcome.

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    core::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};

use crate::{
    args::{Global, ReconcileArgs, ReconcileKind, ReconcileSource},
    client::{self, Cluster},
    kind::{self, Kind},
    output,
};

/// The annotation whose change asks a controller to run now.
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Reconciles what the arguments name.
///
/// # Errors
///
/// When the object is missing or suspended, when it does not become ready, or when time is up.
pub(crate) async fn run(global: &Global, args: &ReconcileArgs) -> anyhow::Result<()> {
    let Cluster { client, namespace } = client::connect(global).await?;
    let work = async {
        match &args.what {
            ReconcileKind::Source { kind: ReconcileSource::Git { name } } => {
                reconcile(&client, &kind::GIT_REPOSITORY, &namespace, name).await
            }
            ReconcileKind::Kustomization { name, with_source } => {
                if *with_source {
                    reconcile_source(&client, &namespace, name).await?;
                }
                reconcile(&client, &kind::KUSTOMIZATION, &namespace, name).await
            }
        }
    };
    tokio::time::timeout(global.timeout, work)
        .await
        .with_context(|| format!("not finished after {:?}", global.timeout))?
}

/// Reconciles the source of a Kustomization.
async fn reconcile_source(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let object = get(client, &kind::KUSTOMIZATION, namespace, name).await?;
    if kind::suspended(&object) {
        bail!("resource is suspended");
    }
    let source_kind = kind::text(&object, "/spec/sourceRef/kind");
    let source_name = kind::text(&object, "/spec/sourceRef/name");
    let source_namespace = match kind::text(&object, "/spec/sourceRef/namespace") {
        "" => namespace,
        other => other,
    };
    if source_kind != kind::GIT_REPOSITORY.name {
        bail!("cannot reconcile source of kind {source_kind}");
    }
    reconcile(client, &kind::GIT_REPOSITORY, source_namespace, source_name).await
}

async fn reconcile(
    client: &Client,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> anyhow::Result<()> {
    let object = get(client, kind, namespace, name).await?;
    if kind::suspended(&object) {
        bail!("resource is suspended");
    }
    let handled = kind::text(&object, "/status/lastHandledReconcileAt").to_owned();

    output::action(format_args!("annotating {} {name} in {namespace} namespace", kind.name));
    let now = jiff::Timestamp::now().to_string();
    let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: now } } });
    api(client, kind, namespace)
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .with_context(|| format!("failed to annotate {} {name}", kind.name))?;
    output::success(format_args!("{} annotated", kind.name));

    wait(client, kind, namespace, name, |object| {
        kind::text(object, "/status/lastHandledReconcileAt") != handled
    })
    .await
}

/// Follows an object until a run that `counts` has ended, and tells its outcome.
///
/// # Errors
///
/// The message of the Ready condition when it is false, or that the object was deleted.
pub(crate) async fn wait(
    client: &Client,
    kind: &Kind,
    namespace: &str,
    name: &str,
    mut counts: impl FnMut(&DynamicObject) -> bool,
) -> anyhow::Result<()> {
    output::waiting(format_args!("waiting for {} reconciliation", kind.name));
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let changes = watcher(api(client, kind, namespace), config).default_backoff().applied_objects();
    futures::pin_mut!(changes);
    while let Some(object) =
        changes.try_next().await.with_context(|| format!("failed to watch {}", kind.name))?
    {
        if !counts(&object) {
            continue;
        }
        match outcome(&object) {
            Some(Outcome::Ready) => {
                output::success(format_args!("{} {}", kind.outcome, kind.revision(&object)));
                return Ok(());
            }
            Some(Outcome::Failed(message)) => {
                bail!("{} reconciliation failed: '{message}'", kind.name)
            }
            None => {}
        }
    }
    bail!("the watch of {} {name} ended", kind.name)
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Ready,
    Failed(String),
}

/// Returns how the last run ended, or nothing while one is under way.
fn outcome(object: &DynamicObject) -> Option<Outcome> {
    let is = |r#type: &str, status: &str| {
        kind::condition(object, r#type).is_some_and(|condition| condition["status"] == status)
    };
    let (_, message) = kind::ready(object);
    if is("Stalled", "True") || is("Ready", "False") {
        // A failed run leaves Reconciling with the reason ProgressingWithRetry behind: it has
        // ended all the same, and waiting for a retry would hide the cause.
        return Some(Outcome::Failed(message));
    }
    let generation = object.metadata.generation;
    let observed = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    (is("Ready", "True") && !is("Reconciling", "True") && generation == observed)
        .then_some(Outcome::Ready)
}

/// Returns an object by name.
///
/// # Errors
///
/// A sentence that names the object when it does not exist.
pub(crate) async fn get(
    client: &Client,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> anyhow::Result<DynamicObject> {
    api(client, kind, namespace)
        .get_opt(name)
        .await
        .with_context(|| format!("failed to get {} {name}", kind.name))?
        .with_context(|| {
            format!("{} object '{name}' not found in {namespace:?} namespace", kind.name)
        })
}

/// Returns the objects of a kind in a namespace.
pub(crate) fn api(client: &Client, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(generation: i64, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": { "name": "podinfo", "generation": generation },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn reports_a_failed_run_although_it_will_be_retried() {
        let object = object(
            2,
            &json!({ "observedGeneration": 1, "conditions": [
                { "type": "Reconciling", "status": "True", "reason": "ProgressingWithRetry" },
                { "type": "Ready", "status": "False", "message": "no such branch" },
            ]}),
        );
        assert_eq!(outcome(&object), Some(Outcome::Failed("no such branch".to_owned())));
    }

    #[test]
    fn waits_until_the_current_generation_is_observed() {
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let stale = object(2, &json!({ "observedGeneration": 1, "conditions": ready }));
        assert_eq!(outcome(&stale), None);
        let current = object(2, &json!({ "observedGeneration": 2, "conditions": ready }));
        assert_eq!(outcome(&current), Some(Outcome::Ready));
    }
}
