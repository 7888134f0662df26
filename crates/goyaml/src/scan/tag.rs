//! Directives and tags.

use std::borrow::Cow;

use super::{Scanner, TokenKind, is_word};
use crate::error::{Error, Mark};

impl<'a> Scanner<'a> {
    pub(super) fn fetch_directive(&mut self) -> Result<(), Error> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let mark = self.mark();
        self.step_over(1);
        let start = self.position;
        while is_word(self.byte(0)) {
            self.step_over(1);
        }
        let kind = match &self.text[start..self.position] {
            "YAML" if self.is_blank_or_end(0) => self.scan_version(mark)?,
            "TAG" if self.is_blank_or_end(0) => self.scan_tag_directive(mark)?,
            _ => return Err(Error::at(mark, "found unknown directive name; quote text with %")),
        };
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_comment();
        }
        if !self.is_break_or_end(0) {
            return Err(Error::at(self.mark(), "did not find expected comment or line break"));
        }
        if !self.is_end(0) {
            self.step_line();
        }
        self.push(kind, mark);
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.step_over(1);
        }
    }

    fn scan_version(&mut self, mark: Mark) -> Result<TokenKind<'a>, Error> {
        self.skip_blanks();
        let major = self.scan_version_number(mark)?;
        if self.byte(0) != b'.' {
            return Err(Error::at(mark, "did not find expected digit or '.' character"));
        }
        self.step_over(1);
        let minor = self.scan_version_number(mark)?;
        Ok(TokenKind::VersionDirective { major, minor })
    }

    fn scan_version_number(&mut self, mark: Mark) -> Result<u8, Error> {
        let start = self.position;
        while self.byte(0).is_ascii_digit() {
            self.step_over(1);
        }
        let digits = &self.text[start..self.position];
        match digits.parse() {
            Ok(number) if digits.len() <= 2 => Ok(number),
            _ => Err(Error::at(mark, "did not find expected version number")),
        }
    }

    fn scan_tag_directive(&mut self, mark: Mark) -> Result<TokenKind<'a>, Error> {
        self.skip_blanks();
        let handle = self.scan_tag_handle(mark)?;
        if handle != "!" && !(handle.len() > 1 && handle.ends_with('!')) {
            return Err(Error::at(mark, "did not find expected '!'"));
        }
        if !self.is_blank(0) {
            return Err(Error::at(mark, "did not find expected whitespace"));
        }
        self.skip_blanks();
        let prefix = self.scan_tag_uri(self.position, mark)?;
        if prefix.is_empty() {
            return Err(Error::at(mark, "did not find expected tag URI"));
        }
        if !self.is_blank_or_end(0) {
            return Err(Error::at(mark, "did not find expected whitespace or line break"));
        }
        Ok(TokenKind::TagDirective { handle, prefix })
    }

    pub(super) fn fetch_tag(&mut self) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let mark = self.mark();
        let kind = self.scan_tag(mark)?;
        if !self.is_blank_or_end(0) {
            return Err(Error::at(
                mark,
                "did not find expected whitespace or line break behind a tag; quote text that \
                 begins with !",
            ));
        }
        self.push(kind, mark);
        Ok(())
    }

    fn scan_tag(&mut self, mark: Mark) -> Result<TokenKind<'a>, Error> {
        if self.byte(1) == b'<' {
            self.step_over(2);
            let suffix = self.scan_tag_uri(self.position, mark)?;
            if suffix.is_empty() {
                return Err(Error::at(mark, "did not find expected tag URI"));
            }
            if self.byte(0) != b'>' {
                return Err(Error::at(mark, "did not find the expected '>'"));
            }
            self.step_over(1);
            return Ok(TokenKind::Tag { handle: "", suffix });
        }
        let start = self.position;
        let handle = self.scan_tag_handle(mark)?;
        if handle.len() > 1 && handle.ends_with('!') {
            let suffix = self.scan_tag_uri(self.position, mark)?;
            if suffix.is_empty() {
                return Err(Error::at(mark, "did not find expected tag URI"));
            }
            return Ok(TokenKind::Tag { handle, suffix });
        }
        // It was no handle but the beginning of the tag.
        let suffix = self.scan_tag_uri(start + 1, mark)?;
        if suffix.is_empty() {
            return Ok(TokenKind::Tag { handle: "", suffix: Cow::Borrowed("!") });
        }
        Ok(TokenKind::Tag { handle: "!", suffix })
    }

    /// Reads `!`, `!!` or `!name!`, or `!name` when it is no handle after all.
    fn scan_tag_handle(&mut self, mark: Mark) -> Result<&'a str, Error> {
        if self.byte(0) != b'!' {
            return Err(Error::at(mark, "did not find expected '!'"));
        }
        let start = self.position;
        self.step_over(1);
        while is_word(self.byte(0)) {
            self.step_over(1);
        }
        if self.byte(0) == b'!' {
            self.step_over(1);
        }
        Ok(&self.text[start..self.position])
    }

    /// Reads on to the end of a URI that begins at or before the position.
    fn scan_tag_uri(&mut self, start: usize, mark: Mark) -> Result<Cow<'a, str>, Error> {
        let mut escaped = false;
        while is_word(self.byte(0)) || b";/?:@&=+$,.!~*'()[]%".contains(&self.byte(0)) {
            escaped |= self.byte(0) == b'%';
            self.step_over(1);
        }
        let uri = &self.text[start..self.position];
        if !escaped {
            return Ok(Cow::Borrowed(uri));
        }
        let unescaped =
            unescape(uri).ok_or_else(|| Error::at(mark, "found an invalid % escape in a tag"))?;
        Ok(Cow::Owned(unescaped))
    }
}

fn unescape(uri: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}
