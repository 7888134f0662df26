//! The kustomization file as types.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::{Map, Value};

use crate::error::Problem;

/// A `Kustomization` or `Component`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Kustomization {
    #[serde(deserialize_with = "nullable")]
    pub api_version: String,
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    #[serde(rename = "metadata")]
    _metadata: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    pub openapi: Strings,
    #[serde(deserialize_with = "nullable")]
    pub resources: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub bases: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub components: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub crds: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub configurations: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub name_prefix: String,
    #[serde(deserialize_with = "nullable")]
    pub name_suffix: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub common_labels: Strings,
    #[serde(deserialize_with = "nullable")]
    pub labels: Vec<Label>,
    #[serde(deserialize_with = "nullable")]
    pub common_annotations: Strings,
    #[serde(deserialize_with = "nullable")]
    pub patches: Vec<Patch>,
    #[serde(deserialize_with = "nullable")]
    pub patches_strategic_merge: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub patches_json6902: Vec<Patch>,
    #[serde(deserialize_with = "nullable")]
    pub images: Vec<Image>,
    #[serde(deserialize_with = "nullable")]
    pub image_tags: Vec<Image>,
    #[serde(deserialize_with = "nullable")]
    pub replacements: Vec<ReplacementEntry>,
    #[serde(deserialize_with = "nullable")]
    pub replicas: Vec<Replica>,
    #[serde(deserialize_with = "nullable")]
    pub vars: Vec<Var>,
    #[serde(deserialize_with = "nullable")]
    pub config_map_generator: Vec<GeneratorArgs>,
    #[serde(deserialize_with = "nullable")]
    pub secret_generator: Vec<GeneratorArgs>,
    pub generator_options: Option<GeneratorOptions>,
    #[serde(deserialize_with = "nullable")]
    pub helm_charts: Vec<Value>,
    pub helm_globals: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    pub helm_chart_inflation_generator: Vec<Value>,
    #[serde(deserialize_with = "nullable")]
    pub generators: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub transformers: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub validators: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub build_metadata: Vec<String>,
    pub sort_options: Option<SortOptions>,
}

/// A map of strings that keeps its order; scalars of other types are refused.
pub(crate) type Strings = indexmap::IndexMap<String, String>;

/// An entry of `labels`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Label {
    #[serde(deserialize_with = "nullable")]
    pub pairs: Strings,
    pub include_selectors: bool,
    pub include_templates: bool,
    #[serde(deserialize_with = "nullable")]
    pub fields: Vec<FieldSpec>,
}

/// Where a transformer writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct FieldSpec {
    #[serde(deserialize_with = "nullable")]
    pub group: String,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    #[serde(deserialize_with = "nullable")]
    pub create: bool,
}

/// An entry of `patches` or `patchesJson6902`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
pub(crate) struct Patch {
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    #[serde(deserialize_with = "nullable")]
    pub patch: String,
    pub target: Option<Selector>,
    #[serde(deserialize_with = "nullable")]
    pub options: PatchOptions,
}

/// What a patch may change besides its fields.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PatchOptions {
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
}

/// What selects objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
pub(crate) struct Selector {
    #[serde(deserialize_with = "nullable")]
    pub group: String,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub label_selector: String,
    #[serde(deserialize_with = "nullable")]
    pub annotation_selector: String,
}

/// An entry of `images`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Image {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub new_name: String,
    #[serde(deserialize_with = "nullable")]
    pub new_tag: String,
    #[serde(deserialize_with = "nullable")]
    pub tag_suffix: String,
    #[serde(deserialize_with = "nullable")]
    pub digest: String,
}

/// An entry of `replicas`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Replica {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub count: i64,
}

/// An entry of `replacements`: a replacement, or the file that holds some.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ReplacementEntry {
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    pub source: Option<Source>,
    pub source_value: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub targets: Vec<Target>,
}

/// Where a replacement takes its value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Source {
    #[serde(deserialize_with = "nullable")]
    pub group: String,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub field_path: String,
    #[serde(deserialize_with = "nullable")]
    pub options: FieldOptions,
}

/// Where a replacement writes its value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Target {
    pub select: Option<Selector>,
    #[serde(deserialize_with = "nullable")]
    pub reject: Vec<Selector>,
    #[serde(deserialize_with = "nullable")]
    pub field_paths: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub options: FieldOptions,
}

/// Which part of a field is meant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct FieldOptions {
    #[serde(deserialize_with = "nullable")]
    pub delimiter: String,
    #[serde(deserialize_with = "nullable")]
    pub index: i64,
    #[serde(rename = "encoding")]
    _encoding: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub create: bool,
}

