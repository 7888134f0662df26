//! The flags.

use std::time::Duration;

use apply::order::GroupKind;
use clap::{ArgAction, Parser};
use tracing::warn;
use url::Url;

use crate::context::{Gates, Settings};

/// The flags of kustomize-controller.
#[derive(Debug, Clone, Parser)]
#[command(name = "kustomize-controller", version)]
pub struct Args {
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
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true)]
    pub no_remote_bases: bool,
    /// How often a failed download is tried again.
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// ServiceAccount to impersonate when a Kustomization names none. Not supported yet.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// ServiceAccount whose identity key services are asked with. Not supported yet.
    #[arg(long, default_value = "")]
    pub default_decryption_service_account: String,
    /// ServiceAccount whose identity remote clusters are asked with. Not supported yet.
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// Secret with age keys for Kustomizations that name none. Not supported yet.
    #[arg(long, default_value = "")]
    pub sops_age_secret: String,
    /// ConfigMap with the addresses of Vault servers. Not supported yet.
    #[arg(long, default_value = "")]
    pub sops_vault_configmap: String,
    /// Manager whose fields are taken over, by prefix of its name; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub override_manager: Vec<String>,
    /// Kinds to apply before the rest, as a list of group/Kind.
    #[arg(long, default_value = "", value_parser = custom_stage)]
    pub custom_apply_stage_kinds: CustomStage,
    /// Refuses sources in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true)]
    pub no_cross_namespace_refs: bool,
    /// Address to which events are posted.
    #[arg(long, default_value = "")]
    pub events_addr: String,
    /// Least time until a run is repeated whose outcome could not be recorded.
    #[arg(long, default_value = "750ms", value_name = "DURATION")]
    pub min_retry_delay: api::duration::Duration,
    /// Most time until such a run is repeated.
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub max_retry_delay: api::duration::Duration,
    /// Features to switch on or off, as a list of name=true or name=false.
    #[arg(long, default_value = "", value_parser = gates)]
    pub feature_gates: GateList,
    /// Whether to watch all namespaces, or only that of the controller.
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true)]
    pub watch_all_namespaces: bool,
    /// Labels of the Kustomizations to reconcile.
    #[arg(long, default_value = "")]
    pub watch_label_selector: String,
    /// Share of the interval, in percent, by which it may vary.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100))]
    pub interval_jitter_percentage: u8,
    /// Namespace of the controller.
    #[arg(long, env = "RUNTIME_NAMESPACE", default_value = "", hide = true)]
    pub runtime_namespace: String,
}

/// The kinds of the custom stage.
#[derive(Debug, Clone, Default)]
pub struct CustomStage(Vec<GroupKind>);

/// The feature gates that are set.
#[derive(Debug, Clone, Default)]
pub struct GateList(Vec<(String, bool)>);

