//! `replacements`: values of fields copied to other fields.
//!
//! Source: `replacement.Filter`, kustomize api 0.21.1 `filters/replacement/replacement.go`.

use goyaml::{Dialect, Node, Scalar};

use crate::accumulate::Scope;
use crate::decode::{Decode, Mode, first_node};
use crate::error::Problem;
use crate::go_json;
use crate::id::{Gvk, Id, or_default};
use crate::kustomization::{
    FieldOptions, Replacement as FileEntry, ReplacementEntry, Selector, Source, to_yaml_error,
};
use crate::node::{Create, lookup, part, split_bracketed_path};
use crate::path_matcher;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::selector::Matcher;

/// Values and where they go, carried out one after the other.
#[derive(Debug)]
pub(crate) struct Replacements {
    replacements: Vec<Replacement>,
}

#[derive(Debug)]
struct Replacement {
    /// Which one it is, for people.
    shown: String,
    from: From,
    targets: Vec<Target>,
}

#[derive(Debug)]
enum From {
    Text(String),
    Field(Source),
}

#[derive(Debug)]
struct Target {
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

/// The field that is meant where none is given.
const NAME: &str = "metadata.name";

impl Replacements {
    pub(crate) fn new(
        scope: &mut Scope<'_>,
        entries: &[ReplacementEntry],
    ) -> Result<Self, Problem> {
        let mut replacements = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let shown = format!("replacements[{at}]");
            if entry.path.is_empty() {
                replacements.push(Replacement::new(shown, entry)?);
                continue;
            }
            if entry.source.is_some() || entry.targets.as_ref().is_some_and(|all| !all.is_empty()) {
                let problem = Problem::rule("give a path or a source with targets, not both");
                return Err(problem.in_part(shown));
            }
            let read = read(scope, &entry.path).map_err(|problem| problem.in_part(shown))?;
            for (at, inner) in read.iter().enumerate() {
                let shown = format!("replacement {at} of {}", entry.path);
                replacements.push(Replacement::new(shown, inner)?);
            }
        }
        Ok(Self { replacements })
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        for replacement in &self.replacements {
            replacement.run(scope, all).map_err(|problem| problem.in_part(&*replacement.shown))?;
        }
        Ok(())
    }
}

/// Reads the file of an entry: a replacement, or a list of them.
fn read(scope: &mut Scope<'_>, path: &str) -> Result<Vec<ReplacementEntry>, Problem> {
    let text = scope.loader.read_text(path)?;
    let yaml = |source| Problem::Yaml { path: path.to_owned(), source };
    let decoded: Result<Vec<FileEntry>, _> = match first_node(&text).map_err(yaml)? {
        Some(node @ Node::Sequence(_)) => Decode::decode(&node, Mode::FILE),
        Some(node @ Node::Mapping(_)) => Decode::decode(&node, Mode::FILE).map(|one| vec![one]),
        _ => {
            return Err(Problem::rule(format!(
                "{path} holds no replacement; expected a mapping with source and targets, or a list"
            )));
        }
    };
    let decoded = decoded.map_err(|error| yaml(to_yaml_error(error)))?;
    Ok(decoded.into_iter().map(ReplacementEntry::from).collect())
}

impl Replacement {
    fn new(shown: String, entry: &ReplacementEntry) -> Result<Self, Problem> {
        match Self::parts(entry) {
            Ok((from, targets)) => Ok(Self { shown, from, targets }),
            Err(problem) => Err(problem.in_part(shown)),
        }
    }

    fn parts(entry: &ReplacementEntry) -> Result<(From, Vec<Target>), Problem> {
        let from = match (&entry.source_value, &entry.source) {
            (Some(_), Some(_)) => {
                return Err(Problem::rule("give source or sourceValue, not both"));
            }
            (Some(text), None) => From::Text(text.clone()),
            (None, Some(source)) => From::Field(source.clone()),
            (None, None) => return Err(incomplete()),
        };
        let targets = entry.targets.as_ref().filter(|targets| !targets.is_empty());
        let targets = targets.ok_or_else(incomplete)?.iter().enumerate();
        let target = |(at, target)| {
            Target::new(target).map_err(|problem| problem.in_part(format!("targets[{at}]")))
        };
        Ok((from, targets.map(target).collect::<Result<_, _>>()?))
    }

    fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        let value = match &self.from {
            From::Text(text) => Scalar::plain(text).into(),
            From::Field(source) => {
                value(source, all).map_err(|problem| problem.in_part("source"))?
            }
        };
        for (at, target) in self.targets.iter().enumerate() {
            for item in all.items_mut().iter_mut().filter(|item| target.is_for(item)) {
                let copied =
                    target.copy(scope, &value, item).map_err(|problem| item.blame(problem));
                copied.map_err(|problem| problem.in_part(format!("targets[{at}]")))?;
                item.settle();
                scope.refresh(item)?;
            }
        }
        Ok(())
    }
}

fn incomplete() -> Problem {
    Problem::rule("give a source (or sourceValue) and at least one target")
}

/// Returns the value of the source field.
fn value(source: &Source, all: &mut Resources) -> Result<Node, Problem> {
    let mut found = (0..all.len()).filter(|&at| is_source(source, all.get(at)));
    let at = found
        .next()
        .ok_or_else(|| Problem::rule(format!("nothing selected by {}", shown(source))))?;
    if let Some(other) = found.next() {
        return Err(Problem::rule(format!(
            "multiple matches for selector {}: {}, {}; say more about the source",
            shown(source),
            all.get(at).describe(),
            all.get(other).describe()
        )));
    }
    let path = if source.field_path.is_empty() { NAME } else { &source.field_path };
    let steps = split_bracketed_path(path, '.');
    let object = all.get(at).describe();
    let blame = |problem| Problem::Object { object: object.clone(), source: Box::new(problem) };
    let field = lookup(&mut all.bodies_mut()[at].node, &steps)
        .map_err(|problem| blame(problem.in_part(format!("field {path}"))))?;
    let field = field.filter(|field| !field.is_empty());
    let mut value = field
        .ok_or_else(|| blame(Problem::rule(format!("field {path} is missing or empty"))))?
        .clone();
    part(&mut value);
    let Some(options) = source.options.as_ref().filter(|options| !options.delimiter.is_empty())
    else {
        return Ok(value);
    };
    let Node::Scalar(scalar) = &mut value else { return Err(blame(no_delimiter())) };
    let piece = usize::try_from(options.index)
        .ok()
        .and_then(|index| scalar.value.split(&options.delimiter).nth(index))
        .ok_or_else(|| {
            blame(Problem::rule(format!(
                "options.index {} is out of bounds for value {:?} split at {:?}",
                options.index, scalar.value, options.delimiter
            )))
        })?;
    scalar.value = piece.to_owned();
    Ok(value)
}

fn no_delimiter() -> Problem {
    Problem::rule("the delimiter option can only be used where a field has a single value")
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

impl Target {
    fn new(target: &crate::kustomization::Target) -> Result<Self, Problem> {
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

    fn is_for(&self, item: &Resource) -> bool {
        self.select.selects_metadata(item)
            && !self.reject.iter().any(|reject| reject.rejects(item))
            && item.all_ids().any(|id| self.select.selects_id(&id))
    }

    fn copy(
        &self,
        scope: &mut Scope<'_>,
        value: &Node,
        item: &mut Resource,
    ) -> Result<(), Problem> {
        let create = Some(Create::of(value)).filter(|_| self.options.create);
        for path in &self.paths {
            if copy_inside(scope, value, &mut item.node, path, create)? {
                continue;
            }
            let mut set = |field: &mut Node| {
                scope.loader.budget.spend_on(field)?;
                scope.loader.budget.spend_on(value)?;
                self.set(field, value)
            };
            let in_path = |problem: Problem| problem.in_part(format!("field {}", path.text));
            if path.visit(&mut item.node, create, &mut set).map_err(in_path)? == 0 {
                let hint = if create.is_some() { "" } else { "; to make it, set options.create" };
                return Err(Problem::rule(format!("unable to find field {:?}{hint}", path.text)));
            }
        }
        Ok(())
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
