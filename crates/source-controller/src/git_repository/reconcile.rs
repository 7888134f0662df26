//! Makes the content of a Git repository available as an artifact.

use std::sync::Arc;

use api::conditions::{FETCH_FAILED, INCLUDE_UNAVAILABLE, STORAGE_OPERATION_FAILED};
use api::reason::{DIRECTORY_CREATION_FAILED, UNSUPPORTED_FIELD};
use api::source::GitRepository;
use common::finalizer;
use common::stop::OrStop as _;
use kube::runtime::controller::Action;

use super::context::Context;
use super::progress::{Done, Progress};
use super::unsupported;
use crate::failure::{Failure, Under as _};

/// Why a reconciliation has to be tried again after a while that gets longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A step has failed; the conditions say which and why.
    #[error("{0}")]
    Failed(String),
    /// The outcome could not be written.
    #[error("failed to write the status")]
    Status(#[source] kube::Error),
    /// The object could not be read.
    #[error("failed to read the object")]
    Read(#[source] kube::Error),
    /// The finalizer could not be added or removed.
    #[error("failed to write the finalizer")]
    Finalizer(#[source] kube::Error),
    /// Artifacts could not be removed.
    #[error("{0}")]
    Cleanup(String),
}

/// Makes the content of one GitRepository available as an artifact.
///
/// # Errors
///
/// When it has to be tried again after a delay that doubles with each failure. Unless the outcome
/// could not be recorded, the failure is in the conditions as well.
pub(crate) async fn reconcile(obj: Arc<GitRepository>, cx: Arc<Context>) -> Result<Action, Error> {
    let api = cx.api(&obj);
    let Some(obj) = cx.statuses.latest(&api, obj).await.map_err(Error::Read)? else {
        return Ok(Action::await_change());
    };
    if obj.metadata.deletion_timestamp.is_some() {
        if finalizer::is_held(&*obj) {
            cx.finalize(&obj).await?;
            finalizer::remove(&api, &obj).await.map_err(Error::Finalizer)?;
        }
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

/// Runs the steps in order; the first that fails decides what the conditions say.
async fn converge(
    obj: &GitRepository,
    cx: &Context,
    progress: &mut Progress<'_>,
) -> Result<Done, Failure> {
    progress.start().await?;
    progress.check_storage().await?;
    unsupported::check(&obj.spec).or_stall(UNSUPPORTED_FIELD)?;

    let upstream = cx.upstream(obj).await.under(FETCH_FAILED)?;
    let includes = cx.includes(obj).under(INCLUDE_UNAVAILABLE)?;
    progress.included(&includes).await?;

    // A list of references tells whether there is anything to fetch.
    if let Some(artifact) = progress.artifact()
        && progress.is_current(&artifact.revision, &includes)
    {
        let revision = cx.until_shutdown(upstream.revision()).await.under(FETCH_FAILED)?;
        if progress.is_current(&revision, &includes) {
            progress.keep();
            return Ok(Done::Unchanged);
        }
    }

    let workspace = cx.workspace(obj).or_retry(DIRECTORY_CREATION_FAILED);
    let workspace = workspace.under(STORAGE_OPERATION_FAILED)?;
    let checkout = cx.until_shutdown(upstream.check_out(&workspace)).await.under(FETCH_FAILED)?;
    progress.fetched(&checkout.revision).await?;
    if progress.is_current(&checkout.revision, &includes) {
        progress.keep();
        return Ok(Done::UpToDate);
    }

    let artifact = cx.store(obj, workspace, &checkout, &includes).await?;
    progress.stored(artifact, includes);
    Ok(Done::Stored(checkout.subject))
}
