//! Watches: nothing is missed, everything comes in order, and what is too old is refused.

use std::time::Duration;

use crate::support::{client, create, refusal};
use apiserver::{ApiServer, Options};
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

fn server(history_limit: usize) -> (ApiServer, Api<ConfigMap>) {
    let api = ApiServer::new(Options { history_limit, ..Options::default() });
    let client = Client::new(api.service(), "default");
    (api, Api::default_namespaced(client))
}

async fn put(api: &Api<ConfigMap>, name: &str, app: &str) -> ConfigMap {
    create(api, json!({"metadata": {"name": name, "labels": {"app": app}}})).await
}

async fn relabel(api: &Api<ConfigMap>, name: &str, app: &str) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app": app}}}));
    api.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Returns an event as text: `ADDED a`.
fn shown(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(object) => format!("ADDED {}", object.name_any()),
        WatchEvent::Modified(object) => format!("MODIFIED {}", object.name_any()),
        WatchEvent::Deleted(object) => format!("DELETED {}", object.name_any()),
        WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.is_empty() => {
            "BOOKMARK".to_owned()
        }
        WatchEvent::Bookmark(_) => "BOOKMARK of the end".to_owned(),
        WatchEvent::Error(status) => format!("ERROR {} {}", status.code, status.reason),
    }
}

async fn next(
    events: impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>>,
    count: usize,
) -> Vec<String> {
    let events = events.take(count).map_ok(|event| shown(&event)).try_collect();
    tokio::time::timeout(PATIENCE, events).await.expect("events come").unwrap()
}

fn revision(object: &ConfigMap) -> String {
    object.resource_version().expect("stored objects have one")
}

#[tokio::test]
async fn tells_what_changed_since_a_list() {
    let (_, api) = server(100);
    put(&api, "a", "web").await;
    let list = api.list(&ListParams::default()).await.unwrap();
    put(&api, "b", "web").await;
    relabel(&api, "a", "other").await;
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let since = list.metadata.resource_version.unwrap();
    let events = api.watch(&WatchParams::default(), &since).await.unwrap();
    assert_eq!(next(events, 3).await, ["ADDED b", "MODIFIED a", "DELETED b"]);
}

#[tokio::test]
async fn wakes_up_for_changes_in_order() {
    let (_, api) = server(100);
    let events = api.watch(&WatchParams::default(), "0").await.unwrap();
    let changes = async {
        for name in ["a", "b", "c"] {
            put(&api, name, "web").await;
            tokio::task::yield_now().await;
        }
    };
    let (seen, ()) = tokio::join!(next(events, 3), changes);
    assert_eq!(seen, ["ADDED a", "ADDED b", "ADDED c"]);
}

#[tokio::test]
async fn revisions_of_events_increase() {
    let (_, api) = server(100);
    put(&api, "a", "web").await;
    relabel(&api, "a", "other").await;
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let events = api.watch(&WatchParams::default(), "1").await.unwrap();
    let revisions: Vec<u64> = events
        .take(3)
        .map_ok(|event| match event {
            WatchEvent::Added(object)
            | WatchEvent::Modified(object)
            | WatchEvent::Deleted(object) => revision(&object).parse::<u64>().unwrap(),
            other => unreachable!("{other:?}"),
        })
        .try_collect()
        .await
        .unwrap();
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
}

#[tokio::test]
async fn objects_come_and_go_with_their_labels() {
    let (_, api) = server(100);
    let first = put(&api, "a", "other").await;
    relabel(&api, "a", "web").await;
    relabel(&api, "a", "web").await;
    let patch = Patch::Merge(json!({"data": {"key": "value"}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    relabel(&api, "a", "other").await;
    let selected = WatchParams::default().labels("app=web");
    let events = api.watch(&selected, &revision(&first)).await.unwrap();
    assert_eq!(next(events, 3).await, ["ADDED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test]
async fn watches_one_object_or_one_namespace() {
    let client = client();
    let all: Api<ConfigMap> = Api::all(client.clone());
    let default: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let system: Api<ConfigMap> = Api::namespaced(client, "kube-system");
    put(&system, "a", "web").await;
    put(&default, "b", "web").await;
    put(&default, "a", "web").await;
    let params = WatchParams::default();
    let events = default.watch(&params, "1").await.unwrap();
    assert_eq!(next(events, 2).await, ["ADDED b", "ADDED a"]);
    let one = WatchParams::default().fields("metadata.name=b");
    assert_eq!(next(all.watch(&one, "1").await.unwrap(), 1).await, ["ADDED b"]);
    assert_eq!(next(all.watch(&params, "1").await.unwrap(), 3).await.len(), 3);
}

#[tokio::test]
async fn streams_a_list_and_marks_its_end() {
    let (_, api) = server(100);
    put(&api, "a", "web").await;
    put(&api, "b", "web").await;
    let params = WatchParams::default().initial_events();
    let events = api.watch(&params, "0").await.unwrap();
    let changes = async { put(&api, "c", "web").await };
    let (seen, _) = tokio::join!(next(events, 4), changes);
    assert_eq!(seen[..2], ["ADDED a", "ADDED b"]);
    let mut rest = seen[2..].to_vec();
    rest.sort();
    assert_eq!(rest, ["ADDED c", "BOOKMARK of the end"]);
}

#[tokio::test]
async fn ends_in_time_with_a_bookmark() {
    let (_, api) = server(100);
    let params = WatchParams::default().timeout(1);
    let events = api.watch(&params, "0").await.unwrap().map_ok(|event| shown(&event));
    let seen: Vec<_> =
        tokio::time::timeout(PATIENCE, events.try_collect()).await.expect("it ends").unwrap();
    assert_eq!(seen, ["BOOKMARK"]);
}

#[tokio::test]
async fn refuses_revisions_that_are_forgotten() {
    let (api_server, api) = server(2);
    let first = put(&api, "a", "web").await;
    for name in ["b", "c", "d"] {
        put(&api, name, "web").await;
    }
    let events = api.watch(&WatchParams::default(), &revision(&first)).await.unwrap();
    assert_eq!(next(events, 1).await, ["ERROR 410 Expired"]);
    let last = put(&api, "e", "web").await;
    put(&api, "f", "web").await;
    api_server.compact();
    let events = api.watch(&WatchParams::default(), &revision(&last)).await.unwrap();
    assert_eq!(next(events, 1).await, ["ERROR 410 Expired"]);
}

#[tokio::test]
async fn refuses_revisions_of_the_future_and_broken_parameters() {
    let (_, api) = server(100);
    let status = refusal(api.watch(&WatchParams::default(), "999").await.map(|_| ()));
    assert_eq!((status.code, status.reason.as_str()), (504, "Timeout"));
    let status = refusal(api.watch(&WatchParams::default(), "x").await.map(|_| ()));
    assert_eq!(status.code, 400);
    let labels = WatchParams::default().labels("a in b");
    assert_eq!(refusal(api.watch(&labels, "0").await.map(|_| ())).code, 400);
}
