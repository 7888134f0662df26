//! The value that a replacement copies.

use goyaml::{Node, Scalar};

use super::{NAME, no_delimiter};
use crate::error::Problem;
use crate::id::{Gvk, Id, or_default};
use crate::kustomization::Source;
use crate::node::{lookup, part, split_bracketed_path};
use crate::resource::Resource;
use crate::resources::Resources;

/// A value, and the field that it is.
#[derive(Debug)]
pub(super) struct Value {
    node: Node,
    /// The object and the path to the field. A part of a field does not change with it.
    field: Option<(usize, Vec<String>)>,
}

impl Value {
    /// Returns the value that a text is.
    pub(super) fn of_text(text: &str) -> Self {
        Self { node: Scalar::plain(text).into(), field: None }
    }

    /// Finds the value of a source.
    pub(super) fn of_field(source: &Source, all: &mut Resources) -> Result<Self, Problem> {
        let at = find(source, all)?;
        let path = if source.field_path.is_empty() { NAME } else { &source.field_path };
        let steps = split_bracketed_path(path, '.');
        let object = all.get(at).describe();
        let blame = |problem| Problem::Object { object: object.clone(), source: Box::new(problem) };
        let field = lookup(&mut all.bodies_mut()[at].node, &steps)
            .map_err(|problem| blame(problem.in_part(format!("field {path}"))))?;
        let field = field.filter(|field| !field.is_empty());
        let mut node = field
            .ok_or_else(|| blame(Problem::rule(format!("field {path} is missing or empty"))))?
            .clone();
        part(&mut node);
        let Some(options) = source.options.as_ref().filter(|options| !options.delimiter.is_empty())
        else {
            return Ok(Self { node, field: Some((at, steps)) });
        };
        let Node::Scalar(scalar) = &mut node else { return Err(blame(no_delimiter())) };
        let piece = usize::try_from(options.index)
            .ok()
            .and_then(|index| scalar.value.split(&options.delimiter).nth(index))
            .ok_or_else(|| {
                blame(Problem::rule(format!(
                    "options.index {} is out of bounds: split at {:?} the value has {} parts",
                    options.index,
                    options.delimiter,
                    scalar.value.split(&options.delimiter).count()
                )))
            })?;
        scalar.value = piece.to_owned();
        Ok(Self { node, field: None })
    }

    pub(super) fn get(&self) -> &Node {
        &self.node
    }

    /// Says whether a change of the object at a place may change the value.
    pub(super) fn follows(&self, place: usize) -> bool {
        self.field.as_ref().is_some_and(|(at, _)| *at == place)
    }

    /// Takes what the field is by now.
    pub(super) fn refresh(&mut self, object: &mut Node) {
        if let Some((_, steps)) = &self.field
            && let Ok(Some(field)) = lookup(object, steps)
        {
            self.node = field.clone();
            part(&mut self.node);
        }
    }
}

/// Finds the one object that a source asks for.
fn find(source: &Source, all: &Resources) -> Result<usize, Problem> {
    let mut found = (0..all.len()).filter(|&at| is_source(source, all.get(at)));
    let at = found
        .next()
        .ok_or_else(|| Problem::rule(format!("nothing selected by {}", shown(source))))?;
    match found.next() {
        None => Ok(at),
        Some(other) => Err(Problem::rule(format!(
            "multiple matches for selector {}: {}, {}; say more about the source",
            shown(source),
            all.get(at).describe(),
            all.get(other).describe()
        ))),
    }
}

/// Says whether the ids of an object are what a source asks for, as far as it says something.
fn is_source(source: &Source, item: &Resource) -> bool {
    let wanted = Gvk { group: &source.group, version: &source.version, kind: &source.kind };
    let matches = |id: Id<'_>| {
        id.gvk.is_selected(wanted)
            && (source.name.is_empty() || source.name == id.name)
            && (source.namespace.is_empty()
                || or_default(&source.namespace) == or_default(id.namespace))
    };
    item.all_ids().any(matches)
}

fn shown(source: &Source) -> String {
    let parts = [
        ("group", &source.group),
        ("version", &source.version),
        ("kind", &source.kind),
        ("name", &source.name),
        ("namespace", &source.namespace),
    ];
    let parts = parts.iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<_> = parts.map(|(name, value)| format!("{name} {value}")).collect();
    if parts.is_empty() { "an empty selector".to_owned() } else { parts.join(", ") }
}
