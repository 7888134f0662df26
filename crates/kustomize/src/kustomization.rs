//! The kustomization file as types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use goyaml::Node;

use crate::decode::{Anything, Decode, DecodeError, Mode, decode, field, first_node};

/// Text by text; transformers go through it by its keys.
pub(crate) type Strings = BTreeMap<String, String>;

/// A `Kustomization` or `Component`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kustomization {
    pub api_version: String,
    pub kind: String,
    pub metadata: Option<ObjectMeta>,
    pub openapi: Strings,
    pub resources: Vec<String>,
    pub bases: Vec<String>,
    pub components: Vec<String>,
    pub crds: Vec<String>,
    pub configurations: Vec<String>,
    pub name_prefix: String,
    pub name_suffix: String,
    pub namespace: String,
    pub common_labels: Strings,
    pub labels: Vec<Label>,
    pub common_annotations: Strings,
    pub patches: Vec<Patch>,
    pub patches_strategic_merge: Vec<String>,
    pub patches_json6902: Vec<Patch>,
    pub images: Vec<Image>,
    pub image_tags: Vec<Image>,
    pub replacements: Vec<ReplacementEntry>,
    pub replicas: Vec<Replica>,
    pub vars: Vec<Var>,
    pub config_map_generator: Vec<GeneratorArgs>,
    pub secret_generator: Vec<GeneratorArgs>,
    pub generator_options: Option<GeneratorOptions>,
    pub helm_charts: Vec<Anything>,
    pub helm_globals: Option<Anything>,
    pub helm_chart_inflation_generator: Vec<Anything>,
    pub generators: Vec<String>,
    pub transformers: Vec<String>,
    pub validators: Vec<String>,
    pub build_metadata: Vec<String>,
    pub sort_options: Option<SortOptions>,
}

decode!(Kustomization {
    "apiVersion" => api_version: String,
    "kind" => kind: String,
    "metadata" => metadata: Option<ObjectMeta>,
    "openapi" => openapi: Strings,
    "resources" => resources: Vec<String>,
    "bases" => bases: Vec<String>,
    "components" => components: Vec<String>,
    "crds" => crds: Vec<String>,
    "configurations" => configurations: Vec<String>,
    "namePrefix" => name_prefix: String,
    "nameSuffix" => name_suffix: String,
    "namespace" => namespace: String,
    "commonLabels" => common_labels: Strings,
    "labels" => labels: Vec<Label>,
    "commonAnnotations" => common_annotations: Strings,
    "patches" => patches: Vec<Patch>,
    "patchesStrategicMerge" => patches_strategic_merge: Vec<String>,
    "patchesJson6902" => patches_json6902: Vec<Patch>,
    "images" => images: Vec<Image>,
    "imageTags" => image_tags: Vec<Image>,
    "replacements" => replacements: Vec<ReplacementEntry>,
    "replicas" => replicas: Vec<Replica>,
    "vars" => vars: Vec<Var>,
    "configMapGenerator" => config_map_generator: Vec<GeneratorArgs>,
    "secretGenerator" => secret_generator: Vec<GeneratorArgs>,
    "generatorOptions" => generator_options: Option<GeneratorOptions>,
    "helmCharts" => helm_charts: Vec<Anything>,
    "helmGlobals" => helm_globals: Option<Anything>,
    "helmChartInflationGenerator" => helm_chart_inflation_generator: Vec<Anything>,
    "generators" => generators: Vec<String>,
    "transformers" => transformers: Vec<String>,
    "validators" => validators: Vec<String>,
    "buildMetadata" => build_metadata: Vec<String>,
    "sortOptions" => sort_options: Option<SortOptions>,
});

/// The metadata of a kustomization, or of an object that configures a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObjectMeta {
    pub name: String,
    pub namespace: String,
    pub labels: Strings,
    pub annotations: Strings,
}

decode!(ObjectMeta {
    "name" => name: String,
    "namespace" => namespace: String,
    "labels" => labels: Strings,
    "annotations" => annotations: Strings,
});

/// An entry of `labels`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Label {
    pub pairs: Strings,
    pub include_selectors: bool,
    pub include_templates: bool,
    pub fields: Vec<FieldSpec>,
}

decode!(Label {
    "pairs" => pairs: Strings,
    "includeSelectors" => include_selectors: bool,
    "includeTemplates" => include_templates: bool,
    "fields" => fields: Vec<FieldSpec>,
});

/// Text that may be built in.
pub(crate) type Name = Cow<'static, str>;

/// Where a transformer writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    pub group: Name,
    pub version: Name,
    pub kind: Name,
    pub path: Name,
    pub create: bool,
}

