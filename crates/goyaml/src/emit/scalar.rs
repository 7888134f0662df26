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
    pub(crate) single_quoted_allowed: bool,
    pub(crate) block_allowed: bool,
}

impl Analysis {
    pub(crate) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self {
                multiline: false,
                plain_allowed: true,
                single_quoted_allowed: true,
                block_allowed: false,
            };
        }
        let bytes = text.as_bytes();
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut breaks, mut special) = (false, false);
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
                ':' if blank_follows => indicators = true,
                '#' if preceded_by_blank => indicators = true,
                _ => {}
            }
            special |= !is_printable(char);
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
        let quotes = !(break_space || space_break || special);
        Self {
            multiline: breaks,
            plain_allowed: quotes && !edges && !breaks && !indicators,
            single_quoted_allowed: quotes,
            block_allowed: !(text.ends_with(' ') || space_break || special),
        }
    }
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
    pub(super) fn single_quoted(&mut self, text: &str) {
        self.blank();
        self.put("'");
        let mut breaks = false;
        for char in text.chars() {
            if is_break(char) {
                self.break_char(char);
                self.indention = true;
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if char == '\'' {
                self.put("'");
            }
            self.put(char.encode_utf8(&mut [0; 4]));
            self.indention = false;
            breaks = false;
        }
        self.put("'");
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn double_quoted(&mut self, text: &str) {
        self.blank();
        self.put("\"");
        // A slip of go-yaml: behind a byte order mark every character is escaped.
        let all = text.starts_with('\u{feff}');
        for char in text.chars() {
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
                    self.put(char.encode_utf8(&mut [0; 4]));
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
        self.blank();
        self.put("|");
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

    fn break_char(&mut self, char: char) {
        if char == '\n' {
            self.put_break();
        } else {
            self.text.push(char);
            self.column = 0;
        }
    }
}
