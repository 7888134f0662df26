//! `replacements`: values of fields copied to other fields.
//!
//! Source: `replacement.Filter`, kustomize api 0.21.1 `filters/replacement/replacement.go`.

mod source;
mod target;

use goyaml::Node;

use crate::accumulate::Scope;
use crate::decode::{Decode, Mode, first_node};
use crate::error::Problem;
use crate::kustomization::{Replacement as FileEntry, ReplacementEntry, Source, to_yaml_error};
use crate::resources::Resources;
use source::Value;
use target::Target;

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
        let mut value = match &self.from {
            From::Text(text) => Value::of_text(text),
            From::Field(source) => {
                Value::of_field(source, all).map_err(|problem| problem.in_part("source"))?
            }
        };
        for (at, target) in self.targets.iter().enumerate() {
            for (place, item) in all.items_mut().iter_mut().enumerate() {
                if !target.is_for(item) {
                    continue;
                }
                let copied = if value.follows(place) {
                    target.copy_within(scope, &mut value, item)
                } else {
                    target.copy(scope, value.get(), item)
                };
                copied.map_err(|problem| item.blame(problem).in_part(format!("targets[{at}]")))?;
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

fn no_delimiter() -> Problem {
    Problem::rule("the delimiter option can only be used where a field has a single value")
}
