//! The controllers as processes of their own, which meet in the status of objects alone.

use anyhow::Context as _;
use e2e::{Controller, Toolkit, fleet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

fn config(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: {value}\n")
}

async fn value(toolkit: &Toolkit) -> anyhow::Result<Option<String>> {
    let api: Api<ConfigMap> = Api::namespaced(toolkit.client.clone(), "default");
    Ok(api.get("a").await?.data.and_then(|mut data| data.remove("key")))
}

#[tokio::test]
async fn work_together_in_either_order() -> anyhow::Result<()> {
    for source_is_first in [true, false] {
        let toolkit = Toolkit::start().await?;
        let (repository, server) = fleet(&toolkit.repositories()?).await?;
        repository.write("apps/a.yaml", &config("one"))?;
        let commit = repository.commit("Add a")?;
        toolkit.declare("fleet", &server.url("fleet")).await?;

        let (mut source, mut kustomize);
        if source_is_first {
            source = toolkit.source_controller(&[])?;
            toolkit.until_stored("fleet", &commit).await?;
            kustomize = toolkit.kustomize_controller(&[])?;
        } else {
            kustomize = toolkit.kustomize_controller(&[])?;
            toolkit.until_reason("fleet", "ArtifactFailed").await?;
            source = toolkit.source_controller(&[])?;
        }
        toolkit.until_applied("fleet", &commit).await?;
        assert_eq!(value(&toolkit).await?.as_deref(), Some("one"));

        // What is applied stays when the source is gone, and goes on when it is back.
        assert!(source.process.terminate().await?.success());
        repository.write("apps/a.yaml", &config("two"))?;
        let commit = repository.commit("Change a")?;
        source = toolkit.source_controller(&[])?;
        toolkit.until_applied("fleet", &commit).await?;
        assert_eq!(value(&toolkit).await?.as_deref(), Some("two"));

        assert!(source.process.terminate().await?.success());
        assert!(kustomize.process.terminate().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn start_alone_and_end_when_told_to() -> anyhow::Result<()> {
    let toolkit = Toolkit::start().await?;
    for mut controller in [toolkit.source_controller(&[])?, toolkit.kustomize_controller(&[])?] {
        controller.metrics().await?;
        let ended = controller.process.terminate();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(10), ended).await??;
        assert!(ended.success(), "{ended}");
    }
    Ok(())
}

#[tokio::test]
async fn hand_the_leadership_over() -> anyhow::Result<()> {
    let toolkit = Toolkit::start().await?;
    let (repository, server) = fleet(&toolkit.repositories()?).await?;
    repository.write("apps/a.yaml", &config("one"))?;
    let commit = repository.commit("Add a")?;
    let flags = ["--enable-leader-election", "--leader-election-retry-period=100ms"];
    let mut source = toolkit.source_controller(&flags)?;
    let mut kustomize = toolkit.kustomize_controller(&flags)?;
    toolkit.declare("fleet", &server.url("fleet")).await?;
    toolkit.until_applied("fleet", &commit).await?;
    let other_source = toolkit.source_controller(&flags)?;
    let other_kustomize = toolkit.kustomize_controller(&flags)?;
    for (controller, expected) in
        [(&source, true), (&kustomize, true), (&other_source, false), (&other_kustomize, false)]
    {
        assert_eq!(leads(controller).await?, expected);
    }

    assert!(kustomize.process.terminate().await?.success());
    assert!(source.process.terminate().await?.success());
    repository.write("apps/a.yaml", &config("two"))?;
    let commit = repository.commit("Change a")?;
    toolkit.request("fleet", "now").await?;
    toolkit.until_applied("fleet", &commit).await?;
    assert!(leads(&other_source).await? && leads(&other_kustomize).await?);
    Ok(())
}

/// Returns whether a controller says of itself that it leads.
async fn leads(controller: &Controller) -> anyhow::Result<bool> {
    let metrics = controller.metrics().await?;
    let mut lines = metrics.lines();
    let line = lines.find(|line| line.starts_with("leader_election_master_status{"));
    Ok(line.context("it takes part in no election")?.ends_with(" 1"))
}
