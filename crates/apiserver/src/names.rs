//! Names of objects: made up, and checked.

use uuid::Uuid;

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const LONGEST_BASE: usize = 58;

/// Returns a prefix with five random characters.
pub(crate) fn generate(prefix: &str) -> String {
    let mut base: String = prefix.chars().take(LONGEST_BASE).collect();
    let random = Uuid::new_v4();
    let picks = random.as_bytes().iter().take(5);
    base.extend(picks.map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])));
    base
}

pub(crate) const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case \
    alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. \
    'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

pub(crate) const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower \
    case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
    character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Returns whether this is a DNS-1123 label.
pub(crate) fn is_label(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Returns whether this is a DNS-1123 subdomain.
pub(crate) fn is_subdomain(name: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= 253 && !name.is_empty() && name.split('.').all(label)
}

/// Returns whether this can stand in a path.
pub(crate) fn is_path_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_good_names_from_bad_ones() {
        assert!(is_subdomain("a.b-c.d1") && !is_subdomain("A") && !is_subdomain("a..b"));
        assert!(is_label("a-b") && !is_label("a.b") && !is_label("-a"));
        assert!(is_path_segment("system:node:x") && !is_path_segment("a/b"));
    }
}
