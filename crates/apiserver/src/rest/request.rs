//! Requests: paths, queries, headers and bodies as the API understands them.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::json;
use crate::protobuf;
use crate::registry::{Registry, Resource};
use crate::rest::output::Shape;
use crate::status::ApiError;
use crate::user::UserInfo;

/// A request whose body has arrived.
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: UserInfo,
}

/// Where a request goes.
pub(crate) enum Route {
    Resource(Box<Call>),
    /// Discovery, OpenAPI, version, health.
    Other,
    /// A kind that is not served, of a group that is not built in.
    Nowhere,
}

/// A request for a resource.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) resource: Arc<Resource>,
    pub(crate) version: String,
    /// Empty for cluster-scoped resources and for all namespaces.
    pub(crate) namespace: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
    pub(crate) shape: Shape,
    pub(crate) user: UserInfo,
    pub(crate) user_agent: String,
    warnings: RefCell<Vec<String>>,
    /// Fields that the body gives twice.
    duplicates: RefCell<Vec<String>>,
}

impl Received {
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Call {
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether a boolean parameter is set, as Go's apimachinery reads it.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.param(name).is_some_and(|value| !matches!(value, "false" | "0"))
    }

    pub(crate) fn watching(&self) -> bool {
        self.flag("watch")
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.param("dryRun").is_some_and(|value| value == "All")
    }

    pub(crate) fn api_version(&self) -> String {
        self.resource.api_version(&self.version)
    }

    /// Returns the key of the named object in the store.
    pub(crate) fn key(&self) -> crate::storage::Key {
        crate::storage::Key::new(&self.namespace, self.name.as_deref().unwrap_or_default())
    }

    /// Returns the field manager: as given, else the first part of the user agent.
    pub(crate) fn manager(&self) -> String {
        match self.param("fieldManager") {
            Some(manager) if !manager.is_empty() => manager.to_owned(),
            _ => {
                let agent = self.user_agent.split('/').next().unwrap_or_default();
                if agent.is_empty() { "unknown".to_owned() } else { agent.to_owned() }
            }
        }
    }

    /// Returns what a client should know that uses a version on its way out.
    pub(crate) fn deprecation(&self) -> Option<String> {
        self.resource.version(&self.version)?.deprecation.clone()
    }

    /// Adds a `Warning` header to the answer.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let (mut warnings, text) = (self.warnings.borrow_mut(), text.into());
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    pub(crate) fn not_found(&self) -> ApiError {
        let name = self.name.as_deref().unwrap_or_default();
        ApiError::not_found(&self.resource.group, &self.resource.plural, name)
    }

    pub(crate) fn conflict(&self, name: &str, why: &str) -> ApiError {
        ApiError::conflict(&self.resource.group, &self.resource.plural, name, why)
    }

    /// Parses the body as an object, from JSON or YAML.
    pub(crate) fn object(&self) -> Result<Value, ApiError> {
        if !is_json(&self.content_type) {
            return parse_object(&self.body, &self.content_type);
        }
        let refuse = |problem: &str| {
            let text = json::unrecognized(&self.resource.kind, problem, &self.body);
            ApiError::bad_request(text)
        };
        let (value, duplicates) =
            json::parse(&self.body).map_err(|error| refuse(&json::go_text(&error, &self.body)))?;
        if !value.is_object() {
            return Err(refuse(&json::no_kind(&value)));
        }
        *self.duplicates.borrow_mut() = duplicates;
        Ok(value)
    }

    /// Returns the fields that the body gives twice, once it was parsed.
    pub(crate) fn duplicates(&self) -> Vec<String> {
        self.duplicates.borrow().clone()
    }

