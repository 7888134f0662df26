//! Who a bearer token belongs to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::{Request, Response, header};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::body::Body;
use crate::object::Object;
use crate::rest::{output, token};
use crate::server::Cluster;
use crate::status::ApiError;
use crate::storage::{Key, Store};
use crate::user::UserInfo;

/// Bytes that are read of the body of a request without a valid token.
const DRAINED: usize = 256 * 1024;

/// The tokens that were given out.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    holders: Arc<RwLock<HashMap<String, Holder>>>,
}

struct Holder {
    user: UserInfo,
    expires: Option<Timestamp>,
    account: Option<Account>,
}

/// The service account that a token was issued to; with it the token becomes worthless.
pub(crate) struct Account {
    pub(crate) key: Key,
    pub(crate) uid: String,
    /// Whom the token is for.
    pub(crate) audiences: Vec<String>,
    pub(crate) bound: Option<Bound>,
}

/// An object that a token lives no longer than.
pub(crate) struct Bound {
    pub(crate) resource: &'static str,
    pub(crate) key: Key,
    pub(crate) uid: String,
}

impl Holder {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Account {
    fn exists(&self, store: &Store) -> bool {
        let is_there = |resource: &str, key: &Key, uid: &str| {
            store.get(resource, key).is_some_and(|entry| entry.value.uid() == Some(uid))
        };
        let bound = self.bound.as_ref();
        is_there("serviceaccounts", &self.key, &self.uid)
            && bound.is_none_or(|bound| is_there(bound.resource, &bound.key, &bound.uid))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl Tokens {
    /// Returns a new token for a user, valid forever.
    pub(crate) fn issue(&self, user: UserInfo) -> SecretString {
        self.insert(Holder { user, expires: None, account: None })
    }

    /// Returns a new token for a service account; those that have expired are forgotten.
    pub(crate) fn issue_to_account(
        &self,
        mut user: UserInfo,
        account: Account,
        expires: Timestamp,
    ) -> SecretString {
        let id = format!("JTI={}", Uuid::new_v4());
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![id]);
        self.insert(Holder { user, expires: Some(expires), account: Some(account) })
    }

    /// Makes a token that was chosen before that of a user, forever.
    pub(crate) fn admit(&self, token: SecretString, user: UserInfo) -> SecretString {
        let holder = Holder { user, expires: None, account: None };
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        holders.insert(token.expose_secret().to_owned(), holder);
        token
    }

    fn insert(&self, holder: Holder) -> SecretString {
        let token = random_token();
        let now = Timestamp::now();
        let mut holders = self.holders.write().unwrap_or_else(PoisonError::into_inner);
        holders.retain(|_, holder| holder.is_valid(now));
        holders.insert(token.expose_secret().to_owned(), holder);
        token
    }

    /// Returns the user of a token, and whom the token is for if it is for somebody in particular.
    pub(crate) fn find(
        &self,
        cluster: &Cluster,
        token: &str,
    ) -> Option<(UserInfo, Option<Vec<String>>)> {
        let holders = self.holders.read().unwrap_or_else(PoisonError::into_inner);
        let holder = holders.get(token).filter(|holder| holder.is_valid(Timestamp::now()))?;
        let account = holder.account.as_ref();
        account.is_none_or(|account| account.exists(&cluster.store)).then(|| {
            let audiences = account.map(|account| account.audiences.clone());
            (holder.user.clone(), audiences)
        })
    }
}

/// Returns a token that nobody can guess.
pub(crate) fn random_token() -> SecretString {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()).into()
}

/// Puts the [`UserInfo`] of the bearer token into the request, and answers 401 to a token that
/// nobody was given. Without a token the user is `system:anonymous`.
#[derive(Debug, Clone)]
pub(crate) struct Authenticate<S> {
    inner: S,
    cluster: Arc<Cluster>,
}

impl<S> Authenticate<S> {
    pub(crate) fn new(inner: S, cluster: Arc<Cluster>) -> Self {
        Self { inner, cluster }
    }
}

impl<S, B> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let given = request.headers().get(header::AUTHORIZATION);
        let user = match given {
            Some(given) => given
                .to_str()
                .ok()
                .and_then(|given| {
                    self.cluster.tokens.find(&self.cluster, given.strip_prefix("Bearer ")?)
                })
                .filter(|(_, audiences)| token::is_for_api(audiences.as_deref()))
                .map(|(user, _)| user),
            None => Some(UserInfo::anonymous()),
        };
        let Some(user) = user else {
            let error = ApiError::unauthorized();
            let response = output::json(error.code(), &error.to_value(), &[]);
            let body = Limited::new(request.into_body(), DRAINED);
            return Box::pin(async move {
                // The connection can go on only after the body, unless that is too long.
                let _ = body.collect().await;
                Ok(response)
            });
        };
        request.extensions_mut().insert(user);
        Box::pin(self.inner.clone().oneshot(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiServer, Options};
    use jiff::SignedDuration;

    #[test]
    fn knows_tokens_until_they_expire() {
        let api = ApiServer::new(Options::default());
        let (cluster, tokens) = (api.cluster(), Tokens::default());
        let find = |token: &str| tokens.find(cluster, token).map(|(user, _)| user);
        let token = tokens.issue(UserInfo::admin());
        assert_eq!(find(token.expose_secret()), Some(UserInfo::admin()));
        assert_eq!(find("guess"), None);
        assert!(!format!("{tokens:?}{token:?}").contains(token.expose_secret()));
        let past = Timestamp::now() - SignedDuration::from_secs(1);
        let expired =
            tokens.insert(Holder { user: UserInfo::admin(), expires: Some(past), account: None });
        assert_eq!(find(expired.expose_secret()), None);
    }
}
