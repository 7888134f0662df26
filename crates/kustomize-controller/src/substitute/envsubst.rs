//! The language of `${variables}` in manifests, a subset of what a shell has.
//!
//! Text is taken as it is, except that `$$` stands for `$`: `$${name}` gives `${name}`. A `$` without
//! a brace is nothing special.
//!
//! | expression | result |
//! |---|---|
//! | `${v}` | the value |
//! | `${#v}` | its length in bytes |
//! | `${v^}` `${v^^}` `${v,}` `${v,,}` | first letter or all in upper or lower case |
//! | `${v:2}` `${v:2:3}` | the bytes from a position, at most so many |
//! | `${v:-x}` `${v:=x}` `${v=x}` `${v:+x}` `${v:?x}` | `x` if the value is empty or not set |
//! | `${v#p}` `${v##p}` `${v%p}` `${v%%p}` | without the shortest or longest start or end that matches |
//! | `${v/a/b}` `${v//a/b}` `${v/#a/b}` `${v/%a/b}` | with the first, every, the leading or the trailing `a` replaced |
//!
//! Arguments may be expressions themselves.
//!
//! Source: fluxcd/pkg, `envsubst`.

use super::glob;

/// How deep expressions may be nested.
const MAX_DEPTH: usize = 64;

/// How long a result may be, in bytes. An object has to fit into a request.
const MAX_RESULT: usize = 16 << 20;

/// How long a value may be that a pattern is matched against, in bytes: each start or end of it is.
const MAX_MATCHED: usize = 16 << 10;

/// What is wrong with a text. No value is part of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvsubstError {
    /// A variable has no value and no default, and is required to have one.
    #[error("variable not set (strict mode): {0:?}")]
    NotSet(String),
    /// An expression does not end where it should.
    #[error("missing closing brace in line {0}")]
    MissingClosingBrace(usize),
    /// An expression does not begin with a name.
    #[error("unable to parse variable name in line {0}; write $${{ for a literal ${{")]
    Name(usize),
    /// The argument of an expression is missing.
    #[error("unable to parse substitution within function in line {0}")]
    Argument(usize),
    /// An expression is not one.
    #[error("bad substitution in line {0}")]
    Bad(usize),
    /// Expressions are nested too deep.
    #[error("expressions are nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// The result is too long.
    #[error("the result is longer than {} MiB", MAX_RESULT >> 20)]
    Length,
    /// A value is too long for patterns.
    #[error("the value of {name:?} is longer than {} KiB, too long to match a pattern", MAX_MATCHED >> 10)]
    Matched {
        /// The name of the variable.
        name: String,
    },
    /// A character was cut.
    #[error("a part of a value ends within a character")]
    Cut,
}

/// Replaces the expressions of a text. `value` returns that of a variable, or `None` if it must be
/// set and is not.
///
/// # Errors
///
/// With the line of an expression that cannot be read, or the name of a variable that is not set.
pub fn expand<'a>(
    text: &str,
    value: impl Fn(&str) -> Option<&'a str>,
) -> Result<String, EnvsubstError> {
    let mut expander = Expander { text, at: 0, depth: 0, value };
    let mut result = Vec::with_capacity(text.len());
    loop {
        expander.text(&mut result, |_| true, Escapes::Dollar);
        if !expander.skip("${") {
            break;
        }
        let value = expander.expression()?;
        result.extend(value);
        if result.len() > MAX_RESULT {
            return Err(EnvsubstError::Length);
        }
    }
    String::from_utf8(result).map_err(|_| EnvsubstError::Cut)
}

/// What is written twice, or behind a `\`, to stand for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    /// `$$`
    Dollar,
    /// `$$`, `\/` and `\\`
    All,
}

struct Expander<'t, F> {
    text: &'t str,
    at: usize,
    depth: usize,
    value: F,
}

