//! Sections of `name = value` lines, as gopkg.in/ini reads and writes them.
//!
//! Source: `parser.go` and `file.go`, ini 1.67.

use super::{EmitError, LoadError, line};
use crate::tree::{Branch, Item, Key, Value};

/// The section of what stands before any other.
const DEFAULT: &str = "DEFAULT";

const DELIMITERS: [char; 2] = ['=', ':'];

/// Reads sections; one that stands twice stays so.
pub(super) fn load(content: &[u8]) -> Result<Branch, LoadError> {
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader =
        Reader { lines: text.split_inclusive('\n'), number: 0, comment: String::new() };
    let mut sections = Branch::new();
    let mut section = Section::new(DEFAULT.to_owned());
    let mut count = 1;
    while let Some(line) = reader.next() {
        let line = line.trim_start();
        if line.is_empty() {
            continue;
        }
        if line.starts_with(['#', ';']) {
            reader.comment.push_str(line);
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, after) =
                rest.rsplit_once(']').ok_or_else(|| reader.wrong("unclosed section"))?;
            reader.comment.push_str(comment_in(after));
            // The default section may go on.
            let next = Section::new(name.to_owned());
            sections.push(std::mem::replace(&mut section, next).into_item());
            section.comment = reader.take_comment();
            count = 1;
            continue;
        }
        let (mut name, rest) = key(line).map_err(|what| reader.wrong(what))?;
        if name == "-" {
            name = format!("#{count}");
            count += 1;
        }
        let value = reader.value(rest)?;
        let comment = reader.take_comment();
        section.set(name, value, comment);
    }
    sections.push(section.into_item());
    Ok(sections)
}

/// Returns metadata with its line breaks, which are escaped in this format.
pub(super) fn with_breaks(fields: Branch) -> Branch {
    let fields = fields.into_iter().map(|item| match (item.key, item.value) {
        (key, Value::Text(text)) => {
            let text = String::from_utf8_lossy(&text).replace("\\n", "\n");
            Item { key, value: Value::text(text) }
        }
        (key, value) => Item { key, value },
    });
    fields.collect()
}

/// Writes sections, with the values of each below each other.
pub(super) fn emit(branches: &[Branch]) -> Result<Vec<u8>, EmitError> {
    let mut sections = Vec::new();
    for item in branches.iter().flatten() {
        let Key::Text(name) = &item.key else { continue };
        let Value::Branch(items) = &item.value else { return Err(EmitError::NoSection) };
        sections.push((name, items));
    }
    let mut out = Vec::new();
    let count = sections.len();
    for (index, (name, items)) in sections.into_iter().enumerate() {
        let (comment, items) = match items.split_first() {
            Some((Item { key: Key::Comment(comment), .. }, rest)) => (Some(comment), rest),
            _ => (None, items.as_slice()),
        };
        if let Some(comment) = comment {
            write_comment(&mut out, &comment.text);
        }
        if index == 0 && name.eq_ignore_ascii_case(DEFAULT) {
            if items.is_empty() {
                continue;
            }
        } else {
            out.extend(format!("[{name}]\n").bytes());
        }
        write_keys(&mut out, items);
        if index + 1 < count {
            out.push(b'\n');
        }
    }
    Ok(out)
}

/// The name of a key, its value, and what is said about it.
type Written<'a> = (String, Vec<u8>, Option<&'a [u8]>);

fn write_keys(out: &mut Vec<u8>, items: &[Item]) {
    let mut keys: Vec<Written> = Vec::new();
    for item in items {
        match &item.key {
            Key::Text(name) => {
                let value = line(&item.value);
                match keys.iter_mut().find(|(own, ..)| own == name) {
                    Some(key) => key.1 = value,
                    None => keys.push((name.clone(), value, None)),
                }
            }
            // A comment follows the key that it is about.
            Key::Comment(comment) => {
                if let Some(key) = keys.last_mut() {
                    key.2 = Some(&comment.text);
                }
            }
        }
    }
    for (name, ..) in &mut keys {
        if name.contains('"') || name.contains(DELIMITERS) {
            *name = format!("`{name}`");
        } else if name.contains('`') {
            *name = format!("\"\"\"{name}\"\"\"");
        }
    }
    let width = keys.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    for (name, value, comment) in keys {
        if let Some(comment) = comment {
            write_comment(out, comment);
        }
        let has = |bytes: &[u8]| value.iter().any(|byte| bytes.contains(byte));
        let quote: &[u8] = if has(b"\n`") {
            b"\"\"\""
        } else if has(b"#;") {
            b"`"
        } else if value.trim_ascii().len() != value.len() {
            b"\""
        } else {
            b""
        };
        out.extend(format!("{name:width$} = ").bytes());
        out.extend([quote, &value, quote].concat());
        out.push(b'\n');
    }
}

fn write_comment(out: &mut Vec<u8>, comment: &[u8]) {
    for line in comment.split(|byte| *byte == b'\n') {
        match line {
            [mark @ (b'#' | b';'), rest @ ..] => {
                out.extend([*mark, b' ']);
                out.extend(rest.trim_ascii());
            }
            line => {
                out.extend(b"; ");
                out.extend(line);
            }
        }
        out.push(b'\n');
    }
}

struct Section {
    name: String,
    comment: String,
    keys: Vec<(String, String, String)>,
}

impl Section {
    fn new(name: String) -> Self {
        Self { name, comment: String::new(), keys: Vec::new() }
    }

