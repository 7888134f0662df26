//! The inventory holds everything that may exist, whatever happens.

use crate::support::{World, config, inventory};
use serde_json::json;

#[tokio::test]
async fn holds_objects_of_a_failed_apply_and_prunes_them_later() {
    let world = World::start().await;
    // The namespace is applied in the first stage, and the object of the second is refused.
    let extra = format!("{}-extra", world.namespace);
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {extra}\n");
    let widget = format!(
        "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: w\n  namespace: {extra}\n"
    );
    world.publish("main@sha1:1", &[("ns.yaml", &namespace), ("w.yaml", &widget)]).await;
    world.create("apps", json!({"targetNamespace": null})).await;
    let message = world.until_failed("apps", "ReconciliationFailed").await;
    assert!(message.contains("no matches for kind \"Widget\""), "{message}");
    assert!(message.ends_with(&format!("\nNamespace/{extra} created")), "{message}");
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert_eq!(
        inventory(&obj),
        [format!("_{extra}__Namespace"), format!("{extra}_w_example.com_Widget")]
    );
    let history = obj.status.unwrap().history.unwrap();
    assert_eq!(history[0].last_reconciled_status, "ReconciliationFailed");

    let a =
        config("a", "1").replace("name: a", &format!("name: a\n  namespace: {}", world.namespace));
    world.publish("main@sha1:2", &[("a.yaml", &a)]).await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(inventory(&obj), [format!("{}_a__ConfigMap", world.namespace)]);
    let api: kube::Api<k8s_openapi::api::core::v1::Namespace> =
        kube::Api::all(world.cluster.client.clone());
    let left = api.get_opt(&extra).await.unwrap();
    assert!(left.is_none_or(|it| it.metadata.deletion_timestamp.is_some()));
}

#[tokio::test]
async fn orphans_nothing_when_the_process_dies() {
    let world = World::start().await;
    for round in 1..=20 {
        let revision = format!("main@sha1:{round}");
        let own = config(&format!("r{round}"), "1");
        world.publish(&revision, &[("a.yaml", &config("a", "1")), ("own.yaml", &own)]).await;
        if round == 1 {
            world.create("apps", json!({})).await;
        }
        // Somewhere in the middle of a run, another place each time.
        for _ in 0..round * 7 {
            tokio::task::yield_now().await;
        }
        world.kill().await;
        world.run(crate::support::args());
    }
    world.until_applied("apps", "main@sha1:20").await;
    let left = world.configs().list(&kube::api::ListParams::default()).await.unwrap();
    let mut names: Vec<_> = left.items.into_iter().filter_map(|it| it.metadata.name).collect();
    names.retain(|name| name != "kube-root-ca.crt");
    assert_eq!(names, ["a", "r20"]);
}
