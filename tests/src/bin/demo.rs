//! Runs the main job from end to end on the embedded API, and says what happens at each step.
//!
//! `make demo` builds and runs it. The exit status tells whether every step worked.

use std::{
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Parser;
use e2e::Process;
use futures::TryStreamExt as _;
use k8s_openapi::api::{
    apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Service,
};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use testkit::repository::Repository;
use tokio::io::{AsyncBufReadExt as _, BufReader};

const URL: &str = "https://github.com/stefanprodan/podinfo";

/// The objects as they would stand in a cluster that follows the remote repository.
const OBJECTS: &str = include_str!("../../../config/samples/podinfo.yaml");

/// A commit becomes healthy objects; drift is corrected; a removed manifest is pruned.
#[derive(Debug, Parser)]
struct Args {
    /// How many commits to make and time
    #[arg(long, default_value_t = 1)]
    commits: u32,
    /// How long each step may take, in seconds
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            say("✗", &format!("{err:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("failed to create a scratch directory")?;
    let repository = Repository::sample(&scratch.path().join("podinfo"))?;
    let objects = scratch.path().join("objects.yaml");
    std::fs::write(&objects, OBJECTS)?;
    say("►", "created a Git repository with a Deployment, a Service and an autoscaler");

    let kubeconfig = scratch.path().join("kubeconfig");
    let mut local = start(&repository, &objects, &kubeconfig)?;
    let steps = Steps { timeout: Duration::from_secs(args.timeout), repository };
    let outcome = tokio::select! {
        outcome = steps.run(&kubeconfig, args.commits) => outcome,
        status = local.wait() => Err(anyhow::anyhow!("tidegate local ended early: {}", status?)),
    };
    outcome?;
    let status = local.terminate().await?;
    if !status.success() {
        bail!("tidegate local ended with {status}");
    }
    say("✔", "everything worked, and everything is stopped");
    Ok(())
}

/// Starts the API and both controllers in one process, and relays what it says.
fn start(repository: &Repository, objects: &Path, kubeconfig: &Path) -> anyhow::Result<Process> {
    let repo = format!("{URL}={}", repository.path().display());
    let args: [&str; 7] = [
        "local",
        "--filename",
        &objects.display().to_string(),
        "--repo",
        &repo,
        "--write-kubeconfig",
        &kubeconfig.display().to_string(),
    ];
    say("►", &format!("starting: tidegate local -f objects.yaml --repo {URL}=…"));
    let mut local = Process::start("tidegate", args, &[], Stdio::piped())?;
    let stderr = local.stderr().context("standard error is a pipe")?;
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            say(" ", &format!("  {line}"));
        }
    });
    Ok(local)
}

struct Steps {
    timeout: Duration,
    repository: Repository,
}

impl Steps {
    async fn run(&self, kubeconfig: &Path, commits: u32) -> anyhow::Result<()> {
        let client = self.connect(kubeconfig).await?;
        self.becomes_ready(&client).await?;
        self.applies_commits(&client, commits).await?;
        self.corrects_drift(&client).await?;
        self.prunes(&client).await
    }

