//! The command line: global flags and the tree of commands.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use common::args::LogLevel;
use secrecy::SecretString;

use crate::output;

/// GitOps for Kubernetes: makes clusters equal to what Git declares.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    disable_help_subcommand = true,
    after_help = "Try it without a cluster:\n  \
        tidegate local -f objects.yaml --repo https://github.com/me/fleet=./fleet\n\n\
        Use it on a cluster:\n  \
        tidegate install\n  \
        tidegate get all -A\n  \
        tidegate reconcile kustomization podinfo --with-source\n\n\
        Exit status: 0 on success, 1 on any error, which is told on standard error."
)]
pub(crate) struct Root {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The namespace that the command works in [default: flux-system]
    #[arg(short, long, global = true, value_name = "NAMESPACE", value_parser = label)]
    namespace: Option<String>,

    /// Work in the namespace of the kubeconfig context when --namespace is not given
    #[arg(long, global = true)]
    ns_follows_kube_context: bool,

    // The environment, apart from the flags: what it holds can be wrong without being an error.
    #[arg(long, hide = true, env = "FLUX_SYSTEM_NAMESPACE")]
    system_namespace: Option<String>,
    #[arg(long, hide = true, env = "FLUX_NS_FOLLOWS_KUBE_CONTEXT")]
    ns_follows: Option<String>,

    /// How long the whole command may take, e.g. 30s or 5m
    #[arg(long, global = true, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl Global {
    /// Returns the namespace to work in; `context` is that of the kubeconfig.
    pub(crate) fn namespace(&self, context: Option<&str>) -> String {
        let Self { namespace, ns_follows_kube_context, system_namespace, ns_follows, .. } = self;
        if let Some(namespace) = namespace {
            return namespace.clone();
        }
        if let Some(context) = context.filter(|_| *ns_follows_kube_context || ns_follows.is_some())
        {
            return context.to_owned();
        }
        match system_namespace {
            Some(namespace) if label(namespace).is_ok() => namespace.clone(),
            Some(namespace) => {
                output::warning(format_args!(
                    "ignoring FLUX_SYSTEM_NAMESPACE: {namespace:?} is not a namespace name"
                ));
                manifests::DEFAULT_NAMESPACE.to_owned()
            }
            None => manifests::DEFAULT_NAMESPACE.to_owned(),
        }
    }
}

