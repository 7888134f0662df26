//! Who a bearer token belongs to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::{Request, Response, header};
use jiff::Timestamp;
use secrecy::SecretString;
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::body::Body;
use crate::rest::output;
use crate::status::ApiError;
use crate::user::UserInfo;

/// The tokens that were given out.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    holders: Arc<RwLock<HashMap<String, Holder>>>,
}

struct Holder {
    user: UserInfo,
    expires: Option<Timestamp>,
}

impl Holder {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl Tokens {
    /// Returns a new token for a user; those that have expired are forgotten.
    pub(crate) fn issue(&self, user: UserInfo, expires: Option<Timestamp>) -> SecretString {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let now = Timestamp::now();
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        holders.retain(|_, holder| holder.is_valid(now));
        holders.insert(token.clone(), Holder { user, expires });
        token.into()
    }

    /// Returns the user of a token.
    pub(crate) fn user(&self, token: &str) -> Option<UserInfo> {
        let holders = self.holders.read().unwrap_or_else(PoisonError::into_inner);
        let holder = holders.get(token).filter(|holder| holder.is_valid(Timestamp::now()));
        holder.map(|holder| holder.user.clone())
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

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use secrecy::ExposeSecret;

    #[test]
    fn knows_tokens_until_they_expire() {
        let tokens = Tokens::default();
        let forever = tokens.issue(UserInfo::admin(), None);
        let past = Timestamp::now() - SignedDuration::from_secs(1);
        let expired = tokens.issue(UserInfo::anonymous(), Some(past));
        assert_eq!(tokens.user(forever.expose_secret()), Some(UserInfo::admin()));
        assert_eq!(tokens.user(expired.expose_secret()), None);
        assert_eq!(tokens.user("guess"), None);
        assert!(!format!("{tokens:?}{forever:?}").contains(forever.expose_secret()));
    }
}
