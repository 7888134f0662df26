//! `NAME=value` lines.

use super::{EmitError, LoadError, line};
use crate::tree::{Branch, Item, Key, Value};

pub(super) fn load(content: &[u8]) -> Result<Branch, LoadError> {
    let mut branch = Branch::new();
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if let Some(comment) = line.strip_prefix(b"#") {
            branch.push(Item::comment(comment, false));
        } else if !line.is_empty() {
            let equals = line.iter().position(|byte| *byte == b'=');
            let (name, value) = line.split_at(equals.ok_or(LoadError::DotenvLine(number + 1))?);
            let value = replace(&value[1..], b"\\n", b"\n");
            branch.push(Item::new(String::from_utf8_lossy(name), Value::Text(value)));
        }
    }
    Ok(branch)
}

pub(super) fn emit(branch: &Branch) -> Result<Vec<u8>, EmitError> {
    let mut out = Vec::new();
    for item in branch {
        match (&item.key, &item.value) {
            (Key::Comment(comment), _) => {
                out.push(b'#');
                out.extend(&comment.text);
            }
            (Key::Text(key), Value::List(_) | Value::Branch(_)) => {
                return Err(EmitError::Complex(key.clone()));
            }
            (Key::Text(key), value) => {
                out.extend(key.bytes());
                out.push(b'=');
                out.extend(replace(&line(value), b"\n", b"\\n"));
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend(to);
            rest = after;
        } else {
            out.push(*first);
            rest = &rest[1..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_lines() {
        let text = b"#c\nA=1=2\n\nB=two\\nlines\nC=\n";
        let branch = load(text).unwrap();
        assert!(matches!(&branch[2].value, Value::Text(text) if text == b"two\nlines"));
        assert_eq!(emit(&branch).unwrap(), b"#c\nA=1=2\nB=two\\nlines\nC=\n");
        assert_eq!(load(b"A=1\nsecret").err(), Some(LoadError::DotenvLine(2)));
    }
}