/// How to reach the cluster; the names are kubectl's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connection {
    /// Path to the kubeconfig file [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The kubeconfig context to use
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// The kubeconfig cluster to use
    #[arg(long, global = true)]
    pub(crate) cluster: Option<String>,
    /// The kubeconfig user to use
    #[arg(long, global = true)]
    pub(crate) user: Option<String>,
    /// The user to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) as_user: Option<String>,
    /// A group to impersonate, can be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "as_user")]
    pub(crate) as_groups: Vec<String>,
    /// The uid to impersonate
    #[arg(long, global = true, value_name = "UID", requires = "as_user")]
    pub(crate) as_uid: Option<String>,
    /// A detail of the user to impersonate, can be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", requires = "as_user", value_parser = pair)]
    pub(crate) as_user_extra: Vec<(String, String)>,
    /// The address of the API server
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The bearer token to authenticate with
    #[arg(long, global = true)]
    pub(crate) token: Option<SecretString>,
    /// A file with the certificate to authenticate with
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_certificate: Option<String>,
    /// A file with the key of that certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_key: Option<String>,
    /// A file with the authorities that may have signed the server's certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// The name to check the server certificate against
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// Do not check the server certificate
    #[arg(long, global = true)]
    pub(crate) insecure_skip_tls_verify: bool,
    /// Do not ask for compressed responses
    #[arg(long, global = true)]
    pub(crate) disable_compression: bool,
    // Scripts written for `flux` may set these; there is nothing that they could change here.
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    cache_dir: Option<String>,
    #[arg(long, global = true, hide = true, value_name = "NUMBER")]
    kube_api_qps: Option<f32>,
    #[arg(long, global = true, hide = true, value_name = "NUMBER")]
    kube_api_burst: Option<u32>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what a controller would apply
    Build(BuildArgs),
    /// Print a script that completes commands and flags in a shell
    Completion(CompletionArgs),
    /// List objects and their state
    Get(GetArgs),
    /// Install the controllers, or print their manifests
    ///
    /// Applies the manifests on the server's side, first the namespace and the kinds, then the
    /// rest, prints what has changed, and waits until the controllers are ready. Installing again
    /// with other flags, or by a newer version of this command, changes what is different. The
    /// objects have the names and labels of Flux's, so an installation of Flux is taken over.
    Install(InstallArgs),
    /// Work with kustomizations on disk
    Kustomize(KustomizeArgs),
    /// Run an API and the controllers in this process, without a cluster
    ///
    /// Serves a Kubernetes API that holds nothing, and writes a kubeconfig for it; `kubectl` and
    /// other tools work with it. Workloads become ready without being run. Applies the given
    /// objects, shows what the controllers do, and goes on until Ctrl-C; nothing is kept.
    ///
    /// A folder given by --repo stands in for a remote repository, with changes that are not
    /// committed, so that a change can be tried before it is pushed. With --until-ready, the exit
    /// status tells whether everything became ready: a check for a pull request.
    Local(LocalArgs),
    /// Ask a controller to reconcile an object now, and wait for the outcome
    ///
    /// Exits with 1 and the cause when the reconciliation fails, or the time is over.
    Reconcile(ReconcileArgs),
    /// Resume the reconciliation of objects
    Resume(ResumeArgs),
    /// Suspend the reconciliation of objects
    Suspend(SuspendArgs),
    /// Print the versions of the command and of the installed controllers
    Version(VersionArgs),
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(subcommand)]
    pub(crate) what: BuildKind,
}

/// What to build.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildKind {
    /// Print the objects that a Kustomization would apply from a local directory
    ///
    /// Takes the Kustomization from the cluster, or from a file, builds the directory as
    /// kustomize-controller would, and prints the objects. Nothing is written to the directory.
    /// Encrypted values are masked.
    #[command(visible_alias = "ks")]
    Kustomization(BuildKustomizationArgs),
}

/// Arguments of `build kustomization`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidegate build kustomization podinfo --path ./kustomize\n  \
    tidegate build kustomization podinfo --path ./kustomize --kustomization-file podinfo.yaml --dry-run\n  \
    tidegate build kustomization apps --path ./apps --recursive \\\n    \
    --local-sources GitRepository/flux-system/fleet=.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct BuildKustomizationArgs {
    /// The name of the Kustomization
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// The local directory that stands for `spec.path`
    #[arg(long, value_name = "DIR")]
    pub(crate) path: PathBuf,
    /// A file that holds the Kustomization, instead of the one in the cluster
    #[arg(long, value_name = "FILE")]
    pub(crate) kustomization_file: Option<PathBuf>,
    /// Do not connect to a cluster; variables of ConfigMaps and Secrets have no values then
    #[arg(long, requires = "kustomization_file")]
    pub(crate) dry_run: bool,
    /// Fail when a variable has neither a value nor a default
    #[arg(long)]
    pub(crate) strict_substitute: bool,
    /// Build the Kustomizations among the objects too
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Where the sources of those are: Kind/namespace/name=DIR, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "SOURCE=DIR", value_parser = local_source)]
    pub(crate) local_sources: Vec<(String, PathBuf)>,
    // Nothing is ever written to the directory.
    #[arg(long, hide = true)]
    in_memory_build: bool,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  source <(tidegate completion bash)")]
