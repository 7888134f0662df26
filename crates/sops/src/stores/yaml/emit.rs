//! Writes YAML as SOPS does: indented by four, comments before what they are about.
//!
//! Source: `EmitPlainFile`, SOPS 3.13, `stores/yaml/store.go`, on go-yaml v3.0.4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goyaml::{Node, Scalar, Style};

use crate::number;
use crate::tree::{Branch, Item, Key, Value};

/// How far collections are indented.
const INDENT: usize = 4;

/// How long a key can be without `?` before it.
const MAX_SIMPLE_KEY: usize = 128;

/// Writes documents.
pub(crate) fn emit(branches: &[Branch]) -> String {
    let mut writer = Writer { out: String::new() };
    for (index, branch) in branches.iter().enumerate() {
        if index > 0 {
            writer.out.push_str("---\n");
        }
        if branch.iter().any(|item| matches!(item.key, Key::Text(_))) {
            writer.branch(branch, 0, false);
        } else {
            writer.comments(branch.iter().filter_map(comment_of), 0);
            writer.out.push_str("{}\n");
        }
    }
    writer.out
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a key.
    Map,
    /// Behind a dash. The comments that it begins with are written already.
    List,
}

struct Writer {
    out: String,
}

fn comment_of(item: &Item) -> Option<&[u8]> {
    if let Key::Comment(comment) = &item.key { Some(&comment.text) } else { None }
}

impl Writer {
    /// Writes the keys of a map, each on a line; the first may stand on a line that has begun.
    fn branch<'a>(
        &mut self,
        items: impl IntoIterator<Item = &'a Item>,
        indent: usize,
        begun: bool,
    ) {
        let mut begun = begun;
        let mut inline: Vec<&[u8]> = Vec::new();
        for item in items {
            let key = match &item.key {
                Key::Comment(comment) if comment.inline => {
                    inline.push(&comment.text);
                    continue;
                }
                Key::Comment(comment) => {
                    self.comments(std::iter::once(comment.text.as_slice()), indent);
                    continue;
                }
                Key::Text(key) => key,
            };
            if !std::mem::take(&mut begun) {
                self.pad(indent);
            }
            self.key(key, indent);
            self.value(&item.value, indent, &inline, Place::Map);
            inline.clear();
        }
        self.comments(inline, indent);
    }

    fn list<'a>(&mut self, items: impl IntoIterator<Item = &'a Value>, indent: usize, begun: bool) {
        let mut begun = begun;
        let mut inline: Vec<&[u8]> = Vec::new();
        for item in items {
            if let Value::Comment(comment) = item {
                if comment.inline {
                    inline.push(&comment.text);
                } else {
                    self.comments(std::iter::once(comment.text.as_slice()), indent);
                }
                continue;
            }
            // What stands first in an element is about the element.
            for comment in leading(item) {
                let indent = if std::mem::take(&mut begun) { 0 } else { indent };
                self.comments(std::iter::once(comment), indent);
            }
            if !std::mem::take(&mut begun) {
                self.pad(indent);
            }
            self.out.push('-');
            self.value(item, indent, &inline, Place::List);
            inline.clear();
        }
        self.comments(inline, indent);
    }

    /// Writes a value behind a key or the dash of a list, and ends the line.
    fn value(&mut self, value: &Value, indent: usize, beside: &[&[u8]], place: Place) {
        // What is in a list begins right behind the dash; all else is at the next multiple.
        let (inner, on_next_line) = match place {
            Place::Map => (INDENT * ((indent + INDENT) / INDENT), true),
            Place::List => (indent + 2, false),
        };
        match value {
            Value::Branch(branch) if branch.iter().any(|item| comment_of(item).is_none()) => {
                let begun = self.open(beside, on_next_line);
                let first = branch.iter().position(|item| comment_of(item).is_none());
                let (before, rest) = branch.split_at(first.unwrap_or_default());
                let before = before.iter().filter(|item| on_next_line || is_inline(item));
                self.branch(before.chain(rest), inner, begun);
            }
            Value::List(items) if items.iter().any(|item| !is_comment(item)) => {
                let begun = self.open(beside, on_next_line);
                let first = items.iter().position(|item| !is_comment(item));
                let (before, rest) = items.split_at(first.unwrap_or_default());
                let is_inline =
                    |item: &&Value| matches!(item, Value::Comment(comment) if comment.inline);
                let before = before.iter().filter(|item| on_next_line || is_inline(item));
                self.list(before.chain(rest), inner, begun);
            }
            Value::Branch(branch) => {
                let comments = branch.iter().filter_map(comment_of);
                self.line(" {}", beside.iter().copied().chain(comments));
            }
            Value::List(_) => {
                self.line(" []", beside.iter().copied());
                if place == Place::Map {
                    self.comments(leading(value), indent);
                }
            }
            value => {
                let text = scalar(value);
                let mut lines = text.split_inclusive('\n');
                let first = lines.next().unwrap_or_default().trim_end_matches('\n');
                self.out.push(' ');
                self.line(first, beside.iter().copied());
                for line in lines {
                    if !line.trim_end_matches('\n').is_empty() {
                        self.pad(inner);
                    }
                    self.out.push_str(line);
                }
            }
        }
    }

    /// Ends the line before a collection, unless it begins there.
    fn open(&mut self, beside: &[&[u8]], on_next_line: bool) -> bool {
        if on_next_line || !beside.is_empty() {
            self.line("", beside.iter().copied());
            return false;
        }
        self.out.push(' ');
        true
    }

    fn line<'a>(&mut self, text: &str, comments: impl IntoIterator<Item = &'a [u8]>) {
        self.out.push_str(text);
        for comment in comments {
            self.out.push_str(" #");
            self.out.push_str(&one_line(comment));
        }
        self.out.push('\n');
    }

    fn comments<'a>(&mut self, comments: impl IntoIterator<Item = &'a [u8]>, indent: usize) {
        for comment in comments {
            self.pad(indent);
            self.out.push('#');
            self.out.push_str(&one_line(comment));
            self.out.push('\n');
        }
    }

    fn key(&mut self, key: &str, indent: usize) {
        if key == "<<" {
            self.out.push_str("!!merge <<:");
            return;
        }
        let mut scalar = Scalar::written(key);
        if key.contains('\n') {
            scalar.style = Style::DoubleQuoted;
        }
        let text = text_of(scalar);
        let text = text.trim_end_matches('\n');
        if key.len() > MAX_SIMPLE_KEY {
            self.out.push_str("? ");
            self.out.push_str(text);
            self.out.push('\n');
            self.pad(indent);
        } else {
            self.out.push_str(text);
        }
        self.out.push(':');
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Returns the comments on lines of their own that a collection begins with.
fn leading(value: &Value) -> Box<dyn Iterator<Item = &[u8]> + '_> {
    match value {
        Value::Branch(branch) => {
            let comments = branch.iter().map_while(|item| match &item.key {
                Key::Comment(comment) => Some(comment),
                Key::Text(_) => None,
            });
            Box::new(comments.filter(|it| !it.inline).map(|it| it.text.as_slice()))
        }
        Value::List(items) => {
            let comments = items.iter().map_while(|item| match item {
                Value::Comment(comment) => Some(comment),
                _ => None,
            });
            Box::new(comments.filter(|it| !it.inline).map(|it| it.text.as_slice()))
        }
        _ => Box::new(std::iter::empty()),
    }
}

