//! Reads streams of documents into values.

use std::collections::HashMap;

use libyaml_safer::{Encoding, EventData, Mark, Parser, ScalarStyle};
use serde_json::{Map, Value};

use crate::{
    Dialect, number,
    resolve::{Scalar, resolve, timestamp},
};

/// How deep collections may nest.
const MAX_DEPTH: usize = 256;

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What the document says; null when it is empty.
    pub value: Value,
    /// The line that its content starts on, counted from 1.
    pub line: usize,
}

/// A place in a text that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads a stream as sigs.k8s.io/yaml does; empty documents are left out.
///
/// A key that stands twice in a mapping is an error, as `kubectl` has it with strict validation.
///
/// # Errors
///
/// With the place of the first thing that cannot be read.
pub fn parse_documents(text: &str) -> Result<Vec<Value>, Error> {
    let documents = parse(text, Dialect::Sigs)?;
    Ok(documents.into_iter().map(|document| document.value).filter(|v| !v.is_null()).collect())
}

/// Reads every document of a stream, the empty ones too.
///
/// # Errors
///
/// With the place of the first thing that cannot be read: broken syntax, a key that stands twice,
/// an alias without anchor, nesting beyond 256, or aliases that blow the document up.
pub fn parse(text: &str, dialect: Dialect) -> Result<Vec<Document>, Error> {
    // The scanner looks behind a backslash without asking whether the text goes on.
    let ended = text.ends_with('\\').then(|| format!("{text}\n"));
    let text = ended.as_deref().unwrap_or(text);
    // It also gives up with a panic on a few texts that are not YAML, e.g. `[!!str,]`.
    std::panic::catch_unwind(|| documents(text, dialect)).unwrap_or_else(|_| {
        Err(Error { line: 1, column: 1, message: "the document cannot be read as YAML".to_owned() })
    })
}

fn documents(text: &str, dialect: Dialect) -> Result<Vec<Document>, Error> {
    let mut input = text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes();
    let mut parser = Parser::new();
    // Left to guess, the reader takes every text that begins with byte 0xEF for a broken mark.
    parser.set_encoding(Encoding::Utf8);
    parser.set_input_string(&mut input);
    let mut composer = Composer { parser, dialect, anchors: HashMap::new(), work: Work::default() };
    let mut documents = Vec::new();
    loop {
        let (event, _) = composer.next()?;
        match event {
            EventData::DocumentStart { .. } => {
                composer.anchors.clear();
                composer.work = Work::default();
                let (event, mark) = composer.next()?;
                let line = position(mark).0;
                let (node, _) = composer.node(event, mark, 0)?;
                documents.push(Document { value: node, line });
            }
            EventData::StreamEnd => return Ok(documents),
            _ => {}
        }
    }
}

/// How much has been made of a document, and how much of that through aliases.
///
/// Source: `decoder.unmarshal`, go-yaml v3 `decode.go`.
#[derive(Debug, Default)]
struct Work {
    nodes: usize,
    aliased: usize,
}

impl Work {
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52")]
    fn is_excessive(&self) -> bool {
        const FEW: f64 = 400_000.0;
        const MANY: f64 = 4_000_000.0;
        let nodes = self.nodes as f64;
        let allowed = if nodes <= FEW {
            0.99
        } else if nodes >= MANY {
            0.10
        } else {
            0.99 - 0.89 * (nodes - FEW) / (MANY - FEW)
        };
        self.aliased > 100 && self.nodes > 1000 && self.aliased as f64 / nodes > allowed
    }
}

struct Composer<'a> {
    parser: Parser<&'a mut &'a [u8]>,
    dialect: Dialect,
    /// Values by anchor, with the number of nodes in each.
    anchors: HashMap<String, (Value, usize)>,
    work: Work,
}

