//! Reads nodes into types, the way Go's `encoding/json` does: names of fields without regard to case,
//! null as what is there already.

use std::borrow::Cow;
use std::collections::BTreeMap;

use goyaml::{Dialect, Mark, Node, Scalar};
use serde_json::Value;

/// How to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    pub dialect: Dialect,
    /// Whether fields that the type does not have are an error.
    pub strict: bool,
    /// Whether numbers and booleans may stand for text.
    pub lenient: bool,
}

impl Mode {
    /// How a kustomization is read.
    pub(crate) const KUSTOMIZATION: Self =
        Self { dialect: Dialect::Sigs, strict: true, lenient: false };
    /// How a file is read that a kustomization names, e.g. `configurations`.
    pub(crate) const STRICT_FILE: Self =
        Self { dialect: Dialect::Sigs, strict: true, lenient: true };
    /// How a file is read whose other fields do not matter, e.g. `replacements[].path`.
    pub(crate) const FILE: Self = Self { dialect: Dialect::Sigs, strict: false, lenient: true };
    /// How an object is read that configures a builtin transformer.
    pub(crate) const PLUGIN: Self = Self { dialect: Dialect::Kyaml, strict: false, lenient: true };
}

/// Where something is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodeError {
    /// The field, e.g. `images[2].newTag`.
    pub field: String,
    pub mark: Mark,
    pub message: String,
}

impl DecodeError {
    pub(crate) fn new(mark: Mark, message: impl Into<String>) -> Self {
        Self { field: String::new(), mark, message: message.into() }
    }

    pub(crate) fn in_field(mut self, name: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{name}{dot}{}", self.field);
        self
    }

    fn in_item(mut self, at: usize) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("[{at}]{dot}{}", self.field);
        self
    }
}

/// A type that can be read from a node.
pub(crate) trait Decode: Default {
    /// Reads a node.
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError>;

    /// Brings a value into the form that is read strictly: fields under their proper names, without
    /// those that the type does not have, text where text is due.
    fn normalize(value: Value) -> Value {
        value
    }
}

impl Decode for String {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        let scalar = match node {
            _ if node.is_null() => return Ok(Self::new()),
            Node::Scalar(scalar) => scalar,
            other => return Err(wrong("text", other)),
        };
        match value(scalar, mode)? {
            Value::String(text) => Ok(text),
            Value::Number(number) if mode.lenient => Ok(goyaml::format_number(&number)),
            Value::Bool(value) if mode.lenient => Ok(value.to_string()),
            Value::Null => Ok(Self::new()),
            other => Err(DecodeError::new(
                scalar.mark,
                format!(
                    "expected text, found the {} {}; quote it",
                    if other.is_number() { "number" } else { "boolean" },
                    scalar.value
                ),
            )),
        }
    }

    fn normalize(value: Value) -> Value {
        match value {
            Value::Number(number) => Value::String(goyaml::format_number(&number)),
            Value::Bool(value) => Value::String(value.to_string()),
            other => other,
        }
    }
}

impl Decode for Cow<'static, str> {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        String::decode(node, mode).map(Self::Owned)
    }

    fn normalize(value: Value) -> Value {
        String::normalize(value)
    }
}

impl Decode for bool {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        match node {
            _ if node.is_null() => Ok(false),
            Node::Scalar(scalar) => match value(scalar, mode)? {
                Value::Bool(value) => Ok(value),
                _ => Err(wrong("true or false", node)),
            },
            other => Err(wrong("true or false", other)),
        }
    }
}

impl Decode for i64 {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        match node {
            _ if node.is_null() => Ok(0),
            Node::Scalar(scalar) => match value(scalar, mode)?.as_i64() {
                Some(number) => Ok(number),
                None => Err(wrong("a whole number", node)),
            },
            other => Err(wrong("a whole number", other)),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        if node.is_null() { Ok(None) } else { T::decode(node, mode).map(Some) }
    }

    fn normalize(value: Value) -> Value {
        T::normalize(value)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        let items = match node {
            _ if node.is_null() => return Ok(Self::new()),
            Node::Sequence(sequence) => &sequence.items,
            other => return Err(wrong("a list", other)),
        };
        let decode = |(at, item)| T::decode(item, mode).map_err(|error| error.in_item(at));
        items.iter().enumerate().map(decode).collect()
    }

    fn normalize(value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(T::normalize).collect(),
            other => other,
        }
    }
}

impl Decode for BTreeMap<String, String> {
    fn decode(node: &Node, mode: Mode) -> Result<Self, DecodeError> {
        let mapping = match node {
            _ if node.is_null() => return Ok(Self::new()),
            Node::Mapping(mapping) => mapping,
            other => return Err(wrong("a mapping of text", other)),
        };
        let mut map = Self::new();
        for (key, value) in &mapping.entries {
            let name = key_text(key, mode)?;
            let text = String::decode(value, mode).map_err(|error| error.in_field(&name))?;
            map.insert(name, text);
        }
        Ok(map)
    }

    fn normalize(value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, String::normalize(value))).collect()
            }
            other => other,
        }
    }
}