/// An entry of `vars`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Var {
    pub name: String,
    pub objref: ObjectRef,
    #[serde(deserialize_with = "nullable")]
    pub fieldref: FieldRef,
}

/// The object that a var is taken from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ObjectRef {
    #[serde(deserialize_with = "nullable")]
    pub api_version: String,
    #[serde(deserialize_with = "nullable")]
    pub group: String,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
}

/// The field that a var is taken from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct FieldRef {
    #[serde(rename = "fieldPath", alias = "fieldpath", deserialize_with = "nullable")]
    pub field_path: String,
}

/// An entry of `configMapGenerator` or `secretGenerator`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct GeneratorArgs {
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    #[serde(deserialize_with = "nullable")]
    pub behavior: String,
    #[serde(deserialize_with = "nullable")]
    pub literals: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub files: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub envs: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub env: String,
    pub options: Option<GeneratorOptions>,
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub secret_type: String,
}

/// What generated objects have besides data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct GeneratorOptions {
    #[serde(deserialize_with = "nullable")]
    pub labels: Strings,
    #[serde(deserialize_with = "nullable")]
    pub annotations: Strings,
    #[serde(deserialize_with = "nullable")]
    pub disable_name_suffix_hash: bool,
    #[serde(deserialize_with = "nullable")]
    pub immutable: bool,
}

/// How the output is sorted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SortOptions {
    #[serde(deserialize_with = "nullable")]
    pub order: String,
    pub legacy_sort_options: Option<LegacySortOptions>,
}

/// Kinds that come first and last.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LegacySortOptions {
    #[serde(deserialize_with = "nullable")]
    pub order_first: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub order_last: Vec<String>,
}

const TOP: [&str; 35] = [
    "apiVersion",
    "kind",
    "metadata",
    "openapi",
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "vars",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "helmCharts",
    "helmGlobals",
    "helmChartInflationGenerator",
    "generators",
    "transformers",
    "validators",
    "buildMetadata",
    "sortOptions",
    "inventory",
];

const NESTED: [&str; 45] = [
    "pairs",
    "includeSelectors",
    "includeTemplates",
    "fields",
    "group",
    "version",
    "kind",
    "path",
    "create",
    "patch",
    "target",
    "options",
    "allowNameChange",
    "allowKindChange",
    "name",
    "namespace",
    "labelSelector",
    "annotationSelector",
    "newName",
    "newTag",
    "tagSuffix",
    "digest",
    "count",
    "source",
    "sourceValue",
    "targets",
    "fieldPath",
    "delimiter",
    "index",
    "encoding",
    "select",
    "reject",
    "fieldPaths",
    "objref",
    "fieldref",
    "apiVersion",
    "behavior",
    "literals",
    "files",
    "envs",
    "env",
    "labels",
    "annotations",
    "disableNameSuffixHash",
    "immutable",
];

/// Fields whose keys are the user's own.
const FREE: [&str; 9] = [
    "metadata",
    "openapi",
    "commonLabels",
    "commonAnnotations",
    "pairs",
    "labels",
    "annotations",
    "helmCharts",
    "helmGlobals",
];

impl Kustomization {
    /// Reads a kustomization, matching fields without regard to case.
    pub(crate) fn from_value(value: Value) -> Result<Self, Problem> {
        let Value::Object(fields) = value else {
            return Err(Problem::rule("a kustomization is a mapping of fields"));
        };
        read(Value::Object(canonical(fields, &TOP)))
    }
}

/// Reads one type of this module, matching fields without regard to case.
pub(crate) fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| Problem::rule(error.to_string()))
}

/// Keeps the fields that a kustomization has, under their proper names.
pub(crate) fn known_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let mut known = canonical(fields, &TOP);
    known.retain(|name, _| TOP.contains(&name.as_str()));
    known
}

fn canonical(fields: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    fields
        .into_iter()
        .map(|(key, value)| {
            let name = names.iter().find(|name| name.eq_ignore_ascii_case(&key));
            let key = name.map_or(key, |name| (*name).to_owned());
            let list = value.is_array();
            let free = FREE.contains(&key.as_str()) && !(key == "labels" && list);
            let value = if free { value } else { canonical_nested(value) };
            (key, value)
        })
        .collect()
}

fn canonical_nested(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(canonical(fields, &NESTED)),
        Value::Array(items) => items.into_iter().map(canonical_nested).collect(),
        scalar => scalar,
    }
}

/// Reads null as the default.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default).map_err(D::Error::custom)
}
