//! The fields that a replacement copies a value to.

use goyaml::{Dialect, Node};

use super::source::Value;
use super::{NAME, no_delimiter};
use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::{FieldOptions, Selector};
use crate::node::Create;
use crate::resource::Resource;
use crate::selector::Matcher;
use crate::{go_json, path_matcher};

/// Fields of some objects.
#[derive(Debug)]
pub(super) struct Target {
    select: Matcher,
    reject: Vec<Reject>,
    paths: Vec<path_matcher::Matcher>,
    options: FieldOptions,
}

/// What a target does not apply to: what has the id, and what has the labels and annotations.
#[derive(Debug)]
struct Reject {
    matcher: Matcher,
    by_id: bool,
    by_metadata: bool,
}

impl Target {
    pub(super) fn new(target: &crate::kustomization::Target) -> Result<Self, Problem> {
        let select = target.select.as_ref();
        let select =
            select.ok_or_else(|| Problem::rule("give select, which says what it is for"))?;
        let default = [NAME.to_owned()];
        let paths = if target.field_paths.is_empty() { &default[..] } else { &target.field_paths };
        Ok(Self {
            select: Matcher::new(select).map_err(|problem| problem.in_part("select"))?,
            reject: target.reject.iter().map(Reject::new).collect::<Result<_, _>>()?,
            paths: paths
                .iter()
                .map(|path| path_matcher::Matcher::new(path))
                .collect::<Result<_, _>>()
                .map_err(|problem| problem.in_part("fieldPaths"))?,
            options: target.options.clone().unwrap_or_default(),
        })
    }

    pub(super) fn is_for(&self, item: &Resource) -> bool {
        self.select.selects_metadata(item)
            && !self.reject.iter().any(|reject| reject.rejects(item))
            && item.all_ids().any(|id| self.select.selects_id(&id))
    }

    pub(super) fn copy(
        &self,
        scope: &mut Scope<'_>,
        value: &Node,
        item: &mut Resource,
    ) -> Result<(), Problem> {
        let create = self.create(value);
        for path in &self.paths {
            if copy_inside(scope, value, &mut item.node, path, create)? {
                continue;
            }
            let mut set = |field: &mut Node| {
                scope.loader.budget.spend_on(field)?;
                scope.loader.budget.spend_on(value)?;
                self.set(field, value)
            };
            visit(path, item, create, &mut set)?;
        }
        Ok(())
    }

    /// Copies a value to fields of the object that it is in. The value changes with them.
    pub(super) fn copy_within(
        &self,
        scope: &mut Scope<'_>,
        value: &mut Value,
        item: &mut Resource,
    ) -> Result<(), Problem> {
        let create = self.create(value.get());
        for path in &self.paths {
            if copy_inside(scope, value.get(), &mut item.node, path, create)? {
                value.refresh(&mut item.node);
                continue;
            }
            // All fields are there before the first of them is set.
            for nth in 0..visit(path, item, create, &mut |_| Ok(()))? {
                value.refresh(&mut item.node);
                let mut at = 0;
                let mut set = |field: &mut Node| {
                    at += 1;
                    if at != nth + 1 {
                        return Ok(());
                    }
                    scope.loader.budget.spend_on(field)?;
                    scope.loader.budget.spend_on(value.get())?;
                    self.set(field, value.get())
                };
                visit(path, item, create, &mut set)?;
            }
            value.refresh(&mut item.node);
        }
        Ok(())
    }

    /// Returns what is made of a missing field.
    fn create(&self, value: &Node) -> Option<Create> {
        Some(Create::of(value)).filter(|_| self.options.create)
    }

    /// Sets a field to a value, or a part of the field.
    fn set(&self, field: &mut Node, value: &Node) -> Result<(), Problem> {
        let FieldOptions { delimiter, index, .. } = &self.options;
        if delimiter.is_empty() {
            set(field, value);
            return Ok(());
        }
        let Node::Scalar(scalar) = field else { return Err(no_delimiter()) };
        // Null has no text.
        let text = if value.is_null() { "" } else { value.text() };
        let mut pieces: Vec<&str> = scalar.value.split(delimiter).collect();
        match usize::try_from(*index) {
            Err(_) => pieces.insert(0, text),
            Ok(index) => match pieces.get_mut(index) {
                Some(piece) => *piece = text,
                None => pieces.push(text),
            },
        }
        scalar.value = pieces.join(delimiter);
        Ok(())
    }
}

/// Visits the fields that a path leads to, of which there has to be one.
fn visit(
    path: &path_matcher::Matcher,
    item: &mut Resource,
    create: Option<Create>,
    visit: path_matcher::Visit<'_>,
) -> Result<usize, Problem> {
    let in_path = |problem: Problem| problem.in_part(format!("field {}", path.text));
    let found = path.visit(&mut item.node, create, visit).map_err(in_path)?;
    if found == 0 {
        let hint = if create.is_some() { "" } else { "; to make it, set options.create" };
        return Err(Problem::rule(format!("unable to find field {:?}{hint}", path.text)));
    }
    Ok(found)
}

/// Gives a scalar the text of a value, so that it keeps its type; anything else becomes the value.
fn set(field: &mut Node, value: &Node) {
    match field {
        Node::Scalar(scalar) => value.text().clone_into(&mut scalar.value),
        other => *other = value.clone(),
    }
}

/// Copies a value into the YAML or JSON text that a path leads through. Says whether it does.
fn copy_inside(
    scope: &mut Scope<'_>,
    value: &Node,
    object: &mut Node,
    path: &path_matcher::Matcher,
    create: Option<Create>,
) -> Result<bool, Problem> {
    let mut visit = |field: &mut Node| {
        set(field, value);
        Ok(())
    };
    let Some((scalar, inside)) = path.visit_inside(object, create, &mut visit) else {
        return Ok(false);
    };
    scope.loader.budget.spend_on(&inside)?;
    let text = if scalar.value.trim_start().starts_with(['{', '[']) {
        let Ok(value) = goyaml::to_value(&inside, Dialect::Kyaml) else { return Ok(false) };
        let lines = scalar.value.contains('\n') && scalar.value.contains("  ");
        if lines { go_json::indented(&value) } else { go_json::compact(&value) }
    } else {
        goyaml::node_to_string(&inside).trim().to_owned()
    };
    scalar.value = text;
    Ok(true)
}

impl Reject {
    fn new(selector: &Selector) -> Result<Self, Problem> {
        let by_metadata =
            !selector.label_selector.is_empty() || !selector.annotation_selector.is_empty();
        let Selector { group, version, kind, name, namespace, .. } = selector;
        let by_id = [group, version, kind, name, namespace].iter().any(|part| !part.is_empty());
        let matcher = Matcher::new(selector).map_err(|problem| problem.in_part("reject"))?;
        Ok(Self { matcher, by_id, by_metadata })
    }

    fn rejects(&self, item: &Resource) -> bool {
        (self.by_metadata && self.matcher.selects_metadata(item))
            || (self.by_id && item.all_ids().any(|id| self.matcher.selects_id(&id)))
    }
}