pub(crate) struct CompletionArgs {
    /// The shell to complete in
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// A structured output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidegate get kustomizations -A\n  \
    tidegate get sources git --status-selector ready=false\n  \
    tidegate get all")]
pub(crate) struct GetArgs {
    #[command(subcommand)]
    pub(crate) what: GetKind,
    #[command(flatten)]
    pub(crate) flags: GetFlags,
}

/// Flags of every `get`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct GetFlags {
    /// List objects of all namespaces
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,
    /// Leave out the line of column names
    #[arg(long, global = true)]
    pub(crate) no_header: bool,
    /// Go on and print a line at every change
    #[arg(short, long, global = true)]
    pub(crate) watch: bool,
    /// List only objects with this condition, e.g. ready=false or stalled!=true
    #[arg(long, global = true, value_name = "CONDITION=VALUE")]
    pub(crate) status_selector: Option<String>,
    /// List only objects with these labels
    #[arg(short = 'l', long, global = true, value_name = "SELECTOR")]
    pub(crate) label_selector: Option<String>,
    /// Show which source each object takes its content from
    #[arg(long, global = true)]
    pub(crate) show_source: bool,
    /// Print the objects themselves
    #[arg(short, long, global = true, value_enum)]
    pub(crate) output: Option<Format>,
}

/// What to list.
#[derive(Debug, Subcommand)]
pub(crate) enum GetKind {
    /// Every kind, grouped
    All,
    /// Kustomizations
    #[command(visible_aliases = ["ks", "kustomization"])]
    Kustomizations(NameArg),
    /// Sources
    #[command(visible_alias = "source")]
    Sources {
        #[command(subcommand)]
        kind: GetSource,
    },
}

/// Which sources to list.
#[derive(Debug, Subcommand)]
pub(crate) enum GetSource {
    /// Every kind of source, grouped
    All,
    /// Artifacts that another controller produces
    External(NameArg),
    /// Git repositories
    Git(NameArg),
}

/// An object name that may be left out.
#[derive(Debug, Args)]
pub(crate) struct NameArg {
    /// Only the object of this name
    #[arg(value_parser = name)]
    pub(crate) name: Option<String>,
}

/// Arguments of `install`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidegate install\n  \
    tidegate install --components source-controller --export > tidegate.yaml")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct InstallArgs {
    /// The controllers to install, comma-separated
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "source-controller,kustomize-controller",
        value_name = "NAMES"
    )]
    pub(crate) components: Vec<manifests::Component>,
    /// Print the manifests instead of applying them
    #[arg(long)]
    pub(crate) export: bool,
    /// Registry and path before the image names
    #[arg(long, default_value = manifests::DEFAULT_REGISTRY)]
    pub(crate) registry: String,
    /// The image tag to install [default: the version of this command]
    #[arg(long = "version", short = 'v', value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// A Secret with credentials for the registry, by name
    #[arg(long, value_name = "SECRET")]
    pub(crate) image_pull_secret: Option<String>,
    /// What to put into that Secret, as USER:PASSWORD
    #[arg(long, value_name = "USER:PASSWORD", requires = "image_pull_secret")]
    pub(crate) registry_creds: Option<manifests::Credentials>,
    /// Let the controllers work in all namespaces, not only in their own
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) watch_all_namespaces: bool,
    /// The log level of the controllers
    #[arg(long, default_value = "info", value_parser = ["trace", "debug", "info", "error"])]
    pub(crate) log_level: String,
    /// Install network policies that let only what is needed through
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) network_policy: bool,
    /// The DNS domain of the cluster
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub(crate) cluster_domain: String,
    /// Keys of taints that the controllers tolerate, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "KEYS")]
    pub(crate) toleration_keys: Vec<String>,
    /// Replace an installation that another tool manages, without asking
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `kustomize`.
#[derive(Debug, Args)]
pub(crate) struct KustomizeArgs {
    #[command(subcommand)]
    pub(crate) command: KustomizeCommand,
}

