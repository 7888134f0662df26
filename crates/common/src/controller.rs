//! Runs the reconciliations of a controller.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, error, info, info_span};

use crate::delay::Retries;
use crate::metrics::{Outcome, Work};
use crate::runtime::Runtime;
use crate::stop::chain;

/// What runs the reconciliations of one kind of object.
pub struct Reconciliations<K: Resource<DynamicType = ()> + 'static> {
    /// The objects that are watched.
    pub reader: Store<K>,
    /// How many objects are reconciled at a time.
    pub concurrency: u16,
    /// The delays after failures that the reconciler itself does not know how to tell.
    pub retries: Arc<Retries<K>>,
    /// Where they are counted.
    pub work: Work,
}

/// A reconciliation that has to be tried again although its conditions do not say so.
#[derive(Debug, thiserror::Error)]
enum Failure<E: std::error::Error + 'static> {
    #[error(transparent)]
    Failed(E),
    #[error("the reconciliation has panicked")]
    Panicked,
}

impl<K> Reconciliations<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    ObjectRef<K>: Hash + Eq,
{
    /// Reconciles the objects that come out of `changes` and `woken`, and those whose time has come,
    /// until the runtime shuts down; then waits for those that are under way.
    ///
    /// A reconciliation runs as a task of its own: one that panics is tried again after a while, and
    /// disturbs no other.
    pub async fn run<Cx, E, F>(
        self,
        runtime: &Runtime,
        changes: impl Stream<Item = watcher::Result<K>> + Send + 'static,
        woken: impl Stream<Item = ObjectRef<K>> + Send + 'static,
        reconcile: fn(Arc<K>, Arc<Cx>) -> F,
        cx: Arc<Cx>,
    ) where
        Cx: Send + Sync + 'static,
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Action, E>> + Send + 'static,
    {
        let Self { reader, concurrency, retries, work } = self;
        let queue = work.clone();
        let changes = changes.inspect(move |change| {
            if let Ok(obj) = change {
                queue.queued(key(obj));
            }
        });
        let queue = work.clone();
        let woken = woken.inspect(move |obj| {
            queue.queued((obj.namespace.clone().unwrap_or_default(), obj.name.clone()));
        });
        let (failures, present) = (retries.clone(), reader.clone());
        let shutdown = runtime.shutdown.clone();
        let store = reader.clone();
        // The workers wait for the first list; when that does not come any more, there is nothing
        // to finish.
        let is_over_before_it_began = async {
            shutdown.cancelled().await;
            if store.wait_until_ready().now_or_never().is_some() {
                std::future::pending::<()>().await;
            }
        };
        info!(controller = work.controller, "starting workers");
        let workers = Controller::for_stream(changes, reader)
            .with_config(Config::default().concurrency(concurrency))
            .reconcile_on(woken)
            .graceful_shutdown_on(runtime.shutdown.clone().cancelled_owned())
            .run(
                move |obj, cx| {
                    let (work, retries, present) = (work.clone(), retries.clone(), present.clone());
                    async move {
                        let result = observed(&work, &*obj, reconcile(obj.clone(), cx)).await;
                        let reference = ObjectRef::from_obj(&*obj);
                        if result.is_ok() {
                            retries.succeeded(&reference);
                        }
                        // The reconciliation that lets an object go is counted after its end.
                        if present.get(&reference).is_none() {
                            let (namespace, name) = self::key(&*obj);
                            work.forget(&namespace, &name);
                        }
                        result
                    }
                },
                move |obj, _: &Failure<E>, _| {
                    Action::requeue(failures.failed(ObjectRef::from_obj(&*obj)))
                },
                cx,
            )
            // Every outcome is logged where it happens, with what belongs to it.
            .for_each(|_| std::future::ready(()));
        tokio::select! {
            () = workers => {}
            () = is_over_before_it_began => {}
        }
        info!("all workers finished");
    }
}

/// Runs one reconciliation as a task of its own, in a span that tells about the object, and counts
/// it.
async fn observed<K, E>(
    work: &Work,
    obj: &K,
    reconcile: impl Future<Output = Result<Action, E>> + Send + 'static,
) -> Result<Action, Failure<E>>
where
    K: Resource<DynamicType = ()>,
    E: std::error::Error + Send + Sync + 'static,
{
    let key = key(obj);
    let span = info_span!(
        "reconcile",
        controller = work.controller,
        kind = work.kind,
        namespace = key.0,
        name = key.1,
        reconcile_id = %uuid::Uuid::new_v4(),
    );
    work.started(key.clone());
    let task = Task(tokio::spawn(reconcile.instrument(span.clone())));
    let result = match task.await {
        Ok(result) => result.map_err(Failure::Failed),
        Err(_) => Err(Failure::Panicked),
    };
    let outcome = match &result {
        Ok(action) if *action == Action::await_change() => Outcome::Success,
        Ok(_) => Outcome::RequeueAfter,
        Err(Failure::Failed(_)) => Outcome::Error,
        Err(Failure::Panicked) => Outcome::Panic,
    };
    work.ended(&key, outcome);
    if let Err(failure) = &result {
        span.in_scope(|| error!(error = %chain(failure), "reconciler error"));
    }
    result
}

fn key(obj: &impl Resource) -> (String, String) {
    (obj.namespace().unwrap_or_default(), obj.name_any())
}

/// A task that does not outlive its owner.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