decode!(FieldSpec {
    "group" -> group: Name,
    "version" -> version: Name,
    "kind" -> kind: Name,
    "path" => path: Name,
    "create" => create: bool,
});

/// An entry of `patches` or `patchesJson6902`.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
pub(crate) struct Patch {
    pub path: String,
    pub patch: String,
    pub target: Option<Selector>,
    pub options: PatchOptions,
}

decode!(Patch {
    "path" => path: String,
    "patch" => patch: String,
    "target" => target: Option<Selector>,
    "options" => options: PatchOptions,
});

/// What a patch may change besides its fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PatchOptions {
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
}

decode!(PatchOptions {
    "allowNameChange" => allow_name_change: bool,
    "allowKindChange" => allow_kind_change: bool,
});

/// What selects objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
pub(crate) struct Selector {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
    pub label_selector: String,
    pub annotation_selector: String,
}

decode!(Selector {
    "group" -> group: String,
    "version" -> version: String,
    "kind" -> kind: String,
    "name" -> name: String,
    "namespace" -> namespace: String,
    "labelSelector" => label_selector: String,
    "annotationSelector" => annotation_selector: String,
});

/// An entry of `images`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub name: String,
    pub new_name: String,
    pub new_tag: String,
    pub tag_suffix: String,
    pub digest: String,
}

decode!(Image {
    "name" => name: String,
    "newName" => new_name: String,
    "newTag" => new_tag: String,
    "tagSuffix" => tag_suffix: String,
    "digest" => digest: String,
});

/// An entry of `replicas`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replica {
    pub name: String,
    pub count: i64,
}

decode!(Replica { "name" => name: String, "count" => count: i64 });

/// An entry of `replacements`: a replacement, or the file that holds some.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ReplacementEntry {
    pub path: String,
    pub source: Option<Source>,
    pub source_value: Option<String>,
    pub targets: Option<Vec<Target>>,
}

decode!(ReplacementEntry {
    "path" => path: String,
    "source" -> source: Option<Source>,
    "sourceValue" -> source_value: Option<String>,
    "targets" -> targets: Option<Vec<Target>>,
});

/// A replacement in a file of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Replacement {
    pub source: Option<Source>,
    pub source_value: Option<String>,
    pub targets: Option<Vec<Target>>,
}

decode!(Replacement {
    "source" => source: Option<Source>,
    "sourceValue" => source_value: Option<String>,
    "targets" => targets: Option<Vec<Target>>,
});

impl From<Replacement> for ReplacementEntry {
    fn from(replacement: Replacement) -> Self {
        let Replacement { source, source_value, targets } = replacement;
        Self { path: String::new(), source, source_value, targets }
    }
}

/// Where a replacement takes its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Source {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
    pub field_path: String,
    pub options: Option<FieldOptions>,
}

decode!(Source {
    "group" -> group: String,
    "version" -> version: String,
    "kind" -> kind: String,
    "name" -> name: String,
    "namespace" -> namespace: String,
    "fieldPath" => field_path: String,
    "options" => options: Option<FieldOptions>,
});

/// Where a replacement writes its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Target {
    pub select: Option<Selector>,
    pub reject: Vec<Selector>,
    pub field_paths: Vec<String>,
    pub options: Option<FieldOptions>,
}

decode!(Target {
    "select" => select: Option<Selector>,
    "reject" => reject: Vec<Selector>,
    "fieldPaths" => field_paths: Vec<String>,
    "options" => options: Option<FieldOptions>,
});

/// Which part of a field is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldOptions {
    pub delimiter: String,
    pub index: i64,
    pub encoding: String,
    pub create: bool,
}

decode!(FieldOptions {
    "delimiter" => delimiter: String,
    "index" => index: i64,
    "encoding" => encoding: String,
    "create" => create: bool,
});

/// An entry of `vars`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Var {
    pub name: String,
    pub objref: ObjectRef,
    pub fieldref: FieldRef,
}

decode!(Var {
    "name" => name: String,
    "objref" => objref: ObjectRef,
    "fieldref" => fieldref: FieldRef,
});

/// The object that a var is taken from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ObjectRef {
    pub api_version: String,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
}

decode!(ObjectRef {
    "apiVersion" => api_version: String,
    "group" => group: String,
    "version" => version: String,
    "kind" => kind: String,
    "name" => name: String,
    "namespace" => namespace: String,
});

/// The field that a var is taken from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldRef {
    pub field_path: String,
}

decode!(FieldRef { "fieldPath" => field_path: String });

