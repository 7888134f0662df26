//! Tokens of service accounts: requests for new ones, and reviews of given ones.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use smd::FieldSet;
use smd::managed::Write;

use crate::auth::{self, Account};
use crate::clock;
use crate::object::Object;
use crate::rbac;
use crate::rest::request::Call;
use crate::rest::{Reply, write};
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::storage::Key;
use crate::user::UserInfo;

const GROUP: &str = "authentication.k8s.io";

/// Whom tokens are for unless a request says otherwise: this API.
const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Seconds that a token is valid unless a request says otherwise.
const DEFAULT: i64 = 3600;
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// Issues a token to a service account.
pub(crate) fn request(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let name = call.name.as_deref().unwrap_or_default();
    let mut request = call.object()?;
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = format!("{GROUP}/v1").into();
    check_place(call, &mut request)?;
    let account =
        cluster.store.get(&call.resource.storage, &call.key()).ok_or_else(|| call.not_found())?;
    let uid = account.value.uid().unwrap_or_default();
    if let Some(given) = request.uid().filter(|given| *given != uid) {
        let why = format!(
            "the UID in the token request ({given}) does not match the UID of the service account \
             ({uid})"
        );
        return Err(ApiError::conflict(GROUP, "TokenRequest", name, &why));
    }
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT);
    check_duration(seconds)?;
    let bound = check_bound(cluster, call, &request["spec"]["boundObjectRef"])?;
    if !request["spec"].is_object() {
        request["spec"] = json!({});
    }
    request["spec"]["expirationSeconds"] = seconds.into();
    record_manager(call, &mut request);
    let spec = &mut request["spec"];
    if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
        spec["audiences"] = json!([AUDIENCE]);
    }
    if spec.get("boundObjectRef").is_none() {
        spec["boundObjectRef"] = Value::Null;
    }
    let audiences = texts(&spec["audiences"]);
    let managed = request["metadata"]["managedFields"].take();
    let now = Timestamp::now();
    let expires = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let user = UserInfo::service_account(&call.namespace, name, Some(uid));
    let account = Account { key: call.key(), uid: uid.to_owned(), audiences, bound };
    let token = cluster.tokens.issue_to_account(user, account, expires);
    request["metadata"] = json!({
        "name": name,
        "namespace": call.namespace,
        "uid": uid,
        "creationTimestamp": clock::format(now),
        "managedFields": managed,
    });
    request["status"] = json!({
        "token": token.expose_secret(),
        "expirationTimestamp": clock::format(expires),
    });
    Ok(Reply::Json(StatusCode::CREATED, request))
}

/// Refuses a request whose body is for another service account than the path.
fn check_place(call: &Call, request: &mut Value) -> Result<(), ApiError> {
    write::check_namespace_of(call, request)?;
    let (name, given) = (call.name.as_deref().unwrap_or_default(), request.name());
    if given.is_empty() || given == name {
        return Ok(());
    }
    let what = "must match the service account name if specified";
    let cause = Cause::invalid("metadata.name", &given.into(), what);
    Err(ApiError::invalid(GROUP, "TokenRequest", name, &[cause]))
}

/// Records who asked for what, as for any object.
fn record_manager(call: &Call, request: &mut Value) {
    let Some(schema) = smd::Schema::builtin(GROUP, "v1", "TokenRequest") else { return };
    let write = Write {
        manager: &call.manager(),
        subresource: "token",
        api_version: "authentication.k8s.io/v1",
        time: &clock::now(),
        reset: &FieldSet::default(),
        schemas: &|_| Some(schema.clone()),
    };
    smd::managed::update(&write, None, request);
}

fn check_duration(seconds: i64) -> Result<(), ApiError> {
    let what = match seconds {
        ..SHORTEST => "may not specify a duration less than 10 minutes",
        SHORTEST..=LONGEST => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), what);
    Err(ApiError::invalid(GROUP, "TokenRequest", "", &[cause]))
}

/// Returns the object that a token is bound to, if it exists.
fn check_bound(
    cluster: &Cluster,
    call: &Call,
    reference: &Value,
) -> Result<Option<auth::Bound>, ApiError> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    if reference.is_null() {
        return Ok(None);
    }
    let (kind, name) = (text("kind"), text("name"));
    let (resource, namespace) = match (text("apiVersion"), kind) {
        ("v1" | "", "Pod") => ("pods", call.namespace.as_str()),
        ("v1" | "", "Secret") => ("secrets", call.namespace.as_str()),
        ("v1" | "", "Node") => ("nodes", ""),
        (version, kind) => {
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type {slash}{version}, Kind={kind}"
            )));
        }
    };
    let key = Key::new(namespace, name);
    let found = cluster.store.get(resource, &key);
    let found = found.ok_or_else(|| ApiError::not_found("", resource, name))?;
    let account = call.name.as_deref().unwrap_or_default();
    if kind == "Pod" && found.value["spec"]["serviceAccountName"] != account {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different \
             serviceaccount name."
        )));
    }
    let uid = found.value.uid().unwrap_or_default();
    let given = text("uid");
    if !given.is_empty() && given != uid {
        let why = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. The \
             object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict("", kind, name, &why));
    }
    Ok(Some(auth::Bound { resource, key, uid: uid.to_owned() }))
}

/// Says whose token it is that a review shows.
pub(crate) fn review(cluster: &Cluster, review: &mut Value) -> Result<(), ApiError> {
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let mut wanted = texts(&review["spec"]["audiences"]);
    if wanted.is_empty() {
        wanted.push(AUDIENCE.to_owned());
    }
    review["status"] = match cluster.tokens.find(cluster, token) {
        Some((user, audiences)) => {
            let is_known = |audience: &String| match &audiences {
                Some(audiences) => audiences.contains(audience),
                None => audience == AUDIENCE,
            };
            let (good, bad): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_known);
            if good.is_empty() {
                let given = audiences.unwrap_or_else(|| vec![AUDIENCE.to_owned()]);
                let error = format!(
                    "[invalid bearer token, token audiences {} is invalid for the target audiences \
                     {}]",
                    rbac::quoted(&given),
                    rbac::quoted(&bad)
                );
                json!({"user": {}, "error": error})
            } else {
                json!({"authenticated": true, "user": user.to_value(), "audiences": good})
            }
        }
        None => json!({"user": {}, "error": "invalid bearer token"}),
    };
    Ok(())
}

/// Returns whether a token with these audiences is good for this API.
pub(crate) fn is_for_api(audiences: Option<&[String]>) -> bool {
    audiences.is_none_or(|audiences| audiences.iter().any(|audience| audience == AUDIENCE))
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
