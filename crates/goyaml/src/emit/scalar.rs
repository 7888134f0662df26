//! Strings in the styles that YAML has for them.

use super::Emitter;

/// Which styles can hold a string.
///
/// Source: `yaml_emitter_analyze_scalar`, go-yaml v2.4.3 `emitterc.go`.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Analysis {
    pub(crate) multiline: bool,
    pub(crate) plain_allowed: bool,
    /// Whether it can be plain in brackets.
    pub(crate) flow_plain_allowed: bool,
    pub(crate) single_quoted_allowed: bool,
    pub(crate) block_allowed: bool,
    /// Whether go-yaml v3 writes it as a block, which may have tabs there.
    pub(crate) block_allowed_with_tabs: bool,
}

impl Analysis {
    pub(crate) fn of(text: &str) -> Self {
        if is_simple(text.as_bytes()) {
            return Self {
                multiline: false,
                plain_allowed: true,
                flow_plain_allowed: true,
                single_quoted_allowed: true,
                block_allowed: true,
                block_allowed_with_tabs: true,
            };
        }
        if text.is_empty() {
            return Self {
                multiline: false,
                plain_allowed: true,
                flow_plain_allowed: false,
                single_quoted_allowed: true,
                block_allowed: false,
                block_allowed_with_tabs: false,
            };
        }
        let bytes = text.as_bytes();
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut flow_indicators = indicators;
        let (mut breaks, mut special, mut tabs) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut previous_space, mut previous_break, mut preceded_by_blank) = (false, false, true);
        for (at, char) in text.char_indices() {
            let next = bytes.get(at + char.len_utf8());
            let blank_follows = matches!(next, None | Some(b' ' | b'\t'));
            match char {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`'
                    if at == 0 =>
                {
                    indicators = true;
                }
                '?' | '-' if at == 0 && blank_follows => indicators = true,
                ',' | '?' | '[' | ']' | '{' | '}' => flow_indicators = true,
                ':' => {
                    flow_indicators = true;
                    indicators |= blank_follows;
                }
                '#' if preceded_by_blank => indicators = true,
                _ => {}
            }
            tabs |= char == '\t';
            special |= char != '\t' && !is_printable(char);
            let is_break = is_break(char);
            breaks |= is_break;
            break_space |= char == ' ' && previous_break;
            space_break |= is_break && previous_space;
            previous_space = char == ' ';
            previous_break = is_break;
            preceded_by_blank = is_break || matches!(char, ' ' | '\t');
        }
        let edge = |char: Option<char>| char.is_some_and(|char| char == ' ' || is_break(char));
        let edges = edge(text.chars().next()) || edge(text.chars().next_back());
        let quotes = !(break_space || space_break || special || tabs);
        let plain = quotes && !edges && !breaks && !indicators;
        let block = !(text.ends_with(' ') || space_break || special);
        Self {
            multiline: breaks,
            plain_allowed: plain,
            flow_plain_allowed: plain && !flow_indicators,
            single_quoted_allowed: quotes,
            block_allowed: block && !tabs,
            block_allowed_with_tabs: block,
        }
    }
}

/// Says whether nothing in a text can have a meaning in YAML, which is so for nearly all.
fn is_simple(text: &[u8]) -> bool {
    let [first, rest @ ..] = text else { return false };
    let last = rest.last().unwrap_or(first);
    (first.is_ascii_alphanumeric() || matches!(first, b'_' | b'/' | b'$'))
        && *last != b' '
        && rest.iter().all(|byte| {
            (b' '..=b'~').contains(byte)
                && !matches!(byte, b'#' | b',' | b':' | b'?' | b'[' | b']' | b'{' | b'}')
        })
}

fn is_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(char: char) -> bool {
    matches!(
        char,
        '\n' | ' '..='~'
            | '\u{a0}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}'
    )
}

impl Emitter<'_> {
    /// Writes text without quotes; it has no line breaks.
    pub(super) fn plain_text(&mut self, text: &str, allow_breaks: bool) {
        if !allow_breaks || self.fits(text) {
            self.plain(text);
            return;
        }
        self.blank();
        let mut spaces = false;
        for (at, char) in text.char_indices() {
            let breaks = char == ' '
                && !spaces
                && self.column > self.width
                && text.as_bytes().get(at + 1) != Some(&b' ');
            if breaks {
                self.write_indent();
            } else {
                self.put_char(char);
                self.indention = false;
            }
            spaces = char == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// Says whether text stands on the rest of the line, so that it is not broken.
    fn fits(&self, text: &str) -> bool {
        self.column.saturating_add(text.len()).saturating_add(2) < self.width
    }

    pub(super) fn single_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.blank();
        self.put("'");
        let (mut breaks, mut spaces) = (false, false);
        for (at, char) in text.char_indices() {
            if char == ' '
                && allow_breaks
                && !spaces
                && self.column > self.width
                && at > 0
                && text.as_bytes().get(at + 1).is_some_and(|next| *next != b' ')
            {
                self.write_indent();
                spaces = true;
                continue;
            }
            if is_break(char) {
                // Between quotes a single line break reads as a space.
                if !breaks && char == '\n' {
                    self.put_break();
                }
                self.break_char(char);
                self.indention = true;
                breaks = true;
                continue;
            }
            if char == ' ' {
                self.put_char(' ');
                spaces = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if char == '\'' {
                self.put("'");
            }
            self.put_char(char);
            self.indention = false;
            breaks = false;
            spaces = false;
        }
        self.put("'");
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn double_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.blank();
        self.put("\"");
        let mut spaces = false;
        // A slip of go-yaml: behind a byte order mark every character is escaped.
        let all = text.starts_with('\u{feff}');
        for (at, char) in text.char_indices() {
            let next = text.as_bytes().get(at + 1);
            let breaks = char == ' '
                && !all
                && allow_breaks
                && !spaces
                && self.column > self.width
                && at > 0
                && next.is_some();
            spaces = char == ' ' && !all;
            if breaks {
                self.write_indent();
                if next == Some(&b' ') {
                    self.put("\\");
                }
                continue;
            }
            let escape = match char {
                '\0' => "\\0",
                '\x07' => "\\a",
                '\x08' => "\\b",
                '\t' => "\\t",
                '\n' => "\\n",
                '\x0b' => "\\v",
                '\x0c' => "\\f",
                '\r' => "\\r",
                '\x1b' => "\\e",
                '"' => "\\\"",
                '\\' => "\\\\",
                '\u{85}' => "\\N",
                '\u{a0}' if all => "\\_",
                '\u{2028}' => "\\L",
                '\u{2029}' => "\\P",
                char if is_printable(char) && !all => {
                    self.put_char(char);
                    continue;
                }
                char => {
                    let code = u32::from(char);
                    self.put(&match code {
                        0..=0xff => format!("\\x{code:02X}"),
                        0x100..=0xffff => format!("\\u{code:04X}"),
                        _ => format!("\\U{code:08X}"),
                    });
                    continue;
                }
            };
            self.put(escape);
        }
        self.put("\"");
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn literal(&mut self, text: &str) {
        self.block_header("|", text);
        let mut breaks = true;
        for line in text.split_inclusive(is_break) {
            let mut chars = line.chars();
            let end = chars.next_back().filter(|end| is_break(*end));
            let content = if end.is_some() { chars.as_str() } else { line };
            if !content.is_empty() {
                if breaks {
                    self.write_indent();
                }
                self.put(content);
                self.indention = false;
                breaks = false;
            }
            if let Some(end) = end {
                self.break_char(end);
                self.indention = true;
                breaks = true;
            }
        }
    }

    pub(super) fn folded(&mut self, text: &str) {
        self.block_header(">", text);
        // A slip of go-yaml: it looks at the beginning of the text, not at what follows the break.
        let leading = text.trim_start_matches(is_break);
        let begins_blank = leading.starts_with([' ', '\t', '\0']) || leading.is_empty();
        let (mut breaks, mut leading_spaces) = (true, true);
        for char in text.chars() {
            if is_break(char) {
                if !breaks && !leading_spaces && char == '\n' && !begins_blank {
                    self.put_break();
                }
                self.break_char(char);
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                leading_spaces = matches!(char, ' ' | '\t');
            }
            self.put_char(char);
            self.indention = false;
            breaks = false;
        }
    }

    /// Writes the indicator of a block, and what it says about indentation and the last breaks.
    fn block_header(&mut self, indicator: &str, text: &str) {
        self.blank();
        self.put(indicator);
        let first = text.chars().next();
        if first.is_some_and(|first| first == ' ' || is_break(first)) {
            self.put("2");
        }
        let mut last = text.chars().rev();
        match (last.next(), last.next()) {
            (Some(last), _) if !is_break(last) => self.put("-"),
            (Some(_), before) if before.is_none_or(is_break) => self.put("+"),
            _ => {}
        }
        self.put_break();
        self.indention = true;
        self.whitespace = true;
    }

    fn break_char(&mut self, char: char) {
        if char == '\n' {
            self.put_break();
        } else {
            self.text.push(char);
            self.column = 0;
        }
    }
}