impl<'a, 't, F: Fn(&str) -> Option<&'a str>> Expander<'t, F> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Skips a text if it is next.
    fn skip(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    /// Takes characters as long as they are accepted and no expression begins. Returns whether
    /// there was one.
    fn text(
        &mut self,
        result: &mut Vec<u8>,
        accepts: impl Fn(char) -> bool,
        escapes: Escapes,
    ) -> bool {
        let start = self.at;
        while let Some(next) = self.peek() {
            let rest = self.rest();
            if rest.starts_with("${") {
                break;
            }
            let is_escaped = match escapes {
                Escapes::None => false,
                Escapes::Dollar => rest.starts_with("$$"),
                Escapes::All => ["$$", "\\/", "\\\\"].iter().any(|it| rest.starts_with(it)),
            };
            if is_escaped {
                result.push(rest.as_bytes()[1]);
                self.at += 2;
            } else if accepts(next) {
                result.extend(&rest.as_bytes()[..next.len_utf8()]);
                self.at += next.len_utf8();
            } else {
                break;
            }
        }
        self.at > start
    }

    fn name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end]).filter(|name| !name.is_empty())
    }

    fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    fn bad(&self) -> EnvsubstError {
        EnvsubstError::Bad(self.line())
    }

    fn close(&mut self) -> Result<(), EnvsubstError> {
        if self.skip("}") { Ok(()) } else { Err(self.bad()) }
    }

    /// Reads an expression behind its `${`, and returns its value.
    fn expression(&mut self) -> Result<Vec<u8>, EnvsubstError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(EnvsubstError::Depth);
        }
        let value = self.operation()?;
        self.depth -= 1;
        if value.len() > MAX_RESULT { Err(EnvsubstError::Length) } else { Ok(value) }
    }

    fn operation(&mut self) -> Result<Vec<u8>, EnvsubstError> {
        if self.skip("#") {
            let name = self.name().ok_or_else(|| self.bad())?;
            self.close()?;
            return Ok(self.get(name)?.len().to_string().into_bytes());
        }
        let name = self.name().ok_or_else(|| EnvsubstError::Name(self.line()))?;
        match self.peek() {
            Some('}') => {
                self.close()?;
                Ok(self.get(name)?.as_bytes().to_vec())
            }
            Some(':') => {
                self.at += 1;
                match self.peek() {
                    Some('=' | '-' | '?' | '+') => self.default(name),
                    Some(next) if next.is_ascii() => self.part(name),
                    _ => Err(self.bad()),
                }
            }
            Some('=') => self.default(name),
            Some(',' | '^') => self.case(name),
            Some('/') => self.replace(name),
            Some(sign @ ('#' | '%')) => self.trim(name, sign),
            _ => Err(EnvsubstError::MissingClosingBrace(self.line())),
        }
    }

    fn get(&self, name: &str) -> Result<&'a str, EnvsubstError> {
        (self.value)(name).ok_or_else(|| EnvsubstError::NotSet(name.to_owned()))
    }

    /// Reads an argument: an expression, or a text of accepted characters.
    fn argument(
        &mut self,
        accepts: impl Fn(char) -> bool,
        escapes: Escapes,
    ) -> Result<Vec<u8>, EnvsubstError> {
        if self.skip("${") {
            return self.expression();
        }
        let mut text = Vec::new();
        if self.text(&mut text, accepts, escapes) {
            Ok(text)
        } else {
            Err(EnvsubstError::Argument(self.line()))
        }
    }

    /// `=x`, `-x`, `?x` or `+x`: the value, or what is given if it is empty.
    fn default(&mut self, name: &str) -> Result<Vec<u8>, EnvsubstError> {
        self.at += 1;
        let mut default = Vec::new();
        while !self.skip("}") {
            default.extend(self.argument(|c| c != '}', Escapes::None)?);
        }
        Ok(match (self.value)(name) {
            Some(value) if !value.is_empty() => value.as_bytes().to_vec(),
            _ => default,
        })
    }

    /// `2` or `2:3`, in bytes. A negative number counts from the end.
    fn part(&mut self, name: &str) -> Result<Vec<u8>, EnvsubstError> {
        let position = self.argument(|c| c != ':' && c != '}', Escapes::None)?;
        let mut length = None;
        if !self.skip("}") {
            if !self.skip(":") {
                return Err(self.bad());
            }
            while self.skip(":") {}
            length = Some(self.argument(|c| c != '}', Escapes::None)?);
            self.close()?;
        }
        let value = self.get(name)?.as_bytes();
        // What is no number has no effect.
        let Some(position) = number(&position) else { return Ok(value.to_vec()) };
        let length = match length.map(|length| number(&length)) {
            None => None,
            Some(None) => return Ok(value.to_vec()),
            Some(length) => length,
        };
        let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
        let start = if position < 0 { size.saturating_add(position).max(0) } else { position };
        let end = match length {
            None => size,
            Some(length) if length < 0 => size.saturating_add(length),
            Some(length) => start.saturating_add(length).min(size),
        };
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let part = range.and_then(|(start, end)| value.get(start..end));
        Ok(part.unwrap_or_default().to_vec())
    }

    /// `^`, `^^`, `,` or `,,`.
    fn case(&mut self, name: &str) -> Result<Vec<u8>, EnvsubstError> {
        let rest = self.rest().as_bytes();
        let is_sign = |at: usize| rest.get(at).is_some_and(|byte| matches!(byte, b',' | b'^'));
        let count = if is_sign(1) { 2 } else { 1 };
        let sign = &self.rest()[..count];
        self.at += count;
        self.close()?;
        let value = self.get(name)?;
        let mut chars = value.chars();
        Ok(match sign {
            "^^" => value.chars().map(upper).collect::<String>(),
            ",," => value.chars().map(lower).collect(),
            "^" => chars.next().map(upper).into_iter().chain(chars).collect(),
            "," => chars.next().map(lower).into_iter().chain(chars).collect(),
            _ => value.to_owned(),
        }
        .into_bytes())
    }

    /// `/a/b`, `//a/b`, `/#a/b` or `/%a/b`; without `b`, `a` is removed.
    fn replace(&mut self, name: &str) -> Result<Vec<u8>, EnvsubstError> {
        self.at += 1;
        let which = self.peek().filter(|c| matches!(c, '/' | '#' | '%'));
        self.at += usize::from(which.is_some());
        let mut from = Vec::new();
        if self.peek() != Some('/') {
            from = self.argument(|c| c != '/', Escapes::All)?;
        }
        if !self.skip("/") {
            return Err(self.bad());
        }
        while self.skip("/") {}
        let mut to = None;
        if self.peek() != Some('}') {
            to = Some(self.argument(|c| c != '}', Escapes::All)?);
        }
        self.close()?;
        let value = self.get(name)?;
        let from = String::from_utf8(from).map_err(|_| EnvsubstError::Cut)?;
        let to = to.map(String::from_utf8).transpose().map_err(|_| EnvsubstError::Cut)?;
        if let Some(to) = &to {
            let count = value.len() / from.len().max(1) + 1;
            if which == Some('/') && count.saturating_mul(to.len()) > MAX_RESULT {
                return Err(EnvsubstError::Length);
            }
        }
        Ok(match (which, to) {
            (None, to) => value.replacen(&from, &to.unwrap_or_default(), 1),
            (Some('/'), to) => value.replace(&from, &to.unwrap_or_default()),
            (Some('#'), Some(to)) => match value.strip_prefix(&from) {
                Some(rest) => to + rest,
                None => value.to_owned(),
            },
            (Some('%'), Some(to)) => match value.strip_suffix(&from) {
                Some(rest) => rest.to_owned() + &to,
                None => value.to_owned(),
            },
            // At an end, something has to be put in its place.
            _ => value.to_owned(),
        }
        .into_bytes())
    }

    /// `#p`, `##p`, `%p` or `%%p`.
    fn trim(&mut self, name: &str, sign: char) -> Result<Vec<u8>, EnvsubstError> {
        self.at += 1;
        let longest = self.peek() == Some(sign);
        self.at += usize::from(longest);
        let pattern = self.argument(|c| c != '}', Escapes::None)?;
        self.close()?;
        let value = self.get(name)?;
        if value.len() > MAX_MATCHED {
            return Err(EnvsubstError::Matched { name: name.to_owned() });
        }
        if sign == '#' {
            return Ok(trimmed(value.as_bytes(), &pattern, longest).to_vec());
        }
        // An end is the start of what is reversed, the pattern too.
        let reversed: String = value.chars().rev().collect();
        let pattern: String = String::from_utf8_lossy(&pattern).chars().rev().collect();
        let rest = trimmed(reversed.as_bytes(), pattern.as_bytes(), longest);
        Ok(String::from_utf8_lossy(rest).chars().rev().collect::<String>().into_bytes())
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Returns what is left behind the shortest or longest start that a pattern matches.
fn trimmed<'v>(value: &'v [u8], pattern: &[u8], longest: bool) -> &'v [u8] {
    let matches = |end: &usize| glob::matches(pattern, &value[..*end]);
    let end = if longest {
        (1..=value.len()).rev().find(matches)
    } else {
        (1..=value.len()).find(matches)
    };
    &value[end.unwrap_or(0)..]
}

fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    // A letter whose other case is several has none here.
    mapped.next().filter(|_| mapped.len() == 0).unwrap_or(c)
}

fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    mapped.next().filter(|_| mapped.len() == 0).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expanded(text: &str) -> Result<String, EnvsubstError> {
        expand(text, |name| match name {
            "v" => Some("value"),
            "path" => Some("a/b/c.tar.gz"),
            "empty" => Some(""),
            "word" => Some("Äpfel"),
            "unset" => None,
            other => unreachable!("{other}"),
        })
    }

    #[test]
    fn gives_what_the_shell_gives() {
        for (text, expected) in [
            ("a ${v} $v $ {", "a value $v $ {"),
            ("$${v} $$", "${v} $"),
            ("${#v} ${#word}", "5 6"),
            ("${v^} ${v^^} ${word,} ${word,,}", "Value VALUE äpfel äpfel"),
            ("${v:1} ${v:1:3} ${v:9} ${v:1:-1} ${v:x} ${v:1:x}", "alue alu  alu value value"),
            (
                "${empty:-x} ${unset:=y} ${unset=z} ${v:-x} ${unset:?q} ${v:+x}",
                "x y z value q value",
            ),
            ("${unset:-a${v}b${empty:-c}}", "avaluebc"),
            ("${unset:-$$}", "$$"),
            (
                "${path#*/} ${path##*/} ${path%.*} ${path%%.*}",
                "b/c.tar.gz c.tar.gz a/b/c.tar a/b/c",
            ),
            ("${v#[a-v]?} ${v#x} ${v#[}", "lue value value"),
            (
                "${path/\\//:} ${path//\\//:} ${v/a/} ${v//l/${v}}",
                "a:b/c.tar.gz a:b:c.tar.gz vlue vavalueue",
            ),
            ("${v/#va/x} ${v/%ue/x} ${v/#x/y} ${v/#va/}", "xlue valx value value"),
        ] {
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn says_what_cannot_be_read() {
        for (text, expected) in [
            ("a\n${v", EnvsubstError::MissingClosingBrace(2)),
            ("${v-x}", EnvsubstError::MissingClosingBrace(1)),
            ("${a.b}", EnvsubstError::MissingClosingBrace(1)),
            ("${}", EnvsubstError::Name(1)),
            ("${v:}", EnvsubstError::Argument(1)),
            ("${v:-", EnvsubstError::Argument(1)),
            ("${v/a}", EnvsubstError::Bad(1)),
            ("${#v^}", EnvsubstError::Bad(1)),
            ("${unset}", EnvsubstError::NotSet("unset".to_owned())),
            ("${unset^^}", EnvsubstError::NotSet("unset".to_owned())),
            ("${word:0:1}", EnvsubstError::Cut),
        ] {
            assert_eq!(expanded(text), Err(expected), "{text}");
        }
        assert_eq!(expanded(&"${v:-".repeat(100)), Err(EnvsubstError::Depth));
    }

    #[test]
    fn a_result_has_an_end() {
        let long = "x".repeat(1 << 20);
        let value = |_: &str| Some(long.as_str());
        assert_eq!(expand(&"${v}".repeat(20), value), Err(EnvsubstError::Length));
        assert_eq!(expand("${v//x/${v}}", value), Err(EnvsubstError::Length));
        assert_eq!(expand("${v%%x*}", value), Err(EnvsubstError::Matched { name: "v".to_owned() }));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(\\$\\{|\\$|\\}|[va#%/^,:=?+*\\[\\]\\\\é -]){0,30}") {
            let _ = expand(&text, |_| Some("vä/a"));
        }

        #[test]
        fn leaves_text_without_expressions_alone(text in "[^$]{0,40}") {
            prop_assert_eq!(expand(&text, |_| None).unwrap(), text);
        }
    }
}
