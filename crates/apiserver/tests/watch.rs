//! Watches: nothing is missed, everything comes in order, and what is too old is refused.

use std::time::Duration;

use crate::support::{client, create, embedded, refusal};
use apiserver::{ApiServer, Options};
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

async fn maps() -> Api<ConfigMap> {
    Api::default_namespaced(client().await)
}

/// Returns a revision before all that a test does.
async fn now(api: &Api<ConfigMap>) -> String {
    api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap()
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
    let api = maps().await;
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
    let api = maps().await;
    let events = api.watch(&WatchParams::default(), &now(&api).await).await.unwrap();
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
    let api = maps().await;
    let before = now(&api).await;
    put(&api, "a", "web").await;
    relabel(&api, "a", "other").await;
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let events = api.watch(&WatchParams::default(), &before).await.unwrap();
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
    let api = maps().await;
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
    let client = client().await;
    let all: Api<ConfigMap> = Api::all(client.clone());
    let default: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let system: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let name = client.default_namespace();
    let before = now(&all).await;
    put(&system, name, name).await;
    put(&default, "b", name).await;
    put(&default, name, name).await;
    let params = WatchParams::default().labels(&format!("app={name}"));
    let events = default.watch(&params, &before).await.unwrap();
    assert_eq!(next(events, 2).await, ["ADDED b".to_owned(), format!("ADDED {name}")]);
    let one = params.clone().fields("metadata.name=b");
    assert_eq!(next(all.watch(&one, &before).await.unwrap(), 1).await, ["ADDED b"]);
    assert_eq!(next(all.watch(&params, &before).await.unwrap(), 3).await.len(), 3);
}

#[tokio::test]
async fn streams_a_list_and_marks_its_end() {
    let api = maps().await;
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
    // A real one sends it at times only.
    let api: Api<ConfigMap> = Api::default_namespaced(embedded().await);
    let params = WatchParams::default().timeout(1);
    let events = api.watch(&params, &now(&api).await).await.unwrap().map_ok(|event| shown(&event));
    let seen: Vec<_> =
        tokio::time::timeout(PATIENCE, events.try_collect()).await.expect("it ends").unwrap();
    assert_eq!(seen, ["BOOKMARK"]);
}

#[tokio::test]
async fn refuses_revisions_that_are_forgotten() {
    let api_server = ApiServer::new(Options { history_limit: 2, ..Options::default() });
    let api = Api::default_namespaced(Client::new(api_server.service(), "default"));
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
async fn tells_nothing_before_a_revision_of_the_future() {
    let api = maps().await;
    let params = WatchParams::default().timeout(1).disable_bookmarks();
    let events = api.watch(&params, "999999999").await.unwrap();
    put(&api, "a", "web").await;
    let seen: Vec<_> = events.try_collect().await.unwrap();
    assert_eq!(seen.len(), 0, "{seen:?}");
}

#[tokio::test]
async fn refuses_broken_parameters() {
    let api = maps().await;
    let status = refusal(api.watch(&WatchParams::default(), "x").await.map(|_| ()));
    assert_eq!(status.code, 500);
    let labels = WatchParams::default().labels("a in b");
    assert_eq!(refusal(api.watch(&labels, "0").await.map(|_| ())).code, 400);
}
