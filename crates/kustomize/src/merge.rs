//! Strategic merge of a patch into an object.
//!
//! Fields that a patch does not mention are gone through as well: a key without value disappears, and
//! merged lists are put together anew. Where a patch adds a mapping it is merged with itself, so that
//! the directives in it are carried out.
//!
//! Source: `merge2` and `walk`, kyaml 0.21.1.

mod list;

use std::borrow::Cow;

use goyaml::{Mapping, Node, Scalar};

use crate::error::Problem;
use crate::node::{Create, quote_ambiguous, replace, wrong_kind};
use crate::schema::{Known, Noted, Schemas};

/// Merges a patch into an object. Says whether anything is left of the object.
pub(crate) fn strategic(
    object: &mut Node,
    patch: &Node,
    schemas: &Schemas,
) -> Result<bool, Problem> {
    let merger = Merger { schemas };
    Ok(match merger.walk(Some(object), Some(patch), None)? {
        // A patch that replaces the whole object changes nothing: kustomize keeps the object.
        Outcome::Kept | Outcome::New(_) => true,
        Outcome::Gone => false,
    })
}

struct Merger<'a> {
    schemas: &'a Schemas,
}

/// What becomes of a field.
#[derive(Debug)]
enum Outcome {
    /// It stays, with what was changed in it.
    Kept,
    /// Something else takes its place.
    New(Node),
    /// It is removed.
    Gone,
}

