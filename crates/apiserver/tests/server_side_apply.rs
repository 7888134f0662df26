//! Server-side apply and the account of who manages which field.

use crate::support::{client, define, embedded, group, refusal};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

fn config_map(data: &Value) -> Patch<Value> {
    Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data,
    }))
}

fn entries(metadata: &kube::core::ObjectMeta) -> Vec<(String, String, String, Value)> {
    metadata
        .managed_fields
        .iter()
        .flatten()
        .map(|entry| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let fields = entry.fields_v1.as_ref().map(|fields| fields.0.clone());
            (
                text(&entry.manager),
                text(&entry.operation),
                text(&entry.subresource),
                fields.unwrap_or_default(),
            )
        })
        .collect()
}

#[tokio::test]
async fn applies_from_two_managers_come_together() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    api.patch("one", &one, &config_map(&json!({"a": "1", "b": "1"}))).await.unwrap();
    let both = api.patch("one", &two, &config_map(&json!({"c": "2"}))).await.unwrap();
    assert_eq!(both.data.as_ref().unwrap().len(), 3);
    let fields = |names: &[&str]| -> Value {
        let fields: serde_json::Map<_, _> =
            names.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
        json!({"f:data": fields})
    };
    let apply = "Apply".to_owned();
    assert_eq!(
        entries(&both.metadata),
        [
            ("one".into(), apply.clone(), String::new(), fields(&["a", "b"])),
            ("two".into(), apply, String::new(), fields(&["c"])),
        ]
    );
    let less = api.patch("one", &one, &config_map(&json!({"a": "1"}))).await.unwrap();
    let keys: Vec<_> = less.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["a", "c"], "what is no longer applied goes, what others have stays");
}

#[tokio::test]
async fn an_apply_that_changes_nothing_writes_nothing() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let params = PatchParams::apply("one");
    let first = api.patch("one", &params, &config_map(&json!({"a": "1"}))).await.unwrap();
    let second = api.patch("one", &params, &config_map(&json!({"a": "1"}))).await.unwrap();
    assert_eq!(first, second);
}

#[tokio::test]
async fn conflicts_name_fields_and_managers() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let object = serde_json::from_value(json!({"metadata": {"name": "one"}, "data": {"a": "1"}}));
    let create = PostParams { field_manager: Some("creator".into()), ..PostParams::default() };
    api.create(&create, &object.unwrap()).await.unwrap();
    let patch = config_map(&json!({"a": "2"}));
    let status = refusal(api.patch("one", &PatchParams::apply("flux"), &patch).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"creator\" using v1: .data.a"
    );
    let details = status.details.unwrap();
    let cause = &details.causes[0];
    assert_eq!(cause.reason, "FieldManagerConflict");
    assert_eq!(cause.message, "conflict with \"creator\" using v1");
    assert_eq!(cause.field, ".data.a");
    let forced = api.patch("one", &PatchParams::apply("flux").force(), &patch).await.unwrap();
    assert_eq!(forced.data.as_ref().unwrap()["a"], "2");
    let managers: Vec<_> = entries(&forced.metadata);
    assert_eq!(managers[0].0, "flux");
    assert_eq!(managers[1].3, json!({"f:data": {}}), "the map stays the creator's");
}

#[tokio::test]
async fn other_patches_are_accounted_for() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    api.patch("one", &PatchParams::apply("flux"), &config_map(&json!({"a": "1"}))).await.unwrap();
    let merge = Patch::Merge(json!({"data": {"a": "2"}}));
    let params = PatchParams { field_manager: Some("edit".into()), ..PatchParams::default() };
    let patched = api.patch("one", &params, &merge).await.unwrap();
    assert_eq!(
        entries(&patched.metadata),
        [("edit".into(), "Update".into(), String::new(), json!({"f:data": {"f:a": {}}}))]
    );
}

#[tokio::test]
async fn a_status_write_has_an_entry_of_its_own() {
    // The controller of a real cluster writes the status too.
    let api: Api<Deployment> = Api::default_namespaced(embedded().await);
    let spec = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        },
    });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": spec, "status": {"replicas": 7},
    });
    let flux = PatchParams::apply("flux");
    let applied = api.patch("web", &flux, &Patch::Apply(&object)).await.unwrap();
    assert_eq!(applied.status.unwrap_or_default().replicas, None, "the status is not the spec's");
    let patch = Patch::Merge(json!({"spec": {"paused": true}, "status": {"replicas": 3}}));
    let manager = PatchParams { field_manager: Some("manager".into()), ..PatchParams::default() };
    let patched = api.patch_status("web", &manager, &patch).await.unwrap();
    let entries = entries(&patched.metadata);
    assert_eq!(entries.len(), 2);
    assert_eq!(
        entries[1],
        (
            "manager".into(),
            "Update".into(),
            "status".into(),
            json!({"f:status": {"f:replicas": {}}}),
        )
    );
    assert_eq!(patched.spec.unwrap().paused, None);
}

