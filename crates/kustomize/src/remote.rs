//! References that lead to another machine.
//!
//! Source: `NewRepoSpecFromURL`, kustomize api 0.21.1 `internal/git/repospec.go`.

/// Says whether a file is to be fetched over HTTP.
pub(crate) fn is_http(path: &str) -> bool {
    let scheme = path.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Says whether a directory is to be cloned from a Git repository.
pub(crate) fn is_repository(path: &str) -> bool {
    if path.starts_with('/') {
        return false;
    }
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let path = strip(path, "git::").unwrap_or(path);
    let schemes = ["ssh://", "https://", "http://", "file://"];
    let scheme = schemes.into_iter().find_map(|scheme| Some((scheme, strip(path, scheme)?)));
    let (scheme, rest) = scheme.unwrap_or(("", path));
    let (user, rest) = split_user(rest);
    let github = strip(rest, "github.com/").or_else(|| strip(rest, "github.com:")).is_some();
    if scheme == "file://" {
        return !rest.is_empty();
    }
    if scheme.is_empty() && user.is_empty() && !github {
        return false;
    }
    let colon = scheme.is_empty().then(|| rest.find(':').filter(|at| *at > 0)).flatten();
    let slash = rest.find('/');
    let host = match (slash, colon) {
        (Some(slash), Some(colon)) => Some(slash.min(colon)),
        (slash, colon) => slash.or(colon),
    };
    let Some(host) = host else { return false };
    let repository = &rest[host + 1..];
    let marked = ["_git/", "//", ".git"].iter().any(|mark| repository.contains(mark));
    marked || repository.split('/').count() >= 2
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Splits `user@` off.
fn split_user(text: &str) -> (&str, &str) {
    let Some((user, rest)) = text.split_once('@') else { return ("", text) };
    let valid = user.starts_with(|first: char| first.is_ascii_alphabetic())
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if valid { (user, rest) } else { ("", text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_repositories_from_directories() {
        for path in [
            "https://github.com/a/b//c?ref=v1",
            "github.com/a/b",
            "git@github.com:a/b.git",
            "git::https://example.com/a/b",
            "ssh://git@example.com/a/b",
            "user@host:a/b",
            "file:///tmp/a",
        ] {
            assert!(is_repository(path), "{path}");
        }
        for path in ["../base", "a/b/c", "/a/b", "a@b", "me@host", "https://example.com/a.yaml", ""]
        {
            assert!(!is_repository(path), "{path}");
        }
        assert!(is_http("https://example.com/a.yaml"));
        assert!(!is_http("a/b.yaml"));
    }
}
