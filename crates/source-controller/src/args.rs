//! The flags.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use common::args::{ArgsError as CommonArgsError, Listen, Watched};
use common::features::{FeatureGates, FeatureGatesError};
use tracing::warn;
use url::Url;

use crate::archive;
use crate::digest::Algorithm;
use crate::storage::Retention;

/// The feature gates, and whether they are open without being named.
const GATES: [(&str, bool); 2] =
    [("CacheSecretsAndConfigMaps", false), ("ObjectLevelWorkloadIdentity", false)];

/// The flags of source-controller.
#[derive(Debug, Clone, Parser)]
#[command(name = "source-controller", version)]
pub struct Args {
    /// What every controller has
    #[command(flatten)]
    pub common: common::Args,
    /// How many objects of a kind are reconciled at a time
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    pub concurrent: u16,
    /// How long to wait for an included repository that nothing tells about
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub requeue_dependency: api::duration::Duration,
    /// Directory that artifacts are kept in
    #[arg(long, env = "STORAGE_PATH", default_value = "/data", value_name = "DIR")]
    pub storage_path: PathBuf,
    /// Address that artifacts are served at; with port 0, a free one is taken
    #[arg(long, env = "STORAGE_ADDRESS", default_value = ":9090", value_name = "ADDRESS")]
    pub storage_addr: Listen,
    /// Address that artifacts are advertised under, when it is another one
    #[arg(long, env = "STORAGE_ADV_ADDR", default_value = "", value_name = "ADDRESS")]
    pub storage_adv_addr: String,
    /// How long artifacts stay that are not current
    #[arg(long, default_value = "1m", value_name = "DURATION")]
    pub artifact_retention_ttl: api::duration::Duration,
    /// How many artifacts of an object stay at most
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    pub artifact_retention_records: usize,
    /// Algorithm of digests: sha1, sha256, sha384, sha512 or blake3
    #[arg(long, default_value = "sha256", value_name = "ALGORITHM")]
    pub artifact_digest_algo: Algorithm,
    /// Most bytes of the files in an artifact, before they are compressed
    #[arg(long, default_value_t = 1 << 30, value_name = "BYTES")]
    pub artifact_max_size: u64,
    /// Most files and directories in an artifact
    #[arg(long, default_value_t = 500_000, value_name = "COUNT")]
    pub artifact_max_files: u64,
    /// Most bytes that are received from a Git repository for one revision, and most that are
    /// checked out of it
    #[arg(long, default_value_t = 2 << 30, value_name = "BYTES")]
    pub git_max_size: u64,
    /// Key exchange algorithms for SSH, in order of preference
    #[arg(long, value_delimiter = ',', value_name = "ALGORITHMS")]
    pub ssh_kex_algos: Vec<String>,
    /// Host key algorithms for SSH, in order of preference
    #[arg(long, value_delimiter = ',', value_name = "ALGORITHMS")]
    pub ssh_hostkey_algos: Vec<String>,
    /// ServiceAccount whose identity is used for objects that name none. Not supported yet
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
    /// Most bytes of the index of a Helm repository. Not used yet
    #[arg(long, default_value_t = 52_428_800, value_name = "BYTES")]
    pub helm_index_max_size: u64,
    /// Most bytes of a Helm chart. Not used yet
    #[arg(long, default_value_t = 10_485_760, value_name = "BYTES")]
    pub helm_chart_max_size: u64,
    /// Most bytes of a file in a Helm chart. Not used yet
    #[arg(long, default_value_t = 5_242_880, value_name = "BYTES")]
    pub helm_chart_file_max_size: u64,
    /// How many indexes of Helm repositories are kept in memory. Not used yet
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub helm_cache_max_size: u32,
    /// How long the index of a Helm repository is kept in memory. Not used yet
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub helm_cache_ttl: api::duration::Duration,
    /// How often indexes that are too old leave the memory. Not used yet
    #[arg(long, default_value = "1m", value_name = "DURATION")]
    pub helm_cache_purge_interval: api::duration::Duration,
    /// Name of this machine, under which artifacts are advertised that are served everywhere.
    #[arg(long, env = "HOSTNAME", default_value = "", hide = true)]
    pub hostname: String,
    /// Working trees on this machine that stand in for remote URLs.
    #[arg(skip)]
    pub local_repositories: BTreeMap<String, PathBuf>,
}

/// Flags that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// A flag that every controller has.
    #[error(transparent)]
    Common(#[from] CommonArgsError),
    /// A feature gate.
    #[error(transparent)]
    FeatureGates(#[from] FeatureGatesError),
    /// Artifacts have to be served somewhere.
    #[error("--storage-addr cannot be switched off")]
    NoStorageAddress,
    /// A flag with no meaning without a gate.
    #[error(
        "--default-service-account requires the feature gate ObjectLevelWorkloadIdentity to be \
         enabled"
    )]
    DefaultServiceAccount,
}

/// What the flags say, in parts.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) storage: StorageParts,
    pub(crate) watched: Watched,
    pub(crate) concurrent: u16,
    pub(crate) events: Option<Url>,
    pub(crate) retry_delays: (Duration, Duration),
}

/// What the flags say about the storage.
pub(crate) struct StorageParts {
    pub(crate) path: PathBuf,
    pub(crate) listen: Listen,
    /// Where to say that it is; derived from where it is served when empty.
    pub(crate) advertised: String,
    pub(crate) hostname: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) retention: Retention,
}