    /// Returns the same call on other terms.
    pub(crate) fn with(&self, method: Method, name: Option<String>) -> Self {
        Self {
            method,
            resource: self.resource.clone(),
            version: self.version.clone(),
            namespace: self.namespace.clone(),
            name,
            subresource: self.subresource.clone(),
            query: self.query.clone(),
            content_type: self.content_type.clone(),
            body: self.body.clone(),
            shape: self.shape,
            user: self.user.clone(),
            user_agent: self.user_agent.clone(),
            warnings: RefCell::default(),
            duplicates: RefCell::default(),
        }
    }
}

fn is_json(content_type: &str) -> bool {
    matches!(content_type, "" | "application/json" | "application/x-www-form-urlencoded")
}

/// Parses an object from JSON, or from YAML or protobuf if the content type says so.
pub(crate) fn parse_object(body: &[u8], content_type: &str) -> Result<Value, ApiError> {
    let value = match content_type {
        json if is_json(json) => serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(error.to_string()))?,
        "application/yaml" | "application/apply-patch+yaml" => parse_yaml(body)?,
        "application/vnd.kubernetes.protobuf" => protobuf::decode(body).map_err(|error| {
            ApiError::bad_request(format!("failed to decode the body: {error}"))
        })?,
        _ => {
            return Err(ApiError::unsupported_media_type(
                "application/json, application/yaml, application/vnd.kubernetes.protobuf",
            ));
        }
    };
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(ApiError::bad_request("the body of the request is not an object")),
    }
}

/// Parses one YAML document; JSON is YAML, and much faster to parse as such.
pub(crate) fn parse_yaml(body: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::bad_request("error decoding YAML: the body is not UTF-8"))?;
    crate::yaml::parse(text)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}

/// Splits a query string into decoded pairs.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

/// Finds out where a request goes.
pub(crate) fn route(registry: &Registry, request: &Received) -> Result<Route, ApiError> {
    let decoded: Vec<String> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Ok(Route::Other),
    };
    let (watch_prefix, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (namespace, rest) = match rest {
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        rest => ("", rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
        _ => return Err(ApiError::no_such_path()),
    };
    let found = registry.get(group, plural);
    let resource = match found.filter(|resource| resource.version(version).is_some()) {
        Some(resource) => resource.clone(),
        None if registry.is_builtin(group) => return Err(ApiError::no_such_path()),
        None => return Ok(Route::Nowhere),
    };
    check_scope(&resource, version, namespace, name, subresource)?;
    let mut query = request.query.clone();
    if watch_prefix {
        query.push(("watch".into(), "true".into()));
    }
    let content_type = request.header(header::CONTENT_TYPE);
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    Ok(Route::Resource(Box::new(Call {
        method: request.method.clone(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
        query,
        content_type,
        body: request.body.clone(),
        shape: Shape::negotiate(request.header(header::ACCEPT))?,
        user: request.user.clone(),
        user_agent: request.header(header::USER_AGENT).to_owned(),
        warnings: RefCell::default(),
        duplicates: RefCell::default(),
        resource,
    })))
}

fn check_scope(
    resource: &Resource,
    version: &str,
    namespace: &str,
    name: Option<&str>,
    subresource: Option<&str>,
) -> Result<(), ApiError> {
    if !namespace.is_empty() && !resource.namespaced {
        return Err(ApiError::no_such_path());
    }
    if resource.namespaced && namespace.is_empty() && name.is_some() {
        return Err(ApiError::no_such_path());
    }
    let Some(subresource) = subresource else { return Ok(()) };
    let known = resource.version(version).is_some_and(|version| {
        let known = &version.subresources;
        match subresource {
            "status" => known.status,
            "scale" => known.scale.is_some(),
            other => known.other.contains(&other),
        }
    });
    if known { Ok(()) } else { Err(ApiError::no_such_path()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_query_pairs() {
        let pairs = parse_query("labelSelector=a%3Db%2Cc&watch&limit=1");
        assert_eq!(pairs[0], ("labelSelector".into(), "a=b,c".into()));
        assert_eq!(pairs[1], ("watch".into(), String::new()));
    }
}
