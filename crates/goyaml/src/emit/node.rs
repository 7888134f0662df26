//! Writes nodes as kyaml does: keys in their order, scalars in their style.
//!
//! Comments and tags that YAML does not know are not kept.
//!
//! Source: `encoder.node`, go-yaml v3.0.4 `encode.go`.

use super::{Analysis, Emitter, MAX_SIMPLE_KEY};
use crate::Dialect;
use crate::json::tag_of;
use crate::node::{Mapping, Node, Scalar, Sequence, Style, Tag};
use crate::resolve::resolve;

/// Returns a node as one document.
pub fn node_to_string(node: &Node) -> String {
    let mut text = String::new();
    let mut emitter = Emitter::new(&mut text, usize::MAX);
    emitter.any_node(node, false, false);
    emitter.indent = 0;
    emitter.write_indent();
    text
}

impl Emitter<'_> {
    fn any_node(&mut self, node: &Node, in_mapping: bool, flow: bool) {
        match node {
            Node::Scalar(scalar) => self.scalar_node(scalar, false, flow),
            Node::Sequence(list) if flow || list.flow || list.items.is_empty() => {
                self.flow_sequence(list);
            }
            Node::Mapping(mapping) if flow || mapping.flow || mapping.entries.is_empty() => {
                self.flow_mapping(mapping);
            }
            Node::Sequence(list) => self.block_sequence(list, in_mapping),
            Node::Mapping(mapping) => self.block_mapping(mapping),
        }
    }

    fn block_sequence(&mut self, list: &Sequence, in_mapping: bool) {
        let outer = self.indent;
        if outer < 0 || !in_mapping || self.indention {
            self.indent += 2;
        }
        for item in &list.items {
            self.write_indent();
            self.indicator("-", true);
            self.any_node(item, false, false);
        }
        self.indent = outer;
    }

    fn block_mapping(&mut self, mapping: &Mapping) {
        let outer = self.indent;
        self.indent += 2;
        for (key, value) in &mapping.entries {
            self.write_indent();
            if is_simple(key) {
                self.scalar_node(key, true, false);
                self.colon();
            } else {
                self.indicator("?", true);
                self.scalar_node(key, false, false);
                self.write_indent();
                self.indicator(":", true);
            }
            self.any_node(value, true, false);
        }
        self.indent = outer;
    }

    fn flow_sequence(&mut self, list: &Sequence) {
        self.open("[");
        for (at, item) in list.items.iter().enumerate() {
            if at > 0 {
                self.sign(",");
            }
            self.any_node(item, false, true);
        }
        self.sign("]");
    }

    fn flow_mapping(&mut self, mapping: &Mapping) {
        self.open("{");
        for (at, (key, value)) in mapping.entries.iter().enumerate() {
            if at > 0 {
                self.sign(",");
            }
            if is_simple(key) {
                self.scalar_node(key, true, true);
                self.colon();
            } else {
                self.indicator("?", false);
                self.scalar_node(key, false, true);
                self.indicator(":", false);
            }
            self.any_node(value, true, true);
        }
        self.sign("}");
    }

    fn open(&mut self, bracket: &str) {
        self.blank();
        self.put(bracket);
        self.whitespace = true;
        self.indention = false;
    }

    fn sign(&mut self, sign: &str) {
        self.put(sign);
        self.whitespace = false;
        self.indention = false;
    }

    fn colon(&mut self) {
        self.sign(":");
    }

    fn scalar_node(&mut self, scalar: &Scalar, is_key: bool, flow: bool) {
        let Scalar { value, tag, tagged, style, .. } = scalar;
        let found = tag_of(&resolve(value, Dialect::Kyaml));
        let quoted = *style != Style::Plain;
        let kept = match tag {
            _ if *tagged => true,
            Tag::Unset | Tag::Str => false,
            _ => found != *tag,
        };
        if kept && let Some(name) = tag_name(*tag) {
            self.plain(name);
        }
        let force = !tagged && *tag == Tag::Str && !quoted && found != Tag::Str;
        let style = match style {
            Style::Plain if value.contains('\n') => Style::Literal,
            Style::Plain if force => Style::DoubleQuoted,
            style => *style,
        };
        let outer = self.indent;
        self.indent = if outer < 0 { 2 } else { outer + 2 };
        self.in_style(value, style, is_key, flow);
        self.indent = outer;
    }

    /// Writes text in a style, or in the next one that can hold it.
    fn in_style(&mut self, text: &str, style: Style, is_key: bool, flow: bool) {
        let analysis = Analysis::of(text);
        let mut style = if is_key && analysis.multiline { Style::DoubleQuoted } else { style };
        if style == Style::Plain {
            let allowed = if flow { analysis.flow_plain_allowed } else { analysis.plain_allowed };
            if !allowed || (text.is_empty() && is_key) {
                style = Style::SingleQuoted;
            }
        }
        if style == Style::SingleQuoted && !analysis.single_quoted_allowed {
            style = Style::DoubleQuoted;
        }
        let block = matches!(style, Style::Literal | Style::Folded);
        if block && (!analysis.block_allowed_with_tabs || flow || is_key) {
            style = Style::DoubleQuoted;
        }
        match style {
            Style::Plain if text.is_empty() => self.indention = false,
            Style::Plain => self.plain(text),
            Style::SingleQuoted => self.single_quoted(text, false),
            Style::DoubleQuoted => self.double_quoted(text, false),
            Style::Literal => self.literal(text),
            Style::Folded => self.folded(text),
        }
    }
}

fn is_simple(key: &Scalar) -> bool {
    key.value.len() <= MAX_SIMPLE_KEY && !Analysis::of(&key.value).multiline
}

fn tag_name(tag: Tag) -> Option<&'static str> {
    Some(match tag {
        Tag::Null => "!!null",
        Tag::Bool => "!!bool",
        Tag::Int => "!!int",
        Tag::Float => "!!float",
        Tag::Str => "!!str",
        Tag::Timestamp => "!!timestamp",
        Tag::Binary => "!!binary",
        Tag::Merge => "!!merge",
        Tag::Seq => "!!seq",
        Tag::Map => "!!map",
        Tag::Unset | Tag::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_first;

    #[test]
    fn keeps_order_and_style() {
        let text = "\
b: \"x\"
a:
- 'y'
- c: [1, two, {d: e}]
  f: |
    lines
    of text
- - nested
g: >
  folded text

  and more

h:
i: !!str 5
j: {}
\"5\": '5'
";
        let node = parse_first(text, Dialect::Kyaml).unwrap().unwrap().node;
        assert_eq!(node_to_string(&node), text);
    }

    #[test]
    fn line_breaks_between_quotes_stay() {
        for text in ["a: '\n\n\n'\n", "'x\n\n  y\n\n\n  z'\n"] {
            let node = parse_first(text, Dialect::Kyaml).unwrap().unwrap().node;
            assert_eq!(node_to_string(&node), text);
        }
    }

    #[test]
    fn indents_as_kyaml_does() {
        let node =
            parse_first("a:\n    - b:\n          - c\n", Dialect::Kyaml).unwrap().unwrap().node;
        assert_eq!(node_to_string(&node), "a:\n- b:\n  - c\n");
    }
}
