//! Patterns of `*`, `?`, `[a-z]` and `\`, matched against bytes.
//!
//! Source: fluxcd/pkg, `envsubst/path`, which is `path.Match` of Go whose `*` matches `/` too.

/// Says whether a pattern matches a whole name. A malformed one matches nothing.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on when the rest does not match: the last `*` takes one more byte.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match step(pattern, name) {
            Step::Star(rest) => {
                last_star = Some((rest, name));
                pattern = rest;
            }
            Step::One(rest, left) => (pattern, name) = (rest, left),
            Step::End if name.is_empty() => return true,
            Step::Malformed => return false,
            Step::End | Step::Mismatch => {
                let Some((after, at)) = last_star else { return false };
                let Some(left) = at.get(1..) else { return false };
                last_star = Some((after, left));
                (pattern, name) = (after, left);
            }
        }
    }
}

/// What the next part of a pattern makes of a name.
enum Step<'p, 'n> {
    Star(&'p [u8]),
    /// One character matches; what is left of both.
    One(&'p [u8], &'n [u8]),
    End,
    Mismatch,
    Malformed,
}

fn step<'p, 'n>(pattern: &'p [u8], name: &'n [u8]) -> Step<'p, 'n> {
    let (first, rest) = match pattern {
        [] => return Step::End,
        [b'*', rest @ ..] => return Step::Star(rest),
        [first, rest @ ..] => (*first, rest),
    };
    let Some((byte, left)) = name.split_first() else { return Step::Mismatch };
    match first {
        b'?' => Step::One(rest, &name[width(name)..]),
        b'[' => class(rest, name),
        b'\\' => match rest.split_first() {
            None => Step::Malformed,
            Some((literal, rest)) if literal == byte => Step::One(rest, left),
            Some(_) => Step::Mismatch,
        },
        literal if literal == *byte => Step::One(rest, left),
        _ => Step::Mismatch,
    }
}

/// Matches a class behind its `[`.
fn class<'p, 'n>(pattern: &'p [u8], name: &'n [u8]) -> Step<'p, 'n> {
    let (found, left) = character(name);
    let (is_negated, mut pattern) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut is_in = false;
    let mut ranges = 0;
    loop {
        if let ([b']', rest @ ..], true) = (pattern, ranges > 0) {
            return if is_in == is_negated { Step::Mismatch } else { Step::One(rest, left) };
        }
        let Some((low, rest)) = member(pattern) else { return Step::Malformed };
        let (high, rest) = match rest {
            [b'-', rest @ ..] => match member(rest) {
                Some(high) => high,
                None => return Step::Malformed,
            },
            _ => (low, rest),
        };
        is_in |= (low..=high).contains(&found);
        pattern = rest;
        ranges += 1;
    }
}

/// Returns a character of a class, which something has to follow.
fn member(pattern: &[u8]) -> Option<(char, &[u8])> {
    let pattern = match pattern {
        [] | [b'-' | b']', ..] => return None,
        [b'\\', rest @ ..] => rest,
        pattern => pattern,
    };
    if pattern.is_empty() {
        return None;
    }
    let (found, rest) = character(pattern);
    let is_broken = found == char::REPLACEMENT_CHARACTER && pattern.len() - rest.len() == 1;
    (!is_broken && !rest.is_empty()).then_some((found, rest))
}

/// Returns the first character of bytes that are not empty; half of one is the replacement.
fn character(bytes: &[u8]) -> (char, &[u8]) {
    let width = width(bytes);
    let text = std::str::from_utf8(&bytes[..width]).ok();
    let found = text.and_then(|text| text.chars().next());
    (found.unwrap_or(char::REPLACEMENT_CHARACTER), &bytes[width..])
}

fn width(bytes: &[u8]) -> usize {
    let width = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let is_whole = bytes.get(..width).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    if is_whole { width } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "a/b/c", true),
            ("a*c", "abbd", false),
            ("*a*b", "xaab", true),
            ("?é?", "aéä", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]", "a", false),
            ("[a", "a", false),
            ("[\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a", false),
            ("[-]", "-", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn does_not_take_forever() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(10_000).as_bytes()));
    }
}
