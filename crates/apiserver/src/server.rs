//! The cluster behind the API, and the service in front of it.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use tower::Service;

use crate::auth::Tokens;
use crate::body::Body;
use crate::bootstrap;
use crate::crd::{self, CRDS};
use crate::identity::Identity;
use crate::metrics;
use crate::rbac;
use crate::registry::Registry;
use crate::rest::request::{Received, parse_query};
use crate::rest::{self, output};
use crate::status::ApiError;
use crate::storage::{Key, OpenError, Store, Transaction};
use crate::user::UserInfo;

/// Settings of an [`ApiServer`].
///
/// ```
/// use apiserver::{ApiServer, Options};
///
/// // A watch that falls behind by ten changes has to list again.
/// let api = ApiServer::new(Options { history_limit: 10, ..Options::default() });
/// # drop(api);
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// How many changes of each resource are kept for watches that resume; default 1,000, and fewer
    /// if they are large. A watch from an older revision is answered with 410 `Expired`.
    pub history_limit: usize,
    /// Largest request body in bytes; default 3 MiB, as the real one.
    pub body_limit: usize,
    /// Whether [`ApiServer::serve`] may listen where other machines can reach it; default no.
    pub remote: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { history_limit: 1_000, body_limit: 3 * 1024 * 1024, remote: false }
    }
}

/// An in-memory Kubernetes API; clones share the same objects.
#[derive(Debug, Clone)]
pub struct ApiServer {
    cluster: Arc<Cluster>,
}

/// Objects and kinds.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) store: Arc<Store>,
    registry: RwLock<Arc<Registry>>,
    pub(crate) tokens: Tokens,
    pub(crate) requests: metrics::Requests,
    /// Roles and bindings; changed within transactions of the store alone.
    pub(crate) rbac: RwLock<rbac::Index>,
    identity: Identity,
    options: Options,
}

impl ApiServer {
    /// Returns an API that serves the built-in kinds and holds the namespaces of a new cluster.
    pub fn new(options: Options) -> Self {
        let store = Arc::new(Store::new(options.history_limit));
        Self::with(store, Identity::default(), options)
    }

    /// Returns an API that goes on with what a folder holds, and keeps everything there: objects
    /// with their resource versions, its certificate authority and the token of the administrator.
    /// Only the user of the process can read the folder, in which Secrets are as they are. Tokens of
    /// service accounts end with the process, and a watch from before has to list again.
    ///
    /// The end of the process loses nothing, that of the machine a second at most.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written, is in use by another process, or is damaged.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let store = Store::open(folder, options.history_limit)?;
        let identity = Identity::of_folder(folder)?;
        Ok(Self::with(store, identity, options))
    }

    fn with(store: Arc<Store>, identity: Identity, options: Options) -> Self {
        let cluster = Arc::new(Cluster {
            store,
            registry: RwLock::new(Arc::new(Registry::builtin())),
            tokens: Tokens::default(),
            requests: metrics::Requests::default(),
            rbac: RwLock::default(),
            identity,
            options,
        });
        cluster.transact(|tx| {
            crd::restore(&cluster, tx);
            tx.touch_all();
        });
        bootstrap::install(&cluster);
        Self { cluster }
    }

    /// Returns the API as a service for in-process clients, who act as administrator:
    /// `kube::Client::new(server.service(), "default")`.
    ///
    /// A [`UserInfo`] in the extensions of a request, and impersonation headers, override that.
    pub fn service(&self) -> ApiService {
        ApiService { cluster: self.cluster.clone() }
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(crate) fn options(&self) -> &Options {
        &self.cluster.options
    }

    /// Returns what clients know this API by.
    pub(crate) fn identity(&self) -> &Identity {
        &self.cluster.identity
    }

    /// Forgets the history of all resources: a watch that resumes is answered with 410 `Expired`,
    /// as after a compaction of etcd.
    pub fn compact(&self) {
        self.cluster.store.compact();
    }
}

impl Cluster {
    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change_registry(&self, change: impl FnOnce(&mut Registry)) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut registry));
    }

    /// Changes objects, and stops serving the custom kinds whose definition that removed.
    pub(crate) fn transact<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        self.store.transact(|tx| {
            let result = change(tx);
            if tx.has_changed(CRDS) {
                self.forget_removed_kinds(tx);
            }
            rbac::follow(self, tx);
            result
        })
    }

    fn forget_removed_kinds(&self, tx: &mut Transaction<'_>) {
        let registry = self.registry();
        for resource in registry.all().filter(|resource| resource.custom) {
            if tx.get(CRDS, &Key::new("", &*resource.storage)).is_none() {
                self.change_registry(|registry| registry.remove(&resource.group, &resource.plural));
                crd::retry(self, tx, &resource.group.as_str().into());
            }
        }
    }
}

/// The API as a tower service: any HTTP request body, no socket needed.
#[derive(Debug, Clone)]
pub struct ApiService {
    cluster: Arc<Cluster>,
}

impl<B> Service<Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let cluster = self.cluster.clone();
        Box::pin(async move {
            let response = match receive(&cluster, request).await {
                Ok(received) => rest::answer(&cluster, &received),
                Err(error) => output::json(error.code(), &error.to_value(), &[]),
            };
            if let Some(failure) = cluster.store.failure() {
                let error = ApiError::internal(format!("nothing can be stored: {failure}"));
                return Ok(output::json(error.code(), &error.to_value(), &[]));
            }
            Ok(response)
        })
    }
}

async fn receive<B>(cluster: &Cluster, request: Request<B>) -> Result<Received, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let user = parts.extensions.get::<UserInfo>().cloned().unwrap_or_else(UserInfo::admin);
    let mut received = Received {
        user: user.clone(),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parse_query(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body: Bytes::new(),
    };
    // The body is read in any case, so that the connection can go on.
    let admitted = rbac::admit(cluster, user, &received);
    let limit = cluster.options.body_limit;
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            ApiError::too_large(limit)
        } else {
            ApiError::bad_request(format!("failed to read the request body: {error}"))
        }
    });
    received.user = admitted?;
    received.body = body?.to_bytes();
    Ok(received)
}
