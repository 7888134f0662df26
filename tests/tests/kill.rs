//! Any process may be killed at any moment; the next start completes the work.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use e2e::{Toolkit, fleet};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;
use testkit::repository::Repository;

/// The longest time until the controllers are killed. A reconciliation takes a fraction of it.
const ROUND: Duration = Duration::from_millis(400);

/// What a repository declares: names and values.
type Declared = BTreeMap<String, String>;

/// Changes, adds and removes some of what is declared.
fn shuffle(declared: &mut Declared, round: usize) {
    for _ in 0..3 {
        let name = format!("config-{}", fastrand::usize(..12));
        if fastrand::u8(..3) == 0 {
            declared.remove(&name);
        } else {
            declared.insert(name, format!("round-{round}"));
        }
    }
    // Never nothing, and never the same as before.
    declared.insert("round".to_owned(), format!("round-{round}"));
    declared.remove(&format!("only-{}", round.wrapping_sub(1)));
    declared.insert(format!("only-{round}"), format!("round-{round}"));
}

fn commit(repository: &Repository, declared: &Declared) -> anyhow::Result<String> {
    let folder = repository.path().join("apps");
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    for (name, value) in declared {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n"
        );
        repository.write(&format!("apps/{name}.yaml"), &text)?;
    }
    repository.commit("Shuffle")
}

/// Returns what is there, and carries our labels.
async fn applied(toolkit: &Toolkit) -> anyhow::Result<Declared> {
    let api: Api<ConfigMap> = Api::namespaced(toolkit.client.clone(), "default");
    let owned = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=fleet");
    let items = api.list(&owned).await?.items.into_iter();
    let pair = |item: ConfigMap| Some((item.metadata.name?, item.data?.remove("key")?));
    Ok(items.filter_map(pair).collect())
}

/// Kills the controllers at random moments of `rounds` runs; after each, the cluster has to become
/// equal to the repository.
async fn survive(rounds: usize) -> anyhow::Result<()> {
    let seed = std::env::var("TIDEGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    fastrand::seed(seed);
    survive_with(rounds).await.with_context(|| format!("again with TIDEGATE_SEED={seed}"))
}

async fn survive_with(rounds: usize) -> anyhow::Result<()> {
    let toolkit = Toolkit::start().await?;
    let (repository, server) = fleet(&toolkit.repositories()?).await?;
    let mut declared = Declared::new();
    for round in 1..=rounds {
        shuffle(&mut declared, round);
        let commit = commit(&repository, &declared)?;
        let mut source = toolkit.source_controller(&[])?;
        let mut kustomize = toolkit.kustomize_controller(&[])?;
        toolkit.declare("fleet", &server.url("fleet")).await?;
        toolkit.request("fleet", &format!("round-{round}")).await?;

        // Both, one after the other, or one alone.
        let moment = || ROUND.mul_f64(fastrand::f64());
        let victims = fastrand::u8(..3);
        if victims != 0 {
            tokio::time::sleep(moment()).await;
            source.process.kill().await?;
        }
        if victims != 1 {
            tokio::time::sleep(moment()).await;
            kustomize.process.kill().await?;
        }
        if victims != 0 {
            source = toolkit.source_controller(&[])?;
        }
        if victims != 1 {
            kustomize = toolkit.kustomize_controller(&[])?;
        }
        let obj = toolkit.until_applied("fleet", &commit).await?;
        assert_eq!(applied(&toolkit).await?, declared, "round {round}");
        let inventory = obj.status.and_then(|status| status.inventory).unwrap_or_default();
        assert_eq!(inventory.entries.len(), declared.len(), "round {round}: {inventory:?}");
        source.process.kill().await?;
        kustomize.process.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn loses_and_orphans_nothing() -> anyhow::Result<()> {
    survive(8).await
}

#[tokio::test]
#[ignore = "takes minutes: make kill-test"]
async fn loses_and_orphans_nothing_in_a_hundred_rounds() -> anyhow::Result<()> {
    survive(100).await
}
