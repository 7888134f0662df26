//! Reviews and token requests: creates that store nothing and answer a question.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::clock;
use crate::object::Object;
use crate::rest::Reply;
use crate::rest::request::Call;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::user::UserInfo;

/// Answers a review. Everybody may do everything until authorization is enforced.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let mut object = call.object()?;
    object["kind"] = call.resource.kind.clone().into();
    object["apiVersion"] = call.api_version().into();
    if object.get("metadata").is_none() {
        object["metadata"] = json!({"creationTimestamp": null});
    }
    object["status"] = match call.resource.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": call.user.to_value()}),
        "TokenReview" => authenticate(cluster, &object),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true}),
    };
    Ok(Reply::Json(StatusCode::CREATED, object))
}

fn authenticate(cluster: &Cluster, review: &Value) -> Value {
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    match cluster.tokens.user(token) {
        Some(user) => json!({
            "authenticated": true,
            "user": user.to_value(),
            "audiences": review["spec"]["audiences"],
        }),
        None => json!({"authenticated": false, "user": {}, "error": "invalid bearer token"}),
    }
}

/// Issues a token to a service account.
pub(crate) fn token(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    const DEFAULT: i64 = 3600;
    const SHORTEST: i64 = 600;
    const LONGEST: i64 = 1 << 32;
    let account =
        cluster.store.get(&call.resource.storage, &call.key()).ok_or_else(|| call.not_found())?;
    let mut request = call.object()?;
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT);
    if !(SHORTEST..=LONGEST).contains(&seconds) {
        let detail = if seconds < SHORTEST {
            "may not specify a duration less than 10 minutes"
        } else {
            "may not specify a duration larger than 2^32 seconds"
        };
        let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), detail);
        let name = account.value.name();
        return Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", name, &[cause]));
    }
    let now = Timestamp::now();
    let expires = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let name = account.value.name();
    let user = UserInfo::service_account(&call.namespace, name, account.value.uid());
    let token = cluster.tokens.issue(user, Some(expires));
    request["metadata"] = json!({
        "name": name,
        "namespace": call.namespace,
        "creationTimestamp": clock::now(),
    });
    if !request["spec"].is_object() {
        request["spec"] = json!({});
    }
    request["spec"]["expirationSeconds"] = seconds.into();
    if !request["spec"]["audiences"].is_array() {
        request["spec"]["audiences"] = json!(["https://kubernetes.default.svc.cluster.local"]);
    }
    request["status"] = json!({
        "token": token.expose_secret(),
        "expirationTimestamp": clock::format(expires),
    });
    Ok(Reply::Json(StatusCode::CREATED, request))
}