impl Merger<'_> {
    /// Merges what a patch has for a field into what is there.
    fn walk(
        &self,
        own: Option<&mut Node>,
        patch: Option<&Node>,
        known: Option<Known<'_>>,
    ) -> Result<Outcome, Problem> {
        let own = match own {
            Some(own) if own.is_null() => {
                let Some(patch) = patch else {
                    // Null stays where it is written out.
                    return Ok(if own.text().is_empty() { Outcome::Gone } else { Outcome::Kept });
                };
                return self.added(patch, known);
            }
            None => {
                let Some(patch) = patch else { return Ok(Outcome::Gone) };
                return self.added(patch, known);
            }
            Some(own) => own,
        };
        if patch.is_some_and(Node::is_null) {
            return Ok(Outcome::Gone);
        }
        let noted = noted(own).or_else(|| noted(patch?));
        let known = match noted {
            Some(_) => None,
            None => known.or_else(|| self.kind(own)).or_else(|| self.kind(patch?)),
        };
        match (own, patch) {
            (Node::Mapping(own), None) => self.merge_fields(own, None, known),
            (Node::Mapping(own), Some(Node::Mapping(patch))) => {
                match Directive::of_mapping(patch)? {
                    Directive::Delete => Ok(Outcome::Gone),
                    Directive::Replace => self.with_itself(patch, known).map(Outcome::New),
                    Directive::Merge => self.merge_fields(own, Some(patch), known),
                }
            }
            (Node::Sequence(own), patch @ (None | Some(Node::Sequence(_)))) => {
                let Some(keys) = keys(noted.as_ref(), known) else {
                    return Ok(patch.cloned().map_or(Outcome::Kept, Outcome::New));
                };
                let patch = match patch {
                    Some(Node::Sequence(patch)) => Some(patch.items.as_slice()),
                    _ => None,
                };
                self.merge_list(&mut own.items, patch, keys, known.and_then(Known::elements))
            }
            (Node::Scalar(_), None) => Ok(Outcome::Kept),
            (Node::Scalar(_), Some(patch @ Node::Scalar(_))) => Ok(Outcome::New(patch.clone())),
            (own, Some(patch)) => Err(wrong_kind(Create::of(own), patch)),
        }
    }

    /// Returns what is known of a node that says what it is.
    fn kind(&self, node: &Node) -> Option<Known<'_>> {
        let mapping = node.as_mapping()?;
        let text = |field: &str| mapping.get(field).map(Node::text).filter(|text| !text.is_empty());
        self.schemas.kind(text("apiVersion")?, text("kind")?)
    }

    /// Merges a mapping of a patch, if there is one, into one that is there.
    fn merge_fields(
        &self,
        own: &mut Mapping,
        patch: Option<&Mapping>,
        known: Option<Known<'_>>,
    ) -> Result<Outcome, Problem> {
        let empty = Mapping::new();
        let patch = patch.unwrap_or(&empty);
        let mut merged = vec![false; patch.entries.len()];
        let entries = std::mem::take(&mut own.entries);
        own.entries.reserve(entries.len() + patch.entries.len());
        for (key, mut value) in entries {
            let at = patch.position(&key.value).filter(|_| !is_directive(&key.value));
            if let Some(at) = at {
                merged[at] = true;
            }
            let other = at.map(|at| &patch.entries[at].1);
            let known = known.and_then(|known| known.field(&key.value));
            let outcome = self
                .walk(Some(&mut value), other, known)
                .map_err(|problem| in_field(problem, &key.value))?;
            match outcome {
                Outcome::Kept => quote_ambiguous(&mut value),
                Outcome::New(new) => replace(&mut value, new),
                Outcome::Gone => continue,
            }
            own.entries.push((key, value));
        }
        for (at, (key, value)) in patch.entries.iter().enumerate() {
            let first = patch.position(&key.value) == Some(at);
            if merged[at] || !first || is_directive(&key.value) {
                continue;
            }
            let known = known.and_then(|known| known.field(&key.value));
            let outcome = self
                .walk(None, Some(value), known)
                .map_err(|problem| in_field(problem, &key.value))?;
            push(own, key, outcome);
        }
        Ok(Outcome::Kept)
    }

    /// Returns what is made of a field that only a patch has.
    fn added(&self, patch: &Node, known: Option<Known<'_>>) -> Result<Outcome, Problem> {
        let noted = noted(patch);
        let known = known.or_else(|| self.kind(patch)).filter(|_| noted.is_none());
        Ok(match patch {
            _ if patch.is_null() => Outcome::Gone,
            Node::Scalar(_) => Outcome::New(patch.clone()),
            Node::Mapping(mapping) => match Directive::of_mapping(mapping) {
                Ok(Directive::Delete) => Outcome::Gone,
                Ok(_) => Outcome::New(self.with_itself(mapping, known)?),
                // An unknown directive is kept as a field here.
                Err(_) => Outcome::New(self.fields_with_themselves(mapping, known, true)?),
            },
            Node::Sequence(sequence) => match keys(noted.as_ref(), known) {
                None => Outcome::New(patch.clone()),
                Some(keys) => {
                    let mut items = sequence.items.clone();
                    let elements = known.and_then(Known::elements);
                    self.list_with_itself(&mut items, keys, elements)?;
                    Outcome::New(goyaml::Sequence::new(items).into())
                }
            },
        })
    }

    /// Merges a mapping of a patch with itself.
    fn with_itself(&self, patch: &Mapping, known: Option<Known<'_>>) -> Result<Node, Problem> {
        self.fields_with_themselves(patch, known, false)
    }

    fn fields_with_themselves(
        &self,
        patch: &Mapping,
        known: Option<Known<'_>>,
        keep_directive: bool,
    ) -> Result<Node, Problem> {
        let mut own = Mapping {
            entries: Vec::with_capacity(patch.entries.len()),
            flow: patch.flow,
            null: patch.null,
            note: patch.note.clone(),
            mark: patch.mark,
        };
        for (key, value) in &patch.entries {
            if is_directive(&key.value) && !keep_directive {
                continue;
            }
            let known = known.and_then(|known| known.field(&key.value));
            let new = self
                .value_with_itself(value, known)
                .map_err(|problem| in_field(problem, &key.value))?;
            if let Some(mut new) = new {
                quote_ambiguous(&mut new);
                own.entries.push((key.clone(), new));
            }
        }
        Ok(own.into())
    }

    /// Merges a value of a patch with itself; `None` when nothing is left.
    fn value_with_itself(
        &self,
        value: &Node,
        known: Option<Known<'_>>,
    ) -> Result<Option<Node>, Problem> {
        let noted = noted(value);
        let known = known.or_else(|| self.kind(value)).filter(|_| noted.is_none());
        Ok(match value {
            _ if value.is_null() => None,
            Node::Scalar(_) => Some(value.clone()),
            Node::Mapping(mapping) => match Directive::of_mapping(mapping)? {
                Directive::Delete => None,
                _ => Some(self.with_itself(mapping, known)?),
            },
            Node::Sequence(sequence) => match keys(noted.as_ref(), known) {
                None => Some(value.clone()),
                Some(keys) => {
                    let (directive, mut items) = Directive::of_list(&sequence.items)?;
                    if directive == Directive::Delete {
                        return Ok(None);
                    }
                    self.list_with_itself(&mut items, keys, known.and_then(Known::elements))?;
                    Some(
                        goyaml::Sequence { flow: sequence.flow, ..goyaml::Sequence::new(items) }
                            .into(),
                    )
                }
            },
        })
    }
}