fn is_comment(value: &Value) -> bool {
    matches!(value, Value::Comment(_))
}

fn is_inline(item: &Item) -> bool {
    matches!(&item.key, Key::Comment(comment) if comment.inline)
}

/// A comment that had a line break would end early.
fn one_line(comment: &[u8]) -> String {
    String::from_utf8_lossy(comment).replace(['\n', '\r'], " ")
}

/// Returns a scalar as it is written, with the lines of a block not indented.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null | Value::Comment(_) | Value::List(_) | Value::Branch(_) => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::yaml(*value),
        Value::Time(time) => time.clone(),
        Value::Bytes(bytes) => {
            let bytes: Vec<_> = bytes.iter().map(ToString::to_string).collect();
            format!("[{}]", bytes.join(", "))
        }
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok("<<") => "!!merge <<".to_owned(),
            Ok(text) => text_of(Scalar::written(text)),
            Err(_) => format!("!!binary {}", text_of(Scalar::written(base64_lines(bytes)))),
        },
    }
}

fn text_of(scalar: Scalar) -> String {
    let is_block = scalar.style == Style::Literal;
    let text = goyaml::node_to_string(&Node::Scalar(scalar));
    if !is_block {
        return text.trim_end_matches('\n').to_owned();
    }
    let mut lines = text.split_inclusive('\n');
    // It says by how much the first line is indented.
    let mut block = lines.next().unwrap_or_default().replace('2', &INDENT.to_string());
    for line in lines {
        block.push_str(line.strip_prefix("  ").unwrap_or(line));
    }
    block
}

/// Returns base64 in lines of 70 characters.
fn base64_lines(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() < 70 {
        return text;
    }
    let mut lines = String::new();
    for line in text.as_bytes().chunks(70) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines
}
