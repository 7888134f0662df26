//! `tidegate install` and `version` against a cluster.

use crate::support::{Cluster, finish, tidegate};
use kube::core::Request;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn installs_in_stages_and_waits_until_the_controllers_are_ready() {
    let cluster = Cluster::working().await;
    let run = cluster.run(&["install"]).await;
    let changes: Vec<&str> = run.output().lines().collect();
    assert_eq!(changes[0], "Namespace/flux-system created");
    assert!(changes[1..4].iter().all(|line| line.starts_with("CustomResourceDefinition/")));
    assert!(changes.iter().all(|line| line.ends_with(" created")), "{changes:#?}");
    assert!(changes.contains(&"Deployment/flux-system/source-controller created"));
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "✚ generating manifests",
            "✔ manifests build completed",
            "► installing components in flux-system namespace",
            "◎ verifying installation",
        ]
    );
    let mut ready = lines[4..lines.len() - 1].to_vec();
    ready.sort_unstable();
    assert_eq!(
        ready,
        ["✔ kustomize-controller: deployment ready", "✔ source-controller: deployment ready"]
    );
    assert_eq!(lines.last(), Some(&"✔ install finished"));

    let again = cluster.run(&["install"]).await;
    assert!(again.output().lines().all(|line| line.ends_with(" unchanged")), "{again:#?}");
    let other = cluster.run(&["install", "--log-level=debug"]).await;
    let configured: Vec<&str> =
        other.output().lines().filter(|line| line.ends_with(" configured")).collect();
    assert_eq!(
        configured,
        [
            "Deployment/flux-system/source-controller configured",
            "Deployment/flux-system/kustomize-controller configured"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_the_versions_of_what_is_installed() {
    let cluster = Cluster::working().await;
    cluster.run(&["install", "--version", "v9.9.9"]).await.output();
    let run = cluster.run(&["version"]).await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        run.output(),
        format!(
            "distribution: flux-v9.9.9\nkustomize-controller: v9.9.9\nsource-controller: v9.9.9\n\
             tidegate: v{version}\n"
        )
    );
    let run = finish(tidegate(&["version", "--client", "-o", "json"])).await;
    let client: Value = serde_json::from_str(run.output()).unwrap();
    assert_eq!(client, json!({ "tidegate": format!("v{version}") }));
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_when_a_controller_does_not_become_ready() {
    // Nobody plays the workloads here.
    let cluster = Cluster::empty().await;
    let run = cluster.run(&["install", "--timeout=2s"]).await;
    let failure = run.failure();
    assert!(failure.contains("✗ source-controller: deployment not ready in time\n"), "{failure}");
    assert!(failure.ends_with("✗ install failed\n"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_the_installation_of_another_tool_alone() {
    let cluster = Cluster::start().await;
    let options = manifests::Options::default();
    let mut crd = manifests::crds(&options).remove(0);
    let labels = |crd: &mut Value, key: &str, value: &str| {
        crd["metadata"]["labels"][key] = json!(value);
    };
    assert_eq!(crd["metadata"]["name"], "gitrepositories.source.toolkit.fluxcd.io");
    labels(&mut crd, "app.kubernetes.io/managed-by", "flux-operator");
    cluster.apply(crd.clone()).await;
    let run = cluster.run(&["install"]).await;
    assert!(run.failure().contains("managed by flux-operator; use --force"), "{run:?}");
    assert_eq!(run.stdout, "");

    labels(&mut crd, "kustomize.toolkit.fluxcd.io/name", "flux-system");
    cluster.apply(crd).await;
    let run = cluster.run(&["install", "--force"]).await;
    assert!(run.failure().contains("bootstrapped"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_without_a_cluster_what_a_cluster_takes_without_warnings() {
    let run = finish(tidegate(&["install", "--export", "--namespace=gitops"])).await;
    let text = run.output();
    assert_eq!(run.stderr, "");
    let again = finish(tidegate(&["install", "--export", "--namespace=gitops"])).await;
    assert_eq!(again.output(), text);

    let cluster = Cluster::empty().await;
    let objects = goyaml::parse_documents(text).unwrap();
    assert!(objects.len() > 15);
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        if let Some(namespace) = object["metadata"]["namespace"].as_str() {
            assert_eq!(namespace, "gitops");
        }
        let params = kube::api::PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Warn),
            ..kube::api::PatchParams::apply("test")
        };
        let path = cluster.api(&object).resource_url().to_owned();
        let request = Request::new(path)
            .patch(name, &params, &kube::api::Patch::Apply(&object))
            .unwrap()
            .map(kube::client::Body::from);
        let response = cluster.client.send(request).await.unwrap();
        assert!(response.status().is_success(), "{name}: {}", response.status());
        let warnings: Vec<_> = response.headers().get_all("warning").iter().collect();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn installs_only_what_is_chosen() {
    let args = ["install", "--export", "--components=source-controller", "--network-policy=false"];
    let run = finish(tidegate(&args)).await;
    let objects = goyaml::parse_documents(run.output()).unwrap();
    let count = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
    assert_eq!(count("Deployment"), 1);
    assert_eq!(count("NetworkPolicy"), 0);
    let run = finish(tidegate(&["install", "--components=helm-controller"])).await;
    assert!(run.failure().contains("helm-controller"), "{run:?}");
}