/// What the flags say about reconciliations.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) requeue_dependency: Duration,
    pub(crate) interval_jitter: f64,
    pub(crate) archive_limits: archive::Limits,
    pub(crate) git_max_size: u64,
    pub(crate) ssh_kex_algos: Vec<String>,
    pub(crate) ssh_hostkey_algos: Vec<String>,
    pub(crate) local_repositories: BTreeMap<String, PathBuf>,
}

impl Default for Args {
    /// Returns what the flags are when none is given.
    fn default() -> Self {
        Self::parse_from(["source-controller"])
    }
}

impl Args {
    pub(crate) fn into_parts(self) -> Result<Parts, ArgsError> {
        let Self {
            common,
            concurrent,
            requeue_dependency,
            storage_path,
            storage_addr,
            storage_adv_addr,
            artifact_retention_ttl,
            artifact_retention_records,
            artifact_digest_algo,
            artifact_max_size,
            artifact_max_files,
            git_max_size,
            ssh_kex_algos,
            ssh_hostkey_algos,
            default_service_account,
            // Helm repositories and charts are not reconciled yet.
            helm_index_max_size: _,
            helm_chart_max_size: _,
            helm_chart_file_max_size: _,
            helm_cache_max_size: _,
            helm_cache_ttl: _,
            helm_cache_purge_interval: _,
            hostname,
            local_repositories,
        } = self;
        if storage_addr.is_off() {
            return Err(ArgsError::NoStorageAddress);
        }
        let gates = FeatureGates::parse(&common.feature_gates, &GATES)?;
        let workload_identity = gates.is_enabled("ObjectLevelWorkloadIdentity");
        if !default_service_account.is_empty() && !workload_identity {
            return Err(ArgsError::DefaultServiceAccount);
        }
        // Objects that need an identity of their own are stalled, so none is fetched without it.
        for (is_set, name) in [
            (workload_identity, "--feature-gates=ObjectLevelWorkloadIdentity"),
            (!default_service_account.is_empty(), "--default-service-account"),
            (
                gates.is_enabled("CacheSecretsAndConfigMaps"),
                "--feature-gates=CacheSecretsAndConfigMaps",
            ),
        ] {
            if is_set {
                warn!(flag = name, "the flag has no effect in this version");
            }
        }
        Ok(Parts {
            watched: common.watched()?,
            concurrent: concurrent.max(1),
            events: common.events_addr.0,
            retry_delays: (common.min_retry_delay.as_std(), common.max_retry_delay.as_std()),
            storage: StorageParts {
                path: storage_path,
                listen: storage_addr,
                advertised: storage_adv_addr,
                hostname: Some(hostname)
                    .filter(|name| !name.is_empty())
                    .unwrap_or_else(common::process::hostname),
                algorithm: artifact_digest_algo,
                retention: Retention {
                    ttl: artifact_retention_ttl.as_std(),
                    records: artifact_retention_records,
                },
            },
            settings: Settings {
                requeue_dependency: requeue_dependency.as_std().max(Duration::from_millis(1)),
                interval_jitter: f64::from(common.interval_jitter_percentage) / 100.0,
                archive_limits: archive::Limits {
                    bytes: artifact_max_size,
                    entries: artifact_max_files,
                },
                git_max_size,
                ssh_kex_algos,
                ssh_hostkey_algos,
                local_repositories,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once(&"source-controller").chain(flags))
    }

    #[test]
    fn takes_the_flags_of_flux() {
        let flags = [
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-path=/data",
            "--storage-adv-addr=source-controller.flux-system.svc.cluster.local.",
            "--concurrent=20",
            "--requeue-dependency=5s",
            "--artifact-retention-ttl=1h",
            "--artifact-retention-records=5",
            "--artifact-digest-algo=blake3",
            "--ssh-kex-algos=curve25519-sha256,ecdh-sha2-nistp256",
            "--ssh-hostkey-algos=ssh-ed25519",
            "--helm-cache-max-size=10",
            "--helm-cache-ttl=60m",
            "--helm-cache-purge-interval=5m",
            "--helm-index-max-size=1",
            "--helm-chart-max-size=1",
            "--helm-chart-file-max-size=1",
            "--token-cache-max-size=0",
            "--feature-gates=ObjectLevelWorkloadIdentity=true",
            "--default-service-account=default",
        ];
        let parts = parse(&flags).unwrap().into_parts().unwrap();
        assert_eq!(parts.concurrent, 20);
        assert_eq!(parts.storage.algorithm, Algorithm::Blake3);
        assert_eq!(parts.settings.ssh_kex_algos, ["curve25519-sha256", "ecdh-sha2-nistp256"]);
        assert_eq!(parts.storage.retention.ttl, Duration::from_hours(1));
    }

    #[test]
    fn refuses_what_it_cannot_obey() {
        let refused = |flag: &str| parse(&[flag]).unwrap().into_parts().is_err();
        assert!(refused("--default-service-account=apps"));
        assert!(refused("--feature-gates=OptimizedGitClones=true"));
        assert!(refused("--storage-addr=0"));
        for flag in ["--artifact-digest-algo=md5", "--storage-addr=9090", "--concurrent=-1"] {
            assert!(parse(&[flag]).is_err(), "{flag}");
        }
    }
}
