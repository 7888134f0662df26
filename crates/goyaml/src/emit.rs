//! Writes values as sigs.k8s.io/yaml does.

mod node;
mod scalar;

use serde_json::{Map, Value};

use crate::{Dialect, number, order, resolve::is_ambiguous};
pub use node::node_to_string;
pub(crate) use scalar::Analysis;

/// Returns a value as one YAML document: keys sorted, block style, lists not indented, long lines
/// broken at spaces.
///
/// ```
/// let value = serde_json::json!({ "b": ["x"], "a": "yes", "c": {}, "d": "two\nlines\n" });
/// assert_eq!(goyaml::to_string(&value), "a: \"yes\"\nb:\n- x\nc: {}\nd: |\n  two\n  lines\n");
/// ```
///
/// Source: `Marshal`, sigs.k8s.io/yaml 1.6, on go-yaml v2.4.3.
pub fn to_string(value: &Value) -> String {
    let mut text = String::new();
    write_document(value, &mut text);
    text
}

/// Returns values as a stream of documents with `---` between them.
pub fn to_stream<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let mut stream = String::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            stream.push_str("---\n");
        }
        write_document(value, &mut stream);
    }
    stream
}

/// Adds a value as one YAML document to a text.
pub fn write_document(value: &Value, text: &mut String) {
    let mut emitter = Emitter::new(text, WIDTH);
    emitter.node(value, false);
    emitter.indent = 0;
    emitter.write_indent();
}

/// From which column on text breaks at the next space.
const WIDTH: usize = 80;

/// How many bytes a key without `?` may have.
const MAX_SIMPLE_KEY: usize = 128;

/// The state that decides where lines break.
///
/// Source: `emitterc.go`, go-yaml v2.4.3.
struct Emitter<'a> {
    text: &'a mut String,
    /// How many characters are on the line.
    column: usize,
    /// From which column on text breaks at the next space.
    width: usize,
    /// The indentation of the collection, -2 outside of any.
    indent: isize,
    /// Whether the last thing written was a blank.
    whitespace: bool,
    /// Whether nothing but indentation and indicators was written on the line.
    indention: bool,
}

impl<'a> Emitter<'a> {
    fn new(text: &'a mut String, width: usize) -> Self {
        Self { text, column: 0, width, indent: -2, whitespace: true, indention: true }
    }

    fn node(&mut self, value: &Value, in_mapping: bool) {
        match value {
            Value::Null => self.plain("null"),
            Value::Bool(true) => self.plain("true"),
            Value::Bool(false) => self.plain("false"),
            Value::Number(number) => self.plain(&number::format(number)),
            Value::String(text) => self.string(text, false),
            Value::Array(items) if items.is_empty() => self.plain("[]"),
            Value::Array(items) => self.sequence(items, in_mapping),
            Value::Object(fields) if fields.is_empty() => self.plain("{}"),
            Value::Object(fields) => self.mapping(fields),
        }
    }

    fn sequence(&mut self, items: &[Value], in_mapping: bool) {
        let outer = self.indent;
        // Lists are not indented below their key.
        if outer < 0 || !in_mapping || self.indention {
            self.indent += 2;
        }
        for item in items {
            self.write_indent();
            self.indicator("-", true);
            self.node(item, false);
        }
        self.indent = outer;
    }

    fn mapping(&mut self, fields: &Map<String, Value>) {
        let outer = self.indent;
        self.indent += 2;
        let mut entries: Vec<_> = fields.iter().collect();
        order::sort_by_key(&mut entries, |(key, _)| key);
        for (key, value) in entries {
            self.write_indent();
            let simple = key.len() <= MAX_SIMPLE_KEY && !Analysis::of(key).multiline;
            if simple {
                self.string(key, true);
                self.put(":");
                self.whitespace = false;
                self.indention = false;
            } else {
                self.indicator("?", true);
                self.string(key, false);
                self.write_indent();
                self.indicator(":", true);
            }
            self.node(value, true);
        }
        self.indent = outer;
    }

