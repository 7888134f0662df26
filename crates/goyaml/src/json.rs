//! Nodes as JSON values, and back.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::error::{Error, Mark};
use crate::node::{Mapping, Node, Scalar, Sequence, Style, Tag};
use crate::resolve::{Scalar as Meaning, resolve, timestamp};
use crate::{Dialect, number};

/// How deep a value may be. Documents are less deep when they are read, and deeper only when nodes
/// were put into nodes.
const MAX_DEPTH: usize = 1000;

/// Returns what a node means.
///
/// With [`Dialect::Kyaml`] this is what kustomize gets when it writes a node and reads that again,
/// so the tag of a node that was changed and its new text have to agree.
///
/// # Errors
///
/// When a key stands twice, is no text, or a scalar is not what its tag says.
///
/// Source: `RNode.MarshalJSON`, kyaml 0.21.1; `encoder.node`, `decoder.unmarshal`, go-yaml v3.0.4;
/// `convertToJSONableObject`, sigs.k8s.io/yaml 1.6.
pub fn to_value(node: &Node, dialect: Dialect) -> Result<Value, Error> {
    Converter { dialect }.node(node, false, 0)
}

/// Returns what a scalar means.
///
/// # Errors
///
/// When it is not what its tag says.
pub fn scalar_to_value(scalar: &Scalar, dialect: Dialect) -> Result<Value, Error> {
    Converter { dialect }.scalar(scalar, false)
}

/// Returns a value as nodes, the way kustomize makes them of the result of a JSON patch: every number
/// has been a float in between.
pub fn from_value(value: Value) -> Node {
    match value {
        Value::Null => Node::null(),
        Value::Bool(value) => Scalar::tagged(value.to_string(), Tag::Bool).into(),
        Value::Number(value) => {
            let float = value.as_f64().unwrap_or(0.0);
            let text = number::shortest(float);
            let tag = if text.contains(['.', 'e']) { Tag::Float } else { Tag::Int };
            Scalar::tagged(text, tag).into()
        }
        Value::String(value) => Scalar::written(value).into(),
        Value::Array(items) => Sequence::new(items.into_iter().map(from_value).collect()).into(),
        Value::Object(fields) => {
            let entries = fields
                .into_iter()
                .map(|(key, value)| (Scalar::written(key), from_value(value)))
                .collect();
            Mapping { entries, ..Mapping::default() }.into()
        }
    }
}

struct Converter {
    dialect: Dialect,
}

