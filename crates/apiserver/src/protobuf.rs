//! Bodies in protobuf, which clients written in Go send for built-in kinds.
//!
//! Answers are always JSON, which these clients accept too. Messages are described by
//! `data/protobuf.txt`: one a line, the name first, then `number:name:type` of each field. A type is
//! `s` (text), `i` (integer), `b` (boolean), `d` (floating point), `y` (bytes) or the name of a
//! message; `*` before it says repeated, `%` a map from text, and `+` that the fields of the message
//! stand beside the others in JSON.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// How deep messages may nest.
const DEEPEST: usize = 64;

/// Numbers and booleans that mean something when they are zero or false.
///
/// The encoding has no absent value for those that are not pointers in Go: they come as zero, and
/// zero is dropped. These are pointers, most with a default other than zero.
const KEPT: [&str; 47] = [
    "activeDeadlineSeconds",
    "allocateLoadBalancerNodePorts",
    "allowPrivilegeEscalation",
    "allowVolumeExpansion",
    "attachRequired",
    "automountServiceAccountToken",
    "averageUtilization",
    "backoffLimit",
    "backoffLimitPerIndex",
    "blockOwnerDeletion",
    "completions",
    "controller",
    "defaultMode",
    "enableServiceLinks",
    "expirationSeconds",
    "failedJobsHistoryLimit",
    "fsGroup",
    "gracePeriodSeconds",
    "hostUsers",
    "immutable",
    "manualSelector",
    "maxFailedIndexes",
    "minReplicas",
    "mode",
    "optional",
    "orphanDependents",
    "parallelism",
    "partition",
    "podInfoOnMount",
    "priority",
    "privileged",
    "progressDeadlineSeconds",
    "readOnlyRootFilesystem",
    "ready",
    "replicas",
    "revisionHistoryLimit",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "serving",
    "shareProcessNamespace",
    "stabilizationWindowSeconds",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "suspend",
    "terminationGracePeriodSeconds",
    "ttlSecondsAfterFinished",
];

/// Texts that mean something when they are empty.
const KEPT_EMPTY: [&str; 2] = ["storageClassName", "ingressClassName"];

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the body does not begin as a Kubernetes object in protobuf does")]
    Magic,
    #[error("the body ends too early, or is not protobuf")]
    Malformed,
    #[error("messages are nested too deeply")]
    Depth,
    #[error("{api_version} {kind} is not known in protobuf")]
    Kind { api_version: String, kind: String },
}