/// What to do with a kustomization on disk.
#[derive(Debug, Subcommand)]
pub(crate) enum KustomizeCommand {
    /// Print the objects that a directory declares, as `kubectl kustomize` does
    Build(KustomizeBuildArgs),
}

/// Arguments of `kustomize build`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidegate kustomize build ./deploy/production")]
pub(crate) struct KustomizeBuildArgs {
    /// The directory that holds the kustomization file
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Whether files outside the directory of a kustomization may be loaded
    #[arg(long, value_enum, default_value_t = LoadRestrictor::RootOnly)]
    pub(crate) load_restrictor: LoadRestrictor,
    /// How to order the objects when the kustomization does not say
    #[arg(long, value_enum, default_value_t = Reorder::Legacy)]
    pub(crate) reorder: Reorder,
    /// Label every object as managed by the build
    #[arg(long)]
    pub(crate) enable_managedby_label: bool,
    /// Write to this file, or one file an object into this directory
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

/// Which files a kustomization may load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadRestrictor {
    /// Files below its own directory
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Any file
    #[value(name = "LoadRestrictionsNone")]
    None,
}

/// In which order objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reorder {
    /// Namespaces and cluster-wide definitions first, webhooks last
    Legacy,
    /// As declared
    None,
}

/// Arguments of `local`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidegate local -f flux-system/ --until-ready\n  \
    tidegate local -f flux-system/ --repo https://github.com/me/fleet=./fleet\n  \
    tidegate local --no-controllers")]
pub(crate) struct LocalArgs {
    /// Apply the objects in this file or directory, can be repeated; - is standard input
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    pub(crate) filenames: Vec<PathBuf>,
    /// Serve a local folder in place of a remote URL, can be repeated
    #[arg(long = "repo", value_name = "URL=PATH", value_parser = repo)]
    pub(crate) repos: Vec<(String, PathBuf)>,
    /// The controllers to run, comma-separated
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "source-controller,kustomize-controller",
        value_name = "NAMES",
        conflicts_with = "no_controllers"
    )]
    pub(crate) components: Vec<manifests::Component>,
    /// Run only the API
    #[arg(long)]
    pub(crate) no_controllers: bool,
    /// Do not simulate what a cluster does with workloads: they never become ready
    #[arg(long)]
    pub(crate) no_workloads: bool,
    /// Exit as soon as everything is ready, or with status 1 and the causes when it does not
    #[arg(long)]
    pub(crate) until_ready: bool,
    /// Keep everything in this directory, and go on with what is there
    ///
    /// Secrets are in it as they are. Without, nothing is left at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The address that the API listens on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
    /// Where to write the kubeconfig, which is removed at the end [default: tidegate.kubeconfig]
    #[arg(long, value_name = "FILE")]
    pub(crate) write_kubeconfig: Option<PathBuf>,
    /// What the controllers log, apart from what is shown of their work
    #[arg(long, value_enum, default_value_t = LogLevel::Error, value_name = "LEVEL")]
    pub(crate) log_level: LogLevel,
}

/// Arguments of `reconcile`.
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    #[command(subcommand)]
    pub(crate) what: ReconcileKind,
}

/// What to reconcile.
#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileKind {
    /// A Kustomization
    #[command(visible_alias = "ks")]
    Kustomization {
        /// Its name
        #[arg(value_parser = name)]
        name: String,
        /// Reconcile its source first
        #[arg(long)]
        with_source: bool,
    },
    /// A source
    Source {
        #[command(subcommand)]
        kind: ReconcileSource,
    },
}

/// Which source to reconcile.
#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileSource {
    /// A Git repository
    Git {
        /// Its name
        #[arg(value_parser = name)]
        name: String,
    },
}

/// Arguments of `suspend`.
#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    #[command(subcommand)]
    pub(crate) what: SuspendKind,
}

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(subcommand)]
    pub(crate) what: SuspendKind,
    /// Wait for the outcome [default: only when one name is given]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) wait: Option<bool>,
}

