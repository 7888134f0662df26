//! What schemas do to objects: unknown fields, defaults, validation, strategic merges.

use crate::support::{client, define, group, refusal};
use http::{Request, header};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "app:1"}]},
            },
        },
    })
}

/// Returns the API of a new custom kind.
async fn things(client: &Client, spec: Value) -> Api<DynamicObject> {
    let group = group(client);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": spec,
                    "status": {"type": "object", "properties": {
                        "phase": {"type": "string", "enum": ["Ready", "Failed"]},
                    }},
                }}},
            }],
        },
    });
    define(client, definition).await;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(&group, "v1", "Thing"));
    Api::default_namespaced_with(client.clone(), &resource)
}

fn thing(client: &Client, spec: &Value) -> DynamicObject {
    let object = json!({
        "apiVersion": format!("{}/v1", group(client)), "kind": "Thing", "metadata": {"name": "a"}, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

#[tokio::test]
async fn warns_of_unknown_fields_or_refuses_or_ignores_them() {
    let client = client().await;
    let mut object = deployment();
    object["spec"]["replica"] = 1.into();
    object["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x".into();
    let post = |validation: &str| {
        let path = Api::<Deployment>::default_namespaced(client.clone()).resource_url().to_owned();
        Request::post(format!("{path}?dryRun=All&fieldValidation={validation}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(object.to_string().into_bytes().into())
            .unwrap()
    };
    let warnings = |response: &http::Response<_>| -> Vec<String> {
        let values = response.headers().get_all(header::WARNING).iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    for validation in ["", "Warn"] {
        let response = client.send(post(validation)).await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(
            warnings(&response),
            [
                "299 - \"unknown field \\\"spec.template.spec.containers[0].imagee\\\"\"",
                "299 - \"unknown field \\\"spec.replica\\\"\"",
            ]
        );
    }
    let response = client.send(post("Ignore")).await.unwrap();
    assert_eq!((response.status().as_u16(), warnings(&response)), (201, Vec::new()));
    let status = refusal(
        client.request::<Value>(post("Strict").map(|_| object.to_string().into_bytes())).await,
    );
    assert_eq!((status.code, status.reason.as_str()), (400, "BadRequest"));
    assert_eq!(
        status.message,
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: \
         unknown field \"spec.template.spec.containers[0].imagee\", unknown field \"spec.replica\""
    );
}

#[tokio::test]
async fn built_in_kinds_come_with_their_defaults() {
    let api: Api<Deployment> = Api::default_namespaced(client().await);
    let object = serde_json::from_value(deployment()).unwrap();
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    let spec = created.spec.unwrap();
    assert_eq!(spec.replicas, Some(1));
    assert_eq!(spec.strategy.unwrap().type_.as_deref(), Some("RollingUpdate"));
    let pod = spec.template.spec.unwrap();
    assert_eq!(pod.restart_policy.as_deref(), Some("Always"));
    assert_eq!(pod.containers[0].image_pull_policy.as_deref(), Some("IfNotPresent"));
    let fields = created.metadata.managed_fields.unwrap()[0].fields_v1.clone().unwrap().0;
    assert_eq!(fields["f:spec"]["f:replicas"], json!({}), "whoever creates owns the defaults");
}

#[tokio::test]
async fn an_applied_object_has_defaults_that_nobody_owns() {
    let api: Api<Deployment> = Api::default_namespaced(client().await);
    let params = PatchParams::apply("flux");
    let applied = api.patch("web", &params, &Patch::Apply(deployment())).await.unwrap();
    assert_eq!(applied.spec.as_ref().unwrap().replicas, Some(1));
    let fields = applied.metadata.managed_fields.clone().unwrap()[0].fields_v1.clone().unwrap().0;
    assert!(fields["f:spec"].get("f:replicas").is_none());
    let again = api.patch("web", &params, &Patch::Apply(deployment())).await.unwrap();
    // A controller may have written the status meanwhile.
    assert_eq!(again.metadata.generation, applied.metadata.generation);
    assert_eq!(again.spec, applied.spec);
    let mut scaled = deployment();
    scaled["spec"]["replicas"] = 3.into();
    let other = PatchParams::apply("autoscaler");
    let scaled = api.patch("web", &other, &Patch::Apply(scaled)).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(3), "a default is no conflict");
}

#[tokio::test]
async fn strategic_merges_know_the_keys_of_lists() {
    let api: Api<Deployment> = Api::default_namespaced(client().await);
    let object = serde_json::from_value(deployment()).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [
        {"name": "sidecar", "image": "sidecar:1"}, {"name": "app", "image": "app:2"},
    ]}}}}));
    let patched = api.patch("web", &PatchParams::default(), &patch).await.unwrap();
    let containers = patched.spec.unwrap().template.spec.unwrap().containers;
    let images: Vec<_> = containers.iter().map(|one| one.image.as_deref().unwrap()).collect();
    assert_eq!(images, ["sidecar:1", "app:2"]);
}

