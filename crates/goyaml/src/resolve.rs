//! What a plain scalar means.
//!
//! Source: `resolve`, go-yaml v2.4 and v3.0, `resolve.go`.

use crate::Dialect;

/// The meaning of a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A date or time, as written.
    Timestamp,
    /// The key that merges other mappings.
    Merge,
    Text,
}

/// Returns what a plain scalar means.
pub(crate) fn resolve(text: &str, dialect: Dialect) -> Scalar {
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'0'..=b'9' | b'+' | b'-' => number(text).unwrap_or_else(|| word(text, dialect)),
        // No other word begins otherwise.
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' | b'<' => {
            word(text, dialect)
        }
        b'.' => match word(text, dialect) {
            Scalar::Text => float(&without_separators(text)).map_or(Scalar::Text, Scalar::Float),
            special => special,
        },
        _ => Scalar::Text,
    }
}

/// Removes underscores that stand between digits.
fn without_separators(text: &str) -> String {
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit)
    };
    let separates = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    let kept = text.char_indices().filter(|&(at, char)| char != '_' || !separates(at));
    kept.map(|(_, char)| char).collect()
}

/// Says whether text without quotes would be read as another type, now or by YAML 1.1.
pub fn is_ambiguous(text: &str, dialect: Dialect) -> bool {
    let old_bool =
        || dialect == Dialect::Kyaml && matches!(resolve(text, Dialect::Sigs), Scalar::Bool(_));
    let is_text = matches!(resolve(text, dialect), Scalar::Text | Scalar::Merge);
    !is_text || is_base_60(text) || old_bool()
}

fn word(text: &str, dialect: Dialect) -> Scalar {
    match text {
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        "<<" => Scalar::Merge,
        _ if dialect == Dialect::Sigs => match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Scalar::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Scalar::Bool(false),
            _ => Scalar::Text,
        },
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Option<Scalar> {
    if timestamp(text).is_some() {
        return Some(Scalar::Timestamp);
    }
    if !text.contains('_') {
        return integer(text).or_else(|| float(text).map(Scalar::Float));
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    integer(&plain).or_else(|| float(&plain).map(Scalar::Float))
}

/// Source: `strconv.ParseInt` with base 0, Go 1.26.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (radix, digits) = match lower.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // The parsers of the standard library take a sign, which has been read already.
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    if negative {
        return i64::from_str_radix(&format!("-{digits}"), radix).ok().map(Scalar::Int);
    }
    if let Ok(integer) = i64::from_str_radix(digits, radix) {
        return Some(Scalar::Int(integer));
    }
    let unsigned = text.bytes().next()?.is_ascii_digit();
    u64::from_str_radix(digits, radix).ok().filter(|_| unsigned).map(Scalar::Uint)
}

/// Reads `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => !mantissa.is_empty() && is_digits(mantissa),
    };
    let exponent_valid = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    (valid && exponent_valid).then(|| text.parse().ok()).flatten().filter(|f: &f64| f.is_finite())
}

