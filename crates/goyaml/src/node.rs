//! Documents as trees that keep how their scalars were written.

use crate::Dialect;
use crate::emit::Analysis;
use crate::error::Mark;
use crate::resolve::is_ambiguous;

/// A node of a document. Aliases and merge keys are resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Text, a number, a truth value, null.
    Scalar(Scalar),
    /// A list.
    Sequence(Sequence),
    /// A map with scalar keys.
    Mapping(Mapping),
}

/// What a node says it is, or was found to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tag {
    /// Undecided: the text tells when the node is read.
    #[default]
    Unset,
    /// `!!null`
    Null,
    /// `!!bool`
    Bool,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!str`
    Str,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// `!!merge`
    Merge,
    /// `!!seq`
    Seq,
    /// `!!map`
    Map,
    /// Any other tag; its node is read as text.
    Other,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    #[default]
    Plain,
    /// `'text'`
    SingleQuoted,
    /// `"text"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A scalar as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scalar {
    /// The text, without quotes.
    pub value: String,
    /// Its type.
    pub tag: Tag,
    /// Whether the tag was written out, so that it is kept.
    pub tagged: bool,
    /// How it was quoted.
    pub style: Style,
    /// Which scalar this is, where one stands at several places as aliases do in a text: those of
    /// the same number, other than 0, are one. Whoever changes one keeps them equal.
    pub identity: u32,
    /// Where it stood in the text that it came from.
    pub mark: Mark,
}

/// A list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    /// The elements.
    pub items: Vec<Node>,
    /// Whether it was written in brackets.
    pub flow: bool,
    /// Whether it is tagged `!!null`, which makes it count as missing.
    pub null: bool,
    /// The comment on the line of its key, if it begins with a brace: a schema may stand there.
    pub note: Option<Box<str>>,
    /// Where it stood in the text that it came from.
    pub mark: Mark,
}

/// A map whose keys keep their order. A key can stand twice: the first is found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping {
    /// Keys and values.
    pub entries: Vec<(Scalar, Node)>,
    /// Whether it was written in braces.
    pub flow: bool,
    /// Whether it is tagged `!!null`, which makes it count as missing.
    pub null: bool,
    /// The comment on the line of its key, if it begins with a brace: a schema may stand there.
    pub note: Option<Box<str>>,
    /// Where it stood in the text that it came from.
    pub mark: Mark,
}

impl Scalar {
    /// Returns a scalar whose text decides its type.
    pub fn plain(value: impl Into<String>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    /// Returns a scalar that is text, whatever it looks like.
    pub fn string(value: impl Into<String>) -> Self {
        let value = value.into();
        let style = if value.contains('\n') { Style::Literal } else { Style::Plain };
        Self { value, tag: Tag::Str, style, ..Self::default() }
    }

    /// Returns text as it is read back after it was written, with quotes where it needs them.
    ///
    /// Source: `encoder.stringv`, go-yaml v3.0.4.
    pub fn written(value: impl Into<String>) -> Self {
        let value = value.into();
        let analysis = Analysis::of(&value);
        let style = if value.contains('\n') {
            if analysis.block_allowed_with_tabs { Style::Literal } else { Style::DoubleQuoted }
        } else if is_ambiguous(&value, Dialect::Kyaml) {
            Style::DoubleQuoted
        } else if analysis.plain_allowed {
            Style::Plain
        } else if analysis.single_quoted_allowed {
            Style::SingleQuoted
        } else {
            Style::DoubleQuoted
        };
        Self { value, tag: Tag::Str, style, ..Self::default() }
    }

    /// Returns a scalar of a type.
    pub fn tagged(value: impl Into<String>, tag: Tag) -> Self {
        Self { value: value.into(), tag, ..Self::default() }
    }

    /// Says whether this is text, or undecided.
    pub fn is_string(&self) -> bool {
        matches!(self.tag, Tag::Str | Tag::Unset)
    }
}

impl Sequence {
    /// Returns a list of nodes.
    pub fn new(items: Vec<Node>) -> Self {
        Self { items, ..Self::default() }
    }
}

impl Mapping {
    /// Returns a map without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(own, _)| own.value == key).map(|(_, value)| value)
    }

    /// Lends the value of a key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(own, _)| own.value == key).map(|(_, value)| value)
    }

    /// Returns where a key stands.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|(own, _)| own.value == key)
    }

    /// Adds a key behind the others, without looking whether it is there.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Node>) {
        self.entries.push((Scalar::plain(key), value.into()));
    }

    /// Removes a key, and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.position(key).map(|at| self.entries.remove(at).1)
    }

    /// Says whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Node {
    /// Returns null as it is written for a missing value.
    pub fn null() -> Self {
        Scalar::tagged("null", Tag::Null).into()
    }

    /// Says whether this counts as missing: null, or tagged so.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.tag == Tag::Null,
            Self::Sequence(sequence) => sequence.null,
            Self::Mapping(mapping) => mapping.null,
        }
    }

    /// Says whether this is null, or a collection with nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.tag == Tag::Null,
            Self::Sequence(sequence) => sequence.null || sequence.items.is_empty(),
            Self::Mapping(mapping) => mapping.null || mapping.entries.is_empty(),
        }
    }

    /// Returns the map, if this is one.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        if let Self::Mapping(mapping) = self { Some(mapping) } else { None }
    }

    /// Lends the map, if this is one.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        if let Self::Mapping(mapping) = self { Some(mapping) } else { None }
    }

    /// Returns the elements, if this is a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        if let Self::Sequence(sequence) = self { Some(&sequence.items) } else { None }
    }

    /// Returns the scalar, if this is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        if let Self::Scalar(scalar) = self { Some(scalar) } else { None }
    }

    /// Returns the text of a scalar, of whatever type; collections have none.
    pub fn text(&self) -> &str {
        if let Self::Scalar(scalar) = self { &scalar.value } else { "" }
    }

    /// Returns the value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.get(key)
    }

    /// Lends the value of a key, if this is a map that has it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_mapping_mut()?.get_mut(key)
    }

    /// Returns where the node stood in the text that it came from.
    pub fn mark(&self) -> Mark {
        match self {
            Self::Scalar(scalar) => scalar.mark,
            Self::Sequence(sequence) => sequence.mark,
            Self::Mapping(mapping) => mapping.mark,
        }
    }
}

impl From<Scalar> for Node {
    fn from(scalar: Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

impl From<Sequence> for Node {
    fn from(sequence: Sequence) -> Self {
        Self::Sequence(sequence)
    }
}

impl From<Mapping> for Node {
    fn from(mapping: Mapping) -> Self {
        Self::Mapping(mapping)
    }
}
