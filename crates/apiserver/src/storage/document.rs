//! Objects as JSON, ready to be sent.

use bytes::Bytes;
use serde_json::Value;

/// An object as JSON; kind and version come first, so that they can be left out.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    bytes: Bytes,
    /// Where the fields after kind and version begin.
    rest: usize,
}

impl Document {
    pub(crate) fn of(value: &Value) -> Self {
        let Some(object) = value.as_object() else {
            return Self { bytes: value.to_string().into(), rest: 0 };
        };
        let mut bytes = Vec::with_capacity(1024);
        bytes.push(b'{');
        let identity = ["kind", "apiVersion"];
        for field in identity {
            if let Some(value) = object.get(field) {
                write_field(&mut bytes, field, value);
            }
        }
        let rest = bytes.len();
        for (field, value) in object.iter().filter(|(key, _)| !identity.contains(&key.as_str())) {
            write_field(&mut bytes, field, value);
        }
        if bytes.last() == Some(&b',') {
            bytes.pop();
        }
        bytes.push(b'}');
        Self { rest: rest.min(bytes.len() - 1), bytes: bytes.into() }
    }

    /// Returns the whole object.
    pub(crate) fn whole(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the fields but kind and version, with the closing brace: lists of built-in kinds
    /// name these once.
    pub(crate) fn untyped(&self) -> &[u8] {
        &self.bytes[self.rest..]
    }
}

fn write_field(bytes: &mut Vec<u8>, field: &str, value: &Value) {
    // Neither a string nor a JSON value can fail to be written into memory.
    let _ = serde_json::to_writer(&mut *bytes, field);
    bytes.push(b':');
    let _ = serde_json::to_writer(&mut *bytes, value);
    bytes.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_kind_and_version_out_of_list_items() {
        let value = json!({"metadata": {"name": "a"}, "apiVersion": "v1", "data": {}, "kind": "K"});
        let document = Document::of(&value);
        let whole = std::str::from_utf8(document.whole()).unwrap();
        assert_eq!(whole, r#"{"kind":"K","apiVersion":"v1","metadata":{"name":"a"},"data":{}}"#);
        assert_eq!(document.untyped(), br#""metadata":{"name":"a"},"data":{}}"#);
        assert_eq!(Document::of(&json!({})).untyped(), b"}");
        assert_eq!(Document::of(&json!({"kind": "K"})).untyped(), b"}");
    }
}
