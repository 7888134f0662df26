//! Formats of strings that a CustomResourceDefinition can ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

/// A regular expression that is written here.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("patterns in this file are well formed; a test compiles them")
}

macro_rules! patterns {
    ($($name:ident = $text:expr;)*) => {
        $(static $name: LazyLock<Regex> = LazyLock::new(|| pattern($text));)*

        #[cfg(test)]
        fn all_patterns() -> Vec<&'static Regex> {
            vec![$(&$name),*]
        }
    };
}

patterns! {
    HOSTNAME = r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$";
    MAC = r"^([0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5,7}|[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2,3})$";
    UUID = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID3 = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    UUID4 = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    UUID5 = r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    SSN = r"^\d{3}[- ]?\d{2}[- ]?\d{4}$";
    HEX_COLOR = r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
    BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    EMAIL = r#"^[^\s@<>(),;:"\[\]\\]+@[^\s@<>(),;:"\[\]\\]+$"#;
    URI = r"^([a-zA-Z][a-zA-Z0-9+.-]*:)?/?[^\s]*$";
    DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$";
    DATE_TIME = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[tT ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)([.,]\d+)?([zZ]|[+-]\d{2}:?\d{2})?$";
    GO_DURATION = r"^[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$";
    DURATION = r"^((\d+)\s*(ns|nanoseconds?|nanos?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)\s*)+$";
    SHORT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
}

/// Returns whether text is of a format. Formats that are not known take any text, as in the API
/// server; so do card numbers and ISBNs here.
pub(super) fn matches(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "uri" => is_uri(text),
        "email" => EMAIL.is_match(text),
        "hostname" => text.len() <= 255 && HOSTNAME.is_match(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => MAC.is_match(text),
        "uuid" => UUID.is_match(text),
        "uuid3" => UUID3.is_match(text),
        "uuid4" => UUID4.is_match(text),
        "uuid5" => UUID5.is_match(text),
        "ssn" => SSN.is_match(text),
        "hexcolor" => HEX_COLOR.is_match(text),
        "byte" => BASE64.is_match(text),
        "date" => DATE.is_match(text),
        "datetime" => DATE_TIME.is_match(text),
        "duration" => GO_DURATION.is_match(text) || DURATION.is_match(text),
        "k8sshortname" => text.len() <= 63 && SHORT_NAME.is_match(text),
        "k8slongname" => {
            text.len() <= 253 && text.split('.').all(|label| SHORT_NAME.is_match(label))
        }
        _ => true,
    }
}

/// Absolute: with a scheme, or a path from the root.
fn is_uri(text: &str) -> bool {
    let rooted = text.starts_with('/') || text.contains(':');
    rooted && URI.is_match(text) && !text.chars().any(char::is_control)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let Ok(prefix) = prefix.parse::<u8>() else { return false };
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => prefix <= 32,
        Ok(IpAddr::V6(_)) => prefix <= 128,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(!all_patterns().is_empty());
        for pattern in all_patterns() {
            assert!(!pattern.as_str().is_empty());
        }
    }

    #[test]
    fn tells_formats_apart() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "date-time",
                &["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.1+02:00"],
                &["2024-01-02", "x"],
            ),
            ("date", &["2024-01-02"], &["2024-13-02", "24-1-2"]),
            ("duration", &["1h30m", "0", "22 ns", "1.5s"], &["1", "h", "x"]),
            ("uri", &["https://x.y/z", "/a"], &["a b", "a", ""]),
            ("ipv4", &["10.0.0.1"], &["10.0.0", "::1"]),
            ("ipv6", &["::1"], &["10.0.0.1"]),
            ("cidr", &["10.0.0.0/8", "::/0"], &["10.0.0.0", "10.0.0.0/33"]),
            ("hostname", &["a.example.com", "localhost"], &["-a", "a b", ""]),
            ("email", &["a@b.c"], &["a", "@b"]),
            ("byte", &["YWI=", "YWJj"], &["YWI", "é"]),
            ("uuid", &["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], &["6ba7b810"]),
            ("k8s-short-name", &["a-b"], &["a.b", "-a"]),
            ("k8s-long-name", &["a-b.c"], &["a..b"]),
            ("something", &["", "x"], &[]),
        ];
        for (format, good, bad) in cases {
            assert!(good.iter().all(|text| matches(format, text)), "{format} {good:?}");
            assert!(bad.iter().all(|text| !matches(format, text)), "{format} {bad:?}");
        }
    }
}
