//! JSON, and files of any kind, which are a value of a JSON document as long as they are encrypted.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number};

use super::{EmitError, LoadError};
use crate::number;
use crate::tree::{Branch, Item, Key, Value};

/// How deep collections may nest: every level is read once more.
const MAX_DEPTH: usize = 100;

/// Reads an object. What follows it has no meaning, as SOPS has it.
pub(super) fn load(content: &[u8]) -> Result<Branch, LoadError> {
    let text = String::from_utf8_lossy(content);
    let mut reader = serde_json::Deserializer::from_str(&text);
    match <&RawValue>::deserialize(&mut reader).and_then(|raw| read(raw, 0)) {
        Ok(Value::Branch(branch)) => Ok(branch),
        Ok(_) => {
            let what = "SOPS only supports JSON files with a top-level object (starting with '{')";
            Err(LoadError::Syntax(what.to_owned()))
        }
        Err(error) => Err(LoadError::Syntax(error.to_string())),
    }
}

/// Writes an object, indented with tabs.
pub(super) fn emit(branch: &Branch) -> Vec<u8> {
    let mut out = Vec::new();
    write_branch(&mut out, branch, 0);
    out.push(b'\n');
    out
}

/// Returns the content of the file that an object holds.
pub(super) fn data(branch: &Branch) -> Result<Vec<u8>, EmitError> {
    let mut items = branch.iter();
    match items.find(|item| matches!(&item.key, Key::Text(key) if key == "data")) {
        Some(Item { value: Value::Text(data), .. }) => Ok(data.clone()),
        Some(_) => Err(EmitError::DataType),
        None => Err(EmitError::NoData),
    }
}

/// Makes a tree of a value.
pub(crate) fn from_value(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(from_value).collect()),
        serde_json::Value::Object(fields) => Value::Branch(from_object(fields)),
    }
}

pub(crate) fn from_object(fields: Map<String, serde_json::Value>) -> Branch {
    fields.into_iter().map(|(key, value)| Item::new(key, from_value(value))).collect()
}

/// Makes an object of a tree, without its comments.
pub(crate) fn to_object(branch: Branch) -> Map<String, serde_json::Value> {
    let items = branch.into_iter().filter_map(|item| match item.key {
        Key::Text(key) => Some((key, to_value(item.value))),
        Key::Comment(_) => None,
    });
    items.collect()
}

fn to_value(value: Value) -> serde_json::Value {
    match value {
        Value::Null | Value::Comment(_) => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => float(value),
        Value::Text(text) => String::from_utf8_lossy(&text).into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Time(time) => time.into(),
        Value::List(items) => {
            let items = items.into_iter().filter(|item| !matches!(item, Value::Comment(_)));
            items.map(to_value).collect()
        }
        Value::Branch(branch) => to_object(branch).into(),
    }
}

/// Returns a float as it is read back from JSON: whole ones are integers there.
fn float(value: f64) -> serde_json::Value {
    let text = number::json(value);
    match text.parse::<i64>() {
        Ok(int) => int.into(),
        Err(_) => Number::from_f64(value).map_or(serde_json::Value::Null, Into::into),
    }
}

fn write_branch(out: &mut Vec<u8>, branch: &Branch, depth: usize) {
    let items = branch.iter().filter_map(|item| match &item.key {
        Key::Text(key) => Some((key, &item.value)),
        Key::Comment(_) => None,
    });
    let mut empty = true;
    out.push(b'{');
    for (key, value) in items {
        if !empty {
            out.push(b',');
        }
        empty = false;
        break_line(out, depth + 1);
        write_text(out, key);
        out.extend(b": ");
        write(out, value, depth + 1);
    }
    if !empty {
        break_line(out, depth);
    }
    out.push(b'}');
}

fn write_list(out: &mut Vec<u8>, items: &[Value], depth: usize) {
    let mut empty = true;
    out.push(b'[');
    for item in items.iter().filter(|item| !matches!(item, Value::Comment(_))) {
        if !empty {
            out.push(b',');
        }
        empty = false;
        break_line(out, depth + 1);
        write(out, item, depth + 1);
    }
    if !empty {
        break_line(out, depth);
    }
    out.push(b']');
}

fn write(out: &mut Vec<u8>, value: &Value, depth: usize) {
    match value {
        Value::Null | Value::Comment(_) => out.extend(b"null"),
        Value::Bool(value) => out.extend(value.to_string().bytes()),
        Value::Int(value) => out.extend(value.to_string().bytes()),
        Value::Float(value) => out.extend(number::json(*value).bytes()),
        Value::Text(text) => write_text(out, &String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => write_text(out, &STANDARD.encode(bytes)),
        Value::Time(time) => write_text(out, time),
        Value::List(items) => write_list(out, items, depth),
        Value::Branch(branch) => write_branch(out, branch, depth),
    }
}

fn break_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b'\t', depth));
}

/// Writes text as Go does, which escapes what HTML would read.
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for char in text.chars() {
        match char {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '\u{8}' => out.extend(b"\\b"),
            '\u{c}' => out.extend(b"\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.extend(format!("\\u{:04x}", u32::from(char)).bytes());
            }
            other => out.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out.push(b'"');
}

/// Reads a value as it is written, so that numbers are read here: serde_json rounds some floats to
/// their neighbour.
fn read(raw: &RawValue, depth: usize) -> Result<Value, serde_json::Error> {
    let text = raw.get();
    if depth > MAX_DEPTH {
        return Err(serde::de::Error::custom(format!("nested deeper than {MAX_DEPTH} levels")));
    }
    match text.as_bytes().first() {
        Some(b'{') => {
            let Entries(entries) = serde_json::from_str(text)?;
            let items =
                entries.into_iter().map(|(key, value)| Ok(Item::new(key, read(value, depth + 1)?)));
            items.collect::<Result<_, _>>().map(Value::Branch)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let items = items.into_iter().map(|item| read(item, depth + 1));
            items.collect::<Result<_, _>>().map(Value::List)
        }
        Some(b'"') => serde_json::from_str::<String>(text).map(Value::text),
        Some(b'-' | b'0'..=b'9') => number(text),
        Some(b't') => Ok(Value::Bool(true)),
        Some(b'f') => Ok(Value::Bool(false)),
        _ => Ok(Value::Null),
    }
}

/// Integers stay exact; what is no integer of 64 bits is a float.
fn number(text: &str) -> Result<Value, serde_json::Error> {
    if let Ok(int) = text.parse() {
        return Ok(Value::Int(int));
    }
    let float = text.parse().ok().filter(|float: &f64| float.is_finite());
    float.map(Value::Float).ok_or_else(|| serde::de::Error::custom("number out of range"))
}

/// The keys and values of an object; a key can stand twice.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