#[tokio::test]
async fn secrets_services_and_config_maps_keep_their_shape() {
    let client = client().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let object = json!({"metadata": {"name": "a"}, "data": {}, "binaryData": null});
    let object = serde_json::from_value(object).unwrap();
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(created.data, None);
    let api: Api<Service> = Api::default_namespaced(client);
    let object = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}});
    let object = serde_json::from_value(object).unwrap();
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    let port = created.spec.unwrap().ports.unwrap().remove(0);
    assert_eq!(port.protocol.as_deref(), Some("TCP"));
    assert_eq!(
        port.target_port,
        Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(80))
    );
}

#[tokio::test]
async fn custom_resources_are_pruned_and_filled_in() {
    let client = client().await;
    let schema = json!({
        "type": "object",
        "properties": {
            "interval": {"type": "string", "default": "1m"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let api = things(&client, schema).await;
    let object = thing(&client, &json!({"intervall": "5m", "free": {"x": [1]}}));
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(created.data["spec"], json!({"free": {"x": [1]}, "interval": "1m"}));
}

#[tokio::test]
async fn custom_resources_are_checked_against_their_schema() {
    let client = client().await;
    let schema = json!({
        "type": "object", "required": ["url"],
        "properties": {
            "url": {"type": "string", "pattern": "^https://"},
            "replicas": {"type": "integer", "minimum": 0},
        },
    });
    let api = things(&client, schema).await;
    let status = refusal(
        api.create(&PostParams::default(), &thing(&client, &json!({"replicas": -1}))).await,
    );
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        status.message.replace(&group(&client), "example.com"),
        "Thing.example.com \"a\" is invalid: [spec.replicas: Invalid value: -1: spec.replicas in \
         body should be greater than or equal to 0, spec.url: Required value]"
    );
    let causes = status.details.unwrap().causes;
    assert_eq!(causes[1].reason, "FieldValueRequired");
    assert_eq!(causes[1].field, "spec.url");

    api.create(&PostParams::default(), &thing(&client, &json!({"url": "https://x"})))
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"status": {"phase": "Odd", "more": 1}}));
    let status = refusal(api.patch_status("a", &PatchParams::default(), &patch).await);
    assert_eq!(
        status.message.replace(&group(&client), "example.com"),
        "Thing.example.com \"a\" is invalid: status.phase: Unsupported value: \"Odd\": supported \
         values: \"Ready\", \"Failed\""
    );
    let patch = Patch::Merge(json!({"status": {"phase": "Ready", "more": 1}}));
    let patched = api.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data["status"], json!({"phase": "Ready"}));
}

#[tokio::test]
async fn a_definition_needs_a_structural_schema() {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let client = client().await;
    let group = group(&client);
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&gvk));
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}},
            }],
        },
    });
    let definition = serde_json::from_value(definition).unwrap();
    let status = refusal(api.create(&PostParams::default(), &definition).await);
    assert_eq!(
        status.message.replace(&group, "example.com"),
        "CustomResourceDefinition.apiextensions.k8s.io \"things.example.com\" is invalid: \
         spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty \
         for specified object fields"
    );
}

#[tokio::test]
async fn custom_resources_keep_the_rules_of_their_schema() {
    let client = client().await;
    let schema = json!({
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "!has(self.secret) || has(self.user)", "message": "secret needs a user"},
        ],
        "properties": {
            "user": {"type": "string"}, "secret": {"type": "string"},
            "kind": {"type": "string", "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "kind cannot change"},
            ]},
        },
    });
    let api = things(&client, schema).await;
    let params = PostParams::default();
    let status =
        refusal(api.create(&params, &thing(&client, &json!({"secret": "x", "kind": "a"}))).await);
    assert_eq!(
        status.message.replace(&group(&client), "example.com"),
        "Thing.example.com \"a\" is invalid: spec: Invalid value: secret needs a user"
    );
    api.create(&params, &thing(&client, &json!({"kind": "a"}))).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"kind": "b"}}));
    let status = refusal(api.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!(
        status.message.replace(&group(&client), "example.com"),
        "Thing.example.com \"a\" is invalid: spec.kind: Invalid value: \"b\": kind cannot change"
    );
    let status = refusal(api.create(&params, &thing(&client, &json!({"kind": 1}))).await);
    let causes = status.details.unwrap().causes;
    assert_eq!(causes[1].field, "<nil>", "rules are not looked at: {causes:?}");
}