impl Composer<'_> {
    fn next(&mut self) -> Result<(EventData, Mark), Error> {
        match self.parser.parse() {
            Ok(event) => Ok((event.data, event.start_mark)),
            Err(err) => {
                let (line, column) = position(err.problem_mark().unwrap_or_default());
                let message = match err.context() {
                    Some(context) => format!("{}, {context}", err.problem()),
                    None => err.problem().to_owned(),
                };
                Err(Error { line, column, message })
            }
        }
    }

    /// Makes the value of a node, and returns it with the number of nodes in it.
    fn node(
        &mut self,
        event: EventData,
        mark: Mark,
        depth: usize,
    ) -> Result<(Value, usize), Error> {
        if depth > MAX_DEPTH {
            return Err(error(mark, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.work.nodes += 1;
        let (anchor, value, size) = match event {
            EventData::Alias { anchor } => return self.alias(&anchor, mark),
            EventData::Scalar { anchor, tag, value, style, .. } => {
                (anchor, self.scalar(tag.as_deref(), value, style, mark)?, 1)
            }
            EventData::SequenceStart { anchor, .. } => {
                let (value, size) = self.sequence(depth)?;
                (anchor, value, size)
            }
            EventData::MappingStart { anchor, .. } => {
                let (value, size) = self.mapping(depth)?;
                (anchor, value, size)
            }
            _ => return Err(error(mark, "expected a value")),
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok((value, size))
    }

    fn alias(&mut self, anchor: &str, mark: Mark) -> Result<(Value, usize), Error> {
        let Some((_, size)) = self.anchors.get(anchor) else {
            return Err(error(mark, format!("unknown anchor '{anchor}' referenced")));
        };
        // Counted before it is copied, so that a bomb is refused rather than built.
        self.work.nodes += size;
        self.work.aliased += size;
        if self.work.is_excessive() {
            return Err(error(mark, "document contains excessive aliasing"));
        }
        Ok(self.anchors[anchor].clone())
    }

    fn sequence(&mut self, depth: usize) -> Result<(Value, usize), Error> {
        let mut items = Vec::new();
        let mut size = 1;
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, EventData::SequenceEnd) {
                return Ok((Value::Array(items), size));
            }
            let (item, nodes) = self.node(event, mark, depth + 1)?;
            items.push(item);
            size += nodes;
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Value, usize), Error> {
        let mut map = Map::new();
        let mut merges: Vec<Value> = Vec::new();
        let mut size = 1;
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, EventData::MappingEnd) {
                break;
            }
            let key = self.key(event, mark)?;
            let (event, value_mark) = self.next()?;
            let (value, nodes) = self.node(event, value_mark, depth + 1)?;
            size += nodes + 1;
            match key {
                Key::Merge => merges.extend(sources(value, value_mark)?),
                Key::Text(key) if map.contains_key(&key) => {
                    return Err(error(mark, format!("key {key:?} is already set in this mapping")));
                }
                Key::Text(key) => {
                    map.insert(key, value);
                }
            }
        }
        // What the mapping says itself wins, then what is merged first.
        for source in merges {
            if let Value::Object(source) = source {
                for (key, value) in source {
                    map.entry(key).or_insert(value);
                }
            }
        }
        Ok((Value::Object(map), size))
    }

    fn key(&mut self, event: EventData, mark: Mark) -> Result<Key, Error> {
        let text = match event {
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let key = if plain { self.plain_key(value, mark)? } else { Key::Text(value) };
                if let (Some(anchor), Key::Text(text)) = (anchor, &key) {
                    self.anchors.insert(anchor, (Value::String(text.clone()), 1));
                }
                return Ok(key);
            }
            EventData::Alias { anchor } => self.alias(&anchor, mark)?.0,
            _ => return Err(error(mark, "a key has to be a scalar")),
        };
        match text {
            Value::String(text) => Ok(Key::Text(text)),
            Value::Bool(_) | Value::Number(_) => Ok(Key::Text(text.to_string())),
            _ => Err(error(mark, "a key has to be a scalar")),
        }
    }

    /// JSON has only text for keys: sigs.k8s.io/yaml takes that of the value, kyaml the one written.
    fn plain_key(&self, text: String, mark: Mark) -> Result<Key, Error> {
        Ok(Key::Text(match (resolve(&text, self.dialect), self.dialect) {
            (Scalar::Merge, _) => return Ok(Key::Merge),
            (Scalar::Bool(value), Dialect::Sigs) => value.to_string(),
            (Scalar::Int(value), Dialect::Sigs) => value.to_string(),
            (Scalar::Uint(value), Dialect::Sigs) => value.to_string(),
            (Scalar::Null, Dialect::Sigs) => return Err(error(mark, "a key must not be null")),
            _ => text,
        }))
    }

    fn scalar(
        &self,
        tag: Option<&str>,
        text: String,
        style: ScalarStyle,
        mark: Mark,
    ) -> Result<Value, Error> {
        let resolved = match tag {
            None | Some("!") if style != ScalarStyle::Plain => Scalar::Text,
            None => resolve(&text, self.dialect),
            Some("tag:yaml.org,2002:null") => Scalar::Null,
            Some("tag:yaml.org,2002:float") => match resolve(&text, self.dialect) {
                Scalar::Text => {
                    return Err(error(mark, format!("cannot read {text:?} as a float")));
                }
                number => number,
            },
            Some(tag @ ("tag:yaml.org,2002:int" | "tag:yaml.org,2002:bool")) => {
                match (resolve(&text, self.dialect), tag.ends_with("int")) {
                    (value @ (Scalar::Int(_) | Scalar::Uint(_)), true)
                    | (value @ Scalar::Bool(_), false) => value,
                    _ => {
                        let kind = tag.rsplit(':').next().unwrap_or_default();
                        return Err(error(mark, format!("cannot read {text:?} as {kind}")));
                    }
                }
            }
            Some(_) => Scalar::Text,
        };
        Ok(match resolved {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(value) => Value::from(value),
            Scalar::Uint(value) => Value::from(value),
            Scalar::Float(value) => number::from_float(value)
                .ok_or_else(|| error(mark, format!("JSON has no value for {text}")))?,
            Scalar::Timestamp if self.dialect == Dialect::Kyaml => {
                Value::String(timestamp(&text).unwrap_or(text))
            }
            Scalar::Timestamp | Scalar::Merge | Scalar::Text => Value::String(text),
        })
    }
}

