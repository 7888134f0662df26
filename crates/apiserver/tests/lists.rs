//! Lists: pages, selectors, versions, forms, and many objects.

use std::time::{Duration, Instant};

use crate::support::{client, create, embedded, refusal};
use apiserver::{ApiServer, Options};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{Api, DeleteParams, ListParams, VersionMatch};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

async fn three() -> Api<ConfigMap> {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    for (name, app) in [("a", "web"), ("b", "web"), ("c", "api")] {
        create(&api, json!({"metadata": {"name": name, "labels": {"app": app}}})).await;
    }
    api
}

fn names(list: &kube::core::ObjectList<ConfigMap>) -> Vec<String> {
    list.items.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn selects_by_labels_and_fields() {
    let api = three().await;
    for (params, expected) in [
        (ListParams::default().labels("app=web"), vec!["a", "b"]),
        (ListParams::default().labels("app notin (web)"), vec!["c"]),
        (ListParams::default().labels("app,!tier"), vec!["a", "b", "c"]),
        (ListParams::default().fields("metadata.name=b"), vec!["b"]),
        (ListParams::default().fields("metadata.name!=b").labels("app=web"), vec!["a"]),
        (ListParams::default().fields("metadata.namespace=other"), vec![]),
    ] {
        let list = api.list(&params).await.unwrap();
        assert_eq!(names(&list), expected, "{params:?}");
    }
    let status = refusal(api.list(&ListParams::default().fields("data.key=x")).await);
    assert_eq!(status.code, 400);
    assert_eq!(
        status.message,
        "\"data.key\" is not a known field selector: only \"metadata.name\", \
         \"metadata.namespace\""
    );
}

#[tokio::test]
async fn selects_pods_by_node_and_events_by_object() {
    let client = client().await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = |name: &str, node: &str| {
        json!({"metadata": {"name": name},
               "spec": {"nodeName": node, "containers": [{"name": "a", "image": "a"}]}})
    };
    create(&pods, pod("a", "one")).await;
    create(&pods, pod("b", "two")).await;
    let found = pods.list(&ListParams::default().fields("spec.nodeName=two")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].name_any(), "b");
    let events: Api<Event> = Api::default_namespaced(client.clone());
    for name in ["a", "b"] {
        let involved =
            json!({"kind": "Pod", "name": name, "namespace": client.default_namespace()});
        create(&events, json!({"metadata": {"name": name}, "involvedObject": involved})).await;
    }
    let params = ListParams::default().fields("involvedObject.kind=Pod,involvedObject.name=a");
    assert_eq!(events.list(&params).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn pages_through_all_once() {
    let api = three().await;
    let params = ListParams::default().limit(2);
    let first = api.list(&params).await.unwrap();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    // What is made meanwhile is not in the list.
    create(&api, json!({"metadata": {"name": "d"}})).await;
    let token = first.metadata.continue_.unwrap();
    let second = api.list(&params.continue_token(&token)).await.unwrap();
    assert_eq!(names(&second), ["c"]);
    assert_eq!(second.metadata.continue_, None);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
}

#[tokio::test]
async fn refuses_pages_of_a_list_that_is_too_old() {
    let server = ApiServer::new(Options::default());
    let api: Api<ConfigMap> = Api::default_namespaced(Client::new(server.service(), "default"));
    for name in ["a", "b"] {
        create(&api, json!({"metadata": {"name": name}})).await;
    }
    let params = ListParams::default().limit(1);
    let token = api.list(&params).await.unwrap().metadata.continue_.unwrap();
    create(&api, json!({"metadata": {"name": "c"}})).await;
    server.compact();
    let status = refusal(api.list(&params.clone().continue_token(&token)).await);
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert_eq!(refusal(api.list(&params.continue_token("junk")).await).code, 400);
}

#[tokio::test]
async fn shows_the_past_when_asked_exactly() {
    let api = three().await;
    let then = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let exact = ListParams::default().at(&then).matching(VersionMatch::Exact);
    assert_eq!(names(&api.list(&exact).await.unwrap()), ["a", "b", "c"]);
    let newer = ListParams::default().at(&then).matching(VersionMatch::NotOlderThan);
    assert_eq!(names(&api.list(&newer).await.unwrap()), ["a", "c"]);
    let future = ListParams::default().at("999999999").matching(VersionMatch::NotOlderThan);
    assert_eq!(refusal(api.list(&future).await).code, 504);
}

#[tokio::test]
async fn lists_metadata_alone() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    create(&api, json!({"metadata": {"name": "a"}, "data": {"key": "value"}})).await;
    let list = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("a"));
}

#[tokio::test]
async fn items_of_built_in_kinds_do_not_repeat_their_kind() {
    let client = client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    create(&api, json!({"metadata": {"name": "a"}})).await;
    let request = http::Request::get(api.resource_url()).body(Vec::new());
    let list: Value = client.request(request.unwrap()).await.unwrap();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(list["items"][0]["kind"], Value::Null);
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
}

/// Without optimization it takes a twentieth of a second; other tests run beside it.
const LIST_LIMIT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn lists_ten_thousand_objects_at_once() {
    const COUNT: usize = 10_000;
    let client = embedded().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for number in 0..COUNT {
        let name = format!("c{number:05}");
        create(&api, json!({"metadata": {"name": name}, "data": {"key": "value"}})).await;
    }
    let begin = Instant::now();
    let request = http::Request::get("/api/v1/configmaps").body(Vec::new()).unwrap();
    let text = client.request_text(request).await.unwrap();
    assert!(begin.elapsed() < LIST_LIMIT, "{:?}", begin.elapsed());
    assert_eq!(text.matches(r#""name":"c"#).count(), COUNT);
    let mut params = ListParams::default().limit(1_000);
    let mut seen = Vec::new();
    loop {
        let page = api.list(&params).await.unwrap();
        seen.extend(names(&page));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        params = params.continue_token(&token);
    }
    assert_eq!(seen.len(), COUNT);
    assert!(seen.is_sorted_by(|a, b| a < b), "each object is in one page");
}
