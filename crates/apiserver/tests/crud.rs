//! Creating, reading, changing and listing objects.

use crate::support::{client, embedded, refusal};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Error;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "data": {"key": "value"},
    }))
    .expect("the literal is a ConfigMap")
}

#[tokio::test]
async fn creates_reads_and_replaces_an_object() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let created = api.create(&PostParams::default(), &config_map("one")).await.unwrap();
    assert!(created.metadata.uid.is_some());
    let mut changed = created.clone();
    changed.data.as_mut().unwrap().insert("key".into(), "other".into());
    let replaced = api.replace("one", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(replaced.metadata.resource_version, created.metadata.resource_version);
    assert_eq!(replaced.metadata.uid, created.metadata.uid);
    assert_eq!(api.get("one").await.unwrap().data.unwrap()["key"], "other");
}

#[tokio::test]
async fn refuses_to_replace_what_changed_meanwhile() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let stale = api.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"key": "newer"}}));
    api.patch("one", &PatchParams::default(), &patch).await.unwrap();
    let mut changed = stale.clone();
    changed.data = None;
    let error = api.replace("one", &PostParams::default(), &changed).await.unwrap_err();
    let Error::Api(status) = error else { panic!("{error}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Operation cannot be fulfilled on configmaps \"one\": the object has been modified; \
         please apply your changes to the latest version and try again"
    );
}

#[tokio::test]
async fn does_not_write_what_did_not_change() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let created = api.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"key": "value"}}));
    let patched = api.patch("one", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.resource_version, created.metadata.resource_version);
}

#[tokio::test]
async fn lists_in_pages_of_one_snapshot() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name)).await.unwrap();
    }
    let labelled = ListParams::default().labels("app in (a,b,c)").limit(2);
    let first = api.list(&labelled).await.unwrap();
    assert_eq!(first.items.len(), 2);
    api.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = api.list(&labelled.continue_token(&token)).await.unwrap();
    let names: Vec<_> = second.items.iter().map(|item| item.metadata.name.as_deref()).collect();
    assert_eq!(names, [Some("c")], "the second page shows the time of the first");
}

#[tokio::test]
async fn refuses_objects_in_missing_namespaces() {
    let client = client().await;
    let nowhere = &format!("{}-nowhere", client.default_namespace());
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), nowhere);
    let error = api.create(&PostParams::default(), &config_map("one")).await.unwrap_err();
    let Error::Api(status) = error else { panic!("{error}") };
    let missing = format!("namespaces \"{nowhere}\" not found");
    assert_eq!((status.code, status.message.as_str()), (404, missing.as_str()));
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": nowhere}})).unwrap();
    let created = Api::all(client).create(&PostParams::default(), &namespace).await.unwrap();
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Active"));
    api.create(&PostParams::default(), &config_map("one")).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&dry, &config_map("one")).await.unwrap();
    assert!(api.get_opt("one").await.unwrap().is_none());
}

#[tokio::test]
async fn makes_names_up() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let object: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "job-"}})).unwrap();
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    let name = created.metadata.name.unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
}

/// Returns the answer to a request with a body as it is.
async fn send(
    client: &kube::Client,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<String, kube::Error> {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(body.as_bytes().to_vec());
    client.request_text(request.expect("the literals are valid")).await
}

#[tokio::test]
async fn refuses_fields_that_are_given_twice() {
    let client = client().await;
    let body = r#"{"metadata": {"name": "a", "name": "b"}, "data": {"x": "1", "x": "2"}}"#;
    let namespace = client.default_namespace();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps?fieldValidation=");
    let json = "application/json";
    let status = refusal(send(&client, "POST", &format!("{path}Strict"), json, body).await);
    assert_eq!(
        status.message,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: \
         duplicate field \"metadata.name\", duplicate field \"data.x\""
    );
    let made = send(&client, "POST", &format!("{path}Ignore"), json, body).await.unwrap();
    assert!(made.contains(r#""name":"b""#), "the last one counts: {made}");
}

#[tokio::test]
async fn refuses_bodies_that_are_no_objects() {
    // A real one takes null for an object without a name.
    let client = embedded().await;
    let path = &format!("/api/v1/namespaces/{}/configmaps", client.default_namespace());
    send(&client, "POST", path, "application/json", r#"{"metadata": {"name": "a"}}"#)
        .await
        .unwrap();
    for body in ["", "{", "[]", "null", "3", r#""x""#, r#"{"metadata": 3}"#, r#"{"metadata": []}"#]
    {
        let answer = send(&client, "POST", path, "application/json", body).await;
        assert_eq!(refusal(answer).code, 400, "{body}");
        let path = format!("{path}/a");
        assert_eq!(refusal(send(&client, "PUT", &path, "application/json", body).await).code, 400);
        for patch in ["merge-patch", "strategic-merge-patch"] {
            let content_type = format!("application/{patch}+json");
            let answer = send(&client, "PATCH", &path, &content_type, body).await;
            let is_object = body.starts_with("{\"") || (body == "null" && patch.starts_with('s'));
            let code = answer.as_ref().map_or_else(|_| 400, |_| 200);
            assert!(is_object || code == 400, "{patch} {body}: {answer:?}");
        }
        let apply = format!("{path}?fieldManager=test");
        let answer = send(&client, "PATCH", &apply, "application/apply-patch+yaml", body).await;
        assert!((400..500).contains(&refusal(answer).code), "{body}");
    }
    let whole = r#"[{"op": "replace", "path": "", "value": []}]"#;
    let answer =
        send(&client, "PATCH", &format!("{path}/a"), "application/json-patch+json", whole).await;
    assert_eq!(refusal(answer).code, 422);
}

#[tokio::test]
async fn a_few_kinds_come_into_being_when_they_are_replaced() {
    let client = client().await;
    let put = async |path: &str, name: &str| {
        let body = format!(r#"{{"metadata": {{"name": "{name}"}}}}"#);
        send(&client, "PUT", &format!("{path}/{name}"), "application/json", &body).await
    };
    let namespace = client.default_namespace();
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    put(&leases, "a").await.unwrap();
    put("/apis/rbac.authorization.k8s.io/v1/clusterroles", namespace).await.unwrap();
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    assert_eq!(refusal(put(&maps, "a").await).code, 404);
}
