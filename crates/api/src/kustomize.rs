//! `kustomize.toolkit.fluxcd.io/v1`: what a cluster is made equal to.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{duration::Duration, inventory::Inventory, meta::LocalObjectReference, schema};

/// The API group.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// The annotation on an event that holds the revision that it is about.
pub const REVISION_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/revision";

/// The annotation on an event that holds the revision that the artifact was made from.
pub const ORIGIN_REVISION_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/originRevision";

/// The annotation on an event that asks for the status of the commit to be updated.
pub const COMMIT_STATUS_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/commit_status";

/// Annotation of a Kustomization that asks for more than an interval: with the value
/// [`DRIFT_WATCH`], a change of one of its objects is corrected at once.
pub const DRIFT_ANNOTATION: &str = "kustomize.tidegate.dev/drift";

/// The value of [`DRIFT_ANNOTATION`] that has an effect.
pub const DRIFT_WATCH: &str = "watch";

/// What the annotations start with that ask for more than Flux knows.
pub const OWN_PREFIX: &str = "kustomize.tidegate.dev/";

/// Annotation of a Kustomization that limits what a run may delete without confirmation: a number of
/// objects, e.g. `10`, or a share of the inventory, e.g. `50%`.
pub const PRUNE_LIMIT_ANNOTATION: &str = "kustomize.tidegate.dev/prune-limit";

/// Annotation of a Kustomization that confirms what a run deletes: the revision that it applies.
pub const CONFIRM_PRUNE_ANNOTATION: &str = "kustomize.tidegate.dev/confirm-prune";

/// The metadata key of an artifact that holds the revision that it was made from.
pub const ORIGIN_REVISION_METADATA: &str = "org.opencontainers.image.revision";

/// What a path of an artifact declares, applied to a cluster.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kustomize.toolkit.fluxcd.io",
    version = "v1",
    kind = "Kustomization",
    plural = "kustomizations",
    shortname = "ks",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-appliers",
    namespaced,
    status = "KustomizationStatus",
    derive = "PartialEq",
    annotation("kustomize.toolkit.fluxcd.io/substitute", "disabled"),
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationSpec {
    /// How often the cluster is compared with the artifact.
    pub interval: Duration,
    /// How long to wait after a failure. Defaults to the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
    /// How long building, applying and health checks may take. Defaults to the interval less 30s,
    /// and is at least 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The source whose artifact to apply.
    pub source_ref: CrossNamespaceSourceReference,
    /// Directory in the artifact. Defaults to its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether to delete objects that are no longer declared.
    pub prune: bool,
    /// Whether reconciliation is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Kustomizations that have to be ready first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<DependencyReference>>,
    /// How to decrypt what is encrypted in the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// What to do with the built objects before they are applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// The cluster to apply to. Defaults to the one that the controller runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// Name of the ServiceAccount to impersonate while applying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// What happens to the objects when the Kustomization is deleted: `MirrorPrune` (default)
    /// follows `prune`, `Delete` deletes them, `WaitForTermination` deletes them and waits until
    /// they are gone, `Orphan` leaves them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Objects that have to become healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_checks: Option<Vec<ObjectReference>>,
    /// Expressions that tell the health of custom resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_exprs: Option<Vec<HealthCheckExpression>>,
    /// Whether to wait until every applied object is healthy; `healthChecks` is ignored then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// Whether to recreate objects whose change is refused because a field is immutable.
    #[serde(default = "default_false", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::false_by_default")]
    pub force: Option<bool>,
    /// Namespace to put every object in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: Option<String>,
    /// Prefix of the name of every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_prefix: Option<String>,
    /// Suffix of the name of every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_suffix: Option<String>,
    /// Labels and annotations to put on every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Strategic merge and JSON patches, applied in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<Vec<Patch>>,
    /// Images to rename, retag or pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<Image>>,
    /// Paths of components to include, relative to the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<String>>,
    /// Whether components that do not exist are left out instead of being an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_missing_components: Option<bool>,
    /// Which annotations to write about the origin of objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_metadata: Option<Vec<BuildMetadata>>,
    /// Fields to leave as they are in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<IgnoreRule>>,
}

#[expect(clippy::unnecessary_wraps, reason = "a serde default has the type of its field")]
fn default_false() -> Option<bool> {
    Some(false)
}

const MINIMUM_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