impl Converter {
    fn node(&self, node: &Node, flow: bool, depth: usize) -> Result<Value, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::at(node.mark(), format!("nested deeper than {MAX_DEPTH} levels")));
        }
        match node {
            Node::Scalar(scalar) => self.scalar(scalar, flow),
            Node::Sequence(sequence) => {
                let flow = flow || sequence.flow;
                let items = sequence.items.iter().map(|item| self.node(item, flow, depth + 1));
                items.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Node::Mapping(mapping) => {
                let flow = flow || mapping.flow;
                if let Some((key, first)) = duplicate(mapping) {
                    return Err(Error::at(
                        key.mark,
                        format!(
                            "mapping key {:?} already defined at line {}",
                            key.value,
                            first.line()
                        ),
                    ));
                }
                let mut fields = Map::with_capacity(mapping.entries.len());
                for (key, value) in &mapping.entries {
                    let Some(key) = self.key(key, depth)? else { continue };
                    fields.insert(key, self.node(value, flow, depth + 1)?);
                }
                Ok(Value::Object(fields))
            }
        }
    }

    /// Returns the text of a key; `None` for one that is left out.
    fn key(&self, key: &Scalar, depth: usize) -> Result<Option<String>, Error> {
        let text = &key.value;
        let is_text = match (key.style, key.tag) {
            (Style::Plain, Tag::Str) => !key.tagged || self.dialect == Dialect::Kyaml,
            (Style::Plain, _) => false,
            _ => !key.tagged,
        };
        // Short cut for nearly every key there is.
        if is_text {
            return Ok(Some(text.clone()));
        }
        match self.dialect {
            Dialect::Kyaml => match self.scalar(key, text.is_empty())? {
                Value::String(text) if key.tag != Tag::Timestamp => Ok(Some(text)),
                Value::Null if depth == 0 => Ok(None),
                _ if depth == 0 => Ok(Some(text.clone())),
                _ => Err(Error::at(
                    key.mark,
                    format!("key {text} is not text; quote it: \"{text}\""),
                )),
            },
            Dialect::Sigs => match self.scalar(key, false)? {
                Value::String(text) => Ok(Some(text)),
                Value::Null => Err(Error::at(key.mark, "a key must not be null")),
                Value::Number(value) => match resolve(text, self.dialect) {
                    Meaning::Float(float) => Ok(Some(number::shortest_single(float))),
                    _ => Ok(Some(value.to_string())),
                },
                value => Ok(Some(value.to_string())),
            },
        }
    }

    fn scalar(&self, scalar: &Scalar, flow: bool) -> Result<Value, Error> {
        let Scalar { value: text, tag, tagged, style, mark, .. } = scalar;
        // Whether the tag is written, rather than found in the text or told by quotes.
        let kept = match (tag, style) {
            _ if *tagged => true,
            (Tag::Unset | Tag::Str, _) => false,
            _ => *tag != tag_of(&resolve(text, self.dialect)),
        };
        if kept {
            return self.tagged(text, *tag, *mark);
        }
        let quoted = *style != Style::Plain || *tag == Tag::Str || text.contains('\n');
        // In brackets neither nothing nor a colon can be written without quotes.
        let flow = flow && self.dialect == Dialect::Kyaml;
        if quoted
            || (flow && (text.is_empty() || text.contains([':', ',', '?', '[', ']', '{', '}'])))
        {
            return Ok(Value::String(text.clone()));
        }
        self.meant(&resolve(text, self.dialect), text, *mark)
    }

    /// Reads a scalar with a written tag.
    fn tagged(&self, text: &str, tag: Tag, mark: Mark) -> Result<Value, Error> {
        let meaning = match tag {
            Tag::Null | Tag::Bool | Tag::Int | Tag::Float | Tag::Timestamp => {
                resolve(text, self.dialect)
            }
            Tag::Binary => return binary(text, mark),
            _ => return Ok(Value::String(text.to_owned())),
        };
        let found = tag_of(&meaning);
        if found == tag || (tag == Tag::Float && found == Tag::Int) {
            return self.meant(&meaning, text, mark);
        }
        Err(Error::at(mark, format!("cannot read {} `{text}` as a {}", name(found), name(tag))))
    }

    fn meant(&self, meaning: &Meaning, text: &str, mark: Mark) -> Result<Value, Error> {
        Ok(match meaning {
            Meaning::Null => Value::Null,
            Meaning::Bool(value) => Value::Bool(*value),
            Meaning::Int(value) => Value::from(*value),
            Meaning::Uint(value) => Value::from(*value),
            Meaning::Float(value) => number::from_float(*value).ok_or_else(|| {
                Error::at(mark, format!("JSON has no value for {text}; quote it"))
            })?,
            Meaning::Timestamp if self.dialect == Dialect::Kyaml => {
                Value::String(timestamp(text).unwrap_or_else(|| text.to_owned()))
            }
            Meaning::Timestamp | Meaning::Merge | Meaning::Text => Value::String(text.to_owned()),
        })
    }
}

/// Returns a key that stands twice, and where it stood first.
fn duplicate(mapping: &Mapping) -> Option<(&Scalar, Mark)> {
    const FEW: usize = 16;
    let entries = &mapping.entries;
    if entries.len() <= FEW {
        for (at, (key, _)) in entries.iter().enumerate() {
            if let Some((first, _)) = entries[..at].iter().find(|(own, _)| own.value == key.value) {
                return Some((key, first.mark));
            }
        }
        return None;
    }
    let mut known: HashMap<&str, Mark> = HashMap::with_capacity(entries.len());
    entries.iter().find_map(|(key, _)| known.insert(&key.value, key.mark).map(|first| (key, first)))
}