    /// Waits for the kubeconfig, which is written when the API answers.
    async fn connect(&self, kubeconfig: &Path) -> anyhow::Result<Client> {
        let deadline = Instant::now() + self.timeout;
        while !kubeconfig.exists() {
            if Instant::now() > deadline {
                bail!("tidegate local wrote no kubeconfig in time");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let config = Config::from_custom_kubeconfig(
            Kubeconfig::read_from(kubeconfig)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        Ok(Client::try_from(config)?)
    }

    async fn becomes_ready(&self, client: &Client) -> anyhow::Result<()> {
        let gvk = GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), "flux-system", &ApiResource::from_gvk(&gvk));
        let started = Instant::now();
        self.until(&api, "podinfo", "Kustomization is ready", |object| {
            object
                .and_then(|object| object.data.pointer("/status/conditions")?.as_array())
                .is_some_and(|conditions| {
                    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
                })
        })
        .await?;
        Api::<Service>::namespaced(client.clone(), "default").get("podinfo").await?;
        say("✔", &format!("the first commit is applied and healthy after {}", ms(started)));
        Ok(())
    }

    async fn applies_commits(&self, client: &Client, commits: u32) -> anyhow::Result<()> {
        let api = Api::<Deployment>::namespaced(client.clone(), "default");
        let mut times = Vec::new();
        for n in 0..commits {
            let (from, to) = (format!("podinfo:6.9.{n}"), format!("podinfo:6.9.{}", n + 1));
            self.repository.replace("kustomize/deployment.yaml", &from, &to)?;
            let commit = self.repository.commit("Update podinfo")?;
            let started = Instant::now();
            self.until(&api, "podinfo", "the new image is applied", |deployment| {
                deployment.and_then(image).is_some_and(|image| image.ends_with(&to))
            })
            .await?;
            times.push(started.elapsed());
            say(
                "✔",
                &format!("commit {} with {to} is applied after {}", &commit[..8], ms(started)),
            );
        }
        if commits > 1 {
            times.sort();
            let median = times[times.len() / 2];
            say("✔", &format!("median of {commits} commits: {} ms", median.as_millis()));
        }
        Ok(())
    }

    async fn corrects_drift(&self, client: &Client) -> anyhow::Result<()> {
        let api = Api::<Deployment>::namespaced(client.clone(), "default");
        let declared = api.get("podinfo").await?;
        let declared = image(&declared).context("the Deployment has a container")?.to_owned();
        let patch = json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "podinfod", "image": "example.com/edited-by-hand" },
        ] } } } });
        api.patch("podinfo", &PatchParams::default(), &Patch::Strategic(&patch)).await?;
        say("►", "edited the Deployment by hand: image example.com/edited-by-hand");
        let started = Instant::now();
        // Without the request it would be corrected at the interval.
        let gvk = GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let kustomizations: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), "flux-system", &ApiResource::from_gvk(&gvk));
        let annotations = json!({ "reconcile.fluxcd.io/requestedAt": "drift" });
        kustomizations
            .patch(
                "podinfo",
                &PatchParams::default(),
                &Patch::Merge(json!({ "metadata": { "annotations": annotations } })),
            )
            .await?;
        self.until(&api, "podinfo", "the drift is corrected", |deployment| {
            deployment.and_then(image) == Some(&declared)
        })
        .await?;
        say(
            "✔",
            &format!("the drift is corrected {} after a reconciliation was requested", ms(started)),
        );
        Ok(())
    }

    async fn prunes(&self, client: &Client) -> anyhow::Result<()> {
        let api = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), "default");
        self.repository.replace("kustomize/kustomization.yaml", "  - hpa.yaml\n", "")?;
        self.repository.remove("kustomize/hpa.yaml")?;
        let commit = self.repository.commit("Remove the autoscaler")?;
        let started = Instant::now();
        self.until(&api, "podinfo", "the autoscaler is pruned", |hpa| hpa.is_none()).await?;
        say(
            "✔",
            &format!("commit {} removed a manifest, pruned after {}", &commit[..8], ms(started)),
        );
        Ok(())
    }

    /// Follows an object until it, or its absence, is as wanted.
    async fn until<K>(
        &self,
        api: &Api<K>,
        name: &str,
        what: &str,
        wanted: impl Fn(Option<&K>) -> bool,
    ) -> anyhow::Result<()>
    where
        K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    {
        let changes = watcher::watch_object(api.clone(), name).default_backoff();
        futures::pin_mut!(changes);
        let follow = async {
            while let Some(object) = changes.try_next().await? {
                if wanted(object.as_ref()) {
                    return Ok(());
                }
            }
            bail!("the watch ended")
        };
        tokio::time::timeout(self.timeout, follow)
            .await
            .with_context(|| format!("not within {:?}: {what}", self.timeout))?
    }
}

fn image(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

fn ms(since: Instant) -> String {
    format!("{} ms", since.elapsed().as_millis())
}

fn say(symbol: &str, text: &str) {
    anstream::println!("{symbol} {text}");
}
