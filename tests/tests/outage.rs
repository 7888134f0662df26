//! The API and what it stores in fail for a while, as they do when a cluster is upgraded. Only a
//! real control plane has such parts.

use std::{pin::pin, time::Duration};

use anyhow::Context as _;
use api::kustomize::Kustomization;
use e2e::{Controller, Toolkit, fleet};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams},
    runtime::wait::await_condition,
};
use testkit::{git_server::GitServer, repository::Repository};
use tokio::time::timeout;

/// Longer than a request to the API waits for etcd.
const PAUSE: Duration = Duration::from_secs(30);

fn commit(repository: &Repository, value: &str) -> anyhow::Result<String> {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: ";
    repository.write("apps/a.yaml", &format!("{config}{value}\n"))?;
    repository.commit("Change a")
}

async fn value(toolkit: &Toolkit) -> anyhow::Result<Option<String>> {
    let api: Api<ConfigMap> = Api::namespaced(toolkit.client.clone(), "default");
    Ok(api.get("a").await?.data.and_then(|mut data| data.remove("key")))
}

/// Returns whether there is a real control plane, after saying that the test is skipped if not.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what they leave out")]
fn is_real(toolkit: &mut Toolkit) -> bool {
    let is_real = toolkit.control_plane().is_some();
    if !is_real {
        eprintln!("skipped: needs a real control plane, see `make e2e`");
    }
    is_real
}

/// Controllers that have applied a first commit.
struct AtWork {
    repository: Repository,
    source: Controller,
    kustomize: Controller,
    _server: GitServer,
}

impl AtWork {
    async fn start(toolkit: &Toolkit, flags: &[&str]) -> anyhow::Result<Self> {
        let (repository, server) = fleet(&toolkit.repositories()?).await?;
        let first = commit(&repository, "one")?;
        let source = toolkit.source_controller(&[])?;
        let kustomize = toolkit.kustomize_controller(flags)?;
        toolkit.declare("fleet", &server.url("fleet")).await?;
        toolkit.until_applied("fleet", &first).await?;
        Ok(Self { repository, source, kustomize, _server: server })
    }

    /// Makes sure that the processes are those that were started.
    fn assert_same_processes(&self) {
        assert!(self.source.process.id().is_some() && self.kustomize.process.id().is_some());
    }
}

#[tokio::test]
async fn controllers_outlive_restarts_of_the_api_server() -> anyhow::Result<()> {
    let mut toolkit = Toolkit::start().await?;
    if !is_real(&mut toolkit) {
        return Ok(());
    }
    let at_work = AtWork::start(&toolkit, &["--enable-leader-election"]).await?;
    for round in ["two", "three"] {
        let plane = toolkit.control_plane().context("it is real")?;
        plane.kill("kube-apiserver")?;
        plane.start_api_server().await?;
        let commit = commit(&at_work.repository, round)?;
        toolkit.request("fleet", round).await?;
        toolkit.until_applied("fleet", &commit).await?;
        assert_eq!(value(&toolkit).await?.as_deref(), Some(round));
    }
    at_work.assert_same_processes();
    Ok(())
}

#[tokio::test]
async fn controllers_outlive_another_certificate_of_the_api_server() -> anyhow::Result<()> {
    let mut toolkit = Toolkit::start().await?;
    if !is_real(&mut toolkit) {
        return Ok(());
    }
    let at_work = AtWork::start(&toolkit, &["--enable-leader-election"]).await?;
    let plane = toolkit.control_plane().context("it is real")?;
    plane.renew_certificate()?;
    plane.kill("kube-apiserver")?;
    plane.start_api_server().await?;
    let commit = commit(&at_work.repository, "two")?;
    toolkit.request("fleet", "now").await?;
    toolkit.until_applied("fleet", &commit).await?;
    at_work.assert_same_processes();
    Ok(())
}

/// A watch that goes on from a revision which the API has forgotten has to begin anew, and finds
/// what was created, changed and deleted in between.
#[tokio::test]
async fn controllers_notice_what_the_api_has_forgotten() -> anyhow::Result<()> {
    let mut toolkit = Toolkit::start().await?;
    if !is_real(&mut toolkit) {
        return Ok(());
    }
    let at_work = AtWork::start(&toolkit, &[]).await?;
    let seen = toolkit.kustomizations().list(&ListParams::default()).await?.metadata;
    let seen = seen.resource_version.context("a list has a version")?;

    at_work.kustomize.process.pause(true)?;
    let second = commit(&at_work.repository, "two")?;
    toolkit.request("fleet", "now").await?;
    toolkit.until_stored("fleet", &second).await?;
    let copy = toolkit.kustomizations().get("fleet").await?.spec;
    toolkit.kustomizations().delete("fleet", &DeleteParams::default()).await?;
    let copy = Kustomization::new("copy", copy);
    toolkit.kustomizations().create(&PostParams::default(), &copy).await?;
    let plane = toolkit.control_plane().context("it is real")?;
    plane.compact().await?;
    plane.kill("kube-apiserver")?;
    plane.start_api_server().await?;
    let mut watch = pin!(toolkit.kustomizations().watch(&WatchParams::default(), &seen).await?);
    match watch.next().await {
        Some(Ok(WatchEvent::Error(status))) => assert_eq!(status.code, 410, "{status:?}"),
        other => panic!("the API remembers: {other:?}"),
    }

    at_work.kustomize.process.pause(false)?;
    toolkit.until_applied("copy", &second).await?;
    let is_gone = |obj: Option<&Kustomization>| obj.is_none();
    let is_gone = await_condition(toolkit.kustomizations(), "fleet", is_gone);
    timeout(Duration::from_mins(1), is_gone).await.context("fleet is still there")??;
    at_work.assert_same_processes();
    Ok(())
}

#[tokio::test]
async fn controllers_outlive_a_pause_of_etcd() -> anyhow::Result<()> {
    let mut toolkit = Toolkit::start().await?;
    if !is_real(&mut toolkit) {
        return Ok(());
    }
    let at_work = AtWork::start(&toolkit, &[]).await?;

    let second = commit(&at_work.repository, "two")?;
    toolkit.request("fleet", "now").await?;
    let plane = toolkit.control_plane().context("it is real")?;
    plane.pause("etcd", true)?;
    tokio::time::sleep(PAUSE).await;
    plane.pause("etcd", false)?;
    toolkit.until_applied("fleet", &second).await?;
    assert_eq!(value(&toolkit).await?.as_deref(), Some("two"));
    at_work.assert_same_processes();
    Ok(())
}