enum Key {
    Merge,
    Text(String),
}

/// Returns the mappings that a merge key names, the first of which wins.
fn sources(value: Value, mark: Mark) -> Result<Vec<Value>, Error> {
    match value {
        Value::Object(_) => Ok(vec![value]),
        Value::Array(items) if items.iter().all(Value::is_object) => Ok(items),
        _ => Err(error(mark, "a merge needs a mapping or a list of mappings")),
    }
}

fn error(mark: Mark, message: impl Into<String>) -> Error {
    let (line, column) = position(mark);
    Error { line, column, message: message.into() }
}

fn position(mark: Mark) -> (usize, usize) {
    let one = |zero: u64| usize::try_from(zero).unwrap_or(usize::MAX).saturating_add(1);
    (one(mark.line), one(mark.column))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::to_string;

    fn one(text: &str) -> Value {
        parse_documents(text).unwrap().remove(0)
    }

    #[test]
    fn reads_a_stream_and_leaves_out_empty_documents() {
        let documents = parse_documents("# nothing\n---\na: 1\n---\n---\n- b\n").unwrap();
        assert_eq!(documents, [json!({ "a": 1 }), json!(["b"])]);
    }

    #[test]
    fn merges_mappings_below_what_is_said_itself() {
        let value = one("base: &b {x: 1, z: 2}\nother: {<<: *b, z: 3}\n");
        assert_eq!(value["other"], json!({ "x": 1, "z": 3 }));
        let value = one("a: &a {x: 1}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n");
        assert_eq!(value["c"], json!({ "x": 1, "z": 2 }));
    }

    #[test]
    fn types_keys_as_the_dialect_has_them() {
        assert_eq!(one("on: push\n0x10: a\n"), json!({ "true": "push", "16": "a" }));
        let kyaml = parse("on: push\n0x10: a\n", Dialect::Kyaml).unwrap().remove(0).value;
        assert_eq!(kyaml, json!({ "on": "push", "0x10": "a" }));
    }

    #[test]
    fn names_the_place_of_an_error() {
        for (text, line, part) in [
            ("a: 1\nb: [\n", 3, "flow"),
            ("a: 1\na: 2\n", 2, "already set"),
            ("a: *b\n", 1, "unknown anchor"),
            ("a: b: c\n", 1, "mapping values are not allowed"),
            ("a: .inf\n", 1, "no value"),
            ("a: \"\\", 2, "end of stream"),
            ("[!!str,]", 1, "cannot be read"),
        ] {
            let error = parse_documents(text).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn refuses_bombs_and_bottomless_nesting() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.extend([format!("a{level}: &a{level} [{items}]\n")]);
        }
        assert!(parse_documents(&bomb).unwrap_err().message.contains("excessive aliasing"));
        let deep = "[".repeat(5000);
        assert!(parse_documents(&deep).unwrap_err().message.contains("nested deeper"));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter_map("finite", number::from_float),
            ".{0,12}".prop_map(Value::from),
            "[a-z0-9:#\\- \n'\"]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(value in values()) {
            let text = to_string(&value);
            let read = parse(&text, Dialect::Sigs).map(|mut documents| documents.remove(0).value);
            prop_assert_eq!(read.as_ref(), Ok(&value), "{}", text);
        }

        #[test]
        fn does_not_panic(text in "[ -~\n\t&*!|>é]{0,64}") {
            let _ = parse(&text, Dialect::Kyaml);
        }
    }
}
