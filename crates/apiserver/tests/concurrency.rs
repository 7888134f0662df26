//! Many clients at once: no write is lost, and who watches ends up with what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{client, create};
use apiserver::{ApiServer, Options};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Error, ResourceExt};
use serde_json::json;

const WRITERS: usize = 8;
const WRITES: usize = 40;
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn no_increment_is_lost() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    create(&api, json!({"metadata": {"name": "counter"}, "data": {"count": "0"}})).await;
    let increment = |api: Api<ConfigMap>| async move {
        for _ in 0..WRITES {
            loop {
                let mut object = api.get("counter").await.unwrap();
                let data = object.data.as_mut().unwrap();
                let count: usize = data["count"].parse().unwrap();
                data.insert("count".to_owned(), (count + 1).to_string());
                match api.replace("counter", &PostParams::default(), &object).await {
                    Ok(_) => break,
                    Err(Error::Api(status)) if status.code == 409 => {}
                    Err(error) => unreachable!("{error}"),
                }
            }
        }
    };
    let tasks: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(increment(api.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = &api.get("counter").await.unwrap().data.unwrap()["count"];
    assert_eq!(*count, (WRITERS * WRITES).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_many_clients_all_arrive() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    create(&api, json!({"metadata": {"name": "shared"}})).await;
    let patch = |api: Api<ConfigMap>, writer: usize| async move {
        for write in 0..WRITES {
            let patch = Patch::Merge(json!({"data": {format!("{writer}-{write}"): "x"}}));
            api.patch("shared", &PatchParams::default(), &patch).await.unwrap();
        }
    };
    let tasks: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(patch(api.clone(), writer))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let data = api.get("shared").await.unwrap().data.unwrap();
    assert_eq!(data.len(), WRITERS * WRITES);
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Creates, changes and deletes ConfigMaps that share a few names.
async fn write(api: Api<ConfigMap>, seed: u64) {
    let mut numbers = Numbers(seed);
    for turn in 0..150 {
        let name = format!("c{}", numbers.below(12));
        let patch = Patch::Merge(json!({"data": {"turn": format!("{seed}-{turn}")}}));
        let result = match numbers.below(4) {
            0 => api.delete(&name, &DeleteParams::default()).await.map(|_| ()),
            1 => {
                let object = json!({"metadata": {"name": name}});
                let object = serde_json::from_value(object).unwrap();
                api.create(&PostParams::default(), &object).await.map(|_| ())
            }
            _ => api.patch(&name, &PatchParams::default(), &patch).await.map(|_| ()),
        };
        match result {
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            other => other.unwrap(),
        }
        tokio::task::yield_now().await;
    }
}

fn versions(
    objects: impl Iterator<Item = impl std::ops::Deref<Target = ConfigMap>>,
) -> BTreeMap<String, String> {
    objects.map(|one| (one.name_any(), one.resource_version().unwrap())).collect()
}

/// Runs writers beside a reflector until its store equals a list.
async fn reflect(history_limit: usize, config: watcher::Config, seed: u64) {
    let server = ApiServer::new(Options { history_limit, ..Options::default() });
    let api: Api<ConfigMap> = Api::default_namespaced(Client::new(server.service(), "default"));
    let (store, writer) = reflector::store();
    let mut changes = watcher(api.clone(), config).default_backoff().reflect(writer).boxed();
    let writers: Vec<_> =
        (0..4).map(|writer| tokio::spawn(write(api.clone(), seed * 100 + writer))).collect();
    let mut writers = futures::future::join_all(writers);
    let mut done = false;
    let equal = async {
        loop {
            if done {
                let list = api.list(&ListParams::default()).await.unwrap();
                let stored = store.state();
                if versions(list.items.iter()) == versions(stored.iter().map(|one| &**one)) {
                    break;
                }
            }
            tokio::select! {
                // What the reflector sees; watches that fell behind are begun anew.
                change = changes.try_next() => drop(change),
                results = &mut writers, if !done => {
                    for result in results {
                        result.unwrap();
                    }
                    // Something is left to see, whatever the reflector has seen so far.
                    create(&api, json!({"metadata": {"name": "last"}})).await;
                    done = true;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, equal).await.expect("the store becomes equal to the list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_ends_with_what_a_list_shows() {
    for seed in 0..4 {
        reflect(1_000, watcher::Config::default(), seed).await;
        reflect(1_000, watcher::Config::default().streaming_lists(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_recovers_when_its_watch_falls_behind() {
    for seed in 0..2 {
        reflect(3, watcher::Config::default(), seed).await;
    }
}
