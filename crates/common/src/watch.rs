//! Watches the objects that a controller reconciles.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures::{Stream, TryStreamExt as _};
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::args::Watched;
use crate::delay::WatchBackoff;
use crate::status::requested_at;

/// Returns the API of the objects that a controller looks at.
pub fn api<K>(client: Client, watched: &Watched) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match &watched.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// Watches objects into a store. What comes out has something to be done about it: a new
/// generation, another request to reconcile, another finalizer, or a deletion. Our own writes of
/// the status do not.
///
/// `observe` sees every change, before the store does.
pub fn changes<K, F>(
    client: Client,
    watched: &Watched,
    writer: Writer<K>,
    observe: F,
) -> impl Stream<Item = watcher::Result<K>> + use<K, F>
where
    F: FnMut(&Event<K>),
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut config = watcher::Config::default();
    if let Some(labels) = &watched.labels {
        config = config.labels(labels);
    }
    let requested = |obj: &K| {
        let mut hasher = DefaultHasher::new();
        requested_at(obj).hash(&mut hasher);
        obj.meta().deletion_timestamp.is_some().hash(&mut hasher);
        Some(hasher.finish())
    };
    let wakes = predicates::generation.combine(predicates::finalizers).combine(requested);
    watcher(api(client, watched), config)
        .backoff(WatchBackoff::default())
        .modify(|obj: &mut K| obj.managed_fields_mut().clear())
        .inspect_ok(observe)
        .reflect(writer)
        .applied_objects()
        .predicate_filter(wakes, PredicateConfig::default())
}

/// Says whether a watch fails because the definition of its kind is missing. It may come later: the
/// watch goes on trying.
pub fn is_undefined(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
