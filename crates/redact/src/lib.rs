//! URLs that can be shown without their secrets.
//!
//! A URL may hold a password before the `@`, and a signature in its query. Messages, logs and
//! events hold a [`RedactedUrl`] instead.

use std::fmt;

use url::Url;

/// A URL without user name, password, query and fragment.
///
/// It is made from any text, so that what is not a URL can be shown, too: there, everything up to
/// the last `@` is left out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// Takes the secrets out of a URL.
    pub fn new(url: &str) -> Self {
        let Ok(mut parsed) = Url::parse(url) else { return Self(without_userinfo(url)) };
        parsed.set_query(None);
        parsed.set_fragment(None);
        if parsed.has_host() {
            // These fail for URLs that cannot have a user name, and so have none.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            Self(parsed.into())
        } else {
            // For `host:secret@path` the host reads as a scheme, and the rest as a path.
            Self(without_userinfo(parsed.as_str()))
        }
    }
}

impl From<&Url> for RedactedUrl {
    fn from(url: &Url) -> Self {
        Self::new(url.as_str())
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn without_userinfo(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let Some((before, rest)) = text.rsplit_once('@') else { return text.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://{rest}"),
        None => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secrets() {
        for (url, expected) in [
            ("https://example.com/repo", "https://example.com/repo"),
            ("https://token@example.com/repo", "https://example.com/repo"),
            ("https://user:pass%40word@example.com:8443/repo", "https://example.com:8443/repo"),
            ("https://example.com/repo?token=secret#secret", "https://example.com/repo"),
            ("ssh://git:secret@example.com/repo", "ssh://example.com/repo"),
            ("git@example.com:team/repo", "example.com:team/repo"),
            ("user:secret@example.com:team/repo", "example.com:team/repo"),
            ("https://user:secret@exa mple.com/repo", "https://exa mple.com/repo"),
            ("socks5://user:secret@127.0.0.1:1080", "socks5://127.0.0.1:1080"),
            ("file:///srv/repo", "file:///srv/repo"),
            ("no url at all", "no url at all"),
        ] {
            let redacted = RedactedUrl::new(url);
            assert_eq!(redacted.to_string(), expected, "{url}");
            assert_eq!(format!("{redacted:?}"), format!("{expected:?}"));
        }
    }
}
