//! What a folder keeps of an API.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use apiserver::{ApiServer, OpenError, Options};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config, ResourceExt as _};
use serde_json::{Value, json};

use crate::support::{create, define};

/// Opens a folder that another API of this process may just be leaving: a client ends in the
/// background.
async fn try_reopen(folder: &Path) -> Result<ApiServer, OpenError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match ApiServer::open(folder, Options::default()) {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

async fn open(folder: &Path) -> Client {
    Client::new(try_reopen(folder).await.unwrap().service(), "default")
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// Returns what is in the journal.
fn journal(folder: &Path) -> String {
    fs::read_to_string(folder.join("journal")).unwrap()
}

#[tokio::test]
async fn objects_have_the_versions_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, removed) = {
        let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
        let kept = create(&api, config_map("kept")).await;
        let removed = create(&api, config_map("removed")).await;
        api.delete("removed", &DeleteParams::default()).await.unwrap();
        (kept, removed)
    };
    let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
    assert_eq!(api.get("kept").await.unwrap(), kept);
    assert!(api.get_opt("removed").await.unwrap().is_none());
    let next = create(&api, config_map("next")).await;
    let number = |object: &ConfigMap| object.resource_version().unwrap().parse::<u64>().unwrap();
    // The removal had a version of its own.
    assert_eq!(number(&next), number(&removed) + 2);
}

#[tokio::test]
async fn a_watch_from_before_has_to_list_again() {
    let folder = tempfile::tempdir().unwrap();
    let (before, last) = {
        let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
        let before = create(&api, config_map("a")).await.resource_version().unwrap();
        create(&api, config_map("b")).await;
        (before, api.list(&ListParams::default()).await.unwrap().metadata.resource_version)
    };
    let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
    let mut refused = pin!(api.watch(&WatchParams::default(), &before).await.unwrap());
    match refused.next().await {
        Some(Ok(WatchEvent::Error(status))) => assert_eq!(status.code, 410),
        other => panic!("{other:?}"),
    }
    // Nothing has happened since the list.
    let mut resumed = pin!(api.watch(&WatchParams::default(), &last.unwrap()).await.unwrap());
    create(&api, config_map("c")).await;
    match resumed.next().await {
        Some(Ok(WatchEvent::Added(object))) => assert_eq!(object.name_any(), "c"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn custom_kinds_and_what_accounts_may_do_are_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Widget"));
    {
        let client = open(folder.path()).await;
        define(
            &client,
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "widgets.example.com"},
                "spec": {
                    "group": "example.com", "scope": "Namespaced",
                    "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
                    "versions": [{
                        "name": "v1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {
                            "type": "object",
                            "properties": {"size": {"type": "integer", "default": 3}},
                        }},
                    }],
                },
            }),
        )
        .await;
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
        create(&accounts, json!({"metadata": {"name": "reader"}})).await;
        let bindings = ApiResource::from_gvk(&GroupVersionKind::gvk(
            "rbac.authorization.k8s.io",
            "v1",
            "RoleBinding",
        ));
        let bindings: Api<DynamicObject> = Api::default_namespaced_with(client, &bindings);
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        });
        create(&bindings, binding).await;
    }
    let client = open(folder.path()).await;
    let widgets: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &kind);
    let widget = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
    });
    assert_eq!(create(&widgets, widget).await.data["size"], 3);

    let mut request = http::Request::get("/api/v1/namespaces/default/configmaps");
    let headers = request.headers_mut().unwrap();
    let reader = "system:serviceaccount:default:reader".parse().unwrap();
    headers.insert("impersonate-user", reader);
    let list: Value = client.request(request.body(Vec::new()).unwrap()).await.unwrap();
    assert_eq!(list["kind"], "ConfigMapList");
}

#[tokio::test]
async fn the_kubeconfig_of_before_is_still_good() {
    let folder = tempfile::tempdir().unwrap();
    let (addr, kubeconfig) = {
        let api = ApiServer::open(folder.path(), Options::default()).unwrap();
        let served = api.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        (served.addr, served.kubeconfig())
    };
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let api = try_reopen(folder.path()).await.unwrap();
    let _served = api.serve(addr).await.unwrap();
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client);
    assert!(namespaces.get_opt("default").await.unwrap().is_some());
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _first = ApiServer::open(folder.path(), Options::default()).unwrap();
    let second = ApiServer::open(folder.path(), Options::default());
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn a_transaction_that_was_cut_off_never_was() {
    let folder = tempfile::tempdir().unwrap();
    {
        let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
        create(&api, config_map("whole")).await;
        create(&api, config_map("cut")).await;
    }
    let text = journal(folder.path());
    fs::write(folder.path().join("journal"), &text[..text.len() - 10]).unwrap();
    {
        let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
        assert!(api.get_opt("whole").await.unwrap().is_some());
        assert!(api.get_opt("cut").await.unwrap().is_none());
        create(&api, config_map("after")).await;
    }
    let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
    assert!(api.get_opt("after").await.unwrap().is_some());
}

#[tokio::test]
async fn damage_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    {
        let api: Api<ConfigMap> = Api::default_namespaced(open(folder.path()).await);
        create(&api, config_map("first")).await;
        create(&api, config_map("second")).await;
    }
    let text = journal(folder.path());
    let damaged = text.replace(r#""name":"first""#, r#""name":"fIrst""#);
    assert_ne!(text, damaged);
    fs::write(folder.path().join("journal"), damaged).unwrap();
    let error = try_reopen(folder.path()).await.unwrap_err();
    let line = text.lines().count() - 1;
    assert!(error.to_string().contains(&format!("journal:{line} is damaged")), "{error}");

    fs::write(folder.path().join("journal"), "something else\n").unwrap();
    let error = try_reopen(folder.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn only_its_user_can_read_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("api");
    drop(open(&folder).await);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}
