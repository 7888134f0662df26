//! One Kubernetes API: requests, the kinds it serves, and what was seen of its objects.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::inventory::ObjectId;
use http::{HeaderName, HeaderValue};
use kube::Client;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::client::Body;
use kube::core::{DynamicObject, Request, Resource as _};
use serde_json::Value;

use crate::error::is_not_found;
use crate::kinds::{Kind, KindError, Kinds};
use crate::object::{Subject, text};

/// The header that says whom a request is made for.
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// A Kubernetes API, with what is known of it; clones share that.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    known: Arc<Known>,
}

/// What is the same whoever asks.
struct Known {
    kinds: Kinds,
    seen: Mutex<HashMap<ObjectId, Seen>>,
}

/// A user cannot be acted as.
#[derive(Debug, thiserror::Error)]
#[error("{user:?} is not a name that can be impersonated")]
pub struct ImpersonationError {
    user: String,
}

/// That an object at a version does not differ from what is declared: a later dry run that is made
/// against the same version gives the same answer, and the live object need not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    declared: u64,
    version: u64,
}

impl Cluster {
    /// Returns the API that a client talks to.
    pub fn new(client: Client) -> Self {
        let known = Known { kinds: Kinds::new(client.clone()), seen: Mutex::default() };
        Self { client, known: Arc::new(known) }
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
        Ok(Self { client, known: self.known.clone() })
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

    /// Deletes a live object, in the background, if it is still the same.
    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        subject: &Subject,
        live: &Value,
    ) -> Result<(), kube::Error> {
        let uid = Some(text(live, "/metadata/uid").to_owned()).filter(|uid| !uid.is_empty());
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = Self::request(kind, subject).delete(&subject.name, &params);
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.forget(&subject.id());
        match self.client().request_text(request).await {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Says whether a declared object was seen to be as the live one at a version.
    pub(crate) fn has_seen(&self, id: &ObjectId, declared: &Value, version: &str) -> bool {
        let seen = Seen { declared: hash(declared), version: hash(version) };
        self.seen().get(id) == Some(&seen)
    }

    /// Remembers that a declared object is as the live one at a version.
    pub(crate) fn remember(&self, id: ObjectId, declared: &Value, version: &str) {
        let seen = Seen { declared: hash(declared), version: hash(version) };
        self.seen().insert(id, seen);
    }

    pub(crate) fn forget(&self, id: &ObjectId) {
        self.seen().remove(id);
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<ObjectId, Seen>> {
        self.known.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash<T: ToString + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Says whether the path of a request is not known, rather than the object.
fn is_unserved(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    status.code == 404 && status.details.as_ref().is_none_or(|details| details.name.is_empty())
}