/// Reads the first document of a text. Of keys that are equal the last one counts.
pub(crate) fn first_node(text: &str) -> Result<Option<Node>, goyaml::Error> {
    let document = goyaml::parse_first(text, Dialect::Sigs)?;
    Ok(document.map(|document| {
        let mut node = document.node;
        crate::node::keep_last(&mut node);
        node
    }))
}

/// Reads the value of the first document of a text.
pub(crate) fn first_value(text: &str) -> Result<Value, goyaml::Error> {
    match first_node(text)? {
        Some(node) => goyaml::to_value(&node, Dialect::Sigs),
        None => Ok(Value::Null),
    }
}

/// Anything; what it is does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Anything;

impl Decode for Anything {
    fn decode(_: &Node, _: Mode) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// Returns the text of a key.
pub(crate) fn key_text(key: &Scalar, mode: Mode) -> Result<String, DecodeError> {
    match value(key, mode)? {
        Value::String(text) => Ok(text),
        Value::Null => Err(DecodeError::new(key.mark, "a key must not be null")),
        other => Ok(other.to_string()),
    }
}

fn value(scalar: &Scalar, mode: Mode) -> Result<Value, DecodeError> {
    goyaml::scalar_to_value(scalar, mode.dialect)
        .map_err(|error| DecodeError::new(scalar.mark, error.message))
}

/// Returns what to say about a node of another type.
pub(crate) fn wrong(expected: &str, found: &Node) -> DecodeError {
    let what = match found {
        Node::Scalar(scalar) => format!("{:?}", scalar.value),
        other => crate::node::shape(other).to_owned(),
    };
    DecodeError::new(found.mark(), format!("expected {expected}, found {what}"))
}

/// Returns what to say about a field that a type does not have.
pub(crate) fn unknown_field(name: &str, mark: Mark, known: &[&str]) -> DecodeError {
    let closest = known
        .iter()
        .map(|own| (distance(&name.to_lowercase(), &own.to_lowercase()), own))
        .min()
        .filter(|(distance, own)| *distance <= own.len() / 3);
    let hint = match closest {
        Some((_, own)) => format!("; did you mean {own:?}?"),
        None => String::new(),
    };
    DecodeError::new(mark, format!("unknown field {name:?}{hint}"))
}

/// Returns how many letters have to be added, removed or changed.
fn distance(a: &str, b: &str) -> usize {
    const LONG: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONG).collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Implements [`Decode`] for a struct, given the names of its fields in YAML.
///
/// After `->` in place of `=>` comes a field that the type of kustomize takes in from another type:
/// there text has to be text even where it otherwise may be a number.
macro_rules! decode {
    ($type:ident { $($name:literal $arrow:tt $field:ident: $of:ty),* $(,)? }) => {
        impl $type {
            /// The names of the fields.
            pub(crate) const FIELDS: &'static [&'static str] = &[$($name),*];
        }

        impl $crate::decode::Decode for $type {
            fn decode(
                node: &goyaml::Node,
                mode: $crate::decode::Mode,
            ) -> Result<Self, $crate::decode::DecodeError> {
                let mut read = Self::default();
                let mapping = match node {
                    _ if node.is_null() => return Ok(read),
                    goyaml::Node::Mapping(mapping) => mapping,
                    other => return Err($crate::decode::wrong("a mapping of fields", other)),
                };
                for (key, value) in &mapping.entries {
                    let name = $crate::decode::key_text(key, mode)?;
                    match $crate::decode::field(&name, Self::FIELDS) {
                        $(Some($name) => {
                            read.$field = <$of as $crate::decode::Decode>::decode(
                                value,
                                $crate::decode::mode!($arrow, mode),
                            )
                            .map_err(|error| error.in_field($name))?;
                        })*
                        _ if mode.strict => {
                            return Err($crate::decode::unknown_field(
                                &name,
                                key.mark,
                                Self::FIELDS,
                            ));
                        }
                        _ => {}
                    }
                }
                Ok(read)
            }

            fn normalize(value: serde_json::Value) -> serde_json::Value {
                let serde_json::Value::Object(fields) = value else { return value };
                let known = fields.into_iter().filter_map(|(key, value)| {
                    let name = $crate::decode::field(&key, Self::FIELDS)?;
                    let value = match name {
                        $($name => <$of as $crate::decode::Decode>::normalize(value),)*
                        _ => value,
                    };
                    Some((name.to_owned(), value))
                });
                serde_json::Value::Object(known.collect())
            }
        }
    };
}
pub(crate) use decode;

/// Returns the mode for a field by the arrow before it.
macro_rules! mode {
    (=>, $mode:expr) => {
        $mode
    };
    (->, $mode:expr) => {
        $crate::decode::Mode { lenient: false, ..$mode }
    };
}
pub(crate) use mode;

/// Returns the proper name of a field.
pub(crate) fn field(name: &str, known: &'static [&'static str]) -> Option<&'static str> {
    let exact = known.iter().find(|own| **own == name);
    exact.or_else(|| known.iter().find(|own| own.eq_ignore_ascii_case(name))).copied()
}
