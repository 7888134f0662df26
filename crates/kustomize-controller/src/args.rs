//! The flags.

use std::time::Duration;

use api::kustomize::Kustomization;
use apply::order::GroupKind;
use clap::{ArgAction, Parser};
use common::args::Watched;
use common::delay::Retries;
use common::features::{FeatureGates, FeatureGatesError};
use common::fetch::{FetchError, Hosts};
use common::remote::{RemoteArgs, RemoteArgsError};
use url::Url;

use crate::context::{Gates, Settings};
use crate::decryption::{self, Environment, EnvironmentError, Reference};

/// The flags of kustomize-controller.
#[derive(Debug, Clone, Parser)]
#[command(name = "kustomize-controller", version)]
pub struct Args {
    /// The flags that every controller has.
    #[command(flatten)]
    pub common: common::Args,
    /// Where artifacts are downloaded from.
    #[command(flatten)]
    pub hosts: Hosts,
    /// How many Kustomizations are reconciled at a time.
    #[arg(long, default_value_t = 4)]
    pub concurrent: u16,
    /// How many objects of a Kustomization are dry run at a time.
    #[arg(long, default_value_t = 4)]
    pub concurrent_ssa: usize,
    /// How long to wait for a dependency that nothing tells about.
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub requeue_dependency: api::duration::Duration,
    /// Refuses remote bases. They are never fetched, with or without it.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = common::args::bool)]
    pub no_remote_bases: bool,
    /// How often a failed download is tried again.
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// ServiceAccount to impersonate when a Kustomization names none.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// ServiceAccount whose identity key services are asked with, when a Kustomization names none.
    #[arg(long, default_value = "")]
    pub default_decryption_service_account: String,
    /// How other clusters are reached.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Secret with age keys for Kustomizations that name none, in the namespace of the controller.
    #[arg(long, default_value = "")]
    pub sops_age_secret: String,
    /// ConfigMap with the Vaults that know the cluster, in the namespace of the controller.
    #[arg(long, default_value = "")]
    pub sops_vault_configmap: String,
    /// Manager whose fields are taken over, by prefix of its name; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub override_manager: Vec<String>,
    /// Kinds to apply before the rest, as a list of group/Kind.
    #[arg(long, default_value = "", value_parser = custom_stage)]
    pub custom_apply_stage_kinds: CustomStage,
    /// Refuses sources in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = common::args::bool)]
    pub no_cross_namespace_refs: bool,
    /// What the environment says about key services.
    #[command(flatten)]
    pub environment: Environment,
}

/// The kinds of the custom stage.
#[derive(Debug, Clone, Default)]
pub struct CustomStage(Vec<GroupKind>);

/// Flags that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// What is said about other clusters cannot be obeyed.
    #[error(transparent)]
    Remote(#[from] RemoteArgsError),
    /// The gates cannot be read.
    #[error(transparent)]
    Gates(#[from] FeatureGatesError),
    /// A flag of every controller cannot be obeyed.
    #[error(transparent)]
    Common(#[from] common::args::ArgsError),
    /// A flag is about what a feature gate turns on.
    #[error(
        "cannot set default service accounts when the feature gate ObjectLevelWorkloadIdentity is \
         not enabled"
    )]
    InconsistentIdentity,
    /// Key services cannot be asked.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// There is no way to download anything.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// The gates, with what they are when nobody names them.
///
/// Source: kustomize-controller 1.9.4, `internal/features/features.go`.
const GATES: [(&str, bool); 12] = [
    ("AdditiveCELDependencyCheck", false),
    ("CacheSecretsAndConfigMaps", false),
    ("CancelHealthCheckOnNewRevision", false),
    ("DirectSourceFetch", false),
    ("DisableConfigWatchers", false),
    ("DisableFailFastBehavior", false),
    ("DisableStatusPollerCache", true),
    ("ExternalArtifact", false),
    ("GroupChangeLog", false),
    ("MigrateAPIVersion", false),
    ("ObjectLevelWorkloadIdentity", false),
    ("StrictPostBuildSubstitutions", true),
];

#[expect(clippy::unnecessary_wraps, reason = "a value parser returns a result")]
fn custom_stage(text: &str) -> Result<CustomStage, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let kinds = items.map(|item| {
        let (group, kind) = item.split_once('/').unwrap_or(("", item));
        GroupKind { group: group.to_owned(), kind: kind.to_owned() }
    });
    Ok(CustomStage(kinds.collect()))
}

/// What the flags say, in parts.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) concurrency: u16,
    pub(crate) http_retry: u32,
    pub(crate) hosts: Hosts,
    pub(crate) events: Option<Url>,
    pub(crate) watched: Watched,
    /// The labels of ConfigMaps and Secrets whose changes count, unless none do.
    pub(crate) configs: Option<String>,
    pub(crate) retries: Retries<Kustomization>,
}

