//! Custom kinds: served as declared, with their subresources, until the definition goes.

use crate::support::{self, client, create, embedded, group, refusal, until};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use kube::discovery::Discovery;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// Returns a definition with two versions: `v1` is stored, `v1alpha1` is deprecated.
fn widgets(client: &Client) -> Value {
    let group = group(client);
    let schema = json!({"openAPIV3Schema": {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer"}, "selector": {"type": "string"}}},
            "status": {"type": "object", "properties": {
                "size": {"type": "integer"}, "selector": {"type": "string"}}},
        },
    }});
    let subresources = json!({
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.size",
            "statusReplicasPath": ".status.size",
            "labelSelectorPath": ".status.selector",
        },
    });
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "deprecated": !storage,
            "schema": schema, "subresources": subresources,
            "selectableFields": [{"jsonPath": ".spec.size"}],
        })
    };
    json!({
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "scope": "Namespaced",
            "versions": [version("v1alpha1", false), version("v1", true)],
        },
    })
}

fn api(client: &Client, version: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(&group(client), version, "Widget");
    Api::default_namespaced_with(client.clone(), &ApiResource::from_gvk(&kind))
}

fn widget(client: &Client, version: &str, size: u8) -> Value {
    json!({
        "apiVersion": format!("{}/{version}", group(client)), "kind": "Widget",
        "metadata": {"name": "w"}, "spec": {"size": size},
    })
}

/// Returns the name of the definition.
fn name(client: &Client) -> String {
    format!("widgets.{}", group(client))
}

async fn define(client: &Client) -> Api<CustomResourceDefinition> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    support::define(client, widgets(client)).await;
    definitions
}

#[tokio::test]
async fn a_kind_is_served_once_it_is_established() {
    let client = client().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let early = refusal(api(&client, "v1").list(&ListParams::default()).await);
    assert_eq!(early.code, 404);
    let name = name(&client);
    let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
    let (_, found) = tokio::join!(create(&definitions, widgets(&client)), established);
    found.unwrap();
    create(&api(&client, "v1"), widget(&client, "v1", 1)).await;
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let group = discovery.get(&group(&client)).expect("the group is discovered");
    assert_eq!(group.preferred_version_or_latest(), "v1");
    let names = definitions.get(&name).await.unwrap().status.unwrap();
    assert_eq!(names.stored_versions.unwrap(), ["v1"]);
    assert_eq!(names.accepted_names.unwrap().kind, "Widget");
}

#[tokio::test]
async fn versions_show_the_same_objects() {
    let client = client().await;
    define(&client).await;
    let made = create(&api(&client, "v1alpha1"), widget(&client, "v1alpha1", 1)).await;
    assert_eq!(made.types.unwrap().api_version, format!("{}/v1alpha1", group(&client)));
    let read = api(&client, "v1").get("w").await.unwrap();
    assert_eq!(read.types.unwrap().api_version, format!("{}/v1", group(&client)));
    assert_eq!(read.metadata.uid, made.metadata.uid);
    assert_eq!(refusal(api(&client, "v2").get("w").await).code, 404);
}

