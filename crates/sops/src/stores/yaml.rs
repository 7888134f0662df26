//! YAML, with its comments.

mod emit;

use std::collections::HashSet;
use std::iter::Peekable;
use std::vec::IntoIter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goyaml::{Comment, Dialect, Node, Scalar, Tag};

use super::LoadError;
use crate::tree::{self, Branch, Item, Value};

pub(super) use emit::emit;

/// Reads every document of a stream.
///
/// SOPS takes a comment as something that stands between two keys or elements: on lines of its own,
/// or on the line of the value that it belongs to.
pub(super) fn load(content: &[u8]) -> Result<Vec<Branch>, LoadError> {
    let text = std::str::from_utf8(content)
        .map_err(|_| LoadError::Yaml("yaml: invalid UTF-8".to_owned()))?;
    let source = goyaml::parse_source(text, Dialect::Kyaml)
        .map_err(|error| LoadError::Yaml(format!("yaml: {error}")))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut reader = Reader { comments: source.comments.into_iter().peekable(), lines: &lines };
    let mut branches = Vec::new();
    let mut documents = source.documents.into_iter().peekable();
    while let Some(document) = documents.next() {
        let end = documents.peek().map_or(usize::MAX, |next| begin(&lines, next.line));
        branches.push(reader.document(document.node, end)?);
    }
    Ok(branches)
}

/// Returns the line of the marker before a document.
fn begin(lines: &[&str], content: usize) -> usize {
    let before = (1..=content.min(lines.len())).rev();
    before.into_iter().find(|line| lines[line - 1].starts_with("---")).unwrap_or(content)
}

/// Gives comments their places, in the order of the text.
struct Reader<'a> {
    comments: Peekable<IntoIter<Comment>>,
    lines: &'a [&'a str],
}

