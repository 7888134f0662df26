//! Who a bearer token belongs to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::{Request, Response, header};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::body::Body;
use crate::rest::output;
use crate::status::ApiError;
use crate::user::UserInfo;

/// The tokens that were given out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    users: Arc<RwLock<HashMap<String, UserInfo>>>,
}

impl Tokens {
    /// Returns a new token for a user.
    pub(crate) fn issue(&self, user: UserInfo) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        users.insert(token.clone(), user);
        token
    }

    /// Returns the user of a token.
    pub(crate) fn user(&self, token: &str) -> Option<UserInfo> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Puts the [`UserInfo`] of the bearer token into the request, and answers 401 to a token that
/// nobody was given. Without a token the user is `system:anonymous`, who may see health and
/// version alone.
#[derive(Debug, Clone)]
pub(crate) struct Authenticate<S> {
    inner: S,
    tokens: Tokens,
}

impl<S> Authenticate<S> {
    pub(crate) fn new(inner: S, tokens: Tokens) -> Self {
        Self { inner, tokens }
    }
}

impl<S, B> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let given = request.headers().get(header::AUTHORIZATION);
        let token = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let user = match token {
            Some(token) => self.tokens.user(token),
            None if given.is_none() && is_public(request.uri().path()) => {
                Some(UserInfo::anonymous())
            }
            None => None,
        };
        let Some(user) = user else {
            let error = ApiError::unauthorized();
            let response = output::json(error.code(), &error.to_value(), &[]);
            return Box::pin(std::future::ready(Ok(response)));
        };
        request.extensions_mut().insert(user);
        Box::pin(self.inner.clone().oneshot(request))
    }
}

fn is_public(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    matches!(first, "healthz" | "livez" | "readyz" | "version")
}
