//! Names, label keys and label values: why text is not one.
//!
//! Source: `pkg/api/validate/content`, apimachinery 0.36.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// Returns why text is no DNS-1123 subdomain, such as `example.com`.
pub fn subdomain(text: &str) -> Vec<String> {
    let mut problems = limit(text, 253);
    if !is_subdomain(text) {
        problems.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
             or '.', and must start and end with an alphanumeric character (e.g. 'example.com', \
             regex used for validation is '{LABEL}(\\.{LABEL})*')"
        ));
    }
    problems
}

/// Returns why text is no DNS-1123 label, such as `my-name`.
pub fn label(text: &str) -> Vec<String> {
    let mut problems = limit(text, 63);
    if is_label(text) {
        return problems;
    }
    problems.push(if is_subdomain(text) {
        "must not contain dots".to_owned()
    } else {
        format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
             regex used for validation is '{LABEL}')"
        )
    });
    problems
}

/// Returns why text cannot stand in a path, as names of roles have to.
pub fn path_segment(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if matches!(text, "." | "..") {
        problems.push(format!("may not be '{text}'"));
    }
    for c in ['/', '%'] {
        if text.contains(c) {
            problems.push(format!("may not contain '{c}'"));
        }
    }
    problems
}

/// Returns why text is no key of a label, such as `example.com/part-of`.
pub fn label_key(text: &str) -> Vec<String> {
    let rule = format!(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
         validation is '{KEY}')"
    );
    let mut problems = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                let of_prefix = subdomain(prefix).into_iter();
                problems.extend(of_prefix.map(|problem| format!("prefix part {problem}")));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    }
    problems.extend(limit(name, 63).into_iter().map(|problem| format!("name part {problem}")));
    if !is_key_name(name) {
        problems.push(format!("name part {rule}"));
    }
    problems
}

/// Returns why text is no value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let mut problems = limit(text, 63);
    if !text.is_empty() && !is_key_name(text) {
        problems.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
             or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
             'my_value',  or '12345', regex used for validation is '({KEY})?')"
        ));
    }
    problems
}

/// Returns why text is no key of a ConfigMap or Secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    let mut problems = limit(text, 253);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.is_empty() || !text.chars().all(good) {
        problems.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
             'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
             '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    match text {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// Returns why text is no name of a port.
pub(super) fn port(text: &str) -> Vec<String> {
    let mut problems = limit(text, 15);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(good) {
        let rule = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        problems.push(rule.to_owned());
    }
    if !text.contains(|c: char| c.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

fn limit(text: &str, bytes: usize) -> Vec<String> {
    if text.len() > bytes {
        vec![format!("must be no more than {bytes} bytes")]
    } else {
        Vec::new()
    }
}

fn is_label(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_key_name(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str) -> Vec<String>;

    #[test]
    fn tells_good_names_from_bad_ones() {
        let long = "a".repeat(64);
        let cases: [(Rule, &[&str], &[&str]); 7] = [
            (subdomain, &["a", "a.b-c.1"], &["", "A", "a..b", "-a", "a_b"]),
            (label, &["a", "1-b"], &["", "a.b", "a-", &long]),
            (path_segment, &["system:node", "A b"], &["a/b", "%", "..", "."]),
            (
                label_key,
                &["a", "example.com/A_b.c"],
                &["", "/a", "a/", "a/b/c", "a b", "Ex/a", &long],
            ),
            (label_value, &["", "a", "A_b.c-1"], &["-a", "a b", "a.", &long]),
            (config_key, &["a.b", "A_b-c", ".a"], &["", "a/b", "..a", ".", "a b"]),
            (port, &["http", "a-1"], &["", "80", "a--b", "-a", "Http", "abcdefghijklmnop"]),
        ];
        for (index, (rule, good, bad)) in cases.into_iter().enumerate() {
            for text in good {
                assert_eq!(rule(text), Vec::<String>::new(), "rule {index}, {text}");
            }
            for text in bad {
                assert!(!rule(text).is_empty(), "rule {index}, {text}");
            }
        }
    }

    #[test]
    fn words_problems_as_the_api_server_does() {
        assert_eq!(
            label_value("a b"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
              or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
              'my_value',  or '12345', regex used for validation is \
              '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
        assert_eq!(label("a.b"), ["must not contain dots"]);
    }
}