    /// A key that stands twice has the last value at the first place.
    fn set(&mut self, name: String, value: String, comment: String) {
        match self.keys.iter_mut().find(|(own, ..)| *own == name) {
            Some(key) => *key = (name, value, comment),
            None => self.keys.push((name, value, comment)),
        }
    }

    fn into_item(self) -> Item {
        let mut items = Branch::new();
        let comment = |text: &str| {
            let mark = if text.starts_with(';') { ';' } else { '#' };
            Item::comment(text.trim_start_matches([mark, ' ']), false)
        };
        if !self.comment.is_empty() {
            items.push(comment(&self.comment));
        }
        for (name, value, about) in self.keys {
            items.push(Item::new(name, Value::text(value)));
            if !about.is_empty() {
                items.push(comment(&about));
            }
        }
        Item::new(self.name, Value::Branch(items))
    }
}

/// Reads lines, and collects comments until there is something that they are about.
struct Reader<'a> {
    lines: std::str::SplitInclusive<'a, char>,
    number: usize,
    comment: String,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.number += 1;
        self.lines.next()
    }

    fn wrong(&self, what: &str) -> LoadError {
        LoadError::Syntax(format!("{what} at line {}", self.number))
    }

    fn take_comment(&mut self) -> String {
        std::mem::take(&mut self.comment).trim().to_owned()
    }

    fn value(&mut self, rest: &str) -> Result<String, LoadError> {
        let line = rest.trim_start();
        if line.is_empty() {
            return Ok(String::new());
        }
        let quote = match line {
            line if line.len() > 3 && line.starts_with("\"\"\"") => Some("\"\"\""),
            line if line.starts_with('`') => Some("`"),
            _ => None,
        };
        if let Some(quote) = quote {
            let line = &line[quote.len()..];
            return match line.rfind(quote) {
                Some(end) => Ok(line[..end].to_owned()),
                None => self.lines_until(line, quote),
            };
        }
        let mut line = line.trim();
        if let Some(first) = line.strip_suffix('\\') {
            return Ok(self.continued(first));
        }
        if let Some(at) = line.find(['#', ';']) {
            self.comment.push_str(&line[at..]);
            line = line[..at].trim();
        }
        let unquoted = ['\'', '"'].into_iter().find_map(|quote| {
            let inner = line.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner)
        });
        Ok(unquoted.unwrap_or(line).to_owned())
    }

    /// Reads text that goes on until its quote ends.
    fn lines_until(&mut self, first: &str, quote: &str) -> Result<String, LoadError> {
        let mut value = first.to_owned();
        loop {
            let next = self.next().ok_or_else(|| self.wrong("missing closing key quote"))?;
            if let Some(end) = next.rfind(quote)
                && !next[end + quote.len()..].trim().ends_with('\\')
            {
                value.push_str(&next[..end]);
                let comment = comment_in(&next[end..]).trim();
                self.comment.push_str(comment);
                return Ok(value);
            }
            value.push_str(next);
        }
    }

    /// Reads a value of which every line but the last ends with a backslash.
    fn continued(&mut self, first: &str) -> String {
        let mut value = first.to_owned();
        while let Some(next) = self.next().map(str::trim).filter(|next| !next.is_empty()) {
            let Some(more) = next.strip_suffix('\\') else {
                value.push_str(next);
                break;
            };
            value.push_str(more);
        }
        value
    }
}

fn comment_in(text: &str) -> &str {
    text.find(['#', ';']).map_or("", |at| &text[at..])
}

/// Splits the name of a key from what follows it.
fn key(line: &str) -> Result<(String, &str), &'static str> {
    const NO_DELIMITER: &str = "key-value delimiter not found";
    let quote = match line {
        line if line.len() > 6 && line.starts_with("\"\"\"") => "\"\"\"",
        line if line.starts_with('"') => "\"",
        line if line.starts_with('`') => "`",
        line => {
            let end = line.find(DELIMITERS).ok_or(NO_DELIMITER)?;
            return match &line[..end] {
                "" => Err("empty key name"),
                name => Ok((name.trim().to_owned(), &line[end + 1..])),
            };
        }
    };
    let inner = &line[quote.len()..];
    let (name, after) = inner.split_once(quote).ok_or("missing closing key quote")?;
    let (_, rest) = after.split_once(DELIMITERS).ok_or(NO_DELIMITER)?;
    Ok((name.trim().to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        String::from_utf8(emit(&[load(text.as_bytes()).unwrap()]).unwrap()).unwrap()
    }

    #[test]
    fn aligns_values_and_keeps_comments() {
        let text =
            "top=1\n# about a\n[a]\nlong_name: x ; why\nb = \"quoted\"\n[empty]\n[c]\nd=e\\\n  f\n";
        assert_eq!(
            rewritten(text),
            "top = 1\n\n; about a\n[a]\n; why\nlong_name = x\nb         = quoted\n\n[empty]\n\n[c]\nd = ef\n"
        );
    }

    #[test]
    fn quotes_what_would_be_read_otherwise() {
        let text = "[a]\nb = `x # y`\nc = \"\"\"two\nlines\"\"\"\nd = \" x\"\n`k=v` = 1\n";
        assert_eq!(
            rewritten(text),
            text.replace("b = ", "b     = ")
                .replace("c = ", "c     = ")
                .replace("d = ", "d     = ")
        );
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        for (text, what) in [
            ("[a\n", "unclosed section at line 1"),
            ("[a]\nsecret\n", "key-value delimiter not found at line 2"),
            ("a = `b\n", "missing closing key quote at line 2"),
        ] {
            assert_eq!(load(text.as_bytes()).err(), Some(LoadError::Syntax(what.to_owned())));
        }
    }
}
