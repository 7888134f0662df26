//! GitRepositories of one large tree, through their whole life.

use std::{fmt::Write as _, path::Path, process::Stdio, time::Instant};

use anyhow::{Context as _, ensure};
use api::{conditions, source::GitRepository};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{Api, Client, api::DeleteParams};
use serde_json::json;
use testkit::repository::Repository;
use tokio::process::Command;

use crate::{
    controllers::Running,
    meter::Meter,
    report::Phase,
    watch::{self, Goal},
    workload::{CONCURRENCY, Measured, create, is_fetched, request},
};

/// What the floor is shown as: `git`, which fetches one commit and makes an archive of it.
pub(crate) const FLOOR: &str = "git";

/// How many files lie in one folder.
const FOLDER: usize = 100;

/// Sources of one tree, in a namespace of their own.
pub(crate) struct Fetch<'a> {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) repository: &'a Repository,
    pub(crate) url: String,
    pub(crate) sources: usize,
}

/// Commits so many files of so many bytes that compress about as well as manifests do.
pub(crate) fn fill(repository: &Repository, files: usize, size: usize) -> anyhow::Result<()> {
    for at in 0..files {
        let mut text = String::with_capacity(size + 64);
        let mut number = at.wrapping_mul(0x9e37_79b9) | 1;
        while text.len() < size {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            let at = text.len();
            let _ = writeln!(text, "  key-{at}: value-{}", number % 100_000);
        }
        text.truncate(size);
        repository.write(&format!("tree/{}/{at}.yaml", at / FOLDER), &text)?;
    }
    repository.commit("Add the tree")?;
    Ok(())
}

impl Fetch<'_> {
    fn api(&self) -> Api<GitRepository> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Changes one file, and returns the commit.
    pub(crate) fn change(&self, what: &str) -> anyhow::Result<String> {
        self.repository.write("tree/0/0.yaml", &format!("{}: {what}\n", self.namespace))?;
        self.repository.commit(&format!("Change a file: {what}"))
    }

    /// Measures every phase of a set of controllers that runs.
    pub(crate) async fn measure(
        &self,
        label: &str,
        running: &Running,
        api: Option<u32>,
    ) -> anyhow::Result<Vec<Phase>> {
        let processes: Vec<_> =
            running.ids().into_iter().chain(api.map(|id| ("api", id))).collect();
        let phase = Measured { client: &self.client, processes: &processes };
        let count = self.sources;
        let at = async |revision: &str, start| {
            let what = format!("{label}: fetched");
            watch::all(self.api(), &what, count, Goal::Is(is_fetched), revision, start).await
        };

        let revision = format!("main@sha1:{}", self.change("first")?);
        let fetched = async |start| at(&revision, start).await;
        let fetch = phase.run("fetch", self.declare(), fetched).await?;

        let revision = format!("main@sha1:{}", self.change("second")?);
        let fetched = async |start| at(&revision, start).await;
        let asked = request(self.api(), "source", count, "change");
        let change = phase.run("one file changes", asked, fetched).await?;

        let handled = async |start| {
            let what = format!("{label}: looked at again");
            watch::all(self.api(), &what, count, Goal::Is(has_handled), "again", start).await
        };
        let asked = request(self.api(), "source", count, "again");
        let again = phase.run("no change", asked, handled).await?;

        let gone = async |start| {
            let what = format!("{label}: deleted");
            watch::all(self.api(), &what, count, Goal::Gone, "", start).await
        };
        let delete = phase.run("delete", self.delete(), gone).await?;
        Ok(vec![fetch, change, again, delete])
    }

    /// Measures `git` doing the same without an API: a shallow clone and an archive.
    pub(crate) async fn floor(
        &self,
        scratch: &Path,
        concurrency: usize,
    ) -> anyhow::Result<Vec<Phase>> {
        let mut phases = Vec::new();
        for (name, what) in [("fetch", "first"), ("one file changes", "second")] {
            self.change(what)?;
            let meter = Meter::start(&self.client, None).await?;
            let start = Instant::now();
            let times = stream::iter(0..self.sources)
                .map(|at| async move {
                    let folder = scratch.join(format!("{FLOOR}-{at}"));
                    let archive = scratch.join(format!("{FLOOR}-{at}.tar.gz"));
                    let (folder, archive) = (folder.display(), archive.display());
                    // Every fetch of a controller is into an empty folder, too.
                    let script = format!(
                        "rm -rf {folder}; git clone --quiet --depth 1 --branch main {} {folder} && \
                         git -C {folder} archive --format tar.gz --output {archive} HEAD",
                        self.url
                    );
                    let mut shell = Command::new("sh");
                    shell.args(["-c", &script]).stdin(Stdio::null());
                    ensure!(shell.status().await.context("there is no sh")?.success(), "git fails");
                    Ok(start.elapsed())
                })
                .buffer_unordered(concurrency)
                .try_collect()
                .await?;
            phases.push(Phase::of(name, times, meter.stop().await?));
        }
        Ok(phases)
    }

    async fn declare(&self) -> anyhow::Result<()> {
        let sources = (0..self.sources).map(|at| {
            json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": format!("source-{at}")},
                "spec": {"interval": "60m", "url": self.url, "ref": {"branch": "main"}},
            })
        });
        stream::iter(sources)
            .map(|object| async move { create(&self.client, &self.namespace, &object).await })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    async fn delete(&self) -> anyhow::Result<()> {
        let api = self.api();
        for at in 0..self.sources {
            api.delete(&format!("source-{at}"), &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

fn has_handled(obj: &GitRepository, token: &str) -> bool {
    let Some(status) = &obj.status else { return false };
    status.last_handled_reconcile_at.as_deref() == Some(token)
        && conditions::is_true(&status.conditions, conditions::READY)
}