impl KustomizationSpec {
    /// How long a run may take: at least 30s, by default the interval less 30s.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout
            .map_or_else(
                || self.interval.as_std().saturating_sub(MINIMUM_TIMEOUT),
                Duration::as_std,
            )
            .max(MINIMUM_TIMEOUT)
    }

    /// How long to wait after a failure.
    pub fn retry_interval(&self) -> std::time::Duration {
        self.retry_interval.unwrap_or(self.interval).as_std()
    }
}

/// A source, possibly in another namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// API version of the source; the kind alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: SourceKind,
    /// Name of the source.
    pub name: String,
    /// Namespace of the source. Defaults to that of the Kustomization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A kind that has an artifact.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum SourceKind {
    /// An OCI repository.
    OCIRepository,
    /// A Git repository.
    GitRepository,
    /// A bucket of an object store.
    Bucket,
    /// An artifact of another controller.
    ExternalArtifact,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::OCIRepository, Self::GitRepository, Self::Bucket, Self::ExternalArtifact];

    /// The name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OCIRepository => "OCIRepository",
            Self::GitRepository => "GitRepository",
            Self::Bucket => "Bucket",
            Self::ExternalArtifact => "ExternalArtifact",
        }
    }

    /// The name of the kind in URLs.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::OCIRepository => "ocirepositories",
            Self::GitRepository => "gitrepositories",
            Self::Bucket => "buckets",
            Self::ExternalArtifact => "externalartifacts",
        }
    }
}

impl std::fmt::Display for SourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A Kustomization that has to be ready first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyReference {
    /// Name of the Kustomization.
    pub name: String,
    /// Namespace of the Kustomization. Defaults to that of the dependant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// CEL expression over `self` and `dep` that tells whether the dependency is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_expr: Option<String>,
}

/// How to decrypt what is encrypted in an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// What the content is encrypted with.
    pub provider: DecryptionProvider,
    /// Name of the ServiceAccount whose identity a key service is asked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Name of the Secret that holds the private keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

/// What content can be encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecryptionProvider {
    /// SOPS.
    Sops,
}

/// What to do with built objects before they are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Values of variables; they win over those of `substituteFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<BTreeMap<String, String>>,
    /// ConfigMaps and Secrets with values of variables; later ones win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_from: Option<Vec<SubstituteReference>>,
    /// When to substitute: `WithVariables` (default) if there is a variable, or `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

/// When to substitute: `WithVariables` (default) if there is a variable, or `Always`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubstituteStrategy {
    /// If there is at least one variable.
    WithVariables,
    /// In any case.
    Always,
}

/// A ConfigMap or Secret with values of variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubstituteReference {
    /// Kind of the referent.
    pub kind: SubstituteKind,
    /// Name of the referent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether it may be missing.
    #[serde(default = "default_false", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::false_by_default")]
    pub optional: Option<bool>,
}

/// A kind that can hold values of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubstituteKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// How to reach another cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.configMapRef) || has(self.secretRef)",
        "message": "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
    },
    {
        "rule": "!has(self.configMapRef) || !has(self.secretRef)",
        "message": "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
    },
]))]
pub struct KubeConfigReference {
    /// Name of a ConfigMap that says how to authenticate with a cloud identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalObjectReference>,
    /// Secret that holds a kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyReference>,
}

/// A key of a Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret. Defaults to `value`, then `value.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What happens to the objects when the Kustomization is deleted: `MirrorPrune` (default)
/// follows `prune`, `Delete` deletes them, `WaitForTermination` deletes them and waits until
/// they are gone, `Orphan` leaves them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// As `prune` says.
    #[default]
    MirrorPrune,
    /// They are deleted.
    Delete,
    /// They are deleted, and their end is waited for.
    WaitForTermination,
    /// They stay.
    Orphan,
}

/// An object of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// API version of the object. Defaults to `apps/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// CEL expressions that tell the health of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckExpression {
    /// API version of the kind.
    pub api_version: String,
    /// The kind; every kind of the group when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// True while the object is changing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
    /// True when the object has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// True when the object is healthy.
    pub current: String,
}