impl Default for Args {
    /// Returns what the flags are when none is given.
    fn default() -> Self {
        Self::parse_from(["kustomize-controller"])
    }
}

impl Args {
    pub(crate) fn into_parts(self) -> Result<Parts, ArgsError> {
        let Self {
            common,
            hosts,
            concurrent,
            concurrent_ssa,
            requeue_dependency,
            no_remote_bases: _, // Remote bases are never fetched.
            http_retry,
            default_service_account,
            default_decryption_service_account,
            remote,
            sops_age_secret,
            sops_vault_configmap,
            override_manager,
            custom_apply_stage_kinds,
            no_cross_namespace_refs,
            environment,
        } = self;
        let namespace = common.runtime_namespace.clone();
        // Without a namespace there is no object to be named.
        let of_controller = |name: String| {
            let reference = Reference { namespace: namespace.clone(), name };
            Some(reference).filter(|it| !it.name.is_empty() && !it.namespace.is_empty())
        };
        let gates = FeatureGates::parse(&common.feature_gates, &GATES)?;
        let workload_identity = gates.is_enabled("ObjectLevelWorkloadIdentity");
        let decryption_account =
            Some(default_decryption_service_account).filter(|it| !it.is_empty());
        if decryption_account.is_some() && !workload_identity {
            return Err(ArgsError::InconsistentIdentity);
        }
        let remote = remote.into_options(workload_identity, &common)?;
        Ok(Parts {
            settings: Settings {
                concurrent_ssa: concurrent_ssa.max(1),
                requeue_dependency: requeue_dependency.as_std().max(Duration::from_millis(1)),
                no_cross_namespace_refs,
                default_service_account: Some(default_service_account).filter(|it| !it.is_empty()),
                override_managers: override_manager,
                custom_stage: custom_apply_stage_kinds.0,
                decryption: decryption::Settings {
                    age_secret: of_controller(sops_age_secret),
                    workload_identity,
                    default_account: decryption_account,
                    services: environment.into_defaults(of_controller(sops_vault_configmap))?,
                },
                remote,
                interval_jitter: f64::from(common.interval_jitter_percentage) / 100.0,
                gates: Gates {
                    additive_dependency_check: gates.is_enabled("AdditiveCELDependencyCheck"),
                    external_artifact: gates.is_enabled("ExternalArtifact"),
                    direct_source_fetch: gates.is_enabled("DirectSourceFetch"),
                    disable_fail_fast: gates.is_enabled("DisableFailFastBehavior"),
                    migrate_api_version: gates.is_enabled("MigrateAPIVersion"),
                    strict_substitutions: gates.is_enabled("StrictPostBuildSubstitutions"),
                },
            },
            concurrency: concurrent.max(1),
            http_retry,
            hosts,
            watched: common.watched()?,
            configs: Some(common.watch_configs_label_selector)
                .filter(|_| !gates.is_enabled("DisableConfigWatchers")),
            retries: Retries::new(common.min_retry_delay.as_std(), common.max_retry_delay.as_std()),
            events: common.events_addr.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once(&"kustomize-controller").chain(flags))
    }

    #[test]
    fn takes_the_flags_of_flux() {
        let flags = [
            "--concurrent=20",
            "--requeue-dependency=5s",
            "--override-manager=terraform",
            "--override-manager=pulumi",
            "--custom-apply-stage-kinds=cert-manager.io/Issuer,Secret",
            "--watch-all-namespaces",
            "--no-cross-namespace-refs=true",
            "--feature-gates=ExternalArtifact=true,DisableStatusPollerCache=true",
        ];
        let parts = parse(&flags).unwrap().into_parts().unwrap();
        assert_eq!(parts.settings.override_managers, ["terraform", "pulumi"]);
        assert_eq!(parts.settings.custom_stage[0].group, "cert-manager.io");
        assert_eq!(parts.settings.custom_stage[1].group, "");
        assert!(parts.settings.no_cross_namespace_refs && parts.settings.gates.external_artifact);
    }

    #[test]
    fn refuses_what_it_cannot_obey() {
        let refused = |flag: &str| parse(&[flag]).unwrap().into_parts().is_err();
        assert!(refused("--feature-gates=Nonsense=true"));
        let flags = ["--default-decryption-service-account=kms"];
        let error = parse(&flags).unwrap().into_parts().err().unwrap();
        assert!(matches!(error, ArgsError::InconsistentIdentity));
        let gate = "--feature-gates=ObjectLevelWorkloadIdentity=true";
        assert!(parse(&[flags[0], gate]).unwrap().into_parts().is_ok());
        assert!(refused("--default-kubeconfig-service-account=deployer"));
    }
}
