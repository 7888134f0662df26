//! Applies a change to the fields that a path leads to.
//!
//! Source: `fieldspec.Filter`, kustomize api 0.21.1 `filters/fieldspec/fieldspec.go`.

use goyaml::{Node, Scalar, Sequence, Tag};

use crate::error::Problem;
use crate::kustomization::{FieldSpec, Name};
use crate::node::{Create, check_steps, lookup, lookup_create, split_path, wrong_kind};
use crate::resource::Resource;

/// A path that was split, and what to make where it leads nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    text: Name,
    steps: Vec<String>,
    /// What is made of a missing or null last field, and the tag it gets.
    create: Option<(Create, Tag)>,
}

/// What is done to a field.
pub(crate) type Change<'a> = &'a mut dyn FnMut(&mut Node) -> Result<(), Problem>;

impl Path {
    /// Returns the path of a field spec; what is missing is made if the spec says so.
    pub(crate) fn new(spec: &FieldSpec, create: Option<(Create, Tag)>) -> Self {
        Self {
            text: spec.path.clone(),
            steps: split_path(&spec.path, '/'),
            create: create.filter(|_| spec.create),
        }
    }

    /// Applies a change to every field of an object that the path leads to.
    pub(crate) fn change(&self, object: &mut Node, change: Change<'_>) -> Result<(), Problem> {
        check_steps(self.steps.len())
            .and_then(|()| self.walk(object, &self.steps, change))
            .map_err(|problem| problem.in_part(format!("field {}", self.text)))
    }

    fn walk(&self, node: &mut Node, steps: &[String], change: Change<'_>) -> Result<(), Problem> {
        let Some((step, rest)) = steps.split_first() else { return change(node) };
        match node {
            _ if node.is_null() => Ok(()),
            Node::Sequence(list) => {
                list.items.iter_mut().try_for_each(|item| self.walk(item, steps, change))
            }
            Node::Mapping(_) => self.walk_field(node, step, rest, change),
            Node::Scalar(_) => Err(wrong_kind(Create::Mapping, node)),
        }
    }

    fn walk_field(
        &self,
        node: &mut Node,
        step: &str,
        rest: &[String],
        change: Change<'_>,
    ) -> Result<(), Problem> {
        let name = step.strip_suffix("[]").unwrap_or(step);
        let is_list = name.len() < step.len();
        if name.is_empty() {
            return Err(Problem::rule("a path cannot have an empty field name"));
        }
        let made = match self.create {
            _ if is_list => None,
            Some((create, tag)) if rest.is_empty() => Some((create, tag)),
            Some(_) => Some((Create::Mapping, Tag::Map)),
            None => None,
        };
        let field = match made {
            Some((create, _)) => lookup_create(node, &[name], create)?,
            None => lookup(node, &[name])?,
        };
        let Some(field) = field else { return Ok(()) };
        if field.is_null() {
            // Null turns into what is to be there.
            match made {
                Some((Create::Scalar, tag)) => {
                    if let Node::Scalar(scalar) = field {
                        scalar.tag = tag;
                    }
                }
                Some((create, _)) => *field = create.node(),
                None if is_list => *field = Sequence::default().into(),
                None => {}
            }
        }
        self.walk(field, rest, change)
    }
}

/// The paths of field specs, each with the kinds it is for.
#[derive(Debug)]
pub(crate) struct Paths<'a> {
    paths: Vec<(&'a FieldSpec, Path)>,
}

impl<'a> Paths<'a> {
    pub(crate) fn new(specs: &'a [FieldSpec], create: Option<(Create, Tag)>) -> Self {
        Self { paths: specs.iter().map(|spec| (spec, Path::new(spec, create))).collect() }
    }

    /// Returns the paths that an object has, in the order of the specs.
    pub(crate) fn of<'b>(&'b self, object: &Resource) -> Vec<&'b Path> {
        let gvk = object.gvk();
        let paths = self.paths.iter().filter(|(spec, _)| gvk.is_selected(spec.gvk()));
        paths.map(|(_, path)| path).collect()
    }

    /// Returns the specs and their paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a FieldSpec, &Path)> {
        self.paths.iter().map(|(spec, path)| (*spec, path))
    }
}

/// Sets a scalar to a value in its own style.
pub(crate) fn set(value: Scalar) -> impl FnMut(&mut Node) -> Result<(), Problem> {
    move |node| crate::node::set_scalar(node, value.clone())
}
