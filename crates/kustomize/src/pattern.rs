//! Regular expressions as Go reads them, and the plain ones that nearly all are.

use regex::{Regex, RegexBuilder};

/// An expression for a whole text.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// `.*`
    Any,
    /// Text in which every dot stands for any character.
    Plain(String),
    Regex(Regex),
}

impl Pattern {
    /// Compiles an expression, which has to match from the beginning to the end.
    pub(crate) fn new(pattern: &str) -> Result<Self, regex::Error> {
        if pattern == ".*" {
            return Ok(Self::Any);
        }
        if is_plain(pattern) {
            return Ok(Self::Plain(pattern.to_owned()));
        }
        compile(&format!("^(?:{pattern})$")).map(Self::Regex)
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Any => !text.contains('\n'),
            Self::Plain(plain) => plain_prefix(plain, text).is_some_and(str::is_empty),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Says whether nothing in an expression has a meaning but the dot.
pub(crate) fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['\\', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'])
}

/// Returns what is behind a plain expression that a text begins with.
pub(crate) fn plain_prefix<'a>(plain: &str, text: &'a str) -> Option<&'a str> {
    let mut rest = text.chars();
    for expected in plain.chars() {
        let found = rest.next()?;
        if found != expected && (expected != '.' || found == '\n') {
            return None;
        }
    }
    Some(rest.as_str())
}

/// Compiles an expression, with limits on what it may cost.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(1 << 20).build();
    // To Go a brace that begins no repetition is a brace.
    build(pattern).or_else(|error| build(&escape_braces(pattern)).map_err(|_| error))
}

fn escape_braces(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(char) = rest.chars().next() {
        if char == '\\' {
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
            escaped.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        if char == '{' {
            match repetition(rest) {
                Some(length) if !escaped.is_empty() => {
                    escaped.push_str(&rest[..length]);
                    rest = &rest[length..];
                    continue;
                }
                _ => escaped.push('\\'),
            }
        } else if char == '}' {
            escaped.push('\\');
        }
        escaped.push(char);
        rest = &rest[char.len_utf8()..];
    }
    escaped
}

/// Returns the length of `{n}`, `{n,}` or `{n,m}` at the beginning of a text.
fn repetition(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inside = &text[1..end];
    let (least, most) = inside.split_once(',').unwrap_or((inside, "0"));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && is_number(least) && is_number(most)).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_expressions_match_as_regular_ones() {
        for pattern in ["", "a", "a.b", ".", "é.", ".*", "a-b", "a|b", "a.*"] {
            let own = Pattern::new(pattern).unwrap();
            let regex = compile(&format!("^(?:{pattern})$")).unwrap();
            for text in ["", "a", "b", "a.b", "axb", "a\nb", "\n", "éa", "aa", "a-b"] {
                assert_eq!(own.is_match(text), regex.is_match(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn braces_are_braces() {
        for (pattern, text) in
            [("a{b}", "a{b}"), ("{x}", "{x}"), ("^a{2}$", "aa"), ("a\\{b", "a{b")]
        {
            assert!(compile(pattern).unwrap().is_match(text), "{pattern}");
        }
        assert!(compile("a(").is_err());
        assert!(compile("(a{1000}){1000}").is_err());
    }
}
