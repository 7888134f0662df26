//! Splits a text into tokens.
//!
//! Source: `scannerc.go`, go-yaml v3.0.4, itself a translation of libyaml. What depends on the order
//! of its checks is kept, because it decides which texts are YAML for the tools of Kubernetes.

mod scalar;
mod tag;

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::error::{Error, Mark};
use crate::node::Style;

/// How deep indentation may go; brackets are counted by the reader of nodes.
const MAX_INDENTS: usize = 1000;

/// How far a key without `?` may be from its colon.
const MAX_SIMPLE_KEY: usize = 1024;

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) mark: Mark,
}

/// The kinds of token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'a> {
    StreamEnd,
    VersionDirective { major: u8, minor: u8 },
    TagDirective { handle: &'a str, prefix: Cow<'a, str> },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag { handle: &'a str, suffix: Cow<'a, str> },
    Scalar { value: Cow<'a, str>, style: Style },
}

/// A place where a key without `?` may have begun.
#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    /// Whether nothing but a key can stand there.
    required: bool,
    /// The number of the token that it begins with.
    token: usize,
    position: usize,
    mark: Mark,
}

/// Reads tokens from a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    position: usize,
    line: u32,
    /// Where the line begins.
    line_start: usize,
    /// How many bytes of the line up to the position are not the first of their character.
    wide: usize,
    tokens: VecDeque<Token<'a>>,
    /// How many tokens have been taken.
    taken: usize,
    ended: bool,
    /// The indentation, -1 outside of blocks.
    indent: i64,
    indents: Vec<i64>,
    flow_level: usize,
    simple_key_allowed: bool,
    /// One for every level of brackets.
    simple_keys: Vec<SimpleKey>,
    /// Comments that begin with a brace, and their lines.
    notes: Vec<(u32, &'a str)>,
    /// Every comment without its `#`, if they are kept.
    comments: Option<Vec<(Mark, &'a str)>>,
}

impl<'a> Scanner<'a> {
    /// Returns a scanner of a text without byte order mark.
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            position: 0,
            line: 0,
            line_start: 0,
            wide: 0,
            tokens: VecDeque::new(),
            taken: 0,
            ended: false,
            indent: -1,
            indents: Vec::new(),
            flow_level: 0,
            simple_key_allowed: true,
            simple_keys: vec![SimpleKey::default()],
            notes: Vec::new(),
            comments: None,
        }
    }

    /// Keeps comments from here on.
    pub(crate) fn keep_comments(&mut self) {
        self.comments = Some(Vec::new());
    }

    /// Takes the comments that were kept, in their order.
    pub(crate) fn take_comments(&mut self) -> Vec<(Mark, &'a str)> {
        self.comments.take().unwrap_or_default()
    }

    /// Takes the comments that begin with a brace, each with its line, counted from 0.
    pub(crate) fn take_notes(&mut self) -> Vec<(u32, &'a str)> {
        std::mem::take(&mut self.notes)
    }

    /// Looks at the next token; after the end of the stream it stays there.
    pub(crate) fn peek(&mut self) -> Result<&Token<'a>, Error> {
        while self.needs_more()? {
            self.fetch()?;
        }
        Ok(self.tokens.front().expect("fetching adds a token, the end of the stream at last"))
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, Error> {
        let token = self.peek()?.clone();
        if token.kind != TokenKind::StreamEnd {
            self.tokens.pop_front();
            self.taken += 1;
        }
        Ok(token)
    }

    /// Takes the next token without looking at it.
    pub(crate) fn skip(&mut self) -> Result<Mark, Error> {
        self.peek()?;
        let token = self.tokens.pop_front().expect("there was a token to look at");
        let mark = token.mark;
        if token.kind == TokenKind::StreamEnd {
            self.tokens.push_front(token);
        } else {
            self.taken += 1;
        }
        Ok(mark)
    }

    /// Reads as far ahead as go-yaml does, which finds some of what is wrong behind a document.
    pub(crate) fn look_ahead(&mut self) -> Result<(), Error> {
        const AHEAD: usize = 3;
        while !self.ended && self.tokens.len() < AHEAD {
            self.fetch()?;
        }
        Ok(())
    }

    /// Says whether the first token may still turn out to be a key.
    fn needs_more(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        if self.tokens.is_empty() {
            return Ok(true);
        }
        for at in 0..self.simple_keys.len() {
            let key = self.simple_keys[at];
            if key.possible && key.token == self.taken {
                return self.is_valid(at);
            }
        }
        Ok(false)
    }

    /// The byte at some distance, 0 behind the end: the text holds no such byte.
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.position + ahead).copied().unwrap_or(0)
    }

    fn column(&self) -> usize {
        self.position - self.line_start - self.wide
    }

    fn mark(&self) -> Mark {
        Mark { line: self.line, column: u32::try_from(self.column()).unwrap_or(u32::MAX) }
    }

    fn column_as_indent(&self) -> i64 {
        i64::try_from(self.column()).unwrap_or(i64::MAX)
    }

    /// Says whether a space or tab is at some distance.
    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    /// Returns the length of the line break at some distance, 0 if there is none.
    fn break_length(&self, ahead: usize) -> usize {
        match self.byte(ahead) {
            b'\r' if self.byte(ahead + 1) == b'\n' => 2,
            b'\r' | b'\n' => 1,
            0xc2 if self.byte(ahead + 1) == 0x85 => 2,
            0xe2 if self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xa8 | 0xa9) => {
                3
            }
            _ => 0,
        }
    }

    fn is_end(&self, ahead: usize) -> bool {
        self.position + ahead >= self.bytes.len()
    }

    fn is_break_or_end(&self, ahead: usize) -> bool {
        self.is_end(ahead) || self.break_length(ahead) > 0
    }

    fn is_blank_or_end(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_break_or_end(ahead)
    }

    /// Steps over a character that is no line break.
    fn step(&mut self) {
        let width = match self.byte(0) {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        self.position += width;
        self.wide += width - 1;
    }

    /// Steps over ASCII characters that are no line breaks.
    fn step_over(&mut self, count: usize) {
        self.position += count;
    }

    /// Steps over a line break and returns what it stands for in a scalar.
    fn step_line(&mut self) -> &'a str {
        let length = self.break_length(0);
        let written = if length == 3 { &self.text[self.position..self.position + 3] } else { "\n" };
        self.position += length;
        self.line += 1;
        self.line_start = self.position;
        self.wide = 0;
        written
    }

    fn push(&mut self, kind: TokenKind<'a>, mark: Mark) {
        self.tokens.push_back(Token { kind, mark });
    }

    fn fetch(&mut self) -> Result<(), Error> {
        self.scan_to_next_token();
        self.unroll_indent(self.column_as_indent());
        if self.is_end(0) {
            return self.fetch_stream_end();
        }
        if self.column() == 0 {
            if self.byte(0) == b'%' {
                return self.fetch_directive();
            }
            if let Some(kind) = self.document_indicator() {
                return self.fetch_document_indicator(kind);
            }
        }
        let flow = self.flow_level > 0;
        match self.byte(0) {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if self.is_blank_or_end(1) => self.fetch_block_entry(),
            b'?' if flow || self.is_blank_or_end(1) => self.fetch_key(),
            b':' if flow || self.is_blank_or_end(1) => self.fetch_value(),
            b'*' => self.fetch_anchor(true),
            b'&' => self.fetch_anchor(false),
            b'!' => self.fetch_tag(),
            b'|' if !flow => self.fetch_block_scalar(Style::Literal),
            b'>' if !flow => self.fetch_block_scalar(Style::Folded),
            b'\'' => self.fetch_flow_scalar(Style::SingleQuoted),
            b'"' => self.fetch_flow_scalar(Style::DoubleQuoted),
            b'\t' => Err(Error::at(
                self.mark(),
                "found a tab where the indentation of a line is expected; use spaces",
            )),
            b'|' | b'>' | b'#' | b'%' | b'@' | b'`' => {
                let character = char::from(self.byte(0));
                Err(Error::at(
                    self.mark(),
                    format!(
                        "found character {character:?} that cannot start any token; quote the text"
                    ),
                ))
            }
            _ => self.fetch_plain_scalar(),
        }
    }

    /// Returns `---` or `...` at the position.
    fn document_indicator(&self) -> Option<TokenKind<'a>> {
        if !self.is_blank_or_end(3) {
            return None;
        }
        match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'-', b'-', b'-') => Some(TokenKind::DocumentStart),
            (b'.', b'.', b'.') => Some(TokenKind::DocumentEnd),
            _ => None,
        }
    }

    fn scan_to_next_token(&mut self) {
        loop {
            // A tab cannot stand where indentation counts.
            while self.byte(0) == b' '
                || (self.byte(0) == b'\t' && (self.flow_level > 0 || !self.simple_key_allowed))
            {
                self.step_over(1);
            }
            if self.byte(0) == b'#' {
                self.skip_comments();
            }
            if self.break_length(0) == 0 {
                return;
            }
            self.step_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }

    /// Steps over a comment, and over those on the next lines, which tabs may indent.
    fn skip_comments(&mut self) {
        self.skip_comment();
        loop {
            let mut ahead = 0;
            while self.is_blank(ahead) || self.break_length(ahead) > 0 {
                ahead += self.break_length(ahead).max(1);
            }
            if self.byte(ahead) != b'#' {
                return;
            }
            let end = self.position + ahead;
            while self.position < end {
                if self.is_blank(0) {
                    self.step_over(1);
                } else {
                    self.step_line();
                }
            }
            self.skip_comment();
        }
    }

    /// Steps over a comment up to the end of its line.
    fn skip_comment(&mut self) {
        let start = self.position;
        let mark = self.mark();
        self.skip_line();
        let text = &self.text[start..self.position];
        if let Some(comments) = &mut self.comments {
            comments.push((mark, text.strip_prefix('#').unwrap_or(text)));
        }
        let text = text.trim_start_matches('#').trim();
        if text.starts_with('{') {
            self.notes.push((self.line, text));
        }
    }

    /// Steps over the rest of the line.
    fn skip_line(&mut self) {
        while !self.is_break_or_end(0) {
            self.step();
        }
    }

    /// Says whether a key can still begin where one was thought possible.
    fn is_valid(&mut self, at: usize) -> Result<bool, Error> {
        let key = self.simple_keys[at];
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.line || key.position + MAX_SIMPLE_KEY < self.position {
            if key.required {
                return Err(missing_colon(key.mark));
            }
            self.simple_keys[at].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn last_key(&mut self) -> &mut SimpleKey {
        self.simple_keys.last_mut().expect("there is one outside of brackets")
    }

    fn save_simple_key(&mut self) -> Result<(), Error> {
        if self.simple_key_allowed {
            let key = SimpleKey {
                possible: true,
                required: self.flow_level == 0 && self.indent == self.column_as_indent(),
                token: self.taken + self.tokens.len(),
                position: self.position,
                mark: self.mark(),
            };
            self.remove_simple_key()?;
            *self.last_key() = key;
        }
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<(), Error> {
        let key = self.last_key();
        if key.possible && key.required {
            return Err(missing_colon(key.mark));
        }
        key.possible = false;
        Ok(())
    }

    /// Opens a block when the column is beyond the indentation. Its token goes before the one of the
    /// given number, or behind all.
    fn roll_indent(
        &mut self,
        column: i64,
        before: Option<usize>,
        kind: TokenKind<'a>,
        mark: Mark,
    ) -> Result<(), Error> {
        if self.flow_level > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_INDENTS {
            return Err(Error::at(mark, format!("indented deeper than {MAX_INDENTS} levels")));
        }
        let token = Token { kind, mark };
        match before {
            Some(number) => self.tokens.insert(number - self.taken, token),
            None => self.tokens.push_back(token),
        }
        Ok(())
    }

    /// Closes the blocks that are indented beyond the column.
    fn unroll_indent(&mut self, column: i64) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            let mark = self.mark();
            self.push(TokenKind::BlockEnd, mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch_stream_end(&mut self) -> Result<(), Error> {
        if self.column() != 0 {
            self.line += 1;
            self.line_start = self.position;
            self.wide = 0;
        }
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.ended = true;
        let mark = self.mark();
        self.push(TokenKind::StreamEnd, mark);
        Ok(())
    }

    fn fetch_document_indicator(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let mark = self.mark();
        self.step_over(3);
        self.push(kind, mark);
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_keys.push(SimpleKey::default());
        self.flow_level += 1;
        if self.flow_level > MAX_INDENTS {
            let message = format!("nested deeper than {MAX_INDENTS} levels");
            return Err(Error::at(self.mark(), message));
        }
        self.simple_key_allowed = true;
        let mark = self.mark();
        self.step_over(1);
        self.push(kind, mark);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            self.simple_keys.pop();
        }
        self.simple_key_allowed = false;
        let mark = self.mark();
        self.step_over(1);
        self.push(kind, mark);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), Error> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let mark = self.mark();
        self.step_over(1);
        self.push(TokenKind::FlowEntry, mark);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        let mark = self.mark();
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(Error::at(
                    mark,
                    "block sequence entries are not allowed in this context",
                ));
            }
            let column = self.column_as_indent();
            self.roll_indent(column, None, TokenKind::BlockSequenceStart, mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.step_over(1);
        self.push(TokenKind::BlockEntry, mark);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        let mark = self.mark();
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(Error::at(mark, "mapping keys are not allowed in this context"));
            }
            let column = self.column_as_indent();
            self.roll_indent(column, None, TokenKind::BlockMappingStart, mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.step_over(1);
        self.push(TokenKind::Key, mark);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let mark = self.mark();
        let last = self.simple_keys.len() - 1;
        if self.is_valid(last)? {
            let key = self.simple_keys[last];
            let token = Token { kind: TokenKind::Key, mark: key.mark };
            self.tokens.insert(key.token - self.taken, token);
            let start = TokenKind::BlockMappingStart;
            self.roll_indent(i64::from(key.mark.column), Some(key.token), start, key.mark)?;
            self.simple_keys[last].possible = false;
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return Err(Error::at(
                        mark,
                        "mapping values are not allowed in this context; quote text that holds \": \"",
                    ));
                }
                let column = self.column_as_indent();
                self.roll_indent(column, None, TokenKind::BlockMappingStart, mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.step_over(1);
        self.push(TokenKind::Value, mark);
        Ok(())
    }

    fn fetch_anchor(&mut self, alias: bool) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let mark = self.mark();
        self.step_over(1);
        let start = self.position;
        while is_word(self.byte(0)) {
            self.step_over(1);
        }
        let ends = self.is_blank_or_end(0)
            || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if self.position == start || !ends {
            let what = if alias { "alias (*name)" } else { "anchor (&name)" };
            return Err(Error::at(
                mark,
                format!(
                    "the name of an {what} has letters, digits, - and _; quote text that begins so"
                ),
            ));
        }
        let name = &self.text[start..self.position];
        self.push(if alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) }, mark);
        Ok(())
    }

    fn fetch_block_scalar(&mut self, style: Style) -> Result<(), Error> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let mark = self.mark();
        let value = self.scan_block_scalar(style == Style::Literal)?;
        self.push(TokenKind::Scalar { value, style }, mark);
        Ok(())
    }

    fn fetch_flow_scalar(&mut self, style: Style) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let mark = self.mark();
        let value = self.scan_flow_scalar(style == Style::SingleQuoted)?;
        self.push(TokenKind::Scalar { value, style }, mark);
        Ok(())
    }

    fn fetch_plain_scalar(&mut self) -> Result<(), Error> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let mark = self.mark();
        let value = self.scan_plain_scalar()?;
        self.push(TokenKind::Scalar { value, style: Style::Plain }, mark);
        Ok(())
    }
}

/// Says whether a byte may be part of a name.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn missing_colon(mark: Mark) -> Error {
    Error::at(mark, "could not find expected ':' behind the key that begins here")
}
