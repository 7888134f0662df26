//! Label selectors: `a=b,c!=d,e in (f,g),h,!i,j>1`.
//!
//! Source: `labels.Parse`, apimachinery, as kyaml 0.21.1 has it.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::error::Problem;

/// Conditions that all have to hold.
#[derive(Debug, Default)]
pub(super) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Reads a selector; an empty one selects everything.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut tokens = tokens(text).into_iter().peekable();
        let mut requirements = Vec::new();
        while tokens.peek().is_some() {
            requirements.push(
                requirement(&mut tokens).map_err(|expected| {
                    Problem::rule(format!("cannot read {text:?}: {expected}"))
                })?,
            );
            match tokens.next() {
                None => break,
                Some(Token::Sign(",")) if tokens.peek().is_some() => {}
                Some(Token::Sign(",")) => {
                    return Err(Problem::rule(format!(
                        "cannot read {text:?}: it ends with a comma"
                    )));
                }
                Some(other) => {
                    return Err(Problem::rule(format!(
                        "cannot read {text:?}: found '{}', expected ','",
                        other.text()
                    )));
                }
            }
        }
        Ok(Self { requirements })
    }

    /// Says whether the labels that a function knows are as asked for.
    pub(super) fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = get(&requirement.key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.operator {
                Operator::In(values) => {
                    value.is_some_and(|value| values.iter().any(|one| one == value))
                }
                Operator::NotIn(values) => {
                    value.is_none_or(|value| values.iter().all(|one| one != value))
                }
                Operator::Exists => value.is_some(),
                Operator::Missing => value.is_none(),
                Operator::Greater(than) => number().is_some_and(|number| number > *than),
                Operator::Less(than) => number().is_some_and(|number| number < *than),
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
            continue;
        }
        let ends = |char: char| "=!(),>< \t\r\n".contains(char);
        let end = rest.find(ends).unwrap_or(rest.len());
        if end == 0 {
            return tokens;
        }
        tokens.push(Token::Word(rest[..end].to_owned()));
        rest = &rest[end..];
    }
}

type Tokens = Peekable<IntoIter<Token>>;

fn requirement(tokens: &mut Tokens) -> Result<Requirement, String> {
    let missing = tokens.next_if_eq(&Token::Sign("!")).is_some();
    let key = match tokens.next() {
        Some(Token::Word(key)) => key,
        other => return Err(format!("found '{}', expected a key", shown(other.as_ref()))),
    };
    check_key(&key)?;
    let ends = matches!(tokens.peek(), None | Some(Token::Sign(",")));
    if missing || ends {
        let operator = if missing { Operator::Missing } else { Operator::Exists };
        return Ok(Requirement { key, operator });
    }
    let operator = match tokens.next() {
        Some(Token::Sign("=" | "==")) => Operator::In(vec![value(tokens)?]),
        Some(Token::Sign("!=")) => Operator::NotIn(vec![value(tokens)?]),
        Some(Token::Sign(">")) => Operator::Greater(number(tokens)?),
        Some(Token::Sign("<")) => Operator::Less(number(tokens)?),
        Some(Token::Word(word)) if word == "in" => Operator::In(values(tokens)?),
        Some(Token::Word(word)) if word == "notin" => Operator::NotIn(values(tokens)?),
        other => {
            return Err(format!(
                "found '{}', expected one of =, ==, !=, >, <, in, notin",
                shown(other.as_ref())
            ));
        }
    };
    Ok(Requirement { key, operator })
}

fn shown(token: Option<&Token>) -> &str {
    token.map_or("the end", Token::text)
}

fn value(tokens: &mut Tokens) -> Result<String, String> {
    match tokens.peek() {
        None | Some(Token::Sign(",")) => Ok(String::new()),
        Some(Token::Word(word)) => {
            let word = word.clone();
            tokens.next();
            check_value(&word)?;
            Ok(word)
        }
        other => Err(format!("found '{}', expected a value", shown(other))),
    }
}

fn number(tokens: &mut Tokens) -> Result<i64, String> {
    let text = value(tokens)?;
    text.parse().map_err(|_| format!("found '{text}', expected a whole number"))
}

fn values(tokens: &mut Tokens) -> Result<Vec<String>, String> {
    if tokens.next_if_eq(&Token::Sign("(")).is_none() {
        return Err(format!("found '{}', expected '('", shown(tokens.peek())));
    }
    let mut values = Vec::new();
    loop {
        match tokens.next() {
            Some(Token::Word(word)) => {
                check_value(&word)?;
                values.push(word);
                match tokens.next() {
                    Some(Token::Sign(",")) if tokens.peek() == Some(&Token::Sign(")")) => {
                        values.push(String::new());
                    }
                    Some(Token::Sign(",")) => {}
                    Some(Token::Sign(")")) => return Ok(values),
                    other => {
                        let found = shown(other.as_ref());
                        return Err(format!("found '{found}', expected ',' or ')'"));
                    }
                }
            }
            Some(Token::Sign(",")) => values.push(String::new()),
            Some(Token::Sign(")")) => {
                if values.is_empty() {
                    values.push(String::new());
                }
                return Ok(values);
            }
            other => return Err(format!("found '{}', expected a value", shown(other.as_ref()))),
        }
    }
}

const MAX_NAME: usize = 63;

fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let valid_prefix = prefix.is_none_or(|prefix| {
        let label = |label: &str| {
            let inner =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty()
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        prefix.len() <= 253 && prefix.split('.').all(label)
    });
    if valid_prefix && !name.is_empty() && is_name(name) {
        Ok(())
    } else {
        Err(format!("invalid label key {key:?}"))
    }
}

fn check_value(value: &str) -> Result<(), String> {
    if is_name(value) { Ok(()) } else { Err(format!("invalid label value {value:?}")) }
}

/// Says whether text has letters, digits, `-`, `_` and `.`, the latter not at its ends.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.iter().copied().all(inner)
        && edge(bytes.first())
        && edge(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_by_labels() {
        let labels = [("app", "web"), ("tier", "2"), ("empty", "")];
        let get = |key: &str| labels.iter().find(|(own, _)| *own == key).map(|(_, value)| *value);
        for (text, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=3", true),
            ("app=db", false),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("nothing notin (x)", true),
            ("app,!nothing", true),
            ("nothing", false),
            ("tier>1,tier<3", true),
            ("tier>2", false),
            ("empty=", true),
            ("empty in ()", true),
            ("in=in", false),
            ("example.com/app!=x", true),
        ] {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches(get), expected, "{text}");
        }
    }

    #[test]
    fn says_what_was_expected() {
        for (text, part) in [
            ("app=", ""),
            ("=web", "expected a key"),
            ("app web", "expected one of"),
            ("app=web,", "ends with a comma"),
            ("app in web", "expected '('"),
            ("app in (web", "expected ',' or ')'"),
            ("a/b/c", "invalid label key"),
            ("app=-x", "invalid label value"),
            ("app>x", "whole number"),
        ] {
            match LabelSelector::parse(text) {
                Ok(_) => assert_eq!(part, "", "{text}"),
                Err(error) => assert!(error.to_string().contains(part), "{text}: {error}"),
            }
        }
    }
}
