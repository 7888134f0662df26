//! One Kubernetes API: requests, the kinds it serves, and what is known of its objects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, HeaderValue};
use kube::Client;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::client::Body;
use kube::core::{DynamicObject, Request, Resource as _};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::error::is_not_found;
use crate::kinds::{Kind, KindError, Kinds};
use crate::memory::{Known as KnownObject, Moved, Place, Viewpoint, hash};
use crate::object::Subject;
use crate::objects::{Objects, Watching};

/// The header that says whom a request is made for.
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// A Kubernetes API, with what is known of it; clones share that.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// The user that is acted as; empty for the client's own.
    user: Arc<str>,
    known: Arc<Known>,
}

/// What is the same whoever asks.
struct Known {
    kinds: Kinds,
    /// By group and plural of the kind.
    objects: Mutex<HashMap<(String, String), Arc<Objects>>>,
    watching: Option<Watching>,
}

/// A look at an object. While it lasts, what a watch tells of the object is kept.
pub(crate) struct Look {
    objects: Arc<Objects>,
    place: Place,
}

impl Look {
    /// Returns what is known of the object.
    pub(crate) fn known(&self) -> Option<KnownObject> {
        self.objects.known(&self.place)
    }

    /// Returns what is known of the object if it is sure to be as declared still.
    pub(crate) fn trusted(&self, declared: u64) -> Option<KnownObject> {
        self.objects.trusted(&self.place, declared)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.objects.end(&self.place);
    }
}

/// A user cannot be acted as.
#[derive(Debug, thiserror::Error)]
#[error("{user:?} is not a name that can be impersonated")]
pub struct ImpersonationError {
    user: String,
}

impl Cluster {
    /// Returns the API that a client talks to.
    pub fn new(client: Client) -> Self {
        Self::with(client, None)
    }

    /// Returns the API that a client talks to, where one watch for each kind tells of changes of
    /// objects that carry the labels of owners: an object that has not changed is not looked at
    /// again. The watches have the rights of the client, whoever is acted as; where they are refused,
    /// objects are looked at each time.
    ///
    /// What comes out of the receiver is not as we left it, and nobody is looking at it.
    pub fn watching(client: Client, view: Viewpoint) -> (Self, UnboundedReceiver<Moved>) {
        let (moved, receiver) = unbounded_channel();
        let watching = Watching { client: client.clone(), view, moved };
        (Self::with(client, Some(watching)), receiver)
    }

    /// Returns another API that is looked at as this one is: what is not as we left it comes out of
    /// the same receiver.
    #[must_use]
    pub fn beside(&self, client: Client) -> Self {
        let watching = self.known.watching.clone();
        let watching = watching.map(|watching| Watching { client: client.clone(), ..watching });
        Self::with(client, watching)
    }

    fn with(client: Client, watching: Option<Watching>) -> Self {
        let kinds = Kinds::new(client.clone());
        let known = Known { kinds, objects: Mutex::default(), watching };
        Self { client, user: Arc::default(), known: Arc::new(known) }
    }

    /// Returns the same API, with the rights of a user, e.g. `system:serviceaccount:apps:deployer`.
    /// Kinds are still asked for with those of the original. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in the header of a request.
    pub fn acting_as(&self, user: &str) -> Result<Self, ImpersonationError> {
        let header = HeaderValue::from_str(user)
            .map_err(|_| ImpersonationError { user: user.to_owned() })?;
        let client = self.client.clone();
        let service = tower::service_fn(move |mut request: http::Request<Body>| {
            let client = client.clone();
            request.headers_mut().insert(IMPERSONATE_USER, header.clone());
            async move { client.send(request).await }
        });
        let client = Client::new(service, self.client.default_namespace());
        Ok(Self { client, user: user.into(), known: self.known.clone() })
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns a kind at a version.
    ///
    /// # Errors
    ///
    /// When the API does not serve it, or could not be asked.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, KindError> {
        self.known.kinds.get(api_version, kind).await
    }

    pub(crate) fn kinds(&self) -> &Kinds {
        &self.known.kinds
    }

    /// Returns the objects of a kind.
    pub(crate) fn objects(&self, kind: &Kind) -> Arc<Objects> {
        let key = (kind.resource.group.clone(), kind.resource.plural.clone());
        let mut objects = self.known.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.entry(key).or_insert_with(|| Arc::new(Objects::new(kind.clone()))).clone()
    }

    /// Begins to look at an object. Needs a tokio runtime.
    pub(crate) fn look(&self, kind: &Kind, subject: &Subject) -> Look {
        let objects = self.objects(kind);
        if let Some(watching) = &self.known.watching {
            objects.watch(watching);
        }
        let place = Place::of(subject);
        objects.begin(place.clone());
        Look { objects, place }
    }

    /// Returns what stands for an object that is declared by whoever is acted as: what one user may
    /// do, another may not.
    pub(crate) fn declared(&self, object: &Value) -> u64 {
        hash(object).wrapping_add(hash(&Value::from(&*self.user)))
    }

    /// Remembers that a live object is as declared.
    pub(crate) fn remember(&self, look: &Look, known: KnownObject) {
        let moved = look.objects.remember(look.place.clone(), known);
        if let (Some(moved), Some(watching)) = (moved, &self.known.watching) {
            // Nobody may want to know.
            let _ = watching.moved.send(moved);
        }
    }

    fn request(kind: &Kind, subject: &Subject) -> Request {
        let namespace = kind.namespaced.then_some(subject.namespace.as_str());
        Request::new(DynamicObject::url_path(&kind.resource, namespace))
    }

    pub(crate) async fn get(
        &self,
        kind: &Kind,
        subject: &Subject,
    ) -> Result<Option<Value>, kube::Error> {
        let request = Self::request(kind, subject).get(&subject.name, &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        match self.client().request(request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies an object, by force: what is declared wins over what others have set.
    pub(crate) async fn apply(
        &self,
        kind: &Kind,
        object: &Value,
        manager: &str,
        dry_run: bool,
    ) -> Result<Value, kube::Error> {
        let params = PatchParams { dry_run, ..PatchParams::apply(manager).force() };
        self.patch(kind, &Subject::of(object), &params, &Patch::Apply(object)).await
    }

    pub(crate) async fn patch(
        &self,
        kind: &Kind,
        subject: &Subject,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Value, kube::Error> {
        let request = Self::request(kind, subject).patch(&subject.name, params, patch);
        let result = self.client().request(request.map_err(kube::Error::BuildRequest)?).await;
        if result.as_ref().is_err_and(is_unserved) {
            // The kind has gone, or has moved, since it was discovered.
            self.kinds().forget(&kind.resource.group);
        }
        result
    }

    /// Deletes a live object, in the background, if it is still the same, and still at a version
    /// where one is given.
    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        subject: &Subject,
        uid: &str,
        version: Option<u64>,
    ) -> Result<(), kube::Error> {
        let uid = Some(uid.to_owned()).filter(|uid| !uid.is_empty());
        let resource_version = version.map(|version| version.to_string());
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid, resource_version }),
            ..DeleteParams::default()
        };
        let request = Self::request(kind, subject).delete(&subject.name, &params);
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.objects(kind).forget(&Place::of(subject));
        match self.client().request_text(request).await {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Says whether the path of a request is not known, rather than the object.
fn is_unserved(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    status.code == 404 && status.details.as_ref().is_none_or(|details| details.name.is_empty())
}