/// Flags that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The flag would change what is applied, and nothing acts on it yet.
    #[error("--{0} is not supported by this version; leave it out")]
    Unsupported(&'static str),
    /// The gate would change what is applied, and nothing acts on it yet.
    #[error("feature-gate '{0}' is not supported by this version")]
    UnsupportedGate(String),
    /// The address of events is none.
    #[error("--events-addr is not a URL")]
    EventsAddress(#[source] url::ParseError),
    /// The namespace to watch is not known.
    #[error("--watch-all-namespaces=false needs the environment variable RUNTIME_NAMESPACE")]
    NoNamespace,
}

/// Gates that are known and change nothing here: what they switch is on, off, or not there at all.
const WITHOUT_EFFECT: [&str; 8] = [
    "AdditiveCELDependencyCheck",
    "CacheSecretsAndConfigMaps",
    "CancelHealthCheckOnNewRevision",
    "DisableConfigWatchers",
    "DisableStatusPollerCache",
    "GroupChangeLog",
    "ObjectLevelWorkloadIdentity",
    "StrictPostBuildSubstitutions",
];

fn gates(text: &str) -> Result<GateList, String> {
    let known =
        ["DirectSourceFetch", "DisableFailFastBehavior", "ExternalArtifact", "MigrateAPIVersion"];
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let parse = |item: &str| {
        let (name, value) = item.split_once('=').ok_or(format!("missing value for {item}"))?;
        if !known.contains(&name) && !WITHOUT_EFFECT.contains(&name) {
            return Err(format!("feature-gate '{name}' not supported"));
        }
        let value = value.parse().map_err(|_| format!("invalid value of {name}: {value}"))?;
        Ok((name.to_owned(), value))
    };
    Ok(GateList(items.map(parse).collect::<Result<_, String>>()?))
}

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
    pub(crate) concurrent: u16,
    pub(crate) http_retry: u32,
    pub(crate) events: Option<Url>,
    /// The namespace to watch; all when `None`.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
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
            concurrent,
            concurrent_ssa,
            requeue_dependency,
            no_remote_bases: _, // Remote bases are never fetched.
            http_retry,
            default_service_account,
            default_decryption_service_account,
            default_kubeconfig_service_account,
            sops_age_secret,
            sops_vault_configmap,
            override_manager,
            custom_apply_stage_kinds,
            no_cross_namespace_refs,
            events_addr,
            min_retry_delay,
            max_retry_delay,
            feature_gates,
            watch_all_namespaces,
            watch_label_selector,
            interval_jitter_percentage,
            runtime_namespace,
        } = self;
        if !default_service_account.is_empty() {
            // Without it, everything would be applied with the rights of the controller.
            return Err(ArgsError::Unsupported("default-service-account"));
        }
        // Kustomizations that need one of these are stalled, so none is applied without it.
        for (flag, value) in [
            ("default-decryption-service-account", default_decryption_service_account),
            ("default-kubeconfig-service-account", default_kubeconfig_service_account),
            ("sops-age-secret", sops_age_secret),
            ("sops-vault-configmap", sops_vault_configmap),
        ] {
            if !value.is_empty() {
                warn!(flag, "the flag has no effect in this version");
            }
        }
        let mut gates = Gates::default();
        for (name, value) in feature_gates.0 {
            match name.as_str() {
                "DirectSourceFetch" => gates.direct_source_fetch = value,
                "DisableFailFastBehavior" => gates.disable_fail_fast = value,
                "ExternalArtifact" => gates.external_artifact = value,
                "MigrateAPIVersion" if value => return Err(ArgsError::UnsupportedGate(name)),
                name => warn!(gate = name, "the feature gate has no effect"),
            }
        }
        let namespace = match (watch_all_namespaces, runtime_namespace) {
            (true, _) => None,
            (false, namespace) if namespace.is_empty() => return Err(ArgsError::NoNamespace),
            (false, namespace) => Some(namespace),
        };
        let events = Some(events_addr).filter(|address| !address.is_empty());
        let events = events.map(|address| Url::parse(&address)).transpose();
        Ok(Parts {
            settings: Settings {
                concurrent_ssa: concurrent_ssa.max(1),
                requeue_dependency: requeue_dependency.as_std().max(Duration::from_millis(1)),
                no_cross_namespace_refs,
                override_managers: override_manager,
                custom_stage: custom_apply_stage_kinds.0,
                interval_jitter: f64::from(interval_jitter_percentage) / 100.0,
                min_retry_delay: min_retry_delay.as_std(),
                max_retry_delay: max_retry_delay.as_std(),
                gates,
            },
            concurrent: concurrent.max(1),
            http_retry,
            events: events.map_err(ArgsError::EventsAddress)?,
            namespace,
            labels: Some(watch_label_selector).filter(|selector| !selector.is_empty()),
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
        assert!(refused("--default-service-account=apps"));
        assert!(refused("--feature-gates=MigrateAPIVersion=true"));
        assert!(parse(&["--feature-gates=Nonsense=true"]).is_err());
        assert!(parse(&["--interval-jitter-percentage=100"]).is_err());
    }
}