/// What to suspend or resume.
#[derive(Debug, Subcommand)]
pub(crate) enum SuspendKind {
    /// Kustomizations
    #[command(visible_alias = "ks")]
    Kustomization(NamesArg),
    /// Sources
    Source {
        #[command(subcommand)]
        kind: SuspendSource,
    },
}

/// Which sources to suspend or resume.
#[derive(Debug, Subcommand)]
pub(crate) enum SuspendSource {
    /// Git repositories
    Git(NamesArg),
}

/// Several objects by name, or all of a namespace.
#[derive(Debug, Args)]
pub(crate) struct NamesArg {
    /// The objects
    #[arg(required_unless_present = "all", conflicts_with = "all", value_parser = name)]
    pub(crate) names: Vec<String>,
    /// Every object of the kind in the namespace
    #[arg(long)]
    pub(crate) all: bool,
}

/// Arguments of `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Print only the version of this command, without asking a cluster
    #[arg(long)]
    pub(crate) client: bool,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) output: Format,
}

/// Reads the name of a namespace.
fn label(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if valid { Ok(text.to_owned()) } else { Err("not a valid name of a namespace".to_owned()) }
}

/// Reads the name of an object.
fn name(text: &str) -> Result<String, String> {
    let valid = text.len() <= 253 && text.split('.').all(|part| label(part).is_ok());
    if valid { Ok(text.to_owned()) } else { Err("not a valid name of an object".to_owned()) }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<api::duration::Duration>().map(Into::into).map_err(|err| err.to_string())
}

fn local_source(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((source, path)) if source.split('/').count() == 3 && !path.is_empty() => {
            Ok((source.to_owned(), PathBuf::from(path)))
        }
        _ => {
            Err("expected KIND/NAMESPACE/NAME=DIR, e.g. GitRepository/flux-system/fleet=."
                .to_owned())
        }
    }
}

fn repo(text: &str) -> Result<(String, PathBuf), String> {
    // The path is what follows the last `=`: a URL may hold one in its query.
    match text.rsplit_once('=') {
        Some((url, path)) if !url.is_empty() && !path.is_empty() => {
            Ok((url.to_owned(), PathBuf::from(path)))
        }
        _ => Err("expected URL=PATH, e.g. https://github.com/me/fleet=./fleet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_tree_is_consistent() {
        Root::command().debug_assert();
    }

    #[test]
    fn finds_the_namespace_in_the_order_of_flux() {
        let parse = |flags: &[&str]| {
            let args = [&["tidegate"], flags, &["version"]].concat();
            Root::try_parse_from(args).map(|root| root.global)
        };
        let context = Some("team");
        assert_eq!(parse(&[]).unwrap().namespace(context), "flux-system");
        assert_eq!(parse(&["--ns-follows-kube-context"]).unwrap().namespace(context), "team");
        let flags = ["--ns-follows-kube-context", "-n", "apps"];
        assert_eq!(parse(&flags).unwrap().namespace(context), "apps");
        assert_eq!(parse(&["--system-namespace=gitops"]).unwrap().namespace(context), "gitops");
        assert_eq!(parse(&["--system-namespace=Git_Ops"]).unwrap().namespace(None), "flux-system");
        assert!(parse(&["-n", "Git_Ops"]).is_err());
    }

    #[test]
    fn takes_the_names_that_objects_can_have() {
        for valid in ["podinfo", "a.b-c", "0"] {
            assert!(name(valid).is_ok(), "{valid}");
        }
        for invalid in ["", "Podinfo", "-a", "a-", "a..b", "a/b", &"a".repeat(64)] {
            assert!(name(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn takes_go_durations() {
        let root = Root::try_parse_from(["tidegate", "--timeout", "1m30s", "version"]).unwrap();
        assert_eq!(root.global.timeout, Duration::from_secs(90));
    }
}
