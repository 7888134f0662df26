//! The transformers of a kustomization, in the order in which they run.
//!
//! Source: `configureBuiltinTransformers`, kustomize api 0.21.1
//! `internal/target/kusttarget_configplugin.go`.

pub(crate) mod annotations;
pub(crate) mod images;
pub(crate) mod labels;
pub(crate) mod name_affix;
pub(crate) mod namespace;
pub(crate) mod patches;
pub(crate) mod patches_json6902;
pub(crate) mod patches_strategic_merge;
pub(crate) mod replacements;
pub(crate) mod replicas;
pub(crate) mod value_add;

use goyaml::{Node, Scalar, Tag};

use crate::accumulate::Scope;
use crate::config::Config;
use crate::error::Problem;
use crate::kustomization::Kustomization;
use crate::node::{Create, set_field};
use crate::origin::Origin;
use crate::resource::Resource;
use crate::resources::Resources;

/// Something that changes objects.
#[derive(Debug)]
pub(crate) enum Transformer {
    PatchStrategicMerge(patches_strategic_merge::Patches),
    Patch(patches::Patch),
    Namespace(namespace::Namespace),
    Prefix(name_affix::Affix),
    Suffix(name_affix::Affix),
    Labels(labels::Labels),
    Annotations(annotations::Annotations),
    PatchJson6902(patches_json6902::JsonPatch),
    Replicas(replicas::Replicas),
    Images(images::Images),
    Replacements(replacements::Replacements),
    ValueAdd(value_add::ValueAdd),
    /// Adds the hashes to names before all else is done.
    Hash,
    /// Several in a row.
    Both(Box<Transformer>, Box<Transformer>),
}

impl Transformer {
    /// Returns the name of the builtin plugin.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PatchStrategicMerge(_) => "PatchStrategicMergeTransformer",
            Self::Patch(_) => "PatchTransformer",
            Self::Namespace(_) => "NamespaceTransformer",
            Self::Prefix(_) => "PrefixTransformer",
            Self::Suffix(_) => "SuffixTransformer",
            Self::Labels(_) => "LabelTransformer",
            Self::Annotations(_) => "AnnotationsTransformer",
            Self::PatchJson6902(_) => "PatchJson6902Transformer",
            Self::Replicas(_) => "ReplicaCountTransformer",
            Self::Images(_) => "ImageTagTransformer",
            Self::Replacements(_) => "ReplacementTransformer",
            Self::ValueAdd(_) => "ValueAddTransformer",
            Self::Hash => "HashTransformer",
            Self::Both(..) => "PrefixSuffixTransformer",
        }
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        match self {
            Self::PatchStrategicMerge(patches) => patches.run(scope, all),
            Self::Patch(patch) => patch.run(scope, all),
            Self::Namespace(namespace) => namespace.run(all),
            Self::Prefix(affix) => affix.run(scope, all, name_affix::Side::Prefix),
            Self::Suffix(affix) => affix.run(scope, all, name_affix::Side::Suffix),
            Self::Labels(labels) => labels.run(scope, all),
            Self::Annotations(annotations) => annotations.run(scope, all),
            Self::PatchJson6902(patch) => patch.run(scope, all),
            Self::Replicas(replicas) => replicas.run(all),
            Self::Images(images) => images.run(scope, all),
            Self::Replacements(replacements) => replacements.run(scope, all),
            Self::ValueAdd(value) => value.run(scope, all),
            Self::Hash => crate::hash::add_suffixes(all),
            Self::Both(first, second) => {
                first.run(scope, all)?;
                second.run(scope, all)
            }
        }
    }
}

/// A transformer, the field that asks for it, and what to write into the origin of what it changed.
pub(crate) struct Step {
    pub transformer: Transformer,
    pub field: String,
    pub origin: Option<Origin>,
}

