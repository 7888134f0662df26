//! `tidegate local`: an API and the controllers in one process, without a cluster.

mod controllers;
mod kubeconfig;
mod objects;
mod progress;
mod readiness;
mod repos;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Context as _;
use apiserver::ApiServer;
use common::args::LogEncoding;
use futures::FutureExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    core::DynamicObject,
    runtime::wait::{await_condition, conditions},
};
use manifests::Component;
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    args::{Global, LocalArgs},
    local::{
        controllers::{Controllers, Storage},
        kubeconfig::Kubeconfig,
        progress::Progress,
        repos::Repo,
    },
    output, ssa,
};

/// The field manager of what is applied on behalf of the user.
const FIELD_MANAGER: &str = "tidegate";

/// Runs until interrupted or, if asked to, until everything is ready.
///
/// # Errors
///
/// When an object of the user is refused, something does not start, or not everything becomes
/// ready.
pub(crate) async fn run(global: &Global, args: LocalArgs) -> anyhow::Result<()> {
    common::logging::start(LogEncoding::Console, args.log_level);
    // Before anything is started: a mistake on the command line should be the only thing shown.
    let objects = objects::read(&args.filenames)?;
    let repos = repos::resolve(args.repos)?;
    let mut interrupted = Interrupt::listen()?;

    let options = apiserver::Options::default();
    let api = match &args.data {
        Some(data) => ApiServer::open(&data.join("api"), options)
            .with_context(|| format!("failed to go on with --data {}", data.display()))?,
        None => ApiServer::new(options),
    };
    let client = Client::new(api.service(), "default");
    define(&client).await?;
    let own = global.namespace(None);
    for namespace in namespaces(&own, &objects) {
        let reason =
            if namespace == own { "the controllers live in it" } else { "objects need it" };
        create_namespace(&client, &namespace, reason).await?;
    }
    let served = api.serve(args.listen).await.context("failed to serve the local API")?;
    let path = args.write_kubeconfig.unwrap_or_else(|| default_kubeconfig(&repos));
    let kubeconfig = Kubeconfig::write(path, &served.kubeconfig())?;
    output::success(format_args!(
        "serving a Kubernetes API at https://{}, kubeconfig in {}",
        served.addr,
        kubeconfig.path().display()
    ));

    let components = if args.no_controllers { Vec::new() } else { args.components };
    let storage = Storage::new(args.data.as_deref())?;
    let mut controllers = Controllers::start(&components, &client, &repos, storage)?;
    let mut beside: JoinSet<anyhow::Result<()>> = JoinSet::new();
    if !args.no_workloads {
        beside.spawn(apiserver::workloads::run(client.clone()).map(Ok));
    }
    let progress = Progress::new(client.clone());
    beside.spawn(progress.clone().follow().map(Ok));
    if !repos.is_empty() {
        beside.spawn(repos::follow(client.clone(), repos));
    }
    let work = async {
        for object in &objects {
            let change = ssa::apply(&client, FIELD_MANAGER, object).await?;
            output::success(format_args!("{} {change}", ssa::identity(object)));
        }
        if args.until_ready {
            return readiness::wait(&client, global.timeout).await.map(Some);
        }
        output::waiting(format_args!(
            "press Ctrl-C to stop; to look around: kubectl --kubeconfig {} get all -A",
            kubeconfig.path().display()
        ));
        std::future::pending().await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = interrupted.wait() => if args.until_ready {
            Err(anyhow::anyhow!("stopped before everything was ready"))
        } else {
            Ok(None)
        },
        err = controllers.failed() => Err(err),
        Some(ended) = beside.join_next() => Err(match ended {
            Ok(Ok(())) => anyhow::anyhow!("a part of the local cluster has ended"),
            Ok(Err(err)) => err,
            Err(err) => anyhow::Error::new(err).context("a part of the local cluster has crashed"),
        }),
    };
    controllers.stop().await;
    progress.catch_up().await;
    if let Some(count) = outcome? {
        output::success(format_args!("{count} objects are ready"));
    }
    Ok(())
}

/// Returns where the kubeconfig goes when nothing is said: into the current folder, unless that is
/// served as a repository, which it would become a part of.
fn default_kubeconfig(repos: &[Repo]) -> PathBuf {
    let current = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_default();
    if repos.iter().any(|repo| current.starts_with(&repo.root)) {
        std::env::temp_dir().join(format!("tidegate-{}.kubeconfig", std::process::id()))
    } else {
        PathBuf::from("tidegate.kubeconfig")
    }
}

/// Installs the definitions of our kinds, as an installation in a cluster would, and waits until
/// they are served.
async fn define(client: &Client) -> anyhow::Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let options =
        manifests::Options { components: Component::ALL.to_vec(), ..manifests::Options::default() };
    for crd in manifests::crds(&options) {
        let crd: DynamicObject = serde_json::from_value(crd).context("a CRD is no object")?;
        ssa::apply(client, FIELD_MANAGER, &crd).await?;
        let name = crd.metadata.name.unwrap_or_default();
        await_condition(crds.clone(), &name, conditions::is_crd_established())
            .await
            .with_context(|| format!("failed to wait for {name}"))?;
    }
    Ok(())
}

/// Returns the namespaces that objects are in and that are not among the objects themselves, and
/// that of the controllers.
fn namespaces(own: &str, objects: &[DynamicObject]) -> BTreeSet<String> {
    let is_namespace = |object: &&DynamicObject| {
        object.types.as_ref().is_some_and(|types| types.kind == "Namespace")
    };
    let given: BTreeSet<_> =
        objects.iter().filter(is_namespace).filter_map(|it| it.metadata.name.as_deref()).collect();
    let named = objects.iter().filter_map(|object| object.metadata.namespace.as_deref());
    named.chain([own]).filter(|name| !given.contains(name)).map(str::to_owned).collect()
}

/// Creates a namespace, and says so, unless there is one.
async fn create_namespace(client: &Client, name: &str, reason: &str) -> anyhow::Result<()> {
    let namespace = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
    }))
    .context("a namespace is no object")?;
    if ssa::apply(client, FIELD_MANAGER, &namespace).await? == ssa::Change::Created {
        output::generate(format_args!("namespace {name} created: {reason}"));
    }
    Ok(())
}

/// Ctrl-C or SIGTERM.
struct Interrupt {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupt {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
