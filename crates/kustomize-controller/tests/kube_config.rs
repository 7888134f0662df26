//! `kubeConfig`: objects are applied to another cluster.
//!
//! Where the cluster is embedded the other one is too, and is reached over TLS; a real one reaches
//! itself, and the objects go to another namespace.

use api::kustomize::Kustomization;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kustomize_controller::Args;
use serde_json::{Value, json};
use testkit::cluster::Cluster;

use crate::support::{World, args, condition, config, is_true, message};

/// Another cluster, with a namespace for the test.
struct Other {
    cluster: Cluster,
    namespace: String,
    kubeconfig: String,
    _served: Option<apiserver::Served>,
}

async fn other(world: &World) -> Other {
    let cluster = match world.cluster.server() {
        Some(_) => testkit::cluster::embedded().await.unwrap(),
        None => world.cluster.clone(),
    };
    let namespace = cluster.namespace("other").await.unwrap();
    let (kubeconfig, served) = cluster.kubeconfig().await.unwrap();
    Other { cluster, namespace, kubeconfig, _served: served }
}

impl Other {
    fn configs(&self) -> Api<ConfigMap> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    async fn config(&self, name: &str) -> Option<String> {
        let found = self.configs().get_opt(name).await.unwrap();
        found.map(|it| it.data.unwrap_or_default().remove("key").unwrap_or_default())
    }

    /// Applies an object in the namespace of the test.
    async fn apply(&self, object: Value) {
        let version: kube::core::GroupVersion =
            object["apiVersion"].as_str().unwrap().parse().unwrap();
        let kind = version.with_kind(object["kind"].as_str().unwrap());
        let resource = kube::core::ApiResource::from_gvk(&kind);
        let api: Api<kube::api::DynamicObject> =
            Api::namespaced_with(self.cluster.client.clone(), &self.namespace, &resource);
        let params = PatchParams::apply("test").force();
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &params, &Patch::Apply(&object)).await.unwrap();
    }
}

async fn secret(world: &World, name: &str, data: &[(&str, &str)]) {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, text)| ((*key).to_owned(), BASE64_STANDARD.encode(text).into()))
        .collect();
    let labels = json!({"reconcile.fluxcd.io/watch": "Enabled"});
    let metadata = json!({"name": name, "labels": labels});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
    world.apply(secret).await;
}

#[expect(clippy::needless_pass_by_value, reason = "the callers write literals")]
fn spec(other: &Other, kube_config: Value) -> Value {
    json!({"targetNamespace": other.namespace, "kubeConfig": kube_config})
}

async fn start(gates: &str) -> World {
    let world = World::without_controller(&api::crds()).await;
    let mut args = args();
    gates.clone_into(&mut args.common.feature_gates);
    world.run(args);
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world
}

#[tokio::test]
async fn applies_prunes_and_deletes_in_the_cluster_of_a_secret() {
    let world = start("").await;
    let other = other(&world).await;
    secret(&world, "remote", &[("value", &other.kubeconfig)]).await;
    let mut fields = spec(&other, json!({"secretRef": {"name": "remote"}}));
    fields["wait"] = json!(true);
    world.create("apps", fields).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert!(is_true(&obj, "Healthy"));
    assert_eq!(other.config("a").await.as_deref(), Some("1"));
    assert_eq!(world.config("a").await, None);
    world.publish("main@sha1:2", &[("b.yaml", &config("b", "2"))]).await;
    world.until_applied("apps", "main@sha1:2").await;
    assert_eq!((other.config("a").await, other.config("b").await), (None, Some("2".to_owned())));
    // An edit there is corrected.
    let patch = Patch::Merge(json!({"data": {"key": "mine"}}));
    other.configs().patch("b", &PatchParams::default(), &patch).await.unwrap();
    world.request("apps", "now").await;
    world.until_handled("apps", "now").await;
    assert_eq!(other.config("b").await.as_deref(), Some("2"));
    world.delete("apps").await;
    assert_eq!(other.config("b").await, None);
}

#[tokio::test]
async fn takes_value_then_value_yaml_or_the_key_that_is_named() {
    let world = start("").await;
    let other = other(&world).await;
    secret(&world, "yaml", &[("value.yaml", &other.kubeconfig)]).await;
    secret(&world, "named", &[("value", "broken: ["), ("own", &other.kubeconfig)]).await;
    world.create("yaml", spec(&other, json!({"secretRef": {"name": "yaml"}}))).await;
    world.until_applied("yaml", "main@sha1:1").await;
    let named = json!({"secretRef": {"name": "named", "key": "own"}});
    world.create("named", spec(&other, named)).await;
    world.until_applied("named", "main@sha1:1").await;
}