/// An entry of `configMapGenerator` or `secretGenerator`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GeneratorArgs {
    pub name: String,
    pub namespace: String,
    pub behavior: String,
    pub literals: Vec<String>,
    pub files: Vec<String>,
    pub envs: Vec<String>,
    pub env: String,
    pub options: Option<GeneratorOptions>,
    pub secret_type: String,
}

decode!(GeneratorArgs {
    "name" -> name: String,
    "namespace" -> namespace: String,
    "behavior" -> behavior: String,
    "literals" -> literals: Vec<String>,
    "files" -> files: Vec<String>,
    "envs" -> envs: Vec<String>,
    "env" -> env: String,
    "options" -> options: Option<GeneratorOptions>,
    "type" -> secret_type: String,
});

/// What generated objects have besides data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GeneratorOptions {
    pub labels: Strings,
    pub annotations: Strings,
    pub disable_name_suffix_hash: bool,
    pub immutable: bool,
}

decode!(GeneratorOptions {
    "labels" => labels: Strings,
    "annotations" => annotations: Strings,
    "disableNameSuffixHash" => disable_name_suffix_hash: bool,
    "immutable" => immutable: bool,
});

/// How the output is sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SortOptions {
    pub order: String,
    pub legacy_sort_options: Option<LegacySortOptions>,
}

decode!(SortOptions {
    "order" => order: String,
    "legacySortOptions" => legacy_sort_options: Option<LegacySortOptions>,
});

/// Kinds that come first and last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LegacySortOptions {
    pub order_first: Vec<String>,
    pub order_last: Vec<String>,
}

decode!(LegacySortOptions {
    "orderFirst" => order_first: Vec<String>,
    "orderLast" => order_last: Vec<String>,
});

/// Reads the text of a kustomization; `None` when it asks for nothing.
pub(crate) fn read(text: &str) -> Result<Option<Kustomization>, goyaml::Error> {
    let Some(node) = first_node(text)? else { return Ok(None) };
    let file = Kustomization::decode(&node, Mode::KUSTOMIZATION).map_err(to_yaml_error)?;
    Ok(Some(file).filter(|_| asks_for_something(&node)))
}

/// Says whether anything but `kind` and `apiVersion` is set. A list without elements is.
fn asks_for_something(node: &Node) -> bool {
    // These are added to other fields, so that there it is.
    const ADDED: [&str; 3] = ["bases", "imageTags", "helmChartInflationGenerator"];
    let mut entries = node.as_mapping().into_iter().flat_map(|mapping| &mapping.entries);
    entries.any(|(key, value)| match field(&key.value, Kustomization::FIELDS) {
        Some("apiVersion" | "kind") => false,
        Some(name) if ADDED.contains(&name) => !value.is_empty(),
        _ => !value.is_null() && value.as_scalar().is_none_or(|scalar| !scalar.value.is_empty()),
    })
}

/// Returns an error with the field in its message.
pub(crate) fn to_yaml_error(error: DecodeError) -> goyaml::Error {
    let DecodeError { field, mark, message } = error;
    let message = if field.is_empty() { message } else { format!("{field}: {message}") };
    goyaml::Error { line: mark.line(), column: mark.column(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_without_regard_to_case() {
        let text = "NamePrefix: a-\nimages: [{NAME: b, newtag: '1'}]\nnamespace: null\n";
        let file = read(text).unwrap().unwrap();
        assert_eq!(file.name_prefix, "a-");
        assert_eq!(file.images[0].new_tag, "1");
    }

    #[test]
    fn a_file_that_asks_for_nothing_is_none() {
        for text in ["", "kind: Kustomization\n", "namePrefix: ''\n", "bases: []\n", "images:\n"] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
        for text in ["metadata: {}\n", "resources: []\n", "namespace: a\n"] {
            assert!(read(text).unwrap().is_some(), "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(read("namespace: a\nnamespace: b\n").unwrap().unwrap().namespace, "b");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, message) in [
            (
                "patchs: []\n",
                "line 1, column 1: unknown field \"patchs\"; did you mean \"patches\"?",
            ),
            (
                "images:\n- name: a\n  newTag: 1.5\n",
                "line 3, column 11: images[0].newTag: expected text, found the number 1.5; quote it",
            ),
            (
                "resources: a.yaml\n",
                "line 1, column 12: resources: expected a list, found \"a.yaml\"",
            ),
            (
                "labels: [{pairs: [a]}]\n",
                "line 1, column 18: labels[0].pairs: expected a mapping of text, found a list",
            ),
            (
                "replicas: [{name: a, count: many}]\n",
                "line 1, column 29: replicas[0].count: expected a whole number, found \"many\"",
            ),
            ("- a\n", "line 1, column 1: expected a mapping of fields, found a list"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
