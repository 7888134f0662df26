//! From an HTTP request to a verb on a resource, and back to an HTTP answer.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod output;
pub(crate) mod patch;
pub(crate) mod pod;
pub(crate) mod request;
pub(crate) mod review;
pub(crate) mod scale;
pub(crate) mod token;
pub(crate) mod update;
pub(crate) mod watch;
pub(crate) mod write;

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::Value;

use crate::body::Body;
use crate::discovery;
use crate::rest::request::{Call, Route};
use crate::server::Cluster;
use crate::status::ApiError;
use crate::storage::Entry;

/// An answer before it takes the form that the client accepts.
pub(crate) enum Reply {
    /// One object of the resource in the call.
    Stored(StatusCode, Arc<Entry>),
    /// Objects of the resource in the call, and the metadata of their list.
    List(Value, Vec<Arc<Entry>>),
    /// A body that is sent as it is.
    Json(StatusCode, Value),
    /// Plain text.
    Text(String),
    /// An endless stream of events.
    Stream(Body),
}

/// Answers one request.
pub(crate) fn answer(cluster: &Cluster, request: &request::Received) -> Response<Body> {
    match dispatch(cluster, request) {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(
                method = %request.method,
                path = request.path,
                code = error.code().as_u16(),
                %error,
                "refused request"
            );
            output::json(error.code(), &error.to_value(), &[])
        }
    }
}

fn dispatch(cluster: &Cluster, request: &request::Received) -> Result<Response<Body>, ApiError> {
    let registry = cluster.registry();
    let call = match request::route(&registry, request)? {
        Route::Resource(call) => *call,
        Route::Nowhere => return Ok(output::no_page()),
        Route::Other => return discovery::answer(cluster, &registry, request),
    };
    if let Some(warning) = call.deprecation() {
        call.warn(warning);
    }
    let reply = run(cluster, &call);
    let code = match &reply {
        Ok(Reply::Stored(code, _) | Reply::Json(code, _)) => *code,
        Ok(Reply::List(..) | Reply::Text(_) | Reply::Stream(_)) => StatusCode::OK,
        Err(error) => error.code(),
    };
    cluster.requests.count(&call, code);
    Ok(match reply {
        Ok(Reply::Stored(code, entry)) => output::object(&call, code, &entry),
        Ok(Reply::List(metadata, entries)) => output::list(&call, &metadata, &entries),
        Ok(Reply::Json(code, value)) => output::json(code, &value, &call.warnings()),
        Ok(Reply::Text(text)) => output::text(text),
        Ok(Reply::Stream(body)) => output::stream(body),
        // What was warned of before the refusal is said as well.
        Err(error) if !call.warnings().is_empty() => {
            output::json(error.code(), &error.to_value(), &call.warnings())
        }
        Err(error) => return Err(error),
    })
}

fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    if call.resource.review {
        return match call.method {
            _ if call.name.is_some() => Err(ApiError::no_such_path()),
            Method::POST => review::run(cluster, call),
            _ => Err(ApiError::method_not_allowed()),
        };
    }
    if let Some(subresource) = &call.subresource {
        match subresource.as_str() {
            "scale" => return scale::run(cluster, call),
            "eviction" if call.method == Method::POST => return delete::evict(cluster, call),
            "binding" if call.method == Method::POST => return pod::bind(cluster, call),
            "log" if call.method == Method::GET => return pod::log(cluster, call),
            "token" if call.method == Method::POST => return token::request(cluster, call),
            "finalize" if call.method == Method::PUT => return update::run(cluster, call),
            "approval" | "status" if call.method != Method::POST => {}
            _ => return Err(ApiError::method_not_allowed()),
        }
    }
    let named = call.name.is_some();
    match (&call.method, named) {
        (&Method::GET, _) if call.watching() => watch::run(cluster, call),
        (&Method::GET, true) => get::run(cluster, call),
        (&Method::GET, false) => list::run(cluster, call),
        (&Method::POST, false) => create::run(cluster, call),
        (&Method::PUT, true) => update::run(cluster, call),
        (&Method::PATCH, true) => patch::run(cluster, call),
        (&Method::DELETE, true) => delete::run(cluster, call),
        (&Method::DELETE, false) if call.resource.is("", "namespaces") => {
            Err(ApiError::method_not_allowed())
        }
        (&Method::DELETE, false) => delete::run_collection(cluster, call),
        _ => Err(ApiError::method_not_allowed()),
    }
}
