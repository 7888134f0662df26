//! `tidegate get` against a cluster.

use crate::support::{Cluster, PATIENCE, git_repository, kustomization, ready};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

const SHA: &str = "450796ddb2ab6724ee1cc32a4be56da032d1cca0";

/// Returns a cluster with a ready GitRepository, and a Kustomization that fails.
async fn fleet() -> Cluster {
    let cluster = Cluster::start().await;
    let source = git_repository("fleet");
    cluster.apply(source.clone()).await;
    cluster
        .set_status(
            &source,
            json!({
                "observedGeneration": 1,
                "conditions": [ready("True", &format!("stored artifact for revision 'main@sha1:{SHA}'"))],
                "artifact": {
                    "path": "p", "url": "u", "digest": "sha256:ab", "revision": format!("main@sha1:{SHA}"),
                    "lastUpdateTime": "2026-01-01T00:00:00Z",
                },
            }),
        )
        .await;
    let failing = kustomization("fleet");
    cluster.apply(failing.clone()).await;
    cluster
        .set_status(
            &failing,
            json!({ "conditions": [ready("False", "kustomization path not found:\nstat apps")] }),
        )
        .await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_a_table_with_short_digests() {
    let cluster = fleet().await;
    let run = cluster.run(&["get", "sources", "git"]).await;
    assert_eq!(
        run.output(),
        "NAME \tREVISION          \tSUSPENDED\tREADY\tMESSAGE                                          \t\n\
         fleet\tmain@sha1:450796dd\tFalse    \tTrue \tstored artifact for revision 'main@sha1:450796dd'\t\n"
    );
    assert_eq!(run.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_an_object_waits_for_its_first_reconciliation() {
    let cluster = Cluster::start().await;
    cluster.apply(kustomization("new")).await;
    let run = cluster.run(&["get", "ks", "new", "--no-header"]).await;
    assert_eq!(run.output(), "new\t\tFalse\tFalse\twaiting to be reconciled\t\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_namespace_and_the_source_when_asked_to() {
    let cluster = fleet().await;
    let run = cluster.run(&["get", "kustomizations", "-A", "--show-source"]).await;
    let rows: Vec<Vec<&str>> =
        run.output().lines().map(|line| line.split('\t').map(str::trim).collect()).collect();
    assert_eq!(
        rows[0],
        ["NAMESPACE", "NAME", "SOURCE", "REVISION", "SUSPENDED", "READY", "MESSAGE", ""]
    );
    assert_eq!(
        rows[1],
        [
            "flux-system",
            "fleet",
            "GitRepository/flux-system/fleet",
            "",
            "False",
            "False",
            "kustomization path not found: stat apps",
            ""
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_all_kinds_and_leaves_empty_ones_out() {
    let cluster = fleet().await;
    let run = cluster.run(&["get", "all", "--no-header"]).await;
    let names: Vec<_> =
        run.output().lines().map(|line| line.split('\t').next().unwrap().trim()).collect();
    assert_eq!(names, ["gitrepository/fleet", "", "kustomization/fleet"]);
    assert!(cluster.run(&["get", "all", "--watch"]).await.failure().contains("--watch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_when_there_is_nothing_to_list() {
    let cluster = Cluster::start().await;
    assert_eq!(
        cluster.run(&["get", "sources", "git"]).await.failure(),
        "✗ no GitRepository objects found in \"flux-system\" namespace\n"
    );
    assert_eq!(
        cluster.run(&["get", "ks", "-A"]).await.failure(),
        "✗ no Kustomization objects found in any namespace\n"
    );
    assert_eq!(
        cluster.run(&["get", "ks", "web", "-n", "apps"]).await.failure(),
        "✗ Kustomization object 'web' not found in \"apps\" namespace\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn selects_by_condition_and_by_label() {
    let cluster = fleet().await;
    let mut labelled = kustomization("labelled");
    labelled["metadata"]["labels"] = json!({ "team": "web" });
    cluster.apply(labelled).await;
    let names = async |args: &[&str]| {
        let args = [&["get", "ks", "--no-header"], args].concat();
        let run = cluster.run(&args).await;
        let names = run.output().lines().map(|line| line.split('\t').next().unwrap().trim());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&["--status-selector", "ready=false"]).await, ["fleet"]);
    assert_eq!(names(&["--status-selector", "ready!=false"]).await, ["labelled"]);
    assert_eq!(names(&["-l", "team=web"]).await, ["labelled"]);
    assert!(cluster.run(&["get", "ks", "--status-selector", "ready"]).await.code == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_objects_as_json_and_yaml() {
    let cluster = fleet().await;
    let json = cluster.run(&["get", "all", "-o", "json"]).await;
    let json: Value = serde_json::from_str(json.output()).unwrap();
    let yaml = cluster.run(&["get", "all", "-o", "yaml"]).await;
    let yaml = goyaml::parse_documents(yaml.output()).unwrap();
    assert_eq!(yaml.len(), 1);
    assert_eq!(yaml[0], json);
    let kinds: Vec<_> = json["items"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["GitRepository", "Kustomization"]);
    assert!(json["items"][0]["metadata"]["managedFields"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_a_line_for_every_change() {
    let cluster = fleet().await;
    let mut child = cluster.spawn(&["get", "ks", "--watch"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time");
        line.unwrap().unwrap()
    };
    assert!(next().await.starts_with("NAME "));
    assert!(next().await.contains("path not found"));
    let change = json!({
        "lastAppliedRevision": format!("main@sha1:{SHA}"),
        "conditions": [ready("True", "Applied")],
    });
    cluster.set_status(&kustomization("fleet"), change).await;
    let line = next().await;
    assert!(line.contains("main@sha1:450796dd\t") && line.contains("\tTrue\t"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reaches_the_cluster_by_flags_alone() {
    let cluster = fleet().await;
    let url = cluster.url();
    let flags = ["get", "ks", "--server", &url, "--token", cluster.token()];
    let mut command = crate::support::tidegate(&flags);
    command.arg("--insecure-skip-tls-verify").env("HOME", cluster.dir.path());
    command.env("KUBECONFIG", cluster.write("other", "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: a, user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}"));
    crate::support::finish(command).await.output();
}
