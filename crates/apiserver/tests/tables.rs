//! Tables, as `kubectl get` asks for them.

use crate::support::{client, create};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn request(path: &str, accept: &str) -> http::Request<Vec<u8>> {
    let request = http::Request::get(path).header(http::header::ACCEPT, accept);
    request.body(Vec::new()).expect("path and header are valid")
}

async fn table(client: &Client, path: &str) -> Value {
    client.request(request(path, TABLE)).await.expect("the path exists")
}

async fn with_one() -> Client {
    let client = client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    create(&api, json!({"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}})).await;
    client
}

/// Returns the path of the ConfigMaps of a test.
fn maps(client: &Client) -> String {
    Api::<ConfigMap>::default_namespaced(client.clone()).resource_url().to_owned()
}

fn columns(table: &Value) -> Vec<&str> {
    let columns = table["columnDefinitions"].as_array();
    columns.into_iter().flatten().filter_map(|column| column["name"].as_str()).collect()
}

#[tokio::test]
async fn a_list_has_a_row_for_each_object() {
    let client = with_one().await;
    let list = table(&client, &maps(&client)).await;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(columns(&list), ["Name", "Data", "Age"]);
    assert!(list["metadata"]["resourceVersion"].is_string());
    let row = &list["rows"][0];
    assert_eq!(row["cells"][0], "a");
    assert_eq!(row["cells"][1], 2);
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row["object"]["data"], Value::Null);
    let one = table(&client, &format!("{}/a", maps(&client))).await;
    assert_eq!(one["rows"][0]["cells"][0], "a");
}

#[tokio::test]
async fn rows_hold_as_much_of_the_object_as_is_asked_for() {
    let client = with_one().await;
    let path = format!("{}?includeObject=", maps(&client));
    let none = table(&client, &format!("{path}None")).await;
    assert_eq!(none["rows"][0]["object"], Value::Null);
    let whole = table(&client, &format!("{path}Object")).await;
    assert_eq!(whole["rows"][0]["object"]["data"]["x"], "1");
}

#[tokio::test]
async fn pages_of_tables_continue() {
    let client = with_one().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    create(&api, json!({"metadata": {"name": "b"}})).await;
    let first = table(&client, &format!("{}?limit=1", maps(&client))).await;
    let token = first["metadata"]["continue"].as_str().expect("there is more");
    let path = format!("{}?limit=1&continue={token}", maps(&client));
    assert_eq!(table(&client, &path).await["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn a_watch_brings_columns_with_the_first_event() {
    let client = with_one().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let before = api.get("a").await.unwrap().metadata.resource_version.unwrap();
    create(&api, json!({"metadata": {"name": "b"}})).await;
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let path = format!("{}?watch=true&resourceVersion={before}", maps(&client));
    let lines = client.request_stream(request(&path, TABLE)).await.unwrap().lines();
    let mut lines = std::pin::pin!(lines);
    let mut events = Vec::new();
    while events.len() < 2 {
        let line = lines.try_next().await.unwrap().expect("the watch goes on");
        events.push(serde_json::from_str::<Value>(&line).unwrap());
    }
    assert_eq!(columns(&events[0]["object"]).len(), 3);
    assert_eq!(columns(&events[1]["object"]).len(), 0);
    assert_eq!((&events[0]["type"], &events[1]["type"]), (&json!("ADDED"), &json!("DELETED")));
    assert_eq!(events[1]["object"]["rows"][0]["cells"][0], "b");
}

#[tokio::test]
async fn completed_pods_are_marked() {
    let client = client().await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    // Nobody else sets the status.
    let spec = json!({"schedulerName": "none", "containers": [{"name": "a", "image": "a"}]});
    create(&pods, json!({"metadata": {"name": "a"}, "spec": spec})).await;
    let status = kube::api::Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    pods.patch_status("a", &kube::api::PatchParams::default(), &status).await.unwrap();
    let list = table(&client, pods.resource_url()).await;
    assert_eq!(list["rows"][0]["conditions"][0]["type"], "Completed");
}

#[tokio::test]
async fn errors_stay_statuses_and_unknown_forms_are_refused() {
    let client = client().await;
    let missing = request(&format!("{}/none", maps(&client)), TABLE);
    let error = client.request::<Value>(missing).await.unwrap_err();
    let kube::Error::Api(status) = error else { unreachable!("{error}") };
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
    let html = request("/api/v1/namespaces", "text/html");
    let error = client.request::<Value>(html).await.unwrap_err();
    let kube::Error::Api(status) = error else { unreachable!("{error}") };
    assert_eq!(status.code, 406);
}
