//! The data of generated objects: from env files, literals and files.
//!
//! Source: `kv.go`, kustomize api 0.21.1.

use std::collections::BTreeMap;

use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::GeneratorArgs;

/// Keys with values, sorted.
pub(super) type KeyValues = BTreeMap<String, Vec<u8>>;

/// Reads the data of a generated object.
pub(super) fn read(scope: &mut Scope<'_>, args: &GeneratorArgs) -> Result<KeyValues, Problem> {
    let mut all = KeyValues::new();
    let mut add = |key: String, value: Vec<u8>| {
        if all.contains_key(&key) {
            let name = &args.name;
            return Err(Problem::rule(format!(
                "key {key:?} of {name:?} is given twice; remove one"
            )));
        }
        all.insert(key, value);
        Ok(())
    };
    for path in &args.envs {
        let content = scope.loader.read(path).map_err(|problem| problem.in_part("envs"))?;
        for pair in lines(&content) {
            let (key, value) =
                pair.map_err(|reason| Problem::rule(reason).in_part(format!("env file {path}")))?;
            add(key.to_owned(), value.into())?;
        }
    }
    for (at, literal) in args.literals.iter().enumerate() {
        // The text may be secret.
        let (key, value) = parse_literal(literal)
            .ok_or_else(|| Problem::rule(format!("invalid literals[{at}], expected key=value")))?;
        add(key.to_owned(), value.into())?;
    }
    for source in &args.files {
        let (key, path) = parse_file(source)?;
        let content = scope.loader.read(path).map_err(|problem| problem.in_part("files"))?;
        add(key.to_owned(), content)?;
    }
    Ok(all)
}

/// The longest line that kustomize reads. It silently drops a longer one and all that follow, which
/// is not repeated here.
const LONGEST_LINE: usize = 65_535;

/// Returns the keys and values of an env file.
fn lines(content: &[u8]) -> impl Iterator<Item = Result<(&str, &str), String>> {
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    lines.filter_map(|(at, line)| {
        let number = at + 1;
        if line.len() > LONGEST_LINE {
            return Some(Err(format!(
                "line {number} is longer than {LONGEST_LINE} bytes; use files instead"
            )));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            return Some(Err(format!("line {number} is no UTF-8; use files instead")));
        };
        let text = if at == 0 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let text = text.trim_start();
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (!text.starts_with('#') && !key.is_empty()).then_some(Ok((key, value)))
    })
}

/// Splits `key=value`; one pair of quotes around the value is removed.
fn parse_literal(literal: &str) -> Option<(&str, &str)> {
    let (key, value) = literal.split_once('=').filter(|(key, _)| !key.is_empty())?;
    let bare = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some((key, bare.unwrap_or(value)))
}

/// Splits `[key=]path`; without a key it is the name of the file.
fn parse_file(source: &str) -> Result<(&str, &str), Problem> {
    let (key, path) = match source.split_once('=') {
        None => {
            let path = source.trim_end_matches('/');
            (path.rsplit('/').next().unwrap_or(path), source)
        }
        Some(parts) => parts,
    };
    let reason = if key.is_empty() {
        "the key is missing"
    } else if path.is_empty() {
        "the path is missing"
    } else if path.contains('=') {
        "a key or path cannot contain ="
    } else {
        return Ok((key, path));
    };
    Err(Problem::rule(format!("invalid file {source:?}, expected [key=]path: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_env_files() {
        let text = "\u{feff}A=1\r\n\n  # comment\n  B = 'x' \nC\n=d\nE=f=g";
        let read: Result<Vec<_>, _> = lines(text.as_bytes()).collect();
        assert_eq!(read.unwrap(), [("A", "1"), ("B ", " 'x' "), ("C", ""), ("E", "f=g")]);
        assert!(lines(b"A=\xff").next().unwrap().is_err());
        let long = "A".repeat(LONGEST_LINE + 1);
        assert!(lines(long.as_bytes()).next().unwrap().is_err());
    }

    #[test]
    fn splits_literals_and_files() {
        assert_eq!(parse_literal("a='b'").unwrap(), ("a", "b"));
        assert_eq!(parse_literal("a='").unwrap(), ("a", "'"));
        assert_eq!(parse_literal("a=b=\"c\"").unwrap(), ("a", "b=\"c\""));
        assert!(parse_literal("=a").is_none());
        assert!(parse_literal("a").is_none());
        assert_eq!(parse_file("a/b.txt").unwrap(), ("b.txt", "a/b.txt"));
        assert_eq!(parse_file("k=a/b.txt").unwrap(), ("k", "a/b.txt"));
        for source in ["=a", "a=", "a=b=c", ""] {
            assert!(parse_file(source).is_err(), "{source}");
        }
    }
}