/// Labels and annotations for every object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonMetadata {
    /// Annotations to put on every object; they win over its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels to put on every object; they win over its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A patch, and what to apply it to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// A strategic merge patch, or a list of JSON patch operations.
    pub patch: String,
    /// The objects to patch. Without it, a strategic merge patch names its object itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Selects objects; every field that is set has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// API group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version without the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind, as an anchored regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace, as an anchored regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name, as an anchored regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Selector of annotations, in the syntax of label selectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
    /// Selector of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}

/// An image to rename, retag or pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Name of the image without tag.
    pub name: String,
    /// Name to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// Tag to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,
    /// Digest to pin to; wins over the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What to write about the origin of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BuildMetadata {
    /// Where an object came from.
    OriginAnnotations,
    /// What has transformed an object.
    TransformerAnnotations,
}

impl BuildMetadata {
    /// The word that a kustomization file has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OriginAnnotations => "originAnnotations",
            Self::TransformerAnnotations => "transformerAnnotations",
        }
    }
}

/// Fields to leave as they are in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreRule {
    /// JSON pointers of the fields.
    pub paths: Vec<String>,
    /// The objects that the rule is about; every one when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// What is known of a Kustomization.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationStatus {
    /// Generation of the object that was last reconciled; -1 before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object, by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Revision that was last applied, pruned and found healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<String>,
    /// Revision that the last applied artifact was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_origin_revision: Option<String>,
    /// Revision that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<String>,
    /// Every object that was, or is about to be, applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// The last outcomes, newest first, five at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Snapshot>>,
    /// Value of the last request to reconcile that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// One outcome of one content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Digest of the built objects.
    pub digest: String,
    /// When the outcome was first seen.
    pub first_reconciled: Time,
    /// When the outcome was last seen.
    pub last_reconciled: Time,
    /// How long the last run took.
    #[schemars(schema_with = "schema::string")]
    pub last_reconciled_duration: Duration,
    /// Reason of the outcome, e.g. `ReconciliationSucceeded`.
    pub last_reconciled_status: String,
    /// How often the outcome was seen in a row.
    pub total_reconciliations: i64,
    /// Facts about the artifact: `revision` and `originRevision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

const HISTORY_LIMIT: usize = 5;

/// Records an outcome at the front of a history of at most five.
///
/// An outcome with the digest and status of an earlier one continues that one.
///
/// Source: `History.Upsert`, fluxcd/pkg `apis/meta`.
pub fn record(history: &mut Vec<Snapshot>, mut outcome: Snapshot) {
    let same = history.iter().position(|earlier| {
        earlier.digest == outcome.digest
            && earlier.last_reconciled_status == outcome.last_reconciled_status
    });
    if let Some(index) = same {
        let earlier = history.remove(index);
        outcome.first_reconciled = earlier.first_reconciled;
        outcome.total_reconciliations += earlier.total_reconciliations;
    }
    history.insert(0, outcome);
    history.truncate(HISTORY_LIMIT);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(digest: &str, status: &str, at: i64) -> Snapshot {
        let time = Time(jiff::Timestamp::from_second(at).unwrap());
        Snapshot {
            digest: digest.to_owned(),
            first_reconciled: time.clone(),
            last_reconciled: time,
            last_reconciled_duration: Duration::from_secs(1),
            last_reconciled_status: status.to_owned(),
            total_reconciliations: 1,
            metadata: None,
        }
    }

    #[test]
    fn continues_an_earlier_outcome_and_moves_it_to_the_front() {
        let mut history = Vec::new();
        record(&mut history, outcome("a", "ReconciliationSucceeded", 1));
        record(&mut history, outcome("b", "HealthCheckFailed", 2));
        record(&mut history, outcome("a", "ReconciliationSucceeded", 3));
        assert_eq!(history.len(), 2);
        assert_eq!(history[0].digest, "a");
        assert_eq!(history[0].total_reconciliations, 2);
        assert_eq!(history[0].first_reconciled.0.as_second(), 1);
        assert_eq!(history[0].last_reconciled.0.as_second(), 3);
    }

    #[test]
    fn keeps_five_outcomes() {
        let mut history = Vec::new();
        for digest in ["a", "b", "c", "d", "e", "f"] {
            record(&mut history, outcome(digest, "ReconciliationSucceeded", 1));
        }
        let digests: Vec<_> = history.iter().map(|snapshot| snapshot.digest.as_str()).collect();
        assert_eq!(digests, ["f", "e", "d", "c", "b"]);
    }
}
