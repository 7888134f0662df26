//! Reads streams of documents into nodes.

mod anchors;
mod notes;

use serde_json::Value;

use crate::error::{Error, Mark};
use crate::node::{Mapping, Node, Scalar, Sequence, Style, Tag};
use crate::resolve::{Scalar as Meaning, resolve};
use crate::scan::{Scanner, Token, TokenKind};
use crate::{Dialect, json, text};
use anchors::Anchors;

/// How deep collections may nest.
const MAX_DEPTH: usize = 256;

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What the document says; null when it is empty.
    pub node: Node,
    /// The line that its content starts on, counted from 1.
    pub line: usize,
}

/// A comment of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The text behind the `#`.
    pub text: String,
    /// Where the `#` stands.
    pub mark: Mark,
}

/// A stream with what the other readers resolve or leave out.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The documents. Merge keys are keys with the tag [`Tag::Merge`].
    pub documents: Vec<Document>,
    /// The comments, in their order.
    pub comments: Vec<Comment>,
}

/// Reads every document of a stream, with the comments and with merge keys as they are written.
///
/// # Errors
///
/// As [`parse`] has them.
pub fn parse_source(text: &str, dialect: Dialect) -> Result<Source, Error> {
    let mut documents = Vec::new();
    let mut parser = Parser::new(text, dialect)?;
    parser.keeps_merges = true;
    parser.scanner.keep_comments();
    while let Some(document) = parser.document()? {
        documents.push(document);
    }
    let comments = parser.scanner.take_comments().into_iter();
    let comments = comments.map(|(mark, text)| Comment { text: text.to_owned(), mark });
    Ok(Source { documents, comments: comments.collect() })
}

/// Reads every document of a stream as a value.
///
/// # Errors
///
/// As [`parse`] and [`to_value`](crate::to_value) have them.
pub fn parse_values(text: &str, dialect: Dialect) -> Result<Vec<Value>, Error> {
    let documents = parse(text, dialect)?;
    documents.into_iter().map(|document| json::to_value(&document.node, dialect)).collect()
}

/// Reads a stream as sigs.k8s.io/yaml does; empty documents are left out.
///
/// A key that stands twice in a mapping is an error, as `kubectl` has it with strict validation.
///
/// # Errors
///
/// With the place of the first thing that cannot be read.
pub fn parse_documents(text: &str) -> Result<Vec<Value>, Error> {
    let documents = parse(text, Dialect::Sigs)?;
    let filled = documents.into_iter().filter(|document| !document.node.is_null());
    filled.map(|document| json::to_value(&document.node, Dialect::Sigs)).collect()
}

/// Reads every document of a stream, the empty ones too.
///
/// # Errors
///
/// With the place of the first thing that cannot be read: broken syntax, an alias without anchor,
/// nesting beyond 256, or aliases that blow the document up.
pub fn parse(text: &str, dialect: Dialect) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    let mut parser = Parser::new(text, dialect)?;
    while let Some(document) = parser.document()? {
        documents.push(document);
    }
    Ok(documents)
}

/// Reads the first document of a stream, and nothing behind it; `None` when there is none.
///
/// # Errors
///
/// As [`parse`] has them.
pub fn parse_first(text: &str, dialect: Dialect) -> Result<Option<Document>, Error> {
    Parser::new(text, dialect)?.document()
}

/// Makes nodes of tokens.
///
/// Source: `parserc.go`, go-yaml v3.0.4.
struct Parser<'a> {
    scanner: Scanner<'a>,
    dialect: Dialect,
    /// Handles and prefixes of tags, besides `!` and `!!`.
    tags: Vec<(String, String)>,
    anchors: Anchors,
    started: bool,
    /// Whether merge keys stay as they are.
    keeps_merges: bool,
}

