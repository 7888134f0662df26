//! What the API adds to objects that depends on the cluster or on the object's identity.

use crate::support::{client, create, embedded, refusal};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

#[tokio::test]
async fn gives_services_addresses_of_their_own() {
    let api: Api<Service> = Api::default_namespaced(client().await);
    let mut addresses = vec!["10.96.0.1".to_owned()];
    for name in ["a", "b"] {
        let made = create(
            &api,
            json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
        )
        .await;
        let spec = made.spec.unwrap();
        let address = spec.cluster_ip.unwrap();
        assert_eq!(spec.cluster_ips.unwrap(), std::slice::from_ref(&address));
        assert!(!addresses.contains(&address), "{address} is taken");
        addresses.push(address);
        let port = spec.ports.unwrap()[0].node_port.unwrap();
        assert!((30_000..=32_767).contains(&port), "{port}");
    }
    let headless = json!({
        "metadata": {"name": "headless"},
        "spec": {"clusterIP": "None", "ports": [{"port": 80}]},
    });
    let spec = create(&api, headless).await.spec.unwrap();
    assert_eq!(spec.cluster_ips.unwrap(), ["None"]);
}

#[tokio::test]
async fn an_update_keeps_the_address_of_a_service() {
    let api: Api<Service> = Api::default_namespaced(client().await);
    let object = json!({
        "metadata": {"name": "a"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}]},
    });
    let before = create(&api, object.clone()).await.spec.unwrap();
    let changed: Service = serde_json::from_value(object).unwrap();
    let after = api.replace("a", &PostParams::default(), &changed).await.unwrap().spec.unwrap();
    assert_eq!(after.cluster_ip, before.cluster_ip);
    assert_eq!(after.ports.unwrap()[0].node_port, before.ports.unwrap()[0].node_port);
}

#[tokio::test]
async fn stores_the_text_of_secrets_as_data() {
    let api: Api<Secret> = Api::default_namespaced(client().await);
    let made =
        create(&api, json!({"metadata": {"name": "a"}, "stringData": {"password": "hunter2"}}))
            .await;
    assert_eq!(made.data.unwrap()["password"].0, b"hunter2");
    assert_eq!(made.string_data, None);
    let patch = Patch::Merge(json!({"stringData": {"user": "me"}}));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data.unwrap().len(), 2);
}

#[tokio::test]
async fn a_job_selects_its_pods_by_its_own_uid() {
    let api: Api<Job> = Api::default_namespaced(client().await);
    let made = create(
        &api,
        json!({
            "metadata": {"name": "a"},
            "spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}},
        }),
    )
    .await;
    let uid = made.metadata.uid.unwrap();
    let spec = made.spec.unwrap();
    let selected = spec.selector.unwrap().match_labels.unwrap();
    assert_eq!(selected["batch.kubernetes.io/controller-uid"], uid);
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["batch.kubernetes.io/controller-uid"], uid);
    assert_eq!(labels["job-name"], "a");
}

#[tokio::test]
async fn pods_run_as_the_default_account() {
    let pods: Api<Pod> = Api::default_namespaced(client().await);
    let pod =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let spec = create(&pods, pod).await.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.tolerations.unwrap().len(), 2);
}

#[tokio::test]
async fn claims_use_the_default_class() {
    // Of which all claims of a cluster have the same.
    let client = embedded().await;
    let class = json!({
        "metadata": {
            "name": "fast",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "example.com/disk",
    });
    create(&Api::<StorageClass>::all(client.clone()), class).await;
    let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client);
    let claim = json!({
        "metadata": {"name": "a"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    let spec = create(&claims, claim).await.spec.unwrap();
    assert_eq!(spec.storage_class_name.as_deref(), Some("fast"));
}

#[tokio::test]
async fn pods_have_the_priority_of_their_class() {
    let api: Api<Pod> = Api::default_namespaced(client().await);
    let pod = |class: &str| {
        json!({"metadata": {"name": "a"}, "spec": {
            "priorityClassName": class, "containers": [{"name": "a", "image": "a"}]}})
    };
    let unknown: Pod = serde_json::from_value(pod("none")).unwrap();
    let status = refusal(api.create(&PostParams::default(), &unknown).await);
    assert_eq!(
        (status.code, status.message.as_str()),
        (403, "pods \"a\" is forbidden: no PriorityClass with name none was found")
    );
    let made = create(&api, pod("system-cluster-critical")).await;
    assert_eq!(made.spec.unwrap().priority, Some(2_000_000_000));
}
