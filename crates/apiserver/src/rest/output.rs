//! The form of an answer: whole objects, metadata only, or a table.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::body::Body;
use crate::rest::request::Call;
use crate::status::ApiError;
use crate::table;

/// The form that the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The kind itself.
    Whole,
    /// `PartialObjectMetadata` or its list.
    Metadata,
    /// `meta.k8s.io/v1` Table.
    Table,
}

impl Shape {
    /// Returns the first form of an `Accept` header that is served.
    pub(crate) fn negotiate(accept: &str) -> Result<Self, ApiError> {
        if accept.trim().is_empty() {
            return Ok(Self::Whole);
        }
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "application/*" | "*/*") {
                continue;
            }
            let parameter = |name: &str| {
                range
                    .split(';')
                    .map(str::trim)
                    .find_map(|part| part.strip_prefix(name))
                    .unwrap_or("")
            };
            let v1 = parameter("v=") == "v1";
            match parameter("as=") {
                "" => return Ok(Self::Whole),
                "Table" if v1 => return Ok(Self::Table),
                "PartialObjectMetadata" | "PartialObjectMetadataList" if v1 => {
                    return Ok(Self::Metadata);
                }
                _ => {}
            }
        }
        Err(ApiError::not_acceptable("application/json"))
    }
}

/// Answers with a JSON body.
pub(crate) fn json(code: StatusCode, value: &Value, warnings: &[String]) -> Response<Body> {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::whole(bytes));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(header::WARNING, value);
        }
    }
    response
}

/// Answers with a stream of JSON lines.
pub(crate) fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Answers with an object or list in the form that was asked for.
pub(crate) fn object(call: &Call, code: StatusCode, value: Value) -> Response<Body> {
    let is_status = value["kind"] == "Status" && value["apiVersion"] == "v1";
    let value = if is_status { value } else { shaped(call, value) };
    json(code, &value, &call.warnings())
}

/// Puts an object or list in the form that was asked for.
pub(crate) fn shaped(call: &Call, value: Value) -> Value {
    match call.shape {
        Shape::Whole => value,
        Shape::Metadata => metadata_only(value),
        Shape::Table => table::render(call, &value, true),
    }
}

/// Puts one object of a watch in the form that was asked for; the columns come with the first.
pub(crate) fn shaped_event(call: &Call, value: Value, first: bool) -> Value {
    match call.shape {
        Shape::Table => table::render(call, &value, first),
        _ => shaped(call, value),
    }
}

/// Returns the metadata of an object, or of each object of a list.
pub(crate) fn metadata_only(value: Value) -> Value {
    let Value::Object(mut object) = value else { return value };
    if let Some(Value::Array(items)) = object.remove("items") {
        let items: Vec<Value> = items.into_iter().map(metadata_only).collect();
        return json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object.remove("metadata").unwrap_or_else(|| Value::Object(Map::new())),
            "items": items,
        });
    }
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.remove("metadata").unwrap_or_else(|| Value::Object(Map::new())),
    })
}

/// Returns one line of a watch.
pub(crate) fn event(kind: &str, object: &Value) -> Bytes {
    let mut line = serde_json::to_vec(&json!({"type": kind, "object": object})).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_form_it_can_serve() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(Shape::negotiate(kubectl).unwrap(), Shape::Table);
        let mixed = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(Shape::negotiate(mixed).unwrap(), Shape::Whole);
        assert!(Shape::negotiate("application/vnd.kubernetes.protobuf").is_err());
    }
}
