//! Brings a cluster to the state that a Kustomization declares.

use std::sync::Arc;

use api::kustomize::Kustomization;
use api::reason::{
    ARTIFACT_FAILED, BUILD_FAILED, FEATURE_GATE_DISABLED, INVALID_ANNOTATION,
    INVALID_CEL_EXPRESSION, PROGRESSING, RECONCILIATION_FAILED,
};
use apply::{Action as Done, Assess, ChangeSet, Prepared, Target};
use common::events::Severity;
use common::fetch::{FetchError, Unpacked};
use common::finalizer;
use common::stop::{Notice, OrStop as _, Stop, chain};
use kube::runtime::controller::Action;
use kustomize::Tree;
use tracing::warn;

use crate::assess::Assessment;
use crate::build::{self, Built};
use crate::builds::{Place, Recipe};
use crate::context::Context;
use crate::decryption::Decryptor;
use crate::dependencies::misconfigured;
use crate::ignore;
use crate::owner::metadata;
use crate::progress::Progress;
use crate::prune::prune;
use crate::source::ObjectRef;
use crate::substitute::Variables;
use crate::tree::DiskTree;
use crate::wishes::Wishes;

/// Why a run has to be repeated although the conditions do not say so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The outcome could not be written.
    #[error("failed to write the status")]
    Status(#[source] kube::Error),
    /// The object could not be read.
    #[error("failed to read the object")]
    Read(#[source] kube::Error),
    /// The finalizer could not be added or removed.
    #[error("failed to write the finalizer")]
    Finalizer(#[source] kube::Error),
    /// Objects could not be deleted.
    #[error("failed to clean up: {0}")]
    Cleanup(String),
}

/// Brings the cluster to the state that one Kustomization declares.
///
/// # Errors
///
/// Only when the outcome could not be recorded, or when cleanup has to be tried again. Every other
/// failure is in the conditions.
pub(crate) async fn reconcile(obj: Arc<Kustomization>, cx: Arc<Context>) -> Result<Action, Error> {
    let api = cx.api(&obj);
    let Some(obj) = cx.statuses.latest(&api, obj).await.map_err(Error::Read)? else {
        return Ok(Action::await_change());
    };
    if obj.metadata.deletion_timestamp.is_some() {
        if finalizer::is_held(&*obj) {
            cx.finalize(&obj).await?;
            finalizer::remove(&api, &obj).await.map_err(Error::Finalizer)?;
        }
        cx.forget(&obj);
        return Ok(Action::await_change());
    }
    let Some(obj) = finalizer::ensure(&api, obj).await.map_err(Error::Finalizer)? else {
        return Ok(Action::await_change());
    };
    let mut progress = Progress::begin(&cx, &obj);
    if obj.spec.suspend.unwrap_or_default() {
        return progress.suspend().await;
    }
    let outcome = converge(&obj, &cx, &mut progress).await;
    progress.finish(outcome).await
}

/// Runs the steps in order; the first that stops decides what the conditions say.
async fn converge(
    obj: &Kustomization,
    cx: &Context,
    progress: &mut Progress<'_>,
) -> Result<(), Stop> {
    let interrupt = cx.interrupts.listen(ObjectRef::from_obj(obj));
    let wishes = Wishes::of(obj).map_err(|error| misconfigured(INVALID_ANNOTATION, &error))?;
    let assessment = cx.assessment(obj)?;
    cx.settings.decryption.check(&obj.spec).or_stall(FEATURE_GATE_DISABLED)?;
    let artifact = cx.artifact(obj).await?;
    progress.about(&artifact);
    cx.check_dependencies(obj, &artifact).await?;

    let fetch = cx.fetcher.fetch(&artifact, "kustomization-");
    let dir = progress.during("Fetching manifests", fetch).await?;
    let dir = dir.map_err(|error| cx.fetch_failed(&error))?;
    let path = obj.spec.path.as_deref().unwrap_or_default();
    let tree = DiskTree::open(dir.path()).or_retry(ARTIFACT_FAILED)?;
    let path = build::locate(&tree, path).or_retry(ARTIFACT_FAILED)?;
    progress.attempt();

    let digest = artifact.digest.clone();
    let built = build(obj, cx, (dir, tree, digest), path);
    let built = progress.during("Building manifests", built).await??;
    progress.built(&built.digest);

    progress.step("Detecting drift");
    let ignore = ignore::rules(&obj.spec).or_retry(RECONCILIATION_FAILED)?;
    let target = cx.target(obj, assessment, ignore).await.or_retry(RECONCILIATION_FAILED)?;
    let before = progress.inventory();
    check_decrypted(&built.objects)?;
    let set =
        target.prepare(built.objects, &metadata(obj)).await.or_retry(RECONCILIATION_FAILED)?;
    let held = progress.hold(&wishes, &before, &set.inventory());
    // Before anything is created: what is applied and then forgotten could never be deleted.
    progress.record_inventory(set.inventory().union(&before)).await?;
    let changes = apply(obj, &target, &set, progress).await?;

    prune(obj, &target, (&before, changes.inventory()), held, progress).await?;

    cx.check_health(obj, &target, &changes, progress, interrupt).await
}

/// Builds the objects at a path of an unpacked artifact.
async fn build(
    obj: &Kustomization,
    cx: &Context,
    (dir, tree, artifact): (Arc<Unpacked>, DiskTree, String),
    path: String,
) -> Result<Built, Stop> {
    let spec = obj.spec.clone();
    let strict = cx.settings.gates.strict_substitutions;
    let decryptor = Decryptor::load(&cx.client, obj, &cx.settings.decryption).await;
    let decryptor = decryptor.or_retry(BUILD_FAILED)?;
    let variables = Variables::load(Some(&cx.client), obj, strict).await.or_retry(BUILD_FAILED)?;
    let recipe = Recipe::of(obj, &path, variables.as_ref());
    let (builds, obj) = (cx.builds.clone(), ObjectRef::from_obj(obj));
    let built = tokio::task::spawn_blocking(move || {
        let make = |tree: &dyn Tree| {
            build::build(tree, &path, &spec, decryptor.as_ref(), variables.as_ref())
        };
        let built = match recipe {
            Some(recipe) => {
                let place = Place { obj, artifact: &artifact, tree: &tree };
                builds.get(place, recipe, make)
            }
            None => make(&tree),
        };
        // The files had to stay for as long as they were read.
        drop(dir);
        built
    });
    built.await.or_retry(BUILD_FAILED)?.or_retry(BUILD_FAILED)
}

/// Applies the objects, within the timeout of the Kustomization.
async fn apply(
    obj: &Kustomization,
    target: &Target,
    set: &Prepared,
    progress: &mut Progress<'_>,
) -> Result<ChangeSet, Stop> {
    let apply = tokio::time::timeout(obj.spec.timeout(), target.apply(set));
    let applied = progress.during("Detecting drift", apply).await?;
    let timeout = || {
        let timeout = api::duration::Duration::from(obj.spec.timeout());
        Stop::retry(RECONCILIATION_FAILED, format!("timeout of {timeout} exceeded while applying"))
    };
    let changes = applied.map_err(|_| timeout())?.or_retry(RECONCILIATION_FAILED)?;
    let lines = changes.lines(&[Done::Created, Done::Configured]);
    if !lines.is_empty() {
        progress.speak_up();
        progress.event(Severity::Info, PROGRESSING, lines);
    }
    let dropped = changes.dropped();
    if !dropped.is_empty() {
        warn!(fields = dropped, "left out fields that the kinds do not have");
        let message = format!("left out fields that the kinds do not have:\n{dropped}");
        progress.event(Severity::Info, PROGRESSING, message);
    }
    Ok(changes)
}

/// An encrypted Secret would be stored as it is, and be of no use to anyone.
fn check_decrypted(objects: &[serde_json::Value]) -> Result<(), Stop> {
    let Some(secret) = build::encrypted_secret(objects) else { return Ok(()) };
    let message = format!(
        "{secret} is SOPS encrypted, configuring decryption is required for this secret to be \
         reconciled"
    );
    Err(Stop::retry(RECONCILIATION_FAILED, message))
}

impl Context {
    /// Reads the expressions that tell the health of objects.
    fn assessment(&self, obj: &Kustomization) -> Result<Option<Arc<dyn Assess>>, Stop> {
        let is_someone_else = obj.spec.kube_config.is_some() || self.service_account(obj).is_some();
        let assessment = Assessment::compile(obj, is_someone_else)
            .map_err(|error| misconfigured(INVALID_CEL_EXPRESSION, &error))?;
        Ok(assessment.map(|assessment| Arc::new(assessment) as Arc<dyn Assess>))
    }

    /// A missing file means that the source has moved on; anything else is a failure.
    fn fetch_failed(&self, error: &FetchError) -> Stop {
        if let FetchError::NotFound = error {
            let after = self.settings.requeue_dependency;
            let shown = api::duration::Duration::from(after);
            let message = format!("Source is not ready, artifact not found, retrying in {shown}");
            return Stop::wait(ARTIFACT_FAILED, message, after, Notice::Silent);
        }
        Stop::retry(ARTIFACT_FAILED, chain(error))
    }
}