/// Adds a field that only a patch has.
fn push(own: &mut Mapping, key: &Scalar, outcome: Outcome) {
    if let Outcome::New(mut new) = outcome {
        quote_ambiguous(&mut new);
        let key = Scalar { style: key.style, ..Scalar::plain(key.value.clone()) };
        own.entries.push((key, new));
    }
}

/// Returns what a comment at a node says of it.
fn noted(node: &Node) -> Option<Noted> {
    let comment = match node {
        Node::Scalar(_) => None,
        Node::Sequence(list) => list.note.as_deref(),
        Node::Mapping(mapping) => mapping.note.as_deref(),
    };
    crate::schema::of_comment(comment?)
}

/// Returns the keys by which a list merges.
fn keys<'a>(noted: Option<&'a Noted>, known: Option<Known<'a>>) -> Option<&'a [Cow<'static, str>]> {
    match noted {
        Some(Noted::Merge(keys)) => Some(keys),
        Some(Noted::Replace) => None,
        None => known.and_then(Known::merge_keys),
    }
}

/// The field that says what to do with a mapping or a list.
const DIRECTIVE: &str = "$patch";

fn is_directive(key: &str) -> bool {
    key == DIRECTIVE
}

/// What a patch asks to be done with a mapping or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

impl Directive {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "merge" => Ok(Self::Merge),
            "replace" => Ok(Self::Replace),
            "delete" => Ok(Self::Delete),
            other => Err(Problem::rule(format!(
                "unknown patch strategy '{other}'; use delete, replace or merge"
            ))),
        }
    }

    fn of_mapping(patch: &Mapping) -> Result<Self, Problem> {
        patch.get(DIRECTIVE).map_or(Ok(Self::Merge), |directive| Self::parse(directive.text()))
    }

    /// Finds the element that is nothing but a directive, and returns the others.
    fn of_list(patch: &[Node]) -> Result<(Self, Vec<Node>), Problem> {
        let first = patch.iter().find(|item| item.get(DIRECTIVE).is_some());
        let alone = first.and_then(Node::as_mapping).filter(|item| item.entries.len() == 1);
        let Some(directive) = alone.and_then(|item| item.get(DIRECTIVE)) else {
            return Ok((Self::Merge, patch.to_vec()));
        };
        let text = directive.text();
        let rest = patch.iter().filter(|item| {
            let same = item.get(DIRECTIVE).is_some_and(|own| own.text() == text);
            let nothing = item.is_null() || item.as_mapping().is_some_and(Mapping::is_empty);
            !same && !nothing
        });
        Ok((Self::parse(text)?, rest.cloned().collect()))
    }
}

/// Says in which field a problem is; nested fields make a path.
fn in_field(problem: Problem, name: &str) -> Problem {
    match problem {
        Problem::Part { part, source } if part.starts_with("field ") => {
            let part = format!("field {name}.{}", part.trim_start_matches("field "));
            Problem::Part { part, source }
        }
        problem => problem.in_part(format!("field {name}")),
    }
}
