//! Objects are applied and deleted with the rights of a service account.

use serde_json::{Value, json};

use crate::support::{World, args, config};

/// Makes the account `deployer`, which may do some things with ConfigMaps.
async fn account(world: &World, verbs: &[&str]) {
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({"apiGroup": rbac, "kind": "Role", "name": "deployer"});
    let subject = json!({"kind": "ServiceAccount", "name": "deployer"});
    for (api_version, kind, fields) in [
        ("v1".to_owned(), "ServiceAccount", json!({})),
        (
            format!("{rbac}/v1"),
            "Role",
            json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]}),
        ),
        (format!("{rbac}/v1"), "RoleBinding", json!({"roleRef": role, "subjects": [subject]})),
    ] {
        let mut object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "deployer"}});
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        if let Some(Value::Array(subjects)) = object.get_mut("subjects") {
            subjects[0]["namespace"] = world.namespace.as_str().into();
        }
        world.apply(object).await;
    }
}

const ALL: [&str; 5] = ["get", "create", "patch", "update", "delete"];

#[tokio::test]
async fn applies_and_deletes_as_the_account() {
    let world = World::start().await;
    account(&world, &ALL).await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"serviceAccountName": "deployer"})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    world.delete("apps").await;
    assert_eq!(world.config("a").await, None);
}

#[tokio::test]
async fn cannot_do_what_the_account_may_not() {
    let world = World::start().await;
    account(&world, &ALL[..1]).await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"serviceAccountName": "deployer"})).await;
    let message = world.until_failed("apps", "ReconciliationFailed").await;
    let user = format!("User \"system:serviceaccount:{}:deployer\"", world.namespace);
    assert!(message.contains(&user) && message.contains("cannot patch"), "{message}");
    assert_eq!(world.config("a").await, None);
}

#[tokio::test]
async fn the_default_account_is_for_those_that_name_none() {
    let world = World::without_controller(&api::crds()).await;
    world
        .run(kustomize_controller::Args { default_service_account: "nobody".to_owned(), ..args() });
    account(&world, &ALL).await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("none", json!({})).await;
    let message = world.until_failed("none", "ReconciliationFailed").await;
    assert!(message.contains(":nobody\" cannot"), "{message}");
    world.create("own", json!({"serviceAccountName": "deployer"})).await;
    world.until_applied("own", "main@sha1:1").await;
}

#[tokio::test]
async fn objects_stay_when_the_account_is_gone() {
    let world = World::start().await;
    account(&world, &ALL).await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"serviceAccountName": "deployer"})).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.remove("v1", "ServiceAccount", "deployer").await;
    world.delete("apps").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    let line = format!("ConfigMap/{}/a", world.namespace);
    let event = world.until_event("apps", "ReconciliationSucceeded", &line).await;
    assert!(event.message.unwrap().starts_with("unable to prune objects: \n"));
}
