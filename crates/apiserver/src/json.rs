//! JSON as the decoders of the API server read it: they note what is given twice, and have words of
//! their own for what is malformed.

use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

/// What a struct of Go is called into which the kind of an object is read.
const KIND_STRUCT: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind \
                           string \"json:\\\"kind,omitempty\\\"\" }";

/// Bytes of a body that an error shows.
const SHOWN: usize = 1024;

/// Parses JSON; returns the paths of fields that are given twice as well. The last one counts.
pub(crate) fn parse(body: &[u8]) -> Result<(Value, Vec<String>), Error> {
    let mut place = Place::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Seed(&mut place).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, place.duplicates))
}

/// Says what is wrong with a body that should be an object of some kind.
pub(crate) fn unrecognized(kind: &str, problem: &str, body: &[u8]) -> String {
    let cut = &body[..body.len().min(SHOWN)];
    let mut shown = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(cut).into_owned(),
        Some(_) => cut.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    };
    if body.len() > SHOWN {
        shown.push_str(" ...");
    }
    format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; \
         json parse error: {problem} ({shown})"
    )
}

/// Returns what Go says when a value is no object.
pub(crate) fn no_object(value: &Value, target: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {target}", name_of(value))
}

/// Returns what Go says when a value should have had a kind and is no object.
pub(crate) fn no_kind(value: &Value) -> String {
    no_object(value, KIND_STRUCT)
}

/// Returns what Go calls the sort of a value.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Says in Go's words why JSON is malformed.
pub(crate) fn go_text(error: &Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    let found = rest.map(String::from_utf8_lossy).and_then(|rest| rest.chars().next());
    let Some(found) = found else { return error.to_string() };
    let text = error.to_string();
    let place = if text.starts_with("expected `,` or `}`") {
        "after object key:value pair"
    } else if text.starts_with("expected `,` or `]`") {
        "after array element"
    } else if text.starts_with("expected `:`") {
        "after object key"
    } else if text.starts_with("trailing characters") {
        "after top-level value"
    } else if text.starts_with("key must be a string") || text.starts_with("trailing comma") {
        "looking for beginning of object key string"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character {found:?} {place}")
}

#[derive(Default)]
struct Place {
    path: Vec<Step>,
    duplicates: Vec<String>,
}

enum Step {
    Field(String),
    Item(usize),
}

impl Place {
    fn note_duplicate(&mut self, key: &str) {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if text.is_empty() => text.push_str(name),
                Step::Field(name) => text.extend([".", name]),
                Step::Item(index) => text.extend(["[", &index.to_string(), "]"]),
            }
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(key);
        if !self.duplicates.contains(&text) {
            self.duplicates.push(text);
        }
    }
}

struct Seed<'a>(&'a mut Place);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        self.0.path.push(Step::Item(0));
        while let Some(item) = access.next_element_seed(Seed(self.0))? {
            items.push(item);
            if let Some(Step::Item(index)) = self.0.path.last_mut() {
                *index = items.len();
            }
        }
        self.0.path.pop();
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            self.0.path.push(Step::Field(key));
            let value = access.next_value_seed(Seed(self.0))?;
            let Some(Step::Field(key)) = self.0.path.pop() else {
                return Err(A::Error::custom("lost the place"));
            };
            if map.contains_key(&key) {
                self.0.note_duplicate(&key);
            }
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_reads() {
        let text = br#"{"a": [1, -2, 3.5, null, true, "x", {"b": {}}], "c": []}"#;
        let (value, duplicates) = parse(text).unwrap();
        assert_eq!(value, serde_json::from_slice::<Value>(text).unwrap());
        assert!(duplicates.is_empty());
    }

    #[test]
    fn notes_what_is_given_twice() {
        let text = br#"{"m": {"n": "1", "n": "2"}, "l": [{}, {"x": 1, "x": 2, "x": 3}], "m": {}}"#;
        let (value, duplicates) = parse(text).unwrap();
        assert_eq!(duplicates, ["m.n", "l[1].x", "m"]);
        assert_eq!(value["l"][1]["x"], 3);
    }

    #[test]
    fn words_errors_as_go_does() {
        let text = |body: &str| go_text(&parse(body.as_bytes()).unwrap_err(), body.as_bytes());
        assert_eq!(text("{"), "unexpected end of JSON input");
        assert_eq!(text("{\"a\": x}"), "invalid character 'x' looking for beginning of value");
        assert_eq!(text("{\"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(text("{} x"), "invalid character 'x' after top-level value");
        assert_eq!(text("{\"a\": 1 2}"), "invalid character '2' after object key:value pair");
    }
}
