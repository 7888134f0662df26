//! Writes values as sigs.k8s.io/yaml does.

use libyaml_safer::{Emitter, Encoding, Event, MappingStyle, ScalarStyle, SequenceStyle};
use serde_json::Value;

use crate::{
    Dialect, compare_keys, number,
    resolve::{Scalar, is_base_60, resolve},
};

/// Returns a value as one YAML document: keys sorted, block style, lists not indented, no folding.
///
/// ```
/// let value = serde_json::json!({ "b": ["x"], "a": "yes", "c": {}, "d": "two\nlines\n" });
/// assert_eq!(goyaml::to_string(&value), "a: \"yes\"\nb:\n- x\nc: {}\nd: |\n  two\n  lines\n");
/// ```
///
/// Source: `Marshal`, sigs.k8s.io/yaml 1.6, on its copy of go-yaml v2.
pub fn to_string(value: &Value) -> String {
    let mut text = Vec::new();
    write(value, &mut text);
    // After a block that keeps its trailing lines libyaml marks the end of the document; Go does not.
    if text.ends_with(b"\n...\n") {
        text.truncate(text.len() - "...\n".len());
    }
    escape_astral(String::from_utf8(text).expect("the emitter writes UTF-8"))
}

/// Returns values as a stream of documents with `---` between them.
pub fn to_stream<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let mut stream = String::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            stream.push_str("---\n");
        }
        stream.push_str(&to_string(value));
    }
    stream
}

fn write(value: &Value, text: &mut Vec<u8>) {
    const INVARIANT: &str = "events of a tree are well-formed, and memory can be written";
    let mut emitter = Emitter::new();
    emitter.set_output(text);
    emitter.set_unicode(true);
    emitter.set_width(-1);
    for event in [Event::stream_start(Encoding::Utf8), Event::document_start(None, &[], true)] {
        emitter.emit(event).expect(INVARIANT);
    }
    emit(value, &mut |event| emitter.emit(event).expect(INVARIANT));
    for event in [Event::document_end(true), Event::stream_end()] {
        emitter.emit(event).expect(INVARIANT);
    }
    emitter.flush().expect(INVARIANT);
}

fn emit(value: &Value, sink: &mut dyn FnMut(Event)) {
    match value {
        Value::Null => sink(plain("null")),
        Value::Bool(true) => sink(plain("true")),
        Value::Bool(false) => sink(plain("false")),
        Value::Number(number) => sink(plain(&number::format(number))),
        Value::String(text) => sink(string(text)),
        Value::Array(items) => {
            let style = if items.is_empty() { SequenceStyle::Flow } else { SequenceStyle::Block };
            sink(Event::sequence_start(None, None, true, style));
            for item in items {
                emit(item, sink);
            }
            sink(Event::sequence_end());
        }
        Value::Object(map) => {
            let style = if map.is_empty() { MappingStyle::Flow } else { MappingStyle::Block };
            sink(Event::mapping_start(None, None, true, style));
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(a, _), (b, _)| compare_keys(a, b));
            for (key, value) in entries {
                sink(string(key));
                emit(value, sink);
            }
            sink(Event::mapping_end());
        }
    }
}

/// Escapes what go-yaml takes for unprintable and libyaml does not; it stands in double quotes.
fn escape_astral(text: String) -> String {
    if !text.contains(is_astral) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_astral(c) {
            escaped.extend([format!("\\U{:08X}", u32::from(c))]);
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn is_astral(c: char) -> bool {
    c > '\u{ffff}'
}

fn plain(text: &str) -> Event {
    Event::scalar(None, None, text, true, true, ScalarStyle::Plain)
}

/// A string is a literal block when it has lines, and quoted when it would be read as another type.
/// The emitter quotes what cannot be plain for other reasons.
fn string(text: &str) -> Event {
    let style = if text.contains(is_astral) {
        ScalarStyle::DoubleQuoted
    } else if text.contains('\n') {
        ScalarStyle::Literal
    } else if resolve(text, Dialect::Sigs) == Scalar::Text && !is_base_60(text) {
        ScalarStyle::Plain
    } else {
        ScalarStyle::DoubleQuoted
    };
    Event::scalar(None, None, text, true, true, style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_what_would_be_read_as_another_type() {
        for (text, written) in [
            ("plain", "plain"),
            ("yes", "\"yes\""),
            ("y", "\"y\""),
            ("", "\"\""),
            ("1", "\"1\""),
            ("0777", "\"0777\""),
            ("1:20", "\"1:20\""),
            ("2020-01-01", "\"2020-01-01\""),
            ("null", "\"null\""),
            ("<<", "\"<<\""),
            ("x: y", "'x: y'"),
            ("*star", "'*star'"),
            ("- a", "'- a'"),
            (" a", "' a'"),
            ("#a", "'#a'"),
            ("a #b", "'a #b'"),
            ("it's", "it's"),
            ("tab\t", "\"tab\\t\""),
            ("é", "é"),
            ("\u{1F600}", "\"\\U0001F600\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("trailing \nx", "\"trailing \\nx\""),
            ("\ttab\nline", "\"\\ttab\\nline\""),
        ] {
            assert_eq!(to_string(&json!(text)), format!("{written}\n"), "{text}");
        }
    }

    #[test]
    fn writes_lines_as_literal_blocks() {
        assert_eq!(to_string(&json!({ "a": "b\nc" })), "a: |-\n  b\n  c\n");
        assert_eq!(to_string(&json!({ "a": "b\n\n" })), "a: |+\n  b\n\n");
        assert_eq!(to_string(&json!({ "a": " b\nc\n" })), "a: |2\n   b\n  c\n");
    }

    #[test]
    fn does_not_fold_or_indent_lists() {
        let long = "word ".repeat(40) + "end";
        assert_eq!(
            to_string(&json!({ "list": [{ "b": 1, "a": long }, []] })),
            format!("list:\n- a: {long}\n  b: 1\n- []\n")
        );
    }
}
