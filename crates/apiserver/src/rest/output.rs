//! The form of an answer: whole objects, metadata only, or a table.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::body::Body;
use crate::convert;
use crate::rest::request::Call;
use crate::status::ApiError;
use crate::storage::{Document, Entry};
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

/// Answers with a JSON value.
pub(crate) fn json(code: StatusCode, value: &Value, warnings: &[String]) -> Response<Body> {
    whole(code, serde_json::to_vec(value).unwrap_or_default().into(), warnings)
}

fn whole(code: StatusCode, json: Bytes, warnings: &[String]) -> Response<Body> {
    let mut response = stream(Body::whole(json));
    *response.status_mut() = code;
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// Answers with plain text.
pub(crate) fn text(text: String) -> Response<Body> {
    let mut response = Response::new(Body::whole(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Answers for a path that leads nowhere.
pub(crate) fn no_page() -> Response<Body> {
    let mut response = text("404 page not found\n".to_owned());
    *response.status_mut() = StatusCode::NOT_FOUND;
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

/// Answers with an object in the form that was asked for.
pub(crate) fn object(call: &Call, code: StatusCode, entry: &Entry) -> Response<Body> {
    whole(code, shaped(call, entry, true), &call.warnings())
}

/// Answers with a list in the form that was asked for.
pub(crate) fn list(call: &Call, metadata: &Value, entries: &[Arc<Entry>]) -> Response<Body> {
    let json = match call.shape {
        Shape::Whole => {
            let head = json!({
                "kind": call.resource.list_kind,
                "apiVersion": call.api_version(),
                "metadata": metadata,
            });
            let mut json = open(&head);
            for (at, entry) in entries.iter().enumerate() {
                json.extend_from_slice(if at == 0 { b"" } else { b"," });
                push_item(&mut json, call, entry);
            }
            json.extend_from_slice(b"]}");
            json
        }
        Shape::Metadata => {
            let head = json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
            });
            let mut json = open(&head);
            for (at, entry) in entries.iter().enumerate() {
                json.extend_from_slice(if at == 0 { b"" } else { b"," });
                let _ = serde_json::to_writer(&mut json, &metadata_only(&entry.value));
            }
            json.extend_from_slice(b"]}");
            json
        }
        Shape::Table => {
            let entries = entries.iter().map(AsRef::as_ref);
            serde_json::to_vec(&table::render(call, metadata, entries, true)).unwrap_or_default()
        }
    };
    whole(StatusCode::OK, json.into(), &call.warnings())
}

/// Begins a list whose head is given, up to its first item.
fn open(head: &Value) -> Vec<u8> {
    let mut json = serde_json::to_vec(head).unwrap_or_default();
    json.pop();
    json.extend_from_slice(br#","items":["#);
    json
}

/// Appends one item of a list; those of built-in kinds leave out what the list says.
fn push_item(json: &mut Vec<u8>, call: &Call, entry: &Entry) {
    let converted;
    let document = if convert::as_stored(call) {
        entry.document()
    } else {
        converted = Document::of(&convert::outward(call, &entry.value));
        &converted
    };
    if call.resource.custom {
        json.extend_from_slice(document.whole());
    } else {
        json.push(b'{');
        json.extend_from_slice(document.untyped());
    }
}

/// Returns an object in the form that was asked for; `first` says that a table needs columns.
fn shaped(call: &Call, entry: &Entry, first: bool) -> Bytes {
    match call.shape {
        Shape::Whole if convert::as_stored(call) => entry.document().whole().clone(),
        Shape::Whole => convert::outward(call, &entry.value).to_string().into(),
        Shape::Metadata => metadata_only(&entry.value).to_string().into(),
        Shape::Table => {
            let metadata = json!({"resourceVersion": entry.value["metadata"]["resourceVersion"]});
            table::render(call, &metadata, [entry], first).to_string().into()
        }
    }
}

/// Returns the metadata of an object.
pub(crate) fn metadata_only(value: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": value.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// Returns one line of a watch; `first` says that a table needs columns.
pub(crate) fn event(call: &Call, kind: &str, entry: &Entry, first: bool) -> Bytes {
    let object = shaped(call, entry, first);
    line(kind, &object)
}

/// Returns the line that ends a watch.
pub(crate) fn error_event(error: &ApiError) -> Bytes {
    line("ERROR", error.to_value().to_string().as_bytes())
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(br#"{"type":""#);
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(br#"","object":"#);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
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
