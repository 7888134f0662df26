//! OpenAPI documents.

use kube::Client;
use serde_json::Value;

use crate::support::{client, embedded, refusal};

async fn get(client: &Client, path: &str) -> Value {
    let request = http::Request::get(path).body(Vec::new()).expect("the path is valid");
    client.request(request).await.unwrap()
}

/// Collects what a document refers to.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        _ => {}
    }
}

fn assert_complete(document: &Value, prefix: &str, definitions: &Value) {
    let mut found = Vec::new();
    references(document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let name = reference.strip_prefix(prefix).expect("it refers into the document");
        assert!(definitions[name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn every_document_holds_what_it_refers_to() {
    // A real one has documents that refer to nothing, and those of other tests.
    let client = embedded().await;
    let index = get(&client, "/openapi/v3").await;
    for (_, entry) in index["paths"].as_object().unwrap() {
        let document = get(&client, entry["serverRelativeURL"].as_str().unwrap()).await;
        let schemas = &document["components"]["schemas"];
        assert_complete(&document, "#/components/schemas/", schemas);
    }
    let document = get(&client, "/openapi/v2").await;
    assert_complete(&document, "#/definitions/", &document["definitions"]);
}

#[tokio::test]
async fn built_in_kinds_have_their_real_schemas() {
    let client = client().await;
    let document = get(&client, "/openapi/v3/apis/apps/v1").await;
    let schemas = &document["components"]["schemas"];
    let spec = &schemas["io.k8s.api.apps.v1.DeploymentSpec"];
    assert_eq!(spec["required"], serde_json::json!(["selector", "template"]));
    assert_eq!(spec["properties"]["strategy"]["x-kubernetes-patch-strategy"], "retainKeys");
    let kind = &schemas["io.k8s.api.apps.v1.DeploymentStrategy"]["properties"]["type"];
    assert_eq!(kind["enum"], serde_json::json!(["Recreate", "RollingUpdate"]));
    let text = kind["description"].as_str().unwrap();
    assert!(text.starts_with("Type of deployment. Can be"), "{text}");
    let ports = &schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"];
    assert_eq!(
        ports["x-kubernetes-list-map-keys"],
        serde_json::json!(["containerPort", "protocol"])
    );
    let modes =
        &schemas["io.k8s.api.core.v1.PersistentVolumeClaimSpec"]["properties"]["accessModes"];
    assert_eq!(modes["items"]["enum"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_older_document_is_json_alone() {
    let request = http::Request::get("/openapi/v2")
        .header("accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
        .body(Vec::new())
        .expect("the path is valid");
    assert_eq!(refusal(embedded().await.request_text(request).await).code, 406);
}
