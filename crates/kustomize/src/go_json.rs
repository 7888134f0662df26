//! JSON text as Go writes it: keys sorted, numbers in its form, `<`, `>` and `&` escaped.

use serde_json::{Number, Value};

/// Writes a value without spaces.
pub(crate) fn compact(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, None);
    text
}

/// Writes a value over several lines, two spaces for every level.
pub(crate) fn indented(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, Some(0));
    text
}

/// Writes a value; with an indentation every entry begins a line.
fn write(out: &mut String, value: &Value, indent: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&format_number(number)),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            let entries = items.iter().map(|item| (None, item));
            write_entries(out, ('[', ']'), entries, indent);
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            let entries = fields.into_iter().map(|(key, value)| (Some(key.as_str()), value));
            write_entries(out, ('{', '}'), entries, indent);
        }
    }
}

fn write_entries<'a>(
    out: &mut String,
    (open, close): (char, char),
    entries: impl ExactSizeIterator<Item = (Option<&'a str>, &'a Value)>,
    indent: Option<usize>,
) {
    let inside = indent.map(|indent| indent + 1);
    let empty = entries.len() == 0;
    out.push(open);
    for (at, (key, value)) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        break_line(out, inside);
        if let Some(key) = key {
            write_text(out, key);
            out.push_str(if indent.is_some() { ": " } else { ":" });
        }
        write(out, value, inside);
    }
    if !empty {
        break_line(out, indent);
    }
    out.push(close);
}

/// Writes a float with an exponent below 1e-6 and from 1e21 on.
fn format_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    format!("{float}")
}

fn break_line(out: &mut String, indent: Option<usize>) {
    if let Some(indent) = indent {
        out.push('\n');
        (0..indent).for_each(|_| out.push_str("  "));
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.extend(["\\u", &format!("{:04x}", u32::from(char))]);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_numbers_as_go_does() {
        for (number, text) in
            [(1.5, "1.5"), (1e21, "1e+21"), (1.5e-7, "1.5e-7"), (1e6, "1000000"), (0.0, "0")]
        {
            assert_eq!(compact(&json!(number)), text);
        }
    }

    #[test]
    fn writes_as_go_does() {
        let value =
            json!({ "b": "<a>\n\u{1}", "a": { "d": 1, "c": "\u{2028}" }, "e": [], "f": [{}] });
        assert_eq!(
            compact(&value),
            r#"{"a":{"c":"\u2028","d":1},"b":"\u003ca\u003e\n\u0001","e":[],"f":[{}]}"#
        );
        let value = json!({ "a": { "d": 1.5, "c": [true, null] }, "e": {} });
        assert_eq!(
            indented(&value),
            "{\n  \"a\": {\n    \"c\": [\n      true,\n      null\n    ],\n    \"d\": 1.5\n  },\n  \"e\": {}\n}"
        );
    }
}
