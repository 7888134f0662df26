//! Wakes Kustomizations when a ConfigMap or Secret that they read changes.

use std::collections::HashMap;
use std::sync::Arc;

use api::kustomize::{Kustomization, SubstituteKind};
use common::args::Watched;
use common::delay::WatchBackoff;
use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource, ResourceExt as _};
use tracing::{debug, warn};

use crate::context::Context;
use crate::source::ObjectRef;

/// A kind that Kustomizations read.
pub(crate) trait Referenced: Resource<DynamicType = ()> {
    /// The kind, as references have it.
    const KIND: SubstituteKind;
    /// The name of the kind.
    const NAME: &'static str;
}

impl Referenced for ConfigMap {
    const KIND: SubstituteKind = SubstituteKind::ConfigMap;
    const NAME: &'static str = "ConfigMap";
}

impl Referenced for Secret {
    const KIND: SubstituteKind = SubstituteKind::Secret;
    const NAME: &'static str = "Secret";
}

/// Watches the labelled objects of a kind, without their content.
pub(crate) async fn observe_configs<K>(
    cx: Arc<Context>,
    watched: Watched,
    labels: String,
    wake: UnboundedSender<ObjectRef>,
) where
    K: Referenced<Scope = kube::core::NamespaceResourceScope> + Clone + std::fmt::Debug,
    K: Send + serde::de::DeserializeOwned + 'static,
{
    let api: Api<PartialObjectMeta<K>> = common::watch::api(cx.client.clone(), &watched);
    let events = watcher(api, Config::default().labels(&labels));
    let mut events = std::pin::pin!(events.backoff(WatchBackoff::default()));
    let mut versions: HashMap<(String, String), Option<String>> = HashMap::new();
    // What is there at the start is no change: every Kustomization is looked at then.
    let mut is_started = false;
    while let Some(event) = events.next().await {
        let changed = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let version = object.resource_version();
                let before = versions.insert(id(&object), version.clone());
                (is_started && before != Some(version)).then_some(object)
            }
            Ok(Event::Delete(object)) => versions.remove(&id(&object)).map(|_| object),
            Ok(Event::Init) => None,
            Ok(Event::InitDone) => {
                is_started = true;
                None
            }
            Err(error) => {
                warn!(kind = K::NAME, %error, "failed to watch configuration");
                None
            }
        };
        let Some(object) = changed else { continue };
        let (namespace, name) = id(&object);
        let cause = format!("{}/{namespace}/{name}", K::NAME);
        for user in cx.readers_of(K::KIND, &namespace, &name) {
            debug!(%user, cause, "configuration has changed");
            cx.interrupts.send(&user, &cause);
            // The receiver is gone only when the controller ends.
            let _ = wake.unbounded_send(user);
        }
    }
}

fn id<K: Referenced>(object: &PartialObjectMeta<K>) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

impl Context {
    /// Returns the Kustomizations that read a ConfigMap or Secret.
    fn readers_of(&self, kind: SubstituteKind, namespace: &str, name: &str) -> Vec<ObjectRef> {
        let all = self.store.state().into_iter();
        let readers = all
            .filter(|obj| obj.namespace().as_deref() == Some(namespace) && reads(obj, kind, name));
        readers.map(|obj| ObjectRef::from_obj(&*obj)).collect()
    }
}

fn reads(obj: &Kustomization, kind: SubstituteKind, name: &str) -> bool {
    let post_build = obj.spec.post_build.as_ref();
    let mut variables =
        post_build.and_then(|it| it.substitute_from.as_deref()).into_iter().flatten();
    if variables.any(|it| it.kind == kind && it.name == name) {
        return true;
    }
    let kube_config = obj.spec.kube_config.as_ref();
    match kind {
        SubstituteKind::ConfigMap => {
            let reference = kube_config.and_then(|it| it.config_map_ref.as_ref());
            reference.is_some_and(|it| it.name == name)
        }
        SubstituteKind::Secret => {
            let decryption = obj.spec.decryption.as_ref().and_then(|it| it.secret_ref.as_ref());
            let kube_config = kube_config.and_then(|it| it.secret_ref.as_ref());
            decryption.is_some_and(|it| it.name == name)
                || kube_config.is_some_and(|it| it.name == name)
        }
    }
}
