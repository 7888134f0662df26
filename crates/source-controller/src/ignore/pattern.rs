//! One line of ignore rules, matched as go-git does.
//!
//! Source: fluxcd/pkg `sourceignore/gitignore/pattern.go`, and Go's `path/filepath.Match`.

/// What a pattern that matches says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Exclude,
    Include,
}

/// One line of rules.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The directory that the pattern holds below.
    domain: Vec<String>,
    parts: Vec<Part>,
    includes: bool,
    /// Whether it ended in a slash, so that a file is only matched through a directory above it.
    dir_only: bool,
    /// Whether it is matched from its directory on, or against every part of a path.
    anchored: bool,
}

/// A pattern between two slashes.
#[derive(Debug)]
enum Part {
    /// Nothing, as before a leading slash.
    Empty,
    /// `**`.
    AnyDepth,
    /// `**` among other characters, which never matches.
    Never,
    Name(Glob),
}

impl Pattern {
    pub(super) fn parse(line: &str, domain: &str) -> Self {
        let (includes, line) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let line = if line.ends_with("\\ ") { line } else { line.trim_end_matches(' ') };
        let (dir_only, line) = match line.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let anchored = line.contains('/');
        let part = |part: &str| match part {
            "" => Part::Empty,
            // A name of its own, when there is nothing else: two stars in a row are as one.
            "**" if anchored => Part::AnyDepth,
            part if anchored && part.contains("**") => Part::Never,
            part => Part::Name(Glob::parse(part)),
        };
        Self {
            domain: domain.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            parts: line.split('/').map(part).collect(),
            includes,
            dir_only,
            anchored,
        }
    }

    /// Says what the pattern has to say on a path, given in parts.
    pub(super) fn judge(&self, path: &[&str], is_dir: bool) -> Option<Verdict> {
        if path.len() <= self.domain.len() || !path.iter().zip(&self.domain).all(|(a, b)| a == b) {
            return None;
        }
        let path = &path[self.domain.len()..];
        let matches = if self.anchored {
            self.matches_path(path, is_dir)
        } else {
            self.matches_name(path, is_dir)
        };
        let verdict = if self.includes { Verdict::Include } else { Verdict::Exclude };
        matches.then_some(verdict)
    }

    fn matches_name(&self, path: &[&str], is_dir: bool) -> bool {
        let Some(Part::Name(glob)) = self.parts.first() else { return false };
        let Some(found) = path.iter().position(|name| glob.matches(name)) else { return false };
        !(self.dir_only && !is_dir && found == path.len() - 1)
    }

    fn matches_path(&self, mut path: &[&str], is_dir: bool) -> bool {
        let mut matched = false;
        let mut any_depth = false;
        for (index, part) in self.parts.iter().enumerate() {
            let glob = match part {
                Part::Empty => {
                    any_depth = false;
                    continue;
                }
                Part::AnyDepth if index == self.parts.len() - 1 => break,
                Part::AnyDepth => {
                    any_depth = true;
                    continue;
                }
                Part::Never => return false,
                Part::Name(glob) => glob,
            };
            let Some((first, rest)) = path.split_first() else { return false };
            if std::mem::take(&mut any_depth) {
                if let Some(found) = path.iter().position(|name| glob.matches(name)) {
                    matched = true;
                    path = &path[found + 1..];
                } else {
                    // The parts that follow fail for want of a path, and without any the match does.
                    matched = false;
                    path = &[];
                }
            } else if glob.matches(first) {
                matched = true;
                path = rest;
            } else {
                return false;
            }
        }
        matched && !(self.dir_only && !is_dir && path.is_empty())
    }
}

/// A pattern for one name; `None` when it is malformed, and matches nothing.
#[derive(Debug)]
struct Glob(Option<Vec<Token>>);

