//! Text as YAML allows it.

use std::borrow::Cow;

use crate::error::{Error, Mark};

/// Reads bytes as text: UTF-8, or UTF-16 where a byte order mark says so. The mark is dropped.
///
/// # Errors
///
/// With the place of the first byte that belongs to no character.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
                Error::at(mark_of(bytes, error.valid_up_to()), "the text is not UTF-8")
            })
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<_, _>>();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(Error::at(Mark::default(), "the text is not UTF-16, as its first bytes say")),
    }
}

/// Refuses the control characters that YAML does not allow.
pub(crate) fn check(text: &str) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let suspect = |at: usize| match bytes[at] {
        b'\t' | b'\n' | b'\r' => false,
        0..0x20 | 0x7f => true,
        0xc2 => matches!(bytes.get(at + 1), Some(0x80..=0x9f)) && bytes[at + 1] != 0x85,
        0xef => matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])),
        _ => false,
    };
    match (0..bytes.len()).find(|&at| suspect(at)) {
        None => Ok(()),
        Some(at) => {
            let code = text[at..].chars().next().map_or(0, u32::from);
            let message = format!("control characters are not allowed, this is U+{code:04X}");
            Err(Error::at(mark_of(bytes, at), message))
        }
    }
}

/// Returns the place of a byte.
fn mark_of(bytes: &[u8], at: usize) -> Mark {
    let before = &bytes[..at];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = before.split(|byte| *byte == b'\n').count() - 1;
    let columns = before[start..].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Mark { line: narrow(lines), column: narrow(columns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_by_byte_order_mark() {
        assert_eq!(decode(b"a: b").unwrap(), "a: b");
        assert_eq!(decode(b"\xef\xbb\xbfa: b").unwrap(), "a: b");
        assert_eq!(decode(b"\xff\xfea\0:\0").unwrap(), "a:");
        assert_eq!(decode(b"\xfe\xff\0a\0:").unwrap(), "a:");
        let error = decode(b"a: b\nc: \xff").unwrap_err();
        assert_eq!((error.line, error.column), (2, 4));
        assert!(decode(b"\xff\xfea").is_err());
    }

    #[test]
    fn refuses_control_characters() {
        assert!(check("tab\t line\r\n next\u{85} é \u{feff}").is_ok());
        for text in ["a\u{0}", "\u{7f}", "x\u{9f}", "\u{fffe}"] {
            let error = check(&format!("ok\n {text}")).unwrap_err();
            assert_eq!(error.line, 2, "{text:?}");
        }
    }
}