/// Returns a date or time in RFC 3339, as Go's JSON encoder writes a `time.Time`, or nothing when
/// the text is none: `2006-1-2`, `2006-1-2 15:4:5.9`, `2006-1-2T15:4:5.9Z07:00`.
///
/// Source: `parseTimestamp`, go-yaml `resolve.go`.
pub(crate) fn timestamp(text: &str) -> Option<String> {
    if !text.is_ascii()
        || !text
            .as_bytes()
            .get(..5)
            .is_some_and(|start| start[..4].iter().all(u8::is_ascii_digit) && start[4] == b'-')
    {
        return None;
    }
    let year: u32 = text[..4].parse().ok()?;
    let (month, rest) = digits(&text[5..], 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    if !(1..=12).contains(&month) || day < 1 || day > days(year, month) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = rest.starts_with(['T', 't']);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut fraction = String::new();
    if let Some(after) = rest.strip_prefix(['.', ',']) {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        if end == 0 {
            return None;
        }
        let nanos = after[..end.min(9)].trim_end_matches('0');
        if !nanos.is_empty() {
            fraction = format!(".{nanos}");
        }
        rest = &after[end..];
    }
    let zone = match (zoned, rest) {
        (true, "Z") | (false, "") => "Z".to_owned(),
        (true, zone) => {
            let sign = zone.chars().next().filter(|sign| matches!(sign, '+' | '-'))?;
            let (hours, minutes) = zone[1..].split_once(':')?;
            let valid = hours.len() == 2
                && minutes.len() == 2
                && hours.parse::<u8>().is_ok_and(|hours| hours < 24)
                && minutes.parse::<u8>().is_ok_and(|minutes| minutes < 60);
            match valid {
                true if hours == "00" && minutes == "00" => "Z".to_owned(),
                true => format!("{sign}{hours}:{minutes}"),
                false => return None,
            }
        }
        (false, _) => return None,
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn digits(text: &str, most: usize) -> Option<(u32, &str)> {
    let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns whether YAML 1.1 would read the text as a number of base 60, e.g. `12:30:45`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let whole = parts.next().unwrap_or_default();
    let starts = whole.starts_with(|c: char| c.is_ascii_digit())
        && whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut rest: Vec<&str> = parts.collect();
    let Some(last) = rest.pop().filter(|_| starts) else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_sixtieth = |part: &str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    };
    rest.iter().all(|part| is_sixtieth(part))
        && is_sixtieth(last)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_go_does() {
        for (text, scalar) in [
            ("1", Scalar::Int(1)),
            ("-1", Scalar::Int(-1)),
            ("+1", Scalar::Int(1)),
            ("0777", Scalar::Int(511)),
            ("0o17", Scalar::Int(15)),
            ("0x1F", Scalar::Int(31)),
            ("0b11", Scalar::Int(3)),
            ("1_000", Scalar::Int(1000)),
            ("18446744073709551615", Scalar::Uint(u64::MAX)),
            ("1.5", Scalar::Float(1.5)),
            ("1e3", Scalar::Float(1000.0)),
            (".5", Scalar::Float(0.5)),
            ("089", Scalar::Float(89.0)),
            ("1.2.3", Scalar::Text),
            ("1m", Scalar::Text),
            ("-", Scalar::Text),
            ("--1", Scalar::Text),
            ("0x", Scalar::Text),
            ("2020-01-02", Scalar::Timestamp),
            ("2020-13-02", Scalar::Text),
        ] {
            assert_eq!(resolve(text, Dialect::Sigs), scalar, "{text}");
        }
    }

    #[test]
    fn reads_words_by_dialect() {
        assert_eq!(resolve("yes", Dialect::Sigs), Scalar::Bool(true));
        assert_eq!(resolve("yes", Dialect::Kyaml), Scalar::Text);
        assert_eq!(resolve("", Dialect::Kyaml), Scalar::Null);
        assert_eq!(resolve("nULL", Dialect::Kyaml), Scalar::Text);
    }

    #[test]
    fn turns_timestamps_into_rfc_3339() {
        for (text, time) in [
            ("2020-1-2", "2020-01-02T00:00:00Z"),
            ("2020-01-02 3:04:05", "2020-01-02T03:04:05Z"),
            ("2020-01-02T03:04:05.500Z", "2020-01-02T03:04:05.5Z"),
            ("2020-01-02t03:04:05+02:00", "2020-01-02T03:04:05+02:00"),
        ] {
            assert_eq!(timestamp(text).as_deref(), Some(time));
        }
        assert_eq!(timestamp("2020-02-30"), None);
        assert_eq!(timestamp("2020-01-02T03:04:05"), None);
    }

    #[test]
    fn recognises_base_60() {
        assert!(is_base_60("12:30:45"));
        assert!(is_base_60("1:20"));
        assert!(!is_base_60("1:60"));
        assert!(!is_base_60("a:20"));
        assert!(!is_base_60("120"));
    }
}