#[tokio::test]
async fn deprecated_versions_come_with_a_warning() {
    let client = client().await;
    define(&client).await;
    for (version, warnings) in [("v1", 0), ("v1alpha1", 1)] {
        let path = format!("/apis/{}/{version}/widgets", group(&client));
        let request = http::Request::get(path).body(kube::client::Body::empty()).unwrap();
        let response = client.send(request).await.unwrap();
        let found: Vec<_> = response.headers().get_all("warning").iter().collect();
        assert_eq!(found.len(), warnings, "{version}");
        if let Some(warning) = found.first() {
            let group = group(&client);
            let expected =
                format!("299 - \"{group}/v1alpha1 Widget is deprecated; use {group}/v1 Widget\"");
            assert_eq!(warning.to_str().unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn the_status_is_written_apart() {
    let client = client().await;
    define(&client).await;
    let api = api(&client, "v1");
    let mut object = widget(&client, "v1", 1);
    object["status"] = json!({"size": 9});
    let made = create(&api, object).await;
    assert_eq!(made.data["status"], Value::Null, "a new object has no status");
    let params = PatchParams::default();
    let both = Patch::Merge(json!({"spec": {"size": 5}, "status": {"size": 1}}));
    let reported = api.patch_status("w", &params, &both).await.unwrap();
    assert_eq!(
        (&reported.data["spec"]["size"], &reported.data["status"]["size"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(reported.metadata.generation, Some(1));
    let changed = api.patch("w", &params, &both).await.unwrap();
    assert_eq!(
        (&changed.data["spec"]["size"], &changed.data["status"]["size"]),
        (&json!(5), &json!(1))
    );
    assert_eq!(changed.metadata.generation, Some(2));
}

#[tokio::test]
async fn scales_what_its_paths_name() {
    let client = client().await;
    define(&client).await;
    let api = api(&client, "v1");
    create(&api, widget(&client, "v1", 3)).await;
    let status = Patch::Merge(json!({"status": {"size": 2, "selector": "app=w"}}));
    api.patch_status("w", &PatchParams::default(), &status).await.unwrap();
    let scale: Scale = api.get_scale("w").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    let status = scale.status.unwrap();
    assert_eq!((status.replicas, status.selector.as_deref()), (2, Some("app=w")));
    let five = Patch::Merge(json!({"spec": {"replicas": 5}}));
    api.patch_scale("w", &PatchParams::default(), &five).await.unwrap();
    let scaled = api.get("w").await.unwrap();
    assert_eq!(scaled.data["spec"]["size"], 5);
    assert_eq!(scaled.metadata.generation, Some(2));
}

#[tokio::test]
async fn selects_by_declared_fields() {
    let client = client().await;
    define(&client).await;
    let api = api(&client, "v1");
    create(&api, widget(&client, "v1", 3)).await;
    let count = async |fields: &str| {
        api.list(&ListParams::default().fields(fields)).await.unwrap().items.len()
    };
    assert_eq!((count("spec.size=3").await, count("spec.size=4").await), (1, 0));
    assert_eq!(refusal(api.list(&ListParams::default().fields("spec.color=red")).await).code, 400);
}

#[tokio::test]
async fn objects_go_with_their_definition() {
    let client = client().await;
    let definitions = define(&client).await;
    let api = api(&client, "v1");
    let mut object = widget(&client, "v1", 1);
    object["metadata"]["finalizers"] = json!(["example.com/held"]);
    create(&api, object).await;
    definitions.delete(&name(&client), &DeleteParams::default()).await.unwrap();
    until(&api, "w", |held| held.is_some_and(|it| it.metadata.deletion_timestamp.is_some())).await;
    assert!(definitions.get_opt(&name(&client)).await.unwrap().is_some());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    let released = api.patch("w", &PatchParams::default(), &release).await.unwrap();
    assert_eq!(released.name_any(), "w");
    until(&definitions, &name(&client), |definition| definition.is_none()).await;
    assert_eq!(refusal(api.list(&ListParams::default()).await).code, 404, "no longer served");
    define(&client).await;
    assert!(api.get_opt("w").await.unwrap().is_none(), "a new kind begins empty");
}

#[tokio::test]
async fn definitions_are_completed_and_checked() {
    let client = client().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut short = widgets(&client);
    short["spec"]["names"].as_object_mut().unwrap().shift_remove("singular");
    let names = create(&definitions, short).await.spec.names;
    assert_eq!(names.singular.as_deref(), Some("widget"));
    assert_eq!(names.list_kind.as_deref(), Some("WidgetList"));
    let wrong = |change: fn(&mut Value)| {
        let mut definition = widgets(&client);
        definition["spec"]["names"]["plural"] = "gadgets".into();
        definition["metadata"]["name"] = format!("gadgets.{}", group(&client)).into();
        change(&mut definition);
        serde_json::from_value::<CustomResourceDefinition>(definition).unwrap()
    };
    for (definition, part) in [
        (wrong(|it| it["metadata"]["name"] = "gadgets".into()), "metadata.name: Invalid value"),
        (wrong(|it| it["spec"]["scope"] = "Everywhere".into()), "spec.scope: Unsupported value"),
        (
            wrong(|it| it["spec"]["versions"][0]["storage"] = true.into()),
            "must have exactly one version marked as storage version",
        ),
    ] {
        let status = refusal(definitions.create(&PostParams::default(), &definition).await);
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        assert!(status.message.contains(part), "{}", status.message);
    }
}

#[tokio::test]
async fn waits_for_names_that_another_definition_has() {
    // A real one takes its time, and other tests see it.
    let client = embedded().await;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = |plural: &str, short: &str| {
        let schema = json!({"openAPIV3Schema": {"type": "object"}});
        json!({
            "metadata": {"name": format!("{plural}.names.example.com")},
            "spec": {
                "group": "names.example.com",
                "scope": "Namespaced",
                "names": {"kind": plural.to_uppercase(), "plural": plural, "shortNames": [short]},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
            },
        })
    };
    create(&api, definition("firsts", "one")).await;
    create(&api, definition("seconds", "one")).await;
    let conditions = async || {
        let definition = api.get("seconds.names.example.com").await.unwrap();
        let conditions = definition.status.unwrap().conditions.unwrap();
        let shown = conditions.into_iter().map(|one| {
            format!(
                "{} {} {}: {}",
                one.type_,
                one.status,
                one.reason.unwrap(),
                one.message.unwrap()
            )
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(
        conditions().await,
        [
            "NamesAccepted False ShortNamesConflict: \"one\" is already in use",
            "Established False NotAccepted: not all names are accepted",
        ]
    );
    let path = "/apis/names.example.com/v1/seconds";
    let list = || http::Request::get(path).body(Vec::new()).expect("the path is valid");
    assert_eq!(refusal(client.request_text(list()).await).code, 404);
    api.delete("firsts.names.example.com", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        conditions().await,
        [
            "NamesAccepted True NoConflicts: no conflicts found",
            "Established True InitialNamesAccepted: the initial names have been accepted",
        ]
    );
    client.request_text(list()).await.unwrap();
}