    /// Begins a line at the indentation, unless it has begun.
    fn write_indent(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        while self.column < indent {
            self.put(" ");
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn put_break(&mut self) {
        self.text.push('\n');
        self.column = 0;
    }

    /// Writes text without line breaks.
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += if text.is_ascii() { text.len() } else { text.chars().count() };
    }

    fn put_char(&mut self, char: char) {
        self.text.push(char);
        self.column += 1;
    }

    /// Writes `-`, `?` or `:`, which leave the line as if only indented.
    fn indicator(&mut self, indicator: &str, indention: bool) {
        self.blank();
        self.put(indicator);
        self.whitespace = false;
        self.indention &= indention;
    }

    fn blank(&mut self) {
        if !self.whitespace {
            self.put(" ");
        }
    }

    fn plain(&mut self, text: &str) {
        self.blank();
        self.put(text);
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes a string: as a literal block when it has lines, and quoted when it would be read as
    /// another type or cannot be plain for other reasons.
    fn string(&mut self, text: &str, is_key: bool) {
        let outer = self.indent;
        self.indent = if outer < 0 { 2 } else { outer + 2 };
        self.scalar(text, is_key);
        self.indent = outer;
    }

    fn scalar(&mut self, text: &str, is_key: bool) {
        let analysis = Analysis::of(text);
        if text.contains('\n') {
            if analysis.block_allowed && !is_key {
                self.literal(text);
            } else {
                self.double_quoted(text, !is_key);
            }
        } else if is_ambiguous(text, Dialect::Sigs) {
            self.double_quoted(text, !is_key);
        } else if analysis.plain_allowed {
            self.plain_text(text, !is_key);
        } else if analysis.single_quoted_allowed {
            self.single_quoted(text, !is_key);
        } else {
            self.double_quoted(text, !is_key);
        }
    }
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
            ("<<", "<<"),
            ("x: y", "'x: y'"),
            ("*star", "'*star'"),
            ("- a", "'- a'"),
            ("--- a", "'--- a'"),
            (" a", "' a'"),
            ("#a", "'#a'"),
            ("a #b", "'a #b'"),
            ("it's", "it's"),
            ("'it's", "'''it''s'"),
            ("tab\t", "\"tab\\t\""),
            ("é", "é"),
            ("\u{feff}", "\"\\uFEFF\""),
            ("\u{1F600}", "\"\\U0001F600\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("a\u{2028}b", "'a\u{2028}  b'"),
            ("trailing \nx", "\"trailing \\nx\""),
            ("\ttab\nline", "\"\\ttab\\nline\""),
            ("\u{7f}", "\"\\x7F\""),
        ] {
            assert_eq!(to_string(&json!({ "a": text })), format!("a: {written}\n"), "{text}");
        }
    }

    #[test]
    fn writes_lines_as_literal_blocks() {
        assert_eq!(to_string(&json!({ "a": "b\nc" })), "a: |-\n  b\n  c\n");
        assert_eq!(to_string(&json!({ "a": "b\n\n" })), "a: |+\n  b\n\n");
        assert_eq!(to_string(&json!({ "a": " b\nc\n" })), "a: |2\n   b\n  c\n");
        assert_eq!(to_string(&json!(["b\nc\n", "\n"])), "- |\n  b\n  c\n- |2+\n\n");
    }

    #[test]
    fn does_not_indent_lists() {
        assert_eq!(
            to_string(&json!({ "list": [{ "b": 1, "a": 2 }, [], [["x"], {}]] })),
            "list:\n- a: 2\n  b: 1\n- []\n- - - x\n  - {}\n"
        );
    }

    #[test]
    fn breaks_long_lines() {
        let words = "four ".repeat(15);
        let long = format!("{words}é  two four four");
        assert_eq!(
            to_string(&json!({ "a": [&long] })),
            format!("a:\n- {words}é  two\n  four four\n")
        );
        let quoted = format!("{long}: x");
        assert_eq!(
            to_string(&json!({ "a": quoted })),
            format!("a: '{words}é  two\n  four four: x'\n")
        );
        let escaped = format!("{words}four  four\t four ");
        assert_eq!(
            to_string(&json!({ "a": escaped })),
            format!("a: \"{words}four\n  \\ four\\t four \"\n")
        );
        assert_eq!(to_string(&json!({ &words.repeat(2): 1 })).lines().count(), 3);
    }

    #[test]
    fn long_keys_stand_behind_a_question_mark() {
        let long = "k".repeat(129);
        assert_eq!(
            to_string(&json!({ &long: { "a": 1 }, "two\nlines": ["x"] })),
            format!("? {long}\n: a: 1\n? |-\n  two\n  lines\n: - x\n")
        );
    }
}
