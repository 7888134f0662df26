//! Paths to fields: `.spec.containers[name="app"].image`.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use crate::value;

/// One step from an object or list to what it holds.
#[derive(Debug, Clone)]
pub enum PathElement {
    /// A field of an object or a key of a map: `f:name`.
    Field(String),
    /// The element of a keyed list with these keys, sorted by name: `k:{"name":"app"}`.
    Key(Vec<(String, Value)>),
    /// The element of a set that has this value: `v:"finalizer"`.
    Value(Value),
    /// The element of a list at this place: `i:0`.
    Index(usize),
}

/// A path from the root of an object.
pub type Path = Vec<PathElement>;

/// Why text is not a path element.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// No known prefix such as `f:`. Readers skip such an element.
    #[error("path element {text:?} is of an unknown type")]
    UnknownType {
        /// The element.
        text: String,
    },
    /// What follows the prefix is malformed.
    #[error("path element {text:?} is malformed")]
    Malformed {
        /// The element.
        text: String,
    },
}

impl PathElement {
    /// Returns the step to a field.
    pub fn field(name: impl Into<String>) -> Self {
        Self::Field(name.into())
    }

    /// Returns the step to the list element with these keys, in any order.
    pub fn key<N: Into<String>>(keys: impl IntoIterator<Item = (N, Value)>) -> Self {
        let mut keys: Vec<_> = keys.into_iter().map(|(name, value)| (name.into(), value)).collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(keys)
    }

    /// Writes the element as a key of `fieldsV1`.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let map: Map<String, Value> = keys.iter().cloned().collect();
                format!("k:{}", Value::Object(map))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads a key of `fieldsV1`.
    pub fn decode(text: &str) -> Result<Self, PathError> {
        let malformed = || PathError::Malformed { text: text.to_owned() };
        let Some((prefix, rest)) = text.split_at_checked(2) else { return Err(malformed()) };
        match prefix {
            "f:" => Ok(Self::Field(rest.to_owned())),
            "v:" => serde_json::from_str(rest).map(Self::Value).map_err(|_| malformed()),
            "k:" => {
                let map: Map<String, Value> =
                    serde_json::from_str(rest).map_err(|_| malformed())?;
                Ok(Self::key(map))
            }
            "i:" => rest.parse().map(Self::Index).map_err(|_| malformed()),
            _ if prefix.ends_with(':') => Err(PathError::UnknownType { text: text.to_owned() }),
            _ => Err(malformed()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(left), Self::Field(right)) => left.cmp(right),
            (Self::Key(left), Self::Key(right)) => {
                for (left, right) in left.iter().zip(right) {
                    let order =
                        left.0.cmp(&right.0).then_with(|| value::compare(&left.1, &right.1));
                    if order.is_ne() {
                        return order;
                    }
                }
                left.len().cmp(&right.len())
            }
            (Self::Value(left), Self::Value(right)) => value::compare(left, right),
            (Self::Index(left), Self::Index(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement {}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                f.write_str("[")?;
                for (index, (name, key)) in keys.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", value::display(key))?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", value::display(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Writes a path as conflicts show it.
pub fn display(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn encodes_each_kind_of_element() {
        let cases = [
            (PathElement::field("spec"), "f:spec", ".spec"),
            (
                PathElement::key([("protocol", json!("TCP")), ("port", json!(80))]),
                r#"k:{"port":80,"protocol":"TCP"}"#,
                r#"[port=80,protocol="TCP"]"#,
            ),
            (PathElement::Value(json!("a")), r#"v:"a""#, r#"[="a"]"#),
            (PathElement::Index(3), "i:3", "[3]"),
        ];
        for (element, encoded, shown) in cases {
            assert_eq!(element.encode(), encoded);
            assert_eq!(PathElement::decode(encoded).unwrap(), element);
            assert_eq!(element.to_string(), shown);
        }
    }

    #[test]
    fn refuses_malformed_elements() {
        for text in ["", "f", "x", "k:[]", "v:", "i:-1", "i:x", "é"] {
            assert!(
                matches!(PathElement::decode(text), Err(PathError::Malformed { .. })),
                "{text}"
            );
        }
        assert!(matches!(PathElement::decode("z:1"), Err(PathError::UnknownType { .. })));
    }
}