/// Returns the object in a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(DecodeError::Magic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader(envelope);
    while let Some((number, field)) = reader.next()? {
        match (number, field) {
            (1, Wire::Bytes(meta)) => {
                let mut meta = Reader(meta);
                while let Some((number, field)) = meta.next()? {
                    match (number, field) {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = match kind.as_str() {
        "DeleteOptions" => "meta.deleteoptions".to_owned(),
        _ => format!("{api_version}.{kind}").to_lowercase(),
    };
    let Some(message) = MESSAGES.get(name.as_str()) else {
        return Err(DecodeError::Kind { api_version, kind });
    };
    let mut object = Map::new();
    object.insert("kind".to_owned(), kind.into());
    object.insert("apiVersion".to_owned(), api_version.into());
    fill(&mut object, message, raw, 0)?;
    Ok(object.into())
}

static MESSAGES: LazyLock<HashMap<String, Message>> = LazyLock::new(|| {
    let lines = include_str!("../data/protobuf.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, fields) = line.split_once(' ')?;
            Some((name.to_lowercase(), fields.split(' ').filter_map(Field::parse).collect()))
        })
        .collect()
});

type Message = HashMap<u64, Field>;

#[derive(Debug)]
struct Field {
    name: &'static str,
    shape: Shape,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Map,
    Beside,
}

#[derive(Debug)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Float,
    Bytes,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    /// JSON inside of protobuf.
    Json,
    /// A message with a list alone, which JSON writes as the list.
    Items,
    Message(String),
}

impl Field {
    fn parse(text: &'static str) -> Option<(u64, Self)> {
        let mut parts = text.split(':');
        let (number, name, kind) = (parts.next()?, parts.next()?, parts.next()?);
        let shape = match kind.as_bytes().first()? {
            b'*' => Shape::List,
            b'%' => Shape::Map,
            b'+' => Shape::Beside,
            _ => Shape::One,
        };
        let kind = match kind.trim_start_matches(['*', '%', '+']) {
            "s" => Kind::Text,
            "i" => Kind::Integer,
            "b" => Kind::Boolean,
            "d" => Kind::Float,
            "y" => Kind::Bytes,
            "Quantity" => Kind::Quantity,
            "IntOrString" => Kind::IntOrString,
            "meta.Time" => Kind::Time,
            "meta.MicroTime" => Kind::MicroTime,
            "runtime.RawExtension" | "meta.FieldsV1" => Kind::Json,
            name if name.ends_with(".ExtraValue") => Kind::Items,
            name => Kind::Message(name.to_lowercase()),
        };
        Some((number.parse().ok()?, Self { name, shape, kind }))
    }

    fn is_dropped(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(false) => !KEPT.contains(&self.name),
            Value::Number(number) => number.as_f64() == Some(0.0) && !KEPT.contains(&self.name),
            Value::String(text) => text.is_empty() && !KEPT_EMPTY.contains(&self.name),
            _ => false,
        }
    }
}

fn fill(
    object: &mut Map<String, Value>,
    message: &Message,
    bytes: &[u8],
    depth: usize,
) -> Result<(), DecodeError> {
    if depth > DEEPEST {
        return Err(DecodeError::Depth);
    }
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        let Some(field) = message.get(&number) else { continue };
        match field.shape {
            Shape::One => {
                let value = value(&field.kind, &wire, depth)?;
                if !field.is_dropped(&value) {
                    object.insert(field.name.to_owned(), value);
                }
            }
            Shape::List => {
                let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    match (&field.kind, &wire) {
                        // Numbers may be packed.
                        (Kind::Integer, Wire::Bytes(packed)) => {
                            let mut reader = Reader(packed);
                            while !reader.0.is_empty() {
                                list.push(integer(reader.varint()?));
                            }
                        }
                        _ => list.push(value(&field.kind, &wire, depth)?),
                    }
                }
            }
            Shape::Map => {
                let Wire::Bytes(entry) = wire else { return Err(DecodeError::Malformed) };
                let (mut key, mut found) = (String::new(), empty(&field.kind));
                let mut reader = Reader(entry);
                while let Some((number, wire)) = reader.next()? {
                    match (number, &wire) {
                        (1, Wire::Bytes(text)) => key = utf8(text)?,
                        (2, _) => found = value(&field.kind, &wire, depth)?,
                        _ => {}
                    }
                }
                let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, found);
                }
            }
            Shape::Beside => {
                if let (Kind::Message(name), Wire::Bytes(bytes)) = (&field.kind, &wire)
                    && let Some(message) = MESSAGES.get(name)
                {
                    fill(object, message, bytes, depth + 1)?;
                }
            }
        }
    }
    Ok(())
}

fn empty(kind: &Kind) -> Value {
    match kind {
        Kind::Message(_) => Value::Object(Map::new()),
        Kind::Items => Value::Array(Vec::new()),
        Kind::Integer | Kind::Float => 0.into(),
        Kind::Boolean => false.into(),
        _ => "".into(),
    }
}

