//! Scalars: plain, quoted, and in blocks.

use std::borrow::Cow;

use super::Scanner;
use crate::error::{Error, Mark};

/// Text gathered from a source; borrowed from it as long as it is one piece of it.
struct Gathered<'a> {
    text: &'a str,
    /// The piece so far.
    start: usize,
    end: usize,
    /// The text, once it is more than a piece.
    own: Option<String>,
}

impl<'a> Gathered<'a> {
    fn new(text: &'a str, start: usize) -> Self {
        Self { text, start, end: start, own: None }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end && self.own.is_none()
    }

    /// Adds a piece of the source.
    fn take(&mut self, start: usize, end: usize) {
        let empty = self.is_empty();
        match &mut self.own {
            Some(own) => own.push_str(&self.text[start..end]),
            None if empty => (self.start, self.end) = (start, end),
            None if self.end == start => self.end = end,
            None => self.add(&self.text[start..end]),
        }
    }

    /// Adds text that is not in the source.
    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.own.get_or_insert_with(|| self.text[self.start..self.end].to_owned()).push_str(text);
    }

    fn into_text(self) -> Cow<'a, str> {
        match self.own {
            Some(own) => Cow::Owned(own),
            None => Cow::Borrowed(&self.text[self.start..self.end]),
        }
    }
}

/// Line breaks met inside of a scalar: the first, and the others.
#[derive(Default)]
struct Breaks<'a> {
    first: Option<&'a str>,
    others: String,
}

impl<'a> Breaks<'a> {
    fn add(&mut self, line_break: &'a str) {
        if self.first.is_none() {
            self.first = Some(line_break);
        } else {
            self.others.push_str(line_break);
        }
    }

    /// Writes the breaks as a flow scalar folds them.
    fn fold_into(&mut self, gathered: &mut Gathered<'_>) {
        match self.first.take() {
            Some("\n") if self.others.is_empty() => gathered.add(" "),
            Some("\n") | None => gathered.add(&self.others),
            Some(first) => {
                gathered.add(first);
                gathered.add(&self.others);
            }
        }
        self.others.clear();
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn scan_plain_scalar(&mut self) -> Result<Cow<'a, str>, Error> {
        let start = self.mark();
        let indent = self.indent + 1;
        let mut gathered = Gathered::new(self.text, self.position);
        let mut breaks = Breaks::default();
        let mut blanks = (self.position, self.position);
        loop {
            if self.column() == 0 && self.document_indicator().is_some() {
                break;
            }
            if self.byte(0) == b'#' {
                break;
            }
            let word = self.position;
            self.skip_plain_word();
            if self.position > word {
                if breaks.first.is_some() {
                    breaks.fold_into(&mut gathered);
                } else if blanks.0 < blanks.1 {
                    gathered.take(blanks.0, blanks.1);
                }
                blanks = (self.position, self.position);
                gathered.take(word, self.position);
            }
            if !self.is_blank(0) && self.break_length(0) == 0 {
                break;
            }
            blanks.0 = self.position;
            while self.is_blank(0) || self.break_length(0) > 0 {
                if !self.is_blank(0) {
                    breaks.add(self.step_line());
                    continue;
                }
                if breaks.first.is_some()
                    && self.column_as_indent() < indent
                    && self.byte(0) == b'\t'
                {
                    return Err(Error::at(
                        self.mark(),
                        format!(
                            "found a tab in the indentation of the text that begins at line {}; \
                             use spaces",
                            start.line()
                        ),
                    ));
                }
                self.step_over(1);
            }
            blanks.1 = self.position;
            if self.flow_level == 0 && self.column_as_indent() < indent {
                break;
            }
        }
        if breaks.first.is_some() {
            self.simple_key_allowed = true;
        }
        Ok(gathered.into_text())
    }