/// What stands before the content of a node.
#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: Option<String>,
    mark: Option<Mark>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Result<Self, Error> {
        text::check(text)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self {
            scanner: Scanner::new(text),
            dialect,
            tags: Vec::new(),
            anchors: Anchors::default(),
            started: false,
            keeps_merges: false,
        })
    }

    fn document(&mut self) -> Result<Option<Document>, Error> {
        let implicit = !std::mem::replace(&mut self.started, true);
        if !implicit {
            while self.scanner.peek()?.kind == TokenKind::DocumentEnd {
                self.scanner.skip()?;
            }
        }
        self.anchors = Anchors::default();
        self.tags.clear();
        let kind = &self.scanner.peek()?.kind;
        let explicit = matches!(
            kind,
            TokenKind::VersionDirective { .. }
                | TokenKind::TagDirective { .. }
                | TokenKind::DocumentStart
        );
        if *kind == TokenKind::StreamEnd {
            return Ok(None);
        }
        if explicit || !implicit {
            self.directives()?;
            let token = self.scanner.next()?;
            if token.kind != TokenKind::DocumentStart {
                return Err(Error::at(token.mark, "did not find expected <document start> (---)"));
            }
        }
        let token = self.scanner.peek()?;
        let line = token.mark.line();
        let empty = matches!(
            token.kind,
            TokenKind::VersionDirective { .. }
                | TokenKind::TagDirective { .. }
                | TokenKind::DocumentStart
                | TokenKind::DocumentEnd
                | TokenKind::StreamEnd
        );
        let mut node = if empty && (explicit || !implicit) {
            missing(token.mark)
        } else {
            self.node(true, false, 0)?
        };
        if self.scanner.peek()?.kind == TokenKind::DocumentEnd {
            self.scanner.skip()?;
        }
        if self.dialect == Dialect::Kyaml {
            self.scanner.look_ahead()?;
        }
        notes::attach(&mut node, self.scanner.take_notes());
        Ok(Some(Document { node, line }))
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut versioned = false;
        loop {
            match &self.scanner.peek()?.kind {
                TokenKind::VersionDirective { major, minor } => {
                    let version = (*major, *minor);
                    let mark = self.scanner.skip()?;
                    if std::mem::replace(&mut versioned, true) {
                        return Err(Error::at(mark, "found duplicate %YAML directive"));
                    }
                    if version != (1, 1) {
                        return Err(Error::at(mark, "found incompatible YAML document"));
                    }
                }
                TokenKind::TagDirective { handle, prefix } => {
                    let tag = ((*handle).to_owned(), prefix.clone().into_owned());
                    let mark = self.scanner.skip()?;
                    if self.tags.iter().any(|(handle, _)| *handle == tag.0) {
                        return Err(Error::at(mark, "found duplicate %TAG directive"));
                    }
                    self.tags.push(tag);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Reads a node. Where an indentless sequence may stand, it is a value or key of a block mapping.
    fn node(&mut self, block: bool, indentless: bool, depth: usize) -> Result<Node, Error> {
        let token = self.scanner.peek()?;
        let mark = token.mark;
        if depth > MAX_DEPTH {
            return Err(Error::at(mark, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        if let TokenKind::Alias(name) = token.kind {
            self.scanner.skip()?;
            return self.anchors.resolve(name, MAX_DEPTH - depth, mark);
        }
        let properties = self.properties()?;
        let mark = properties.mark.unwrap_or(mark);
        let anchor = properties.anchor.map(|name| self.anchors.open(name));
        let tag = properties.tag;
        let tag = tag.as_deref();
        let nested = match self.scanner.peek()?.kind {
            TokenKind::BlockEntry if indentless => {
                Some(Self::indentless_sequence as Collection<'a>)
            }
            TokenKind::FlowSequenceStart => Some(Self::flow_sequence as Collection<'a>),
            TokenKind::FlowMappingStart => Some(Self::flow_mapping as Collection<'a>),
            TokenKind::BlockSequenceStart if block => Some(Self::block_sequence as Collection<'a>),
            TokenKind::BlockMappingStart if block => Some(Self::block_mapping as Collection<'a>),
            _ => None,
        };
        let node = if let Some(read) = nested {
            self.anchors.count(mark)?;
            let mut node = read(self, mark, depth + 1)?;
            match &mut node {
                Node::Sequence(sequence) => sequence.null = tag == Some(NULL),
                Node::Mapping(mapping) => mapping.null = tag == Some(NULL),
                Node::Scalar(_) => {}
            }
            node
        } else if let TokenKind::Scalar { .. } = self.scanner.peek()?.kind {
            let Token { kind: TokenKind::Scalar { value, style }, .. } = self.scanner.next()?
            else {
                return Err(Error::at(mark, "did not find expected node content"));
            };
            self.scalar(value.into_owned(), style, tag, mark)?.into()
        } else if anchor.is_some() || tag.is_some() {
            self.scalar(String::new(), Style::Plain, tag, mark)?.into()
        } else {
            let token = self.scanner.peek()?;
            return Err(Error::at(token.mark, unexpected(&token.kind)));
        };
        if let Some(anchor) = anchor {
            self.anchors.close(anchor, &node);
        }
        Ok(node)
    }

    fn properties(&mut self) -> Result<Properties, Error> {
        let mut properties = Properties::default();
        loop {
            let token = self.scanner.peek()?;
            let mark = token.mark;
            match &token.kind {
                TokenKind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some((*name).to_owned());
                }
                TokenKind::Tag { handle, suffix } if properties.tag.is_none() => {
                    properties.tag = Some(match *handle {
                        "" => suffix.clone().into_owned(),
                        handle => {
                            let prefix = self.tags.iter().find(|(own, _)| own == handle);
                            let prefix = match (prefix, handle) {
                                (Some((_, prefix)), _) => prefix,
                                (None, "!") => "!",
                                (None, "!!") => PREFIX,
                                _ => return Err(Error::at(mark, "found undefined tag handle")),
                            };
                            format!("{prefix}{suffix}")
                        }
                    });
                }
                _ => return Ok(properties),
            }
            self.scanner.skip()?;
            properties.mark.get_or_insert(mark);
        }
    }

    fn scalar(
        &mut self,
        value: String,
        style: Style,
        tag: Option<&str>,
        mark: Mark,
    ) -> Result<Scalar, Error> {
        self.anchors.count(mark)?;
        let (tag, tagged) = match tag {
            Some(tag) if tag != "!" || self.dialect == Dialect::Sigs => (short(tag), true),
            // To kyaml a tag of `!` alone says nothing.
            _ if style != Style::Plain => (Tag::Str, false),
            _ => (implicit(&value, self.dialect), false),
        };
        Ok(Scalar { value, tag, tagged, style, mark, identity: 0 })
    }

    fn block_sequence(&mut self, mark: Mark, depth: usize) -> Result<Node, Error> {
        self.scanner.skip()?;
        let mut items = Vec::new();
        loop {
            let token = self.scanner.next()?;
            match token.kind {
                TokenKind::BlockEntry => {
                    let next = self.scanner.peek()?;
                    let empty = matches!(next.kind, TokenKind::BlockEntry | TokenKind::BlockEnd);
                    items.push(if empty {
                        missing(token.mark)
                    } else {
                        self.node(true, false, depth)?
                    });
                }
                TokenKind::BlockEnd => {
                    return Ok(Sequence { items, mark, ..Sequence::default() }.into());
                }
                _ => {
                    return Err(Error::at(
                        token.mark,
                        format!(
                            "did not find expected '-' of the list that begins at line {}; check \
                             the indentation",
                            mark.line()
                        ),
                    ));
                }
            }
        }
    }

    fn indentless_sequence(&mut self, mark: Mark, depth: usize) -> Result<Node, Error> {
        let mut items = Vec::new();
        while self.scanner.peek()?.kind == TokenKind::BlockEntry {
            let entry = self.scanner.skip()?;
            let empty = matches!(
                self.scanner.peek()?.kind,
                TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
            );
            items.push(if empty { missing(entry) } else { self.node(true, false, depth)? });
        }
        Ok(Sequence { items, mark, ..Sequence::default() }.into())
    }

    fn block_mapping(&mut self, mark: Mark, depth: usize) -> Result<Node, Error> {
        self.scanner.skip()?;
        let mut mapping = Mapping { mark, ..Mapping::default() };
        let mut merged = Vec::new();
        loop {
            let token = self.scanner.peek()?;
            let at = token.mark;
            let key = match token.kind {
                TokenKind::Key => {
                    self.scanner.skip()?;
                    let empty = matches!(
                        self.scanner.peek()?.kind,
                        TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
                    );
                    if empty { missing(at) } else { self.node(true, true, depth)? }
                }
                TokenKind::BlockEnd => {
                    self.scanner.skip()?;
                    merge(&mut mapping, merged);
                    return Ok(mapping.into());
                }
                _ => {
                    return Err(Error::at(
                        at,
                        format!(
                            "did not find expected key of the mapping that begins at line {}; \
                             check the indentation",
                            mark.line()
                        ),
                    ));
                }
            };
            let key = key_of(key, at)?;
            let token = self.scanner.peek()?;
            let value_mark = token.mark;
            let value = if token.kind == TokenKind::Value {
                self.scanner.skip()?;
                let empty = matches!(
                    self.scanner.peek()?.kind,
                    TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
                );
                if empty { missing(value_mark) } else { self.node(true, true, depth)? }
            } else {
                missing(value_mark)
            };
            self.entry(&mut mapping, &mut merged, key, value)?;
        }
    }

    fn flow_sequence(&mut self, mark: Mark, depth: usize) -> Result<Node, Error> {
        self.scanner.skip()?;
        let mut items = Vec::new();
        loop {
            if self.flow_ends(&TokenKind::FlowSequenceEnd, items.is_empty(), mark)? {
                break;
            }
            if self.scanner.peek()?.kind == TokenKind::Key {
                items.push(self.flow_pair(depth + 1)?);
            } else {
                items.push(self.node(false, false, depth)?);
            }
        }
        Ok(Sequence { items, flow: true, mark, ..Sequence::default() }.into())
    }

    /// Reads what comes between the elements of a flow collection, and says whether it ends.
    fn flow_ends(&mut self, end: &TokenKind<'a>, first: bool, mark: Mark) -> Result<bool, Error> {
        let token = self.scanner.peek()?;
        if token.kind == *end {
            self.scanner.skip()?;
            return Ok(true);
        }
        if first {
            return Ok(false);
        }
        if token.kind != TokenKind::FlowEntry {
            let close = if *end == TokenKind::FlowMappingEnd { '}' } else { ']' };
            return Err(Error::at(
                token.mark,
                format!(
                    "did not find expected ',' or '{close}' of the collection that begins at line \
                     {}, column {}",
                    mark.line(),
                    mark.column()
                ),
            ));
        }
        self.scanner.skip()?;
        let closes = self.scanner.peek()?.kind == *end;
        if closes {
            self.scanner.skip()?;
        }
        Ok(closes)
    }

    /// Reads a mapping of one key that stands in a flow sequence without braces.
    fn flow_pair(&mut self, depth: usize) -> Result<Node, Error> {
        let mark = self.scanner.skip()?;
        let token = self.scanner.peek()?;
        let empty = matches!(
            token.kind,
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd
        );
        let key = if empty { missing(mark) } else { self.node(false, false, depth)? };
        let value = self.flow_value(&TokenKind::FlowSequenceEnd, depth)?;
        let mut mapping = Mapping { flow: true, mark, ..Mapping::default() };
        let mut merged = Vec::new();
        self.entry(&mut mapping, &mut merged, key_of(key, mark)?, value)?;
        merge(&mut mapping, merged);
        Ok(mapping.into())
    }

    /// Reads the value of a key in a flow collection.
    fn flow_value(&mut self, end: &TokenKind<'a>, depth: usize) -> Result<Node, Error> {
        let token = self.scanner.peek()?;
        let mark = token.mark;
        if token.kind != TokenKind::Value {
            return Ok(missing(mark));
        }
        self.scanner.skip()?;
        let token = self.scanner.peek()?;
        if token.kind == TokenKind::FlowEntry || token.kind == *end {
            return Ok(missing(mark));
        }
        self.node(false, false, depth)
    }

    fn flow_mapping(&mut self, mark: Mark, depth: usize) -> Result<Node, Error> {
        self.scanner.skip()?;
        let mut mapping = Mapping { flow: true, mark, ..Mapping::default() };
        let mut merged = Vec::new();
        let mut first = true;
        while !self.flow_ends(&TokenKind::FlowMappingEnd, first, mark)? {
            first = false;
            let token = self.scanner.peek()?;
            let at = token.mark;
            let (key, value) = if token.kind == TokenKind::Key {
                self.scanner.skip()?;
                let empty = matches!(
                    self.scanner.peek()?.kind,
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd
                );
                let key = if empty { missing(at) } else { self.node(false, false, depth)? };
                (key_of(key, at)?, self.flow_value(&TokenKind::FlowMappingEnd, depth)?)
            } else {
                let key = key_of(self.node(false, false, depth)?, at)?;
                (key, missing(at))
            };
            self.entry(&mut mapping, &mut merged, key, value)?;
        }
        merge(&mut mapping, merged);
        Ok(mapping.into())
    }

    /// Adds a key and its value to a mapping, or to what is merged into it.
    fn entry(
        &mut self,
        mapping: &mut Mapping,
        merged: &mut Vec<Mapping>,
        key: Scalar,
        value: Node,
    ) -> Result<(), Error> {
        if key.tag != Tag::Merge || self.keeps_merges {
            mapping.entries.push((key, value));
            return Ok(());
        }
        if !merged.is_empty() && self.dialect == Dialect::Kyaml {
            return Err(Error::at(key.mark, "duplicate merge key"));
        }
        let wrong = || Error::at(key.mark, "a merge (<<) needs a mapping or a list of mappings");
        match value {
            Node::Mapping(source) => merged.push(source),
            Node::Sequence(sources) => {
                for source in sources.items {
                    let Node::Mapping(source) = source else { return Err(wrong()) };
                    merged.push(source);
                }
            }
            Node::Scalar(_) => return Err(wrong()),
        }
        Ok(())
    }
}

type Collection<'a> = fn(&mut Parser<'a>, Mark, usize) -> Result<Node, Error>;

const PREFIX: &str = "tag:yaml.org,2002:";
const NULL: &str = "tag:yaml.org,2002:null";

/// A value that is not there.
fn missing(mark: Mark) -> Node {
    Scalar { tag: Tag::Null, mark, ..Scalar::default() }.into()
}

/// Returns the tag that a written one stands for.
fn short(tag: &str) -> Tag {
    match tag.strip_prefix(PREFIX) {
        Some("null") => Tag::Null,
        Some("bool") => Tag::Bool,
        Some("int") => Tag::Int,
        Some("float") => Tag::Float,
        Some("str") => Tag::Str,
        Some("timestamp") => Tag::Timestamp,
        Some("binary") => Tag::Binary,
        Some("merge") => Tag::Merge,
        Some("seq") => Tag::Seq,
        Some("map") => Tag::Map,
        _ => Tag::Other,
    }
}

/// Returns the tag of a plain scalar.
fn implicit(value: &str, dialect: Dialect) -> Tag {
    match resolve(value, dialect) {
        Meaning::Null => Tag::Null,
        Meaning::Bool(_) => Tag::Bool,
        Meaning::Int(_) | Meaning::Uint(_) => Tag::Int,
        Meaning::Float(_) => Tag::Float,
        Meaning::Timestamp => Tag::Timestamp,
        Meaning::Merge => Tag::Merge,
        Meaning::Text => Tag::Str,
    }
}

fn key_of(key: Node, mark: Mark) -> Result<Scalar, Error> {
    match key {
        Node::Scalar(key) => Ok(key),
        Node::Mapping(_) => Err(Error::at(
            mark,
            "a mapping cannot be a key; quote text that begins with {, e.g. \"{{ template }}\"",
        )),
        Node::Sequence(_) => {
            Err(Error::at(mark, "a list cannot be a key; quote text that begins with ["))
        }
    }
}

/// Adds the keys of other mappings below those of this one; the first source wins.
fn merge(mapping: &mut Mapping, sources: Vec<Mapping>) {
    if sources.is_empty() {
        return;
    }
    let mut known: std::collections::HashSet<String> =
        mapping.entries.iter().map(|(key, _)| key.value.clone()).collect();
    for source in sources {
        for (key, value) in source.entries {
            if known.insert(key.value.clone()) {
                mapping.entries.push((key, value));
            }
        }
    }
}

/// Says what is wrong with a token where a node is expected.
fn unexpected(kind: &TokenKind<'_>) -> &'static str {
    match kind {
        TokenKind::BlockEntry => "a list cannot begin here; put it on a line of its own",
        TokenKind::FlowSequenceEnd | TokenKind::FlowMappingEnd => {
            "found a bracket that was not opened"
        }
        TokenKind::StreamEnd => "the text ends where a value is expected",
        _ => "did not find expected node content",
    }
}

#[cfg(test)]
mod tests;