fn value(kind: &Kind, wire: &Wire<'_>, depth: usize) -> Result<Value, DecodeError> {
    Ok(match (kind, wire) {
        (Kind::Text, Wire::Bytes(bytes)) => utf8(bytes)?.into(),
        (Kind::Integer, Wire::Varint(number)) => integer(*number),
        (Kind::Boolean, Wire::Varint(number)) => (*number != 0).into(),
        (Kind::Float, Wire::Fixed64(bits)) => f64::from_bits(*bits).into(),
        (Kind::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Quantity, Wire::Bytes(bytes)) => match numbered(bytes, 1)? {
            Some(Wire::Bytes(text)) => utf8(text)?.into(),
            _ => "0".into(),
        },
        (Kind::IntOrString, Wire::Bytes(bytes)) => match numbered(bytes, 1)? {
            Some(Wire::Varint(1)) => match numbered(bytes, 3)? {
                Some(Wire::Bytes(text)) => utf8(text)?.into(),
                _ => "".into(),
            },
            _ => match numbered(bytes, 2)? {
                Some(Wire::Varint(number)) => integer(number),
                _ => 0.into(),
            },
        },
        (Kind::Time, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%SZ")?,
        (Kind::MicroTime, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%S%.6fZ")?,
        (Kind::Json, Wire::Bytes(bytes)) => match numbered(bytes, 1)? {
            Some(Wire::Bytes(json)) => {
                serde_json::from_slice(json).map_err(|_| DecodeError::Malformed)?
            }
            _ => Value::Null,
        },
        (Kind::Items, Wire::Bytes(bytes)) => {
            let (mut items, mut reader) = (Vec::new(), Reader(bytes));
            while let Some((_, field)) = reader.next()? {
                items.push(value(&Kind::Text, &field, depth)?);
            }
            items.into()
        }
        (Kind::Message(name), Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            if let Some(message) = MESSAGES.get(name) {
                fill(&mut object, message, bytes, depth + 1)?;
            }
            object.into()
        }
        _ => return Err(DecodeError::Malformed),
    })
}

fn time(bytes: &[u8], format: &str) -> Result<Value, DecodeError> {
    let number = |number: u64| match numbered(bytes, number)? {
        Some(Wire::Varint(found)) => Ok(found.cast_signed()),
        _ => Ok(0),
    };
    let (seconds, nanoseconds) = (number(1)?, number(2)?);
    if seconds == 0 && nanoseconds == 0 {
        return Ok(Value::Null);
    }
    let nanoseconds = i32::try_from(nanoseconds).map_err(|_| DecodeError::Malformed)?;
    let time = Timestamp::new(seconds, nanoseconds).map_err(|_| DecodeError::Malformed)?;
    Ok(time.strftime(format).to_string().into())
}

fn integer(number: u64) -> Value {
    number.cast_signed().into()
}

fn utf8(bytes: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Malformed)
}

/// Returns the last field of that number in a message.
fn numbered(bytes: &[u8], wanted: u64) -> Result<Option<Wire<'_>>, DecodeError> {
    let (mut found, mut reader) = (None, Reader(bytes));
    while let Some((number, wire)) = reader.next()? {
        if number == wanted {
            found = Some(wire);
        }
    }
    Ok(found)
}

/// A field as it is encoded.
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// Takes one field after another.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk().ok_or(DecodeError::Malformed)?;
                self.0 = rest;
                Wire::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Malformed)?;
                let (bytes, rest) =
                    self.0.split_at_checked(length).ok_or(DecodeError::Malformed)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => {
                self.0 = self.0.get(4..).ok_or(DecodeError::Malformed)?;
                Wire::Fixed32
            }
            _ => return Err(DecodeError::Malformed),
        };
        Ok(Some((key >> 3, wire)))
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(DecodeError::Malformed)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Writes a field that has a length.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn reads_the_namespace_that_kubectl_creates() {
        // `kubectl create namespace x`, version 1.36.3.
        let raw = b"\x0a\x11\x0a\x01x\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00\
                    \x12\x00\x1a\x02\x0a\x00";
        let object = decode(&body("v1", "Namespace", raw)).unwrap();
        let expected = json!({
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"name": "x"},
            "spec": {},
            "status": {},
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn reads_maps_bytes_times_and_embedded_messages() {
        let entry = [field(1, b"key"), field(2, b"\xff\x00")].concat();
        let meta = field(8, b"\x08\x80\xf2\xd6\xca\x06");
        let secret = body("v1", "Secret", &[field(1, &meta), field(2, &entry)].concat());
        let object = decode(&secret).unwrap();
        assert_eq!(object["data"]["key"], "/wA=");
        assert_eq!(object["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");

        // spec.volumes[0]: a name, and an embedded source with a claim.
        let claim = field(10, &field(1, b"data"));
        let volume = [field(1, b"v"), field(2, &claim)].concat();
        let spec = field(2, &field(1, &volume));
        let pod = decode(&body("v1", "Pod", &spec)).unwrap();
        assert_eq!(
            pod["spec"]["volumes"],
            json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
        );
    }

    #[test]
    fn keeps_zeros_that_mean_something() {
        // replicas, minReadySeconds and paused of a Deployment, all zero.
        let spec = field(2, b"\x08\x00\x28\x00\x38\x00");
        let object = decode(&body("apps/v1", "Deployment", &spec)).unwrap();
        assert_eq!(object["spec"], json!({"replicas": 0}));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        assert!(matches!(decode(b"{}"), Err(DecodeError::Magic)));
        assert!(matches!(decode(b"k8s\0\x0a\x7f"), Err(DecodeError::Malformed)));
        let unknown = body("acme.com/v1", "Widget", b"");
        assert!(matches!(decode(&unknown), Err(DecodeError::Kind { .. })));
        let whole = body("v1", "Namespace", b"\x0a\x03\x0a\x01x");
        // With the type alone it is an object without content.
        let typed = whole.len() - field(2, b"\x0a\x03\x0a\x01x").len();
        for length in (0..whole.len()).filter(|length| *length != typed) {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