impl Reader<'_> {
    fn document(&mut self, node: Node, end: usize) -> Result<Branch, LoadError> {
        let mut branch = Branch::new();
        let unsupported = |what| {
            Err(LoadError::Yaml(format!("YAML documents that are {what} are not supported")))
        };
        match node {
            Node::Mapping(mapping) => self.mapping(mapping, end, false, &mut branch)?,
            Node::Scalar(scalar) if scalar.tag == Tag::Null => {}
            Node::Scalar(_) => return unsupported("values"),
            Node::Sequence(_) => return unsupported("sequences"),
        }
        while let Some(comment) = self.comments.next_if(|comment| comment.mark.line() < end) {
            branch.push(Item::comment(comment.text, false));
        }
        Ok(branch)
    }

    /// Adds the keys of a map that ends before a line. That of an alias stands elsewhere.
    fn mapping(
        &mut self,
        mapping: goyaml::Mapping,
        end: usize,
        is_alias: bool,
        branch: &mut Branch,
    ) -> Result<(), LoadError> {
        let column = mapping.mark.column();
        let flow = mapping.flow;
        let mut known = HashSet::new();
        let mut entries = mapping.entries.into_iter().peekable();
        while let Some((key, value)) = entries.next() {
            let line = key.mark.line();
            let next = entries.peek().map_or(end, |(key, _)| key.mark.line());
            if key.tag != Tag::Str && key.tag != Tag::Merge {
                let what = format!("line {line}: only strings can be keys");
                return Err(LoadError::Yaml(format!("yaml: {what}")));
            }
            if !known.insert(key.value.clone()) {
                let what = format!("line {line}: mapping key {:?} already defined", key.value);
                return Err(LoadError::Yaml(format!("yaml: {what}")));
            }
            if !is_alias {
                branch.extend(self.before(line).map(|comment| Item::comment(comment, false)));
                let is_scalar = matches!(value, Node::Scalar(_));
                let beside = if is_scalar { next } else { line + 1 };
                branch.extend(self.beside(beside).map(|text| Item::comment(text, is_scalar)));
            }
            let value = self.value(value, line, next, is_alias)?;
            branch.push(Item::new(key.value, value));
        }
        if !is_alias && !flow {
            branch.extend(self.behind(column, end).map(|text| Item::comment(text, false)));
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        sequence: goyaml::Sequence,
        end: usize,
        is_alias: bool,
    ) -> Result<Value, LoadError> {
        let column = sequence.mark.column();
        let flow = sequence.flow;
        let comment = |inline| {
            move |text: String| Value::Comment(tree::Comment { text: text.into_bytes(), inline })
        };
        let mut list = Vec::new();
        let mut items = sequence.items.into_iter().peekable();
        while let Some(item) = items.next() {
            let line = item.mark().line();
            let next = items.peek().map_or(end, |next| next.mark().line());
            if !is_alias {
                list.extend(self.before(line).map(comment(false)));
                if matches!(item, Node::Scalar(_)) {
                    list.extend(self.beside(next).map(comment(true)));
                }
            }
            list.push(self.value(item, line, next, is_alias)?);
        }
        if !is_alias && !flow {
            list.extend(self.behind(column, end).map(comment(false)));
        }
        Ok(Value::List(list))
    }

    /// Returns what a node holds; it begins on a line or behind it, and ends before another.
    fn value(
        &mut self,
        node: Node,
        line: usize,
        end: usize,
        is_alias: bool,
    ) -> Result<Value, LoadError> {
        let is_alias = is_alias || node.mark().line() < line;
        if !is_alias {
            self.drop_inside(&node);
        }
        match node {
            Node::Scalar(scalar) => value(&scalar),
            Node::Sequence(sequence) => self.sequence(sequence, end, is_alias),
            Node::Mapping(mapping) => {
                let mut branch = Branch::new();
                self.mapping(mapping, end, is_alias, &mut branch)?;
                Ok(Value::Branch(branch))
            }
        }
    }

    /// Drops the comments in the brackets of an empty collection, where SOPS itself puts some.
    fn drop_inside(&mut self, node: &Node) {
        if !node.is_empty() || node.as_scalar().is_some() {
            return;
        }
        let mark = node.mark();
        let Some(line) = self.lines.get(mark.line() - 1) else { return };
        let begin: String = line.chars().skip(mark.column() - 1).collect();
        if matches!(begin.trim_end(), "{" | "[") {
            let rest = self.lines[mark.line()..].iter();
            let length = rest.take_while(|line| !line.trim_start().starts_with(['}', ']'])).count();
            let end = mark.line() + length + 1;
            while self.comments.next_if(|comment| comment.mark.line() < end).is_some() {}
        }
    }

    /// Takes the comments before a line.
    fn before(&mut self, line: usize) -> impl Iterator<Item = String> {
        let next = move |comment: &Comment| comment.mark.line() < line;
        std::iter::from_fn(move || Some(self.comments.next_if(next)?.text))
    }

    /// Takes the comments that stand behind something on their line, before another line.
    fn beside(&mut self, end: usize) -> impl Iterator<Item = String> {
        let lines = self.lines;
        let next = move |comment: &Comment| {
            let mark = comment.mark;
            let line = lines.get(mark.line() - 1).copied().unwrap_or_default();
            mark.line() < end && !line.trim_start().starts_with('#')
        };
        std::iter::from_fn(move || Some(self.comments.next_if(next)?.text))
    }

    /// Takes the comments that are indented at least as far as a column, before a line.
    fn behind(&mut self, column: usize, end: usize) -> impl Iterator<Item = String> {
        let next =
            move |comment: &Comment| comment.mark.line() < end && comment.mark.column() >= column;
        std::iter::from_fn(move || Some(self.comments.next_if(next)?.text))
    }
}

fn value(scalar: &Scalar) -> Result<Value, LoadError> {
    let line = scalar.mark.line();
    let wrong = |what: &str| LoadError::Yaml(format!("yaml: line {line}: {what}"));
    match scalar.tag {
        Tag::Null => return Ok(Value::Null),
        Tag::Binary => {
            let text: String = scalar.value.split_whitespace().collect();
            let bytes = STANDARD.decode(text).map_err(|_| wrong("!!binary is not base64"))?;
            return Ok(Value::Text(bytes));
        }
        _ => {}
    }
    let read = goyaml::scalar_to_value(scalar, Dialect::Kyaml)
        .map_err(|error| LoadError::Yaml(format!("yaml: {error}")))?;
    Ok(match read {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) if scalar.tag != Tag::Float => Value::Int(int),
            None if scalar.tag == Tag::Int => {
                return Err(wrong("an integer beyond 9223372036854775807 has no type"));
            }
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(time) if scalar.tag == Tag::Timestamp => Value::Time(time),
        serde_json::Value::String(text) => Value::text(text),
        _ => return Err(wrong("unexpected value")),
    })
}
