//! The fields of the objects that configure builtin transformers.

use crate::decode::decode;
use crate::kustomization::{
    FieldSpec, Image, ObjectMeta, ReplacementEntry, Replica, Selector, Strings,
};
use crate::transformers::value_add;

/// The AnnotationsTransformer.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    pub annotations: Strings,
    pub field_specs: Vec<FieldSpec>,
}

decode!(Annotations {
    "annotations" => annotations: Strings,
    "fieldSpecs" => field_specs: Vec<FieldSpec>,
});

/// The ImageTagTransformer.
#[derive(Debug, Default)]
pub(super) struct ImageTag {
    pub image_tag: Image,
    pub field_specs: Vec<FieldSpec>,
}

decode!(ImageTag {
    "imageTag" => image_tag: Image,
    "fieldSpecs" => field_specs: Vec<FieldSpec>,
});

/// The LabelTransformer.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub labels: Strings,
    pub field_specs: Vec<FieldSpec>,
}

decode!(Labels {
    "labels" => labels: Strings,
    "fieldSpecs" => field_specs: Vec<FieldSpec>,
});

/// The NamespaceTransformer.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub metadata: ObjectMeta,
    pub field_specs: Vec<FieldSpec>,
    pub unset_only: bool,
    pub set_role_binding_subjects: String,
}

decode!(Namespace {
    "metadata" => metadata: ObjectMeta,
    "fieldSpecs" => field_specs: Vec<FieldSpec>,
    "unsetOnly" => unset_only: bool,
    "setRoleBindingSubjects" => set_role_binding_subjects: String,
});

/// The PatchJson6902Transformer.
#[derive(Debug, Default)]
pub(super) struct PatchJson6902 {
    pub target: Option<Selector>,
    pub path: String,
    pub json_op: String,
}

decode!(PatchJson6902 {
    "target" => target: Option<Selector>,
    "path" => path: String,
    "jsonOp" => json_op: String,
});

/// The PatchStrategicMergeTransformer.
#[derive(Debug, Default)]
pub(super) struct PatchStrategicMerge {
    pub paths: Vec<String>,
    pub patches: String,
}

decode!(PatchStrategicMerge {
    "paths" => paths: Vec<String>,
    "patches" => patches: String,
});

/// The PrefixTransformer, the SuffixTransformer, and the two in one.
#[derive(Debug, Default)]
pub(super) struct Affixes {
    pub prefix: String,
    pub suffix: String,
    pub field_specs: Option<Vec<FieldSpec>>,
}

decode!(Affixes {
    "prefix" => prefix: String,
    "suffix" => suffix: String,
    "fieldSpecs" => field_specs: Option<Vec<FieldSpec>>,
});

/// The ReplacementTransformer.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    pub replacements: Vec<ReplacementEntry>,
}

decode!(Replacements { "replacements" => replacements: Vec<ReplacementEntry> });

/// The ReplicaCountTransformer.
#[derive(Debug, Default)]
pub(super) struct ReplicaCount {
    pub replica: Replica,
    pub field_specs: Vec<FieldSpec>,
}

decode!(ReplicaCount {
    "replica" => replica: Replica,
    "fieldSpecs" => field_specs: Vec<FieldSpec>,
});

/// The ValueAddTransformer.
#[derive(Debug, Default)]
pub(super) struct ValueAdd {
    pub value: String,
    pub targets: Vec<value_add::Target>,
    pub target_file_path: String,
}

decode!(ValueAdd {
    "value" => value: String,
    "targets" => targets: Vec<value_add::Target>,
    "targetFilePath" => target_file_path: String,
});

/// The file that `targetFilePath` names.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub targets: Vec<value_add::Target>,
}

decode!(Targets { "targets" => targets: Vec<value_add::Target> });

/// What comes with the arguments of a generator.
#[derive(Debug, Default)]
pub(super) struct GeneratorMeta {
    pub metadata: ObjectMeta,
}

decode!(GeneratorMeta { "metadata" => metadata: ObjectMeta });
