//! Generators and transformers that objects configure: `generators`, `transformers`, `validators`.
//!
//! Source: `loadAndConfigurePlugin`, kustomize api 0.21.1 `internal/plugins/loader/loader.go`.

mod config;

use crate::accumulate::Scope;
use crate::decode::{Decode, Mode, first_node};
use crate::error::Problem;
use crate::generators::Generator;
use crate::kustomization::{FieldSpec, GeneratorArgs, Patch, to_yaml_error};
use crate::resource::Resource;
use crate::transformers::{
    Transformer, annotations, images, labels, name_affix, namespace, patches, patches_json6902,
    patches_strategic_merge, replacements, replicas, value_add,
};

/// Returns the generator that an object configures.
pub(crate) fn generator(object: &Resource) -> Result<Generator, Problem> {
    make_generator(object).map_err(|problem| object.blame(problem))
}

fn make_generator(object: &Resource) -> Result<Generator, Problem> {
    refuse_external(object)?;
    let args = || -> Result<GeneratorArgs, Problem> {
        let mut args: GeneratorArgs = read(object)?;
        let metadata = read::<config::GeneratorMeta>(object)?.metadata;
        // The object has a name in any case, which serves where the arguments give none.
        if args.name.is_empty() {
            args.name = metadata.name;
        }
        if args.namespace.is_empty() {
            args.namespace = metadata.namespace;
        }
        // Here the old name does not count.
        args.env.clear();
        Ok(args)
    };
    match object.kind() {
        "ConfigMapGenerator" => Ok(Generator::ConfigMap(args()?)),
        "SecretGenerator" => Ok(Generator::Secret(args()?)),
        "IAMPolicyGenerator" => Ok(Generator::IamPolicy(read(object)?)),
        "HelmChartInflationGenerator" => Err(helm()),
        other => Err(Problem::rule(format!(
            "{other} is no builtin generator; use ConfigMapGenerator, SecretGenerator or \
             IAMPolicyGenerator"
        ))),
    }
}

/// Returns what to say about Helm charts.
pub(crate) fn helm() -> Problem {
    Problem::Refused {
        what: "inflation of Helm charts".to_owned(),
        instead: "use a HelmRelease, or commit what `helm template` prints",
    }
}

/// Returns the transformer that an object configures.
pub(crate) fn transformer(
    scope: &mut Scope<'_>,
    object: &Resource,
) -> Result<Transformer, Problem> {
    make_transformer(scope, object).map_err(|problem| object.blame(problem))
}

fn make_transformer(scope: &mut Scope<'_>, object: &Resource) -> Result<Transformer, Problem> {
    refuse_external(object)?;
    Ok(match object.kind() {
        "AnnotationsTransformer" => {
            let config: config::Annotations = read(object)?;
            let made = annotations::Annotations::new(config.annotations, config.field_specs);
            Transformer::Annotations(made)
        }
        "HashTransformer" => Transformer::Hash,
        "ImageTagTransformer" => {
            let config: config::ImageTag = read(object)?;
            Transformer::Images(images::Images::new(config.image_tag, config.field_specs))
        }
        "LabelTransformer" => {
            let config: config::Labels = read(object)?;
            Transformer::Labels(labels::Labels::new(config.labels, config.field_specs))
        }
        "NamespaceTransformer" => {
            let config: config::Namespace = read(object)?;
            Transformer::Namespace(namespace::Namespace::new(
                &config.metadata.namespace,
                config.field_specs,
                &config.set_role_binding_subjects,
                config.unset_only,
            )?)
        }
        "PatchJson6902Transformer" => {
            let config::PatchJson6902 { target, path, json_op } = read(object)?;
            let made = patches_json6902::JsonPatch::new(scope, target.as_ref(), &path, &json_op)?;
            Transformer::PatchJson6902(made)
        }
        "PatchStrategicMergeTransformer" => {
            let config::PatchStrategicMerge { paths, patches } = read(object)?;
            let made = patches_strategic_merge::Patches::new(scope, &paths, &patches)?;
            Transformer::PatchStrategicMerge(made)
        }
        "PatchTransformer" => {
            Transformer::Patch(patches::Patch::new(scope, &read::<Patch>(object)?)?)
        }
        "PrefixTransformer" => {
            let config: config::Affixes = read(object)?;
            prefix(&config.prefix, config.field_specs)?
        }
        "SuffixTransformer" => {
            let config: config::Affixes = read(object)?;
            suffix(&config.suffix, config.field_specs)?
        }
        "PrefixSuffixTransformer" => {
            let config: config::Affixes = read(object)?;
            let first = prefix(&config.prefix, config.field_specs.clone())?;
            let second = suffix(&config.suffix, config.field_specs)?;
            Transformer::Both(Box::new(first), Box::new(second))
        }
        "ReplacementTransformer" => {
            let config: config::Replacements = read(object)?;
            let made = replacements::Replacements::new(scope, &config.replacements)?;
            Transformer::Replacements(made)
        }
        "ReplicaCountTransformer" => {
            let config: config::ReplicaCount = read(object)?;
            Transformer::Replicas(replicas::Replicas::new(config.replica, config.field_specs))
        }
        "ValueAddTransformer" => value_add(scope, object)?,
        other => return Err(Problem::rule(format!("{other} is no builtin transformer"))),
    })
}

fn prefix(text: &str, specs: Option<Vec<FieldSpec>>) -> Result<Transformer, Problem> {
    Ok(Transformer::Prefix(name_affix::Affix::new(text, needed(specs)?)))
}

fn suffix(text: &str, specs: Option<Vec<FieldSpec>>) -> Result<Transformer, Problem> {
    Ok(Transformer::Suffix(name_affix::Affix::new(text, needed(specs)?)))
}

fn needed(specs: Option<Vec<FieldSpec>>) -> Result<Vec<FieldSpec>, Problem> {
    specs.ok_or_else(|| {
        Problem::rule("give fieldSpecs, which say where to write, e.g. path: metadata/name")
    })
}

fn value_add(scope: &mut Scope<'_>, object: &Resource) -> Result<Transformer, Problem> {
    let config::ValueAdd { value, mut targets, target_file_path: path } = read(object)?;
    let value = match value.trim() {
        "" => scope.loader.dir.rsplit('/').next().unwrap_or_default(),
        value => value,
    };
    if !path.is_empty() {
        let text = scope.loader.read_text(&path)?;
        let yaml = |source| Problem::Yaml { path: path.clone(), source };
        if let Some(node) = first_node(&text).map_err(yaml)? {
            let more = config::Targets::decode(&node, Mode::FILE);
            targets.extend(more.map_err(|error| yaml(to_yaml_error(error)))?.targets);
        }
    }
    Ok(Transformer::ValueAdd(value_add::ValueAdd::new(value.to_owned(), targets)?))
}

/// Reads the fields of an object.
fn read<T: Decode>(object: &Resource) -> Result<T, Problem> {
    // A key that stands twice is an error.
    object.to_value()?;
    T::decode(&object.node, Mode::PLUGIN).map_err(|error| Problem::Yaml {
        path: object.source.file.to_string(),
        source: to_yaml_error(error),
    })
}

/// Refuses programs and functions, which are not run.
fn refuse_external(object: &Resource) -> Result<(), Problem> {
    if object.api_version() == "builtin" {
        return Ok(());
    }
    Err(Problem::Refused {
        what: format!("plugin {} {}", object.api_version(), object.kind()),
        instead: "no programs are run; use a builtin one (apiVersion: builtin), or commit what the \
                  plugin prints",
    })
}