/// Returns the transformers that the fields of a kustomization ask for.
pub(crate) fn of_fields(
    scope: &mut Scope<'_>,
    file: &Kustomization,
    config: &Config,
) -> Result<Vec<Step>, (String, Problem)> {
    let mut steps = Vec::new();
    let mut add = |field: String, made: Result<Transformer, Problem>| match made {
        Ok(transformer) => {
            steps.push((field, transformer));
            Ok(())
        }
        Err(problem) => Err((field, problem)),
    };
    if !file.patches_strategic_merge.is_empty() {
        let made = patches_strategic_merge::Patches::new(scope, &file.patches_strategic_merge, "");
        add("patchesStrategicMerge".into(), made.map(Transformer::PatchStrategicMerge))?;
    }
    for (at, patch) in file.patches.iter().enumerate() {
        let made = patches::Patch::new(scope, patch);
        add(format!("patches[{at}]"), made.map(Transformer::Patch))?;
    }
    if !file.namespace.is_empty() {
        let made = namespace::Namespace::new(&file.namespace, config.namespace.clone(), "", false);
        add("namespace".into(), made.map(Transformer::Namespace))?;
    }
    if !file.name_prefix.is_empty() {
        let made = name_affix::Affix::new(&file.name_prefix, config.name_prefix.clone());
        add("namePrefix".into(), Ok(Transformer::Prefix(made)))?;
    }
    if !file.name_suffix.is_empty() {
        let made = name_affix::Affix::new(&file.name_suffix, config.name_suffix.clone());
        add("nameSuffix".into(), Ok(Transformer::Suffix(made)))?;
    }
    for (at, label) in file.labels.iter().enumerate() {
        let made = labels::Labels::of_entry(label, config);
        add(format!("labels[{at}]"), made.map(Transformer::Labels))?;
    }
    // With any labels this one runs even if it has nothing to do, which the origin records.
    if !file.labels.is_empty() || !file.common_labels.is_empty() {
        let made = labels::Labels::new(file.common_labels.clone(), config.common_labels.clone());
        add("commonLabels".into(), Ok(Transformer::Labels(made)))?;
    }
    if !file.common_annotations.is_empty() {
        let made = annotations::Annotations::new(
            file.common_annotations.clone(),
            config.common_annotations.clone(),
        );
        add("commonAnnotations".into(), Ok(Transformer::Annotations(made)))?;
    }
    for (at, patch) in file.patches_json6902.iter().enumerate() {
        let made = patches_json6902::JsonPatch::new(
            scope,
            patch.target.as_ref(),
            &patch.path,
            &patch.patch,
        );
        add(format!("patchesJson6902[{at}]"), made.map(Transformer::PatchJson6902))?;
    }
    for (at, replica) in file.replicas.iter().enumerate() {
        let made = replicas::Replicas::new(replica.clone(), config.replicas.clone());
        add(format!("replicas[{at}]"), Ok(Transformer::Replicas(made)))?;
    }
    for (at, image) in file.images.iter().enumerate() {
        let made = images::Images::new(image.clone(), config.images.clone());
        add(format!("images[{at}]"), Ok(Transformer::Images(made)))?;
    }
    if !file.replacements.is_empty() {
        let made = replacements::Replacements::new(scope, &file.replacements);
        add("replacements".into(), made.map(Transformer::Replacements))?;
    }
    let origin = |transformer: &Transformer| scope.tracker.builtin(transformer.name());
    Ok(steps
        .into_iter()
        .map(|(field, transformer)| Step { field, origin: origin(&transformer), transformer })
        .collect())
}

/// Runs transformers one after the other. Objects of which nothing is left are dropped after each.
pub(crate) fn run(
    scope: &mut Scope<'_>,
    steps: &[Step],
    all: &mut Resources,
) -> Result<(), (String, Problem)> {
    for step in steps {
        let at = |problem| (step.field.clone(), problem);
        step.transformer.run(scope, all).map_err(at)?;
        if let Some(origin) = &step.origin {
            origin.record_change(all).map_err(at)?;
        }
        if all.iter().any(|item| item.node.is_empty()) {
            all.items_mut().retain(|item| !item.node.is_empty());
        }
    }
    Ok(())
}

/// Sets an entry of the maps that paths lead to. Where it has to be added it becomes one node at all
/// places, so that a later change of one is a change of all: that is how kustomize does it.
pub(crate) fn set_entry(
    scope: &mut Scope<'_>,
    resource: &mut Resource,
    paths: &[&crate::field_spec::Path],
    key: &str,
    value: &str,
) -> Result<(), Problem> {
    let mut entry = Scalar::tagged(value, Tag::Str);
    entry.identity = scope.new_identity();
    let mut added = 0_usize;
    for path in paths {
        path.change(&mut resource.node, &mut |node| {
            let mapping = match node {
                Node::Mapping(mapping) => mapping,
                other if other.is_null() => return Ok(()),
                other => return Err(crate::node::wrong_kind(Create::Mapping, other)),
            };
            added += usize::from(mapping.get(key).is_none());
            set_field(mapping, key, entry.clone());
            Ok(())
        })?;
    }
    if added > 1 {
        let identity = entry.identity;
        let mut node = Node::from(entry);
        crate::node::quote_ambiguous(&mut node);
        if let Node::Scalar(entry) = node {
            resource.share(identity, entry);
        }
    }
    resource.settle();
    Ok(())
}

/// What makes a missing map for labels or annotations.
pub(crate) const CREATE_MAP: Option<(Create, Tag)> = Some((Create::Mapping, Tag::Map));