#[tokio::test]
async fn scaling_takes_the_replicas_over() {
    let api: Api<Deployment> = Api::default_namespaced(client().await);
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "app:1"}]},
            },
        },
    });
    let flux = PatchParams::apply("flux");
    api.patch("web", &flux, &Patch::Apply(&object)).await.unwrap();
    let scale = PatchParams { field_manager: Some("autoscaler".into()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    api.patch_scale("web", &scale, &patch).await.unwrap();
    let status = refusal(api.patch("web", &flux, &Patch::Apply(&object)).await);
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"autoscaler\" with subresource \"scale\" \
         using apps/v1: .spec.replicas"
    );
}

#[tokio::test]
async fn merges_ports_by_number_and_protocol() {
    let api: Api<Service> = Api::default_namespaced(client().await);
    let service = |ports: Value| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"},
            "spec": {"selector": {"app": "dns"}, "ports": ports},
        }))
    };
    let ports = json!([
        {"name": "tcp", "port": 53, "protocol": "TCP"}, {"name": "udp", "port": 53, "protocol": "UDP"},
    ]);
    api.patch("dns", &PatchParams::apply("one"), &service(ports)).await.unwrap();
    let metrics = json!([{"name": "metrics", "port": 9153}]);
    api.patch("dns", &PatchParams::apply("two"), &service(metrics)).await.unwrap();
    let fewer = json!([{"name": "udp", "port": 53, "protocol": "UDP"}]);
    let left = api.patch("dns", &PatchParams::apply("one"), &service(fewer)).await.unwrap();
    let ports = left.spec.unwrap().ports.unwrap();
    let names: Vec<_> = ports.iter().map(|port| port.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["udp", "metrics"]);
}

#[tokio::test]
async fn refuses_unknown_fields_of_an_applied_configuration() {
    let api: Api<ConfigMap> = Api::default_namespaced(client().await);
    let patch = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "daat": {"a": "1"},
    }));
    let status = refusal(api.patch("one", &PatchParams::apply("flux"), &patch).await);
    assert_eq!(status.code, 500);
    assert_eq!(
        status.message,
        "failed to create typed patch object (/one; /v1, Kind=ConfigMap): .daat: field not \
         declared in schema"
    );
}

#[tokio::test]
async fn custom_resources_merge_by_their_own_schema() {
    let client = client().await;
    let group = group(&client);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                    "type": "object",
                    "properties": {
                        "hosts": {
                            "type": "array",
                            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                            "items": {
                                "type": "object", "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"}, "weight": {"type": "integer"},
                                },
                            },
                        },
                        "tags": {
                            "type": "array", "x-kubernetes-list-type": "set",
                            "items": {"type": "string"},
                        },
                        "plain": {"type": "array", "items": {"type": "string"}},
                    },
                }}}},
            }],
        },
    });
    define(&client, definition).await;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(&group, "v1", "Thing"));
    let api: Api<DynamicObject> = Api::default_namespaced_with(client, &resource);
    let thing = |spec: Value| {
        Patch::Apply(json!({
            "apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": "a"}, "spec": spec,
        }))
    };
    let one = json!({"hosts": [{"name": "x", "weight": 1}], "tags": ["p"], "plain": ["p"]});
    api.patch("a", &PatchParams::apply("one"), &thing(one)).await.unwrap();
    let two = json!({"hosts": [{"name": "y"}], "tags": ["q"]});
    let both = api.patch("a", &PatchParams::apply("two"), &thing(two)).await.unwrap();
    assert_eq!(
        both.data["spec"],
        json!({"hosts": [{"name": "x", "weight": 1}, {"name": "y"}], "tags": ["p", "q"], "plain": ["p"]})
    );
    let status =
        refusal(api.patch("a", &PatchParams::apply("two"), &thing(json!({"plain": ["q"]}))).await);
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.plain");
}