async fn failure(world: &World, other: &Other, name: &str, kube_config: Value) -> String {
    world.create(name, spec(other, kube_config)).await;
    let message = world.until_failed(name, "ReconciliationFailed").await;
    message.replace(&world.namespace, "NS")
}

#[tokio::test]
async fn says_what_is_wrong_with_a_secret_and_waits_for_a_better_one() {
    let world = start("").await;
    let other = other(&world).await;
    secret(&world, "empty", &[("other", "x")]).await;
    secret(&world, "broken", &[("value", "users: [secret-token")]).await;
    let nowhere = "current-context: a\ncontexts: []\n";
    secret(&world, "nowhere", &[("value", nowhere)]).await;
    let missing = failure(&world, &other, "a", json!({"secretRef": {"name": "missing"}})).await;
    let expected =
        "unable to read KubeConfig secret 'NS/missing' error: secrets \"missing\" not found";
    assert_eq!(missing, expected);
    for (name, reference, expected) in [
        (
            "b",
            json!({"name": "empty"}),
            "KubeConfig secret 'NS/empty' does not contain a 'value' key with a kubeconfig",
        ),
        (
            "c",
            json!({"name": "empty", "key": "own"}),
            "KubeConfig secret 'NS/empty' does not contain a 'own' key with a kubeconfig",
        ),
        (
            "d",
            json!({"name": "broken"}),
            "KubeConfig secret 'NS/broken' does not contain a valid kubeconfig at key 'value'",
        ),
    ] {
        let message = failure(&world, &other, name, json!({"secretRef": reference})).await;
        assert_eq!(message, expected);
    }
    let message = failure(&world, &other, "e", json!({"secretRef": {"name": "nowhere"}})).await;
    let start = "the kubeconfig of secret 'NS/nowhere' cannot be used: ";
    assert!(message.starts_with(start), "{message}");
    // A change of the Secret wakes at once; the retry would come in an hour.
    secret(&world, "broken", &[("value", &other.kubeconfig)]).await;
    world.until_applied("d", "main@sha1:1").await;
}

#[tokio::test]
async fn leaves_the_object_until_the_cluster_is_known_again() {
    let world = start("").await;
    let other = other(&world).await;
    secret(&world, "remote", &[("value", &other.kubeconfig)]).await;
    world.create("apps", spec(&other, json!({"secretRef": {"name": "remote"}}))).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.remove("v1", "Secret", "remote").await;
    world.kustomizations().delete("apps", &DeleteParams::default()).await.unwrap();
    let deleted = |obj: &Kustomization| obj.metadata.deletion_timestamp.is_some();
    world.until("apps", "being deleted", deleted).await;
    assert_eq!(other.config("a").await.as_deref(), Some("1"));
    secret(&world, "remote", &[("value", &other.kubeconfig)]).await;
    let gone = await_condition(world.kustomizations(), "apps", |obj: Option<&Kustomization>| {
        obj.is_none()
    });
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap().unwrap();
    assert_eq!(other.config("a").await, None);
}

/// Lets an account of the other cluster do things with ConfigMaps.
async fn account(other: &Other, subject: Value) {
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({"apiGroup": rbac, "kind": "Role", "name": "deployer"});
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"]}]);
    let metadata = json!({"name": "deployer"});
    let version = format!("{rbac}/v1");
    other
        .apply(json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules}))
        .await;
    let binding = json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]});
    other.apply(binding).await;
}

#[tokio::test]
async fn acts_as_the_account_of_the_same_name_there() {
    let world = start("").await;
    let other = other(&world).await;
    secret(&world, "remote", &[("value", &other.kubeconfig)]).await;
    let mut fields = spec(&other, json!({"secretRef": {"name": "remote"}}));
    fields["serviceAccountName"] = json!("deployer");
    world.create("apps", fields).await;
    let text = world.until_failed("apps", "ReconciliationFailed").await;
    let user = format!("system:serviceaccount:{}:deployer", world.namespace);
    assert!(text.contains(&format!("User \"{user}\" cannot")), "{text}");
    account(
        &other,
        json!({"kind": "ServiceAccount", "name": "deployer", "namespace": world.namespace}),
    )
    .await;
    world.request("apps", "now").await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(other.config("a").await.as_deref(), Some("1"));
    // The account has to exist here, or nothing is deleted there.
    world.delete("apps").await;
    assert_eq!(other.config("a").await.as_deref(), Some("1"));
    world.until_event("apps", "ReconciliationSucceeded", "unable to prune objects: \n").await;
}

