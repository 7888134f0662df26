//! What the embedded API keeps in a folder outlives it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use e2e::Server;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tempfile::TempDir;

/// The longest time until the API is killed.
const ROUND: Duration = Duration::from_millis(300);

/// How often it is killed.
const ROUNDS: usize = 8;

/// Names, and the value and version that the API has confirmed.
type Confirmed = BTreeMap<String, (String, String)>;

async fn start(scratch: &TempDir) -> anyhow::Result<(Server, Api<ConfigMap>)> {
    let data = scratch.path().join("data").display().to_string();
    let server = Server::start_with(scratch.path(), &["--no-workloads", "--data", &data]).await?;
    let api = Api::namespaced(server.client.clone(), "default");
    Ok((server, api))
}

/// Writes and removes until the API is gone; `doubtful` is what it had not answered to.
async fn work(
    api: &Api<ConfigMap>,
    confirmed: &mut Confirmed,
    doubtful: &mut Option<String>,
) -> kube::Error {
    loop {
        let name = format!("config-{}", fastrand::usize(..20));
        *doubtful = Some(name.clone());
        if fastrand::u8(..4) == 0 && confirmed.contains_key(&name) {
            if let Err(error) = api.delete(&name, &DeleteParams::default()).await {
                return error;
            }
            confirmed.remove(&name);
        } else {
            let value = fastrand::u64(..).to_string();
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": name }, "data": { "key": value },
            });
            let params = PatchParams::apply("test").force();
            let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
            match applied {
                Ok(object) => {
                    let version = object.resource_version().unwrap_or_default();
                    confirmed.insert(name, (value, version));
                }
                Err(error) => return error,
            }
        }
        *doubtful = None;
    }
}

#[tokio::test]
async fn a_killed_api_has_kept_all_that_it_confirmed() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let (mut confirmed, mut doubtful) = (Confirmed::new(), None::<String>);
    let mut last = 0_u64;
    for round in 0..ROUNDS {
        let (mut server, api) = start(&scratch).await?;
        let objects = api.list(&ListParams::default()).await?;
        let version = objects.metadata.resource_version.context("a list has a version")?;
        let version: u64 = version.parse()?;
        assert!(version >= last, "round {round}: the API has gone back from {last} to {version}");
        let found: Confirmed = objects
            .items
            .into_iter()
            .map(|object| {
                let version = object.resource_version().unwrap_or_default();
                let value = object.data.as_ref().and_then(|data| data.get("key")).cloned();
                (object.name_any(), (value.unwrap_or_default(), version))
            })
            .collect();
        // Of the last request, nobody knows whether it was done.
        if let Some(name) = &doubtful {
            match found.get(name.as_str()) {
                Some(object) => confirmed.insert(name.clone(), object.clone()),
                None => confirmed.remove(name),
            };
        }
        assert_eq!(found, confirmed, "round {round}");

        let moment = tokio::time::sleep(ROUND.mul_f64(fastrand::f64()));
        tokio::select! {
            error = work(&api, &mut confirmed, &mut doubtful) => return Err(error.into()),
            () = moment => server.kill().await?,
        }
        let newest = confirmed.values().filter_map(|(_, version)| version.parse().ok()).max();
        last = newest.unwrap_or(last).max(version);
    }
    Ok(())
}