#[derive(Debug)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    Literal(char),
    /// `[a-z]`, `[^a-z]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    fn parse(text: &str) -> Self {
        let mut rest = text.chars();
        let mut tokens = Vec::new();
        while let Some(first) = rest.next() {
            let token = match first {
                '*' => Some(Token::Any),
                '?' => Some(Token::One),
                '[' => class(&mut rest),
                '\\' => rest.next().map(Token::Literal),
                other => Some(Token::Literal(other)),
            };
            let Some(token) = token else { return Self(None) };
            tokens.push(token);
        }
        Self(Some(tokens))
    }

    fn matches(&self, name: &str) -> bool {
        let Some(tokens) = &self.0 else { return false };
        let name: Vec<char> = name.chars().collect();
        let (mut token, mut at) = (0, 0);
        // Where the last star stands, and where it was last assumed to end.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() || token < tokens.len() {
            match tokens.get(token) {
                Some(Token::Any) => {
                    star = Some((token, at));
                    token += 1;
                    continue;
                }
                Some(one) if name.get(at).is_some_and(|&c| one.takes(c)) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match star {
                Some((place, end)) if end < name.len() => {
                    star = Some((place, end + 1));
                    token = place + 1;
                    at = end + 1;
                }
                _ => return false,
            }
        }
        true
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// Parses what follows an opening bracket.
fn class(rest: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.as_str().starts_with(']') {
            rest.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = bound(rest)?;
        let high = if rest.as_str().starts_with('-') {
            rest.next();
            bound(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// Parses one end of a range. Something has to follow it, at least the closing bracket.
fn bound(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let bound = match rest.next()? {
        '-' | ']' => return None,
        '\\' => rest.next()?,
        other => other,
    };
    (!rest.as_str().is_empty()).then_some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(line: &str, domain: &str, path: &str, is_dir: bool) -> Option<Verdict> {
        let parts: Vec<_> = path.split('/').collect();
        Pattern::parse(line, domain).judge(&parts, is_dir)
    }

    fn excludes(line: &str, path: &str) -> bool {
        match path.strip_suffix('/') {
            Some(dir) => judge(line, "", dir, true).is_some(),
            None => judge(line, "", path, false).is_some(),
        }
    }

    /// Each pattern with what it matches and what it does not; directories end in a slash.
    #[test]
    fn matches_as_go_git_does() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            // Names match at any depth, and so does everything below them.
            ("value", &["value", "a/value", "value/a", "a/value/b/c"], &["values", "a/val"]),
            ("va?ue", &["a/value"], &["a/vaue"]),
            ("v*o", &["value/vulkano", "vo", "vo/x"], &["value"]),
            ("[0-9]abc", &["5abc", "a/0abc/x"], &["abc", "xabc"]),
            ("[^0-9]abc", &["xabc"], &["5abc"]),
            // Braces are no syntax.
            ("*.{jpg,png}", &["x.{jpg,png}"], &["x.jpg"]),
            // A trailing slash: a directory, or what is below one.
            ("value/", &["value/", "a/value/", "value/x", "a/value/x"], &["value", "a/value"]),
            // A slash anywhere else anchors.
            ("/value", &["value", "value/x"], &["a/value"]),
            ("/value/", &["value/", "value/x"], &["value", "a/value/"]),
            ("value/volcano", &["value/volcano", "value/volcano/x"], &["a/value/volcano", "value"]),
            ("/*", &["value", "a/b"], &[]),
            ("/a/*", &["a/b", "a/b/c"], &["a/", "b"]),
            ("value/*.txt", &["value/a.txt"], &["value/b/a.txt", "a.txt"]),
            // Two stars are any depth, as a part of their own.
            ("**/value", &["value", "a/value", "a/b/value", "value/x"], &["a/values"]),
            ("**/value/", &["a/value/", "a/value/x"], &["a/value"]),
            ("**/value/vol?ano", &["value/volcano", "a/value/volcano"], &["value/x/volcano"]),
            ("value/**", &["value/a", "value/a/b", "value"], &["a/value/b"]),
            ("value/**/volcano", &["value/volcano", "value/a/b/volcano"], &["volcano", "value/a"]),
            ("value/**/", &["value/", "value/x"], &["value"]),
            ("a/b**/c", &[], &["a/b/c", "a/bb/c"]),
            ("**", &["value", "a/b"], &[]),
            ("v**o", &["vulkano"], &["value"]),
            ("/**", &[], &["value", "a/b"]),
            // The first match of what follows two stars is kept to.
            ("**/a/b", &["a/b", "x/a/b"], &["a/a/b"]),
            // Escapes and spaces.
            ("\\!value", &["!value"], &["value"]),
            ("\\#value", &["#value"], &["value"]),
            ("value  ", &["value"], &["value  "]),
            ("value\\ ", &["value "], &["value"]),
            ("va\\*ue", &["va*ue"], &["value"]),
            // Malformed patterns match nothing.
            ("[", &[], &["[", "a"]),
            ("[]a]", &[], &["]", "a", "]a]"]),
            ("[a-]", &[], &["a", "-"]),
            ("a[", &[], &["a", "a["]),
            ("value\\", &[], &["value", "value\\"]),
            ("value\\  ", &[], &["value", "value ", "value\\"]),
            ("/v/[/x", &[], &["v/[/x"]),
            ("/", &[], &["value", "a/b"]),
            // Characters, not bytes.
            ("m?n", &["män"], &["mn"]),
            ("[à-ü]", &["ä"], &["a"]),
        ];
        for (line, matching, others) in cases {
            for path in *matching {
                assert!(excludes(line, path), "{line:?} matches {path:?}");
            }
            for path in *others {
                assert!(!excludes(line, path), "{line:?} does not match {path:?}");
            }
        }
    }

    #[test]
    fn holds_below_its_directory_only() {
        assert!(judge("x", "a/b", "a/b/x", false).is_some());
        assert!(judge("x", "a/b", "a/b/c/x", false).is_some());
        assert!(judge("/x", "a/b", "a/b/x", false).is_some());
        assert!(judge("/x", "a/b", "a/b/c/x", false).is_none());
        assert!(judge("x", "a/b", "x", false).is_none());
        assert!(judge("x", "a/b", "a/x", false).is_none());
        // The directory itself is not below itself.
        assert!(judge("b", "a/b", "a/b", true).is_none());
    }

    #[test]
    fn includes_after_an_exclamation_mark() {
        assert_eq!(judge("!x", "", "x", false), Some(Verdict::Include));
        assert_eq!(judge("x", "", "x", false), Some(Verdict::Exclude));
        assert_eq!(judge("!x/", "", "x", false), None);
    }

    #[test]
    fn matches_stars_by_going_back_and_in_bounded_time() {
        let matches = |glob: &str, name: &str| Glob::parse(glob).matches(name);
        assert!(matches("*a*b*c", "xaxbxbxc"));
        assert!(matches("*", "") && matches("", "") && matches("**", "x"));
        assert!(!matches("*a*b*c", "xaxcxb"));
        assert!(!matches("a*", "ba"));
        let star = "*a".repeat(40);
        assert!(!matches(&format!("{star}b"), &"a".repeat(2000)));
    }
}