fn binary(text: &str, mark: Mark) -> Result<Value, Error> {
    // Go's decoder passes over line breaks, and only them.
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let packed: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = ENGINE
        .decode(packed)
        .map_err(|_| Error::at(mark, "!!binary value contains invalid base64 data"))?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

pub(crate) fn tag_of(meaning: &Meaning) -> Tag {
    match meaning {
        Meaning::Null => Tag::Null,
        Meaning::Bool(_) => Tag::Bool,
        Meaning::Int(_) | Meaning::Uint(_) => Tag::Int,
        Meaning::Float(_) => Tag::Float,
        Meaning::Timestamp => Tag::Timestamp,
        Meaning::Merge => Tag::Merge,
        Meaning::Text => Tag::Str,
    }
}

fn name(tag: Tag) -> &'static str {
    match tag {
        Tag::Null => "null",
        Tag::Bool => "bool",
        Tag::Int => "int",
        Tag::Float => "float",
        Tag::Timestamp => "timestamp",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::parse_first;

    fn value(scalar: impl Into<Node>) -> Result<Value, String> {
        to_value(&scalar.into(), Dialect::Kyaml).map_err(|error| error.message)
    }

    fn document(text: &str) -> Result<Value, String> {
        let document = parse_first(text, Dialect::Kyaml).unwrap().unwrap();
        to_value(&document.node, Dialect::Kyaml).map_err(|error| error.to_string())
    }

    #[test]
    fn text_decides_what_a_changed_scalar_is() {
        assert_eq!(value(Scalar::plain("5")), Ok(json!(5)));
        assert_eq!(value(Scalar::plain("yes")), Ok(json!("yes")));
        assert_eq!(value(Scalar::plain("")), Ok(json!(null)));
        assert_eq!(value(Scalar::string("5")), Ok(json!("5")));
        assert_eq!(
            value(Scalar { style: Style::DoubleQuoted, ..Scalar::tagged("5", Tag::Int) }),
            Ok(json!("5"))
        );
        assert_eq!(value(Scalar::tagged("5", Tag::Float)), Ok(json!(5)));
        assert!(value(Scalar::tagged("five", Tag::Int)).unwrap_err().contains("as a int"));
        assert!(value(Scalar::tagged("x", Tag::Null)).is_err());
    }

    #[test]
    fn written_tags_are_kept() {
        assert_eq!(document("a: !!str 5"), Ok(json!({ "a": "5" })));
        assert_eq!(document("a: !!int \"5\""), Ok(json!({ "a": 5 })));
        assert_eq!(document("a: !foo 5"), Ok(json!({ "a": "5" })));
        assert_eq!(document("a: ! 5"), Ok(json!({ "a": 5 })));
        assert_eq!(document("a: !!binary aGk="), Ok(json!({ "a": "hi" })));
        assert!(document("a: !!binary x").is_err());
    }

    #[test]
    fn keys_are_text() {
        assert_eq!(document("1: a\n~: b\ntrue: c"), Ok(json!({ "1": "a", "true": "c" })));
        assert!(document("data: {1: a}").unwrap_err().contains("quote it: \"1\""));
        assert!(document("data: {1: a}").unwrap_err().starts_with("line 1, column 8"));
        assert_eq!(document("data: {\"1\": a}"), Ok(json!({ "data": { "1": "a" } })));
    }

    #[test]
    fn a_key_stands_once() {
        let error = document("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap_err();
        assert_eq!(error, "line 4, column 3: mapping key \"c\" already defined at line 3");
        let many = (0..40).fold(String::new(), |text, n| format!("{text}k{n}: 1\n"));
        assert!(document(&many).is_ok());
        assert!(document(&(many + "k7: 1\n")).unwrap_err().contains("line 8"));
    }

    #[test]
    fn brackets_make_text_of_times_and_nothing() {
        assert_eq!(document("a: 2020-01-01"), Ok(json!({ "a": "2020-01-01T00:00:00Z" })));
        assert_eq!(document("a: {b: , c: ~}"), Ok(json!({ "a": { "b": "", "c": null } })));
        assert_eq!(document("a: [2020-01-01]"), Ok(json!({ "a": ["2020-01-01T00:00:00Z"] })));
        assert_eq!(
            document("a: [2020-01-01T01:00:00Z]"),
            Ok(json!({ "a": ["2020-01-01T01:00:00Z"] }))
        );
    }

    #[test]
    fn numbers_of_patched_objects_were_floats() {
        let text = |value| match from_value(value) {
            Node::Scalar(scalar) => scalar.value,
            _ => String::new(),
        };
        assert_eq!(text(json!(8080)), "8080");
        assert_eq!(text(json!(1_000_000)), "1e+06");
        let node = from_value(json!({ "a": 1_000_000, "b": "yes" }));
        assert_eq!(to_value(&node, Dialect::Kyaml), Ok(json!({ "a": 1_000_000, "b": "yes" })));
    }
}
