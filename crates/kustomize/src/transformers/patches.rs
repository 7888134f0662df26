//! `patches`: strategic merge or JSON 6902, with or without target.
//!
//! Source: `PatchTransformer`, kustomize api 0.21.1 `internal/builtins/PatchTransformer.go`.

use goyaml::{Mapping, Node};

use crate::accumulate::Scope;
use crate::decode::first_value;
use crate::error::Problem;
use crate::json6902::{self, Operation};
use crate::kustomization::{self, PatchOptions};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::selector::Matcher;
use crate::{merge, objects};

/// A patch and what it applies to.
#[derive(Debug)]
pub(crate) struct Patch {
    content: Content,
    target: Option<Matcher>,
    options: PatchOptions,
    /// How many bytes of text the patch has.
    size: usize,
}

#[derive(Debug)]
enum Content {
    StrategicMerge(Vec<Resource>),
    Json(Vec<Operation>),
}

impl Patch {
    pub(crate) fn new(
        scope: &mut Scope<'_>,
        entry: &kustomization::Patch,
    ) -> Result<Self, Problem> {
        let inline = entry.patch.trim();
        let (text, shown) = match (inline.is_empty(), entry.path.is_empty()) {
            (true, true) => return Err(Problem::rule("give one of path and patch")),
            (false, false) => return Err(Problem::rule("give path or patch, not both")),
            (false, true) => (inline.as_bytes().to_vec(), "the patch"),
            (true, false) => {
                let text =
                    scope.loader.read(&entry.path).map_err(|problem| problem.in_part("path"))?;
                (text, entry.path.as_str())
            }
        };
        let content = read(scope, &text, shown)?;
        if matches!(content, Content::Json(_)) && entry.target.is_none() {
            return Err(Problem::rule(format!(
                "{shown} is a JSON patch, so it needs a target that says which objects it is for"
            )));
        }
        if let Content::StrategicMerge(patches) = &content
            && patches.len() > 1
            && entry.target.is_some()
        {
            return Err(Problem::rule(format!(
                "{shown} holds {} patches; with a target there can be one. Make an entry of each, \
                 or leave the target out",
                patches.len()
            )));
        }
        let target = entry.target.as_ref().map(Matcher::new).transpose();
        let target = target.map_err(|problem| problem.in_part("target"))?;
        Ok(Self { content, target, options: entry.options, size: text.len() })
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        match (&self.content, &self.target) {
            (Content::Json(operations), Some(target)) => {
                let renames = json6902::may_change_ids(operations);
                let chosen: Vec<usize> =
                    (0..all.len()).filter(|&at| target.selects(all.get(at))).collect();
                for at in chosen {
                    scope.spend(self.size)?;
                    let item =
                        if renames { &mut all.items_mut()[at] } else { &mut all.bodies_mut()[at] };
                    item.remember_id();
                    apply_json(scope, item, operations)?;
                }
                Ok(())
            }
            (Content::Json(_), None) => Ok(()),
            (Content::StrategicMerge(patches), Some(target)) => {
                let Some(patch) = patches.first() else { return Ok(()) };
                let chosen: Vec<usize> =
                    (0..all.len()).filter(|&at| target.selects(all.get(at))).collect();
                scope.spend(self.size.saturating_mul(chosen.len()))?;
                apply_to_chosen(scope, all, &chosen, patch, self.options)
            }
            (Content::StrategicMerge(patches), None) => {
                for patch in patches {
                    let at = all.with_id(&patch.original_id()).map_err(|problem| {
                        problem.in_part(format!(
                            "no object to patch; the patch at {} is for {}",
                            patch.source,
                            patch.original_id()
                        ))
                    })?;
                    apply(scope, all, at, patch, self.options)?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a patch as whichever kind it is.
fn read(scope: &mut Scope<'_>, text: &[u8], shown: &str) -> Result<Content, Problem> {
    let merge = objects::read(text, shown, scope.schemas);
    let json = read_operations(text, shown);
    match (merge, json) {
        (Ok(patches), Ok(operations)) if !patches.is_empty() && !operations.is_empty() => {
            Err(Problem::rule(format!("{shown} qualifies as strategic merge and as JSON patch")))
        }
        (Ok(patches), _) => Ok(Content::StrategicMerge(patches)),
        (Err(_), Ok(operations)) => Ok(Content::Json(operations)),
        (Err(merge), Err(json)) => {
            // What is no list was meant to be an object.
            let trimmed = text.trim_ascii_start();
            let is_list = trimmed.starts_with(b"[") || trimmed.starts_with(b"-");
            Err(if is_list && !trimmed.starts_with(b"---") { json } else { merge })
        }
    }
}

/// Reads the operations of a JSON patch.
pub(super) fn read_operations(text: &[u8], shown: &str) -> Result<Vec<Operation>, Problem> {
    let yaml = |source| Problem::Yaml { path: shown.to_owned(), source };
    let text = goyaml::decode(text).map_err(yaml)?;
    let value = if text.starts_with('[') {
        serde_json::from_str(&text).map_err(|error| {
            Problem::rule(format!(
                "{shown} begins with [, so it has to be JSON, and is not: {error}"
            ))
        })?
    } else {
        first_value(&text).map_err(yaml)?
    };
    json6902::operations(value).map_err(|problem| problem.in_part(shown))
}

/// Applies a JSON patch to an object.
pub(super) fn apply_json(
    scope: &mut Scope<'_>,
    item: &mut Resource,
    operations: &[Operation],
) -> Result<(), Problem> {
    let internal = item.internal_annotations();
    let memory = item.memory.clone();
    item.put_out_memory();
    let mut value = item.to_value()?;
    json6902::apply(&mut value, operations, scope.loader.budget)
        .map_err(|problem| item.blame(problem))?;
    if !value.is_object() {
        return Err(item.blame(Problem::rule("the JSON patch leaves no object")));
    }
    item.node = goyaml::from_value(value);
    item.forget_shared();
    // What is remembered is not up to the patch.
    item.take_in_memory();
    item.memory = memory;
    let annotations: Vec<(String, String)> = item
        .map("annotations")
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .chain(internal)
        .collect();
    item.set_map("annotations", annotations.iter().map(|(key, value)| (&**key, &**value)));
    scope.refresh(item)
}

/// Merges a patch into the objects at the given places, each with a copy of it.
pub(super) fn apply_to_chosen(
    scope: &mut Scope<'_>,
    all: &mut Resources,
    chosen: &[usize],
    patch: &Resource,
    options: PatchOptions,
) -> Result<(), Problem> {
    if chosen.is_empty() {
        return Ok(());
    }
    for &at in chosen {
        let mut copy = patch.clone();
        // The copy goes through text, as labels and annotations of merged objects do.
        let own = patch.clone();
        crate::resources::merge_metadata(&mut copy, &own);
        let target = all.get(at);
        copy.set_api_version(target.api_version());
        copy.set_kind(patch.kind());
        apply(scope, all, at, &copy, options)?;
    }
    if all.iter().any(|item| item.node.is_empty()) {
        all.items_mut().retain(|item| !item.node.is_empty());
    }
    all.check_ids()
}

/// Merges a patch into the object at a place. If nothing is left of it the object becomes empty.
pub(super) fn apply(
    scope: &mut Scope<'_>,
    all: &mut Resources,
    at: usize,
    patch: &Resource,
    options: PatchOptions,
) -> Result<(), Problem> {
    scope.schemas.read()?;
    let renames = options.allow_name_change || options.allow_kind_change;
    let item = if renames || may_change_ids(patch) {
        &mut all.items_mut()[at]
    } else {
        &mut all.bodies_mut()[at]
    };
    let (name, namespace) = (item.name().to_owned(), item.namespace().to_owned());
    let kind = item.kind().to_owned();
    if renames {
        item.remember_id();
    }
    item.put_out_memory();
    let left = merge::strategic(&mut item.node, &patch.node, scope.schemas)
        .map_err(|problem| item.blame(problem.in_part(format!("the patch at {}", patch.source))))?;
    item.take_in_memory();
    item.settle();
    if !left || item.node.is_empty() {
        item.node = Node::null();
        let _ = all.items_mut();
        return Ok(());
    }
    if !options.allow_kind_change {
        item.set_kind(&kind);
    }
    if !options.allow_name_change {
        item.set_name(&name);
    }
    item.set_namespace(&namespace);
    item.settle();
    scope.refresh(item)
}

/// Says whether a patch could change what an object is called or was called. Its own kind, version
/// and name are those of the object.
fn may_change_ids(patch: &Resource) -> bool {
    let is_directed = |mapping: &Mapping| mapping.get("$patch").is_some();
    if patch.node.as_mapping().is_none_or(is_directed) {
        return true;
    }
    match patch.node.get("metadata") {
        None => false,
        Some(Node::Mapping(metadata)) if !is_directed(metadata) => {
            match metadata.get("annotations") {
                None => false,
                Some(Node::Mapping(annotations)) => annotations.entries.iter().any(|(key, _)| {
                    key.value == "$patch" || key.value.starts_with("internal.config.kubernetes.io/")
                }),
                Some(_) => true,
            }
        }
        Some(_) => true,
    }
}