    /// Steps over what is neither blank nor the end of a plain scalar.
    fn skip_plain_word(&mut self) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\n' | b'\r' => return,
                0 if self.is_end(0) => return,
                b':' if self.is_blank_or_end(1) => return,
                b',' | b'?' | b'[' | b']' | b'{' | b'}' if self.flow_level > 0 => return,
                0..0x80 => self.step_over(1),
                _ if self.break_length(0) > 0 => return,
                _ => self.step(),
            }
        }
    }

    pub(super) fn scan_flow_scalar(&mut self, single: bool) -> Result<Cow<'a, str>, Error> {
        let start = self.mark();
        self.step_over(1);
        let quote = if single { b'\'' } else { b'"' };
        let mut gathered = Gathered::new(self.text, self.position);
        loop {
            if self.column() == 0 && self.document_indicator().is_some() {
                return Err(Error::at(
                    self.mark(),
                    format!(
                        "found a document indicator in the quoted text that begins at line {}",
                        start.line()
                    ),
                ));
            }
            if self.is_end(0) {
                return Err(Error::at(start, "the quote that begins here is never closed"));
            }
            let mut breaks = Breaks::default();
            let mut escaped_break = false;
            while !self.is_blank_or_end(0) && self.byte(0) != quote {
                if !single && self.byte(0) == b'\\' {
                    if self.break_length(1) > 0 {
                        self.step_over(1);
                        self.step_line();
                        escaped_break = true;
                        break;
                    }
                    self.scan_escape(&mut gathered)?;
                    continue;
                }
                let piece = self.position;
                self.skip_quoted_piece(quote, single);
                gathered.take(piece, self.position);
            }
            if self.byte(0) == quote {
                if single && self.byte(1) == b'\'' {
                    gathered.take(self.position, self.position + 1);
                    self.step_over(2);
                    continue;
                }
                break;
            }
            let blanks = self.position;
            let mut blanks_end = blanks;
            while self.is_blank(0) || self.break_length(0) > 0 {
                if self.is_blank(0) {
                    self.step_over(1);
                    if breaks.first.is_none() && !escaped_break {
                        blanks_end = self.position;
                    }
                } else if escaped_break {
                    breaks.others.push_str(self.step_line());
                } else {
                    breaks.add(self.step_line());
                }
            }
            if breaks.first.is_some() || escaped_break {
                breaks.fold_into(&mut gathered);
            } else {
                gathered.take(blanks, blanks_end);
            }
        }
        self.step_over(1);
        Ok(gathered.into_text())
    }

    /// Steps over characters that stand for themselves.
    fn skip_quoted_piece(&mut self, quote: u8, single: bool) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\n' | b'\r' => return,
                0 if self.is_end(0) => return,
                b'\\' if !single => return,
                byte if byte == quote => return,
                0..0x80 => self.step_over(1),
                _ if self.break_length(0) > 0 => return,
                _ => self.step(),
            }
        }
    }

    fn scan_escape(&mut self, gathered: &mut Gathered<'_>) -> Result<(), Error> {
        let character = match self.byte(1) {
            b'0' => '\0',
            b'a' => '\x07',
            b'b' => '\x08',
            b't' | b'\t' => '\t',
            b'n' => '\n',
            b'v' => '\x0b',
            b'f' => '\x0c',
            b'r' => '\r',
            b'e' => '\x1b',
            byte @ (b' ' | b'"' | b'\'' | b'\\') => char::from(byte),
            b'N' => '\u{85}',
            b'_' => '\u{a0}',
            b'L' => '\u{2028}',
            b'P' => '\u{2029}',
            b'x' => return self.scan_code(2, gathered),
            b'u' => return self.scan_code(4, gathered),
            b'U' => return self.scan_code(8, gathered),
            _ => {
                return Err(Error::at(
                    self.mark(),
                    "found an unknown escape in double quotes; write \\\\ for a backslash, or use \
                     single quotes",
                ));
            }
        };
        gathered.add(character.encode_utf8(&mut [0; 4]));
        self.step_over(2);
        Ok(())
    }

    /// Reads the digits of a character given by its number.
    fn scan_code(&mut self, length: usize, gathered: &mut Gathered<'_>) -> Result<(), Error> {
        let mark = self.mark();
        self.step_over(2);
        let mut code = 0_u32;
        for _ in 0..length {
            let Some(digit) = char::from(self.byte(0)).to_digit(16) else {
                return Err(Error::at(mark, "did not find expected hexadecimal number"));
            };
            code = (code << 4) | digit;
            self.step_over(1);
        }
        let Some(character) = char::from_u32(code) else {
            return Err(Error::at(mark, "found invalid Unicode character escape code"));
        };
        gathered.add(character.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Result<Cow<'a, str>, Error> {
        let start = self.mark();
        self.step_over(1);
        let (chomping, increment) = self.scan_block_header(start)?;
        let mut indent = match increment {
            Some(increment) if self.indent >= 0 => Some(self.indent + i64::from(increment)),
            increment => increment.map(i64::from),
        };
        let mut gathered = Gathered::new(self.text, self.position);
        let mut leading_break = "";
        let mut trailing_breaks = String::new();
        let mut leading_blank = false;
        self.scan_block_breaks(&mut indent, &mut trailing_breaks)?;
        while Some(self.column_as_indent()) == indent && !self.is_end(0) {
            let trailing_blank = self.is_blank(0);
            let folds = !literal && !leading_blank && !trailing_blank && leading_break == "\n";
            if folds {
                if trailing_breaks.is_empty() {
                    gathered.add(" ");
                }
            } else {
                gathered.add(leading_break);
            }
            gathered.add(&trailing_breaks);
            trailing_breaks.clear();
            leading_blank = trailing_blank;
            let line = self.position;
            self.skip_line();
            gathered.take(line, self.position);
            leading_break = if self.is_end(0) { "" } else { self.step_line() };
            self.scan_block_breaks(&mut indent, &mut trailing_breaks)?;
        }
        if chomping != Chomping::Strip {
            gathered.add(leading_break);
        }
        if chomping == Chomping::Keep {
            gathered.add(&trailing_breaks);
        }
        Ok(gathered.into_text())
    }

    /// Reads what stands behind `|` or `>` on the line.
    fn scan_block_header(&mut self, start: Mark) -> Result<(Chomping, Option<u8>), Error> {
        let mut chomping = Chomping::Clip;
        let mut increment = None;
        for _ in 0..2 {
            match self.byte(0) {
                b'+' if chomping == Chomping::Clip => chomping = Chomping::Keep,
                b'-' if chomping == Chomping::Clip => chomping = Chomping::Strip,
                b'0' if increment.is_none() => {
                    return Err(Error::at(start, "found an indentation indicator equal to 0"));
                }
                digit @ b'1'..=b'9' if increment.is_none() => increment = Some(digit - b'0'),
                _ => break,
            }
            self.step_over(1);
        }
        while self.is_blank(0) {
            self.step_over(1);
        }
        if self.byte(0) == b'#' {
            self.skip_comment();
        }
        if !self.is_break_or_end(0) {
            return Err(Error::at(
                self.mark(),
                "did not find expected comment or line break behind the indicator of a block of \
                 text",
            ));
        }
        if !self.is_end(0) {
            self.step_line();
        }
        Ok((chomping, increment))
    }

    /// Steps over indentation and empty lines; the first line with text decides the indentation.
    fn scan_block_breaks(
        &mut self,
        indent: &mut Option<i64>,
        breaks: &mut String,
    ) -> Result<(), Error> {
        let mut most = 0;
        loop {
            while self.byte(0) == b' '
                && indent.is_none_or(|indent| self.column_as_indent() < indent)
            {
                self.step_over(1);
            }
            most = most.max(self.column_as_indent());
            if self.byte(0) == b'\t' && indent.is_none_or(|indent| self.column_as_indent() < indent)
            {
                return Err(Error::at(
                    self.mark(),
                    "found a tab character where an indentation space is expected",
                ));
            }
            if self.break_length(0) == 0 {
                break;
            }
            breaks.push_str(self.step_line());
        }
        if indent.is_none() {
            *indent = Some(most.max(self.indent + 1).max(1));
        }
        Ok(())
    }
}

/// What happens to the line breaks at the end of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Clip,
    Keep,
    Strip,
}
