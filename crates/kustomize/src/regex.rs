//! Regular expressions as Go reads them.

use regex::{Regex, RegexBuilder};

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
