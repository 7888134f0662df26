//! Generators and transformers that objects configure: `generators`, `transformers`, `validators`.
//!
//! Source: `loadAndConfigurePlugin`, kustomize api 0.21.1 `internal/plugins/loader/loader.go`.

use crate::accumulate::Scope;
use crate::decode::{Decode, Mode, decode};
use crate::error::Problem;
use crate::generators::Generator;
use crate::kustomization::{
    FieldSpec, GeneratorArgs, Image, ObjectMeta, Patch, PatchOptions, ReplacementEntry, Replica,
    Selector, Strings, to_yaml_error,
};
use crate::resource::Resource;
use crate::transformers::{
    Transformer, annotations, images, labels, name_affix, namespace, patches, patches_json6902,
    patches_strategic_merge, replacements, replicas, value_add,
};

/// The fields of all transformers. Each reads those that it knows.
#[derive(Debug, Clone, Default, PartialEq)]
struct Config {
    metadata: Option<ObjectMeta>,
    field_specs: Option<Vec<FieldSpec>>,
    annotations: Strings,
    labels: Strings,
    image_tag: Image,
    unset_only: bool,
    set_role_binding_subjects: String,
    target: Option<Selector>,
    path: String,
    json_op: String,
    patch: String,
    options: PatchOptions,
    paths: Vec<String>,
    patches: String,
    prefix: String,
    suffix: String,
    replacements: Vec<ReplacementEntry>,
    replica: Replica,
}

decode!(Config {
    "metadata" => metadata: Option<ObjectMeta>,
    "fieldSpecs" => field_specs: Option<Vec<FieldSpec>>,
    "annotations" => annotations: Strings,
    "labels" => labels: Strings,
    "imageTag" => image_tag: Image,
    "unsetOnly" => unset_only: bool,
    "setRoleBindingSubjects" => set_role_binding_subjects: String,
    "target" => target: Option<Selector>,
    "path" => path: String,
    "jsonOp" => json_op: String,
    "patch" => patch: String,
    "options" => options: PatchOptions,
    "paths" => paths: Vec<String>,
    "patches" => patches: String,
    "prefix" => prefix: String,
    "suffix" => suffix: String,
    "replacements" => replacements: Vec<ReplacementEntry>,
    "replica" => replica: Replica,
});

/// The fields of the ValueAddTransformer, whose `targets` are its own.
#[derive(Debug, Clone, Default, PartialEq)]
struct ValueAddConfig {
    value: String,
    targets: Vec<value_add::Target>,
    target_file_path: String,
}

decode!(ValueAddConfig {
    "value" => value: String,
    "targets" => targets: Vec<value_add::Target>,
    "targetFilePath" => target_file_path: String,
});

/// The file that `targetFilePath` names.
#[derive(Debug, Clone, Default, PartialEq)]
struct Targets {
    targets: Vec<value_add::Target>,
}

decode!(Targets { "targets" => targets: Vec<value_add::Target> });

/// The generator arguments that come with an object.
#[derive(Debug, Clone, Default, PartialEq)]
struct GeneratorMeta {
    metadata: Option<ObjectMeta>,
}

decode!(GeneratorMeta { "metadata" => metadata: Option<ObjectMeta> });

/// Returns the generator that an object configures.
pub(crate) fn generator(object: &Resource) -> Result<Generator, Problem> {
    make_generator(object).map_err(|problem| object.blame(problem))
}

fn make_generator(object: &Resource) -> Result<Generator, Problem> {
    refuse_external(object)?;
    let args = || -> Result<GeneratorArgs, Problem> {
        let mut args: GeneratorArgs = read(object)?;
        let metadata = read::<GeneratorMeta>(object)?.metadata.unwrap_or_default();
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
    let config: Config =
        if object.kind() == "ValueAddTransformer" { Config::default() } else { read(object)? };
    let specs = || config.field_specs.clone().unwrap_or_default();
    let needed = || {
        config.field_specs.clone().ok_or_else(|| {
            Problem::rule("give fieldSpecs, which say where to write, e.g. path: metadata/name")
        })
    };
    Ok(match object.kind() {
        "AnnotationsTransformer" => Transformer::Annotations(annotations::Annotations::new(
            config.annotations.clone(),
            specs(),
        )),
        "HashTransformer" => Transformer::Hash,
        "ImageTagTransformer" => {
            Transformer::Images(images::Images::new(config.image_tag.clone(), specs()))
        }
        "LabelTransformer" => {
            Transformer::Labels(labels::Labels::new(config.labels.clone(), specs()))
        }
        "NamespaceTransformer" => Transformer::Namespace(namespace::Namespace::new(
            &config.metadata.clone().unwrap_or_default().namespace,
            specs(),
            &config.set_role_binding_subjects,
            config.unset_only,
        )?),
        "PatchJson6902Transformer" => Transformer::PatchJson6902(patches_json6902::JsonPatch::new(
            scope,
            config.target.as_ref(),
            &config.path,
            &config.json_op,
        )?),
        "PatchStrategicMergeTransformer" => Transformer::PatchStrategicMerge(
            patches_strategic_merge::Patches::new(scope, &config.paths, &config.patches)?,
        ),
        "PatchTransformer" => {
            let Config { path, patch, target, options, .. } = config;
            Transformer::Patch(patches::Patch::new(scope, &Patch { path, patch, target, options })?)
        }
        "PrefixTransformer" => {
            Transformer::Prefix(name_affix::Affix::new(&config.prefix, needed()?))
        }
        "SuffixTransformer" => {
            Transformer::Suffix(name_affix::Affix::new(&config.suffix, needed()?))
        }
        "PrefixSuffixTransformer" => Transformer::Both(
            Box::new(Transformer::Prefix(name_affix::Affix::new(&config.prefix, needed()?))),
            Box::new(Transformer::Suffix(name_affix::Affix::new(&config.suffix, needed()?))),
        ),
        "ReplacementTransformer" => {
            Transformer::Replacements(replacements::Replacements::new(scope, &config.replacements)?)
        }
        "ReplicaCountTransformer" => {
            Transformer::Replicas(replicas::Replicas::new(config.replica.clone(), specs()))
        }
        "ValueAddTransformer" => value_add(scope, object)?,
        other => return Err(Problem::rule(format!("{other} is no builtin transformer"))),
    })
}

fn value_add(scope: &mut Scope<'_>, object: &Resource) -> Result<Transformer, Problem> {
    let ValueAddConfig { value, mut targets, target_file_path: path } = read(object)?;
    let value = match value.trim() {
        "" => scope.loader.dir.rsplit('/').next().unwrap_or_default(),
        value => value,
    };
    if !path.is_empty() {
        let text = scope.loader.read_text(&path)?;
        let yaml = |source| Problem::Yaml { path: path.clone(), source };
        if let Some(document) = goyaml::parse_first(&text, goyaml::Dialect::Sigs).map_err(yaml)? {
            let more = Targets::decode(&document.node, Mode::FILE);
            targets.extend(more.map_err(|error| yaml(to_yaml_error(error)))?.targets);
        }
    }
    Ok(Transformer::ValueAdd(value_add::ValueAdd::new(value.to_owned(), targets)?))
}

/// Reads the fields of an object.
fn read<T: Decode>(object: &Resource) -> Result<T, Problem> {
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