fn field(kubeconfig: &str, pointer: &str) -> String {
    let config: Value = serde_json::from_str(kubeconfig).unwrap();
    config.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

/// Makes a ConfigMap for the cluster that the controller is in: that trusts its own accounts.
async fn generic(world: &World, fields: Value) -> (Other, Option<apiserver::Served>) {
    let (kubeconfig, served) = world.cluster.kubeconfig().await.unwrap();
    let namespace = world.cluster.namespace("other").await.unwrap();
    let other = Other { cluster: world.cluster.clone(), namespace, kubeconfig, _served: None };
    let authority = field(&other.kubeconfig, "/clusters/0/cluster/certificate-authority-data");
    let authority = String::from_utf8(BASE64_STANDARD.decode(authority).unwrap()).unwrap();
    let mut data = json!({
        "provider": "generic", "ca.crt": authority,
        "address": field(&other.kubeconfig, "/clusters/0/cluster/server"),
        "audiences": "https://kubernetes.default.svc.cluster.local\nhttps://kubernetes.default.svc\n",
    });
    data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "remote"}, "data": data})).await;
    (other, served)
}

#[tokio::test]
async fn a_config_map_leads_to_a_cluster_that_trusts_our_accounts() {
    let world = start("ObjectLevelWorkloadIdentity=true").await;
    world
        .apply(
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer"}}),
        )
        .await;
    let (other, _served) = generic(&world, json!({"serviceAccountName": "deployer"})).await;
    account(
        &other,
        json!({"kind": "ServiceAccount", "name": "deployer", "namespace": world.namespace}),
    )
    .await;
    world.create("apps", spec(&other, json!({"configMapRef": {"name": "remote"}}))).await;
    let obj = world.until("apps", "an outcome", |obj| {
        is_true(obj, "Ready")
            || condition(obj, "Ready").is_some_and(|(status, _)| status == "False")
    });
    let obj = obj.await;
    assert!(is_true(&obj, "Ready"), "{}", message(&obj, "Ready"));
    assert_eq!(other.config("a").await.as_deref(), Some("1"));
    world.delete("apps").await;
    assert_eq!(other.config("a").await, None);
}

#[tokio::test]
async fn an_account_needs_the_gate() {
    let world = start("").await;
    let (other, _served) = generic(&world, json!({"serviceAccountName": "deployer"})).await;
    let message =
        failure(&world, &other, "apps", json!({"configMapRef": {"name": "remote"}})).await;
    assert_eq!(
        message,
        "failed to get access token for cluster: ObjectLevelWorkloadIdentity feature gate is not \
         enabled"
    );
}

#[tokio::test]
async fn the_default_account_is_for_config_maps_that_name_none() {
    let world = World::without_controller(&api::crds()).await;
    let mut args: Args = args();
    "absent".clone_into(&mut args.remote.default_kubeconfig_service_account);
    "ObjectLevelWorkloadIdentity=true".clone_into(&mut args.common.feature_gates);
    world.run(args);
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    let (other, _served) = generic(&world, json!({})).await;
    let message =
        failure(&world, &other, "apps", json!({"configMapRef": {"name": "remote"}})).await;
    let expected = "failed to get access token for cluster: failed to create kubernetes token for \
                    service account 'NS/absent': serviceaccounts \"absent\" not found";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn says_what_is_wrong_with_a_config_map() {
    let world = start("ObjectLevelWorkloadIdentity=true").await;
    let other = other(&world).await;
    let reference = |name: &str| json!({"configMapRef": {"name": name}});
    let message = failure(&world, &other, "missing", reference("missing")).await;
    assert_eq!(message, "failed to get configmap NS/missing: configmaps \"missing\" not found");
    for (name, data, expected) in [
        ("unknown", json!({"provider": "mine"}), "provider 'mine' not implemented"),
        ("none", json!({}), "provider '' not implemented"),
        (
            "aws",
            json!({"provider": "aws"}),
            "provider 'aws' is not supported by this version; use the provider 'generic', or a \
             Secret with a kubeconfig",
        ),
        (
            "nowhere",
            json!({"provider": "generic"}),
            "cluster address is required to create a REST config",
        ),
        (
            "plain",
            json!({"provider": "generic", "address": "http://x"}),
            "failed to parse cluster address http://x: the Kubernetes API server address \
             'http://x' must use https scheme",
        ),
    ] {
        world.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})).await;
        assert_eq!(failure(&world, &other, name, reference(name)).await, expected);
    }
}

#[tokio::test]
async fn a_secret_that_changes_is_read_again() {
    let world = start("").await;
    let other = other(&world).await;
    secret(&world, "remote", &[("value", &other.kubeconfig)]).await;
    let kube_config = json!({"secretRef": {"name": "remote"}});
    world.create("apps", spec(&other, kube_config)).await;
    world.until_applied("apps", "main@sha1:1").await;
    secret(&world, "remote", &[("value", "broken: [")]).await;
    let message = world.until_failed("apps", "ReconciliationFailed").await;
    assert!(message.contains("does not contain a valid kubeconfig"), "{message}");
}
