//! `tidegate build kustomization`.

use std::{fs, path::Path};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Cluster, Run, finish, kustomization, tidegate};

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";

fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn declared(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
         metadata: {{name: {name}, namespace: flux-system}}\nspec:\n  interval: 1m\n  prune: true\n  \
         sourceRef: {{kind: GitRepository, name: fleet}}\n{spec}"
    )
}

/// Builds without a cluster, from `file.yaml`.
async fn build(dir: &TempDir, args: &[&str]) -> Run {
    let mut command = tidegate(&["build", "kustomization", "--dry-run"]);
    command.args(["--kustomization-file", "file.yaml"]).args(args).current_dir(dir.path());
    finish(command).await
}

#[track_caller]
fn assert_says(run: &Run, text: &str) {
    assert!(run.failure().contains(text), "{run:#?}");
}

#[tokio::test]
async fn prints_what_the_controller_would_apply() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "app/settings.yaml", SETTINGS);
    let spec =
        "  targetNamespace: shop\n  nameSuffix: -v2\n  commonMetadata: {labels: {team: a}}\n";
    write(dir.path(), "file.yaml", &format!("{SETTINGS}---\n{}", declared("app", spec)));
    let run = build(&dir, &["app", "--path", "app"]).await;
    assert_eq!(
        run.output(),
        "\
apiVersion: v1
kind: ConfigMap
metadata:
  labels:
    kustomize.toolkit.fluxcd.io/name: app
    kustomize.toolkit.fluxcd.io/namespace: flux-system
    team: a
  name: settings-v2
  namespace: shop
---
"
    );
    let files: Vec<_> = fs::read_dir(dir.path().join("app")).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is written to the directory");
}

#[tokio::test]
async fn follows_the_kustomizations_among_the_objects() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "file.yaml", &declared("apps", ""));
    write(dir.path(), "apps/child.yaml", &declared("child", "  path: ./child\n"));
    write(dir.path(), "apps/self.yaml", &declared("apps", ""));
    write(dir.path(), "child/settings.yaml", SETTINGS);
    let flags = ["apps", "--path", "apps", "--recursive"];
    let run = build(&dir, &flags).await;
    assert_says(&run, "no directory for GitRepository/flux-system/fleet of Kustomization child");
    let source = ["--local-sources", "GitRepository/flux-system/fleet=."];
    let run = build(&dir, &[&flags[..], &source].concat()).await;
    assert_eq!(run.output().matches("\n---\n").count(), 3);
    assert!(run.stdout.contains("kustomize.toolkit.fluxcd.io/name: child"), "{}", run.stdout);
}

#[tokio::test]
async fn takes_the_kustomization_from_the_cluster() {
    let cluster = Cluster::start().await;
    let mut object = kustomization("app");
    object["spec"]["namePrefix"] = json!("live-");
    cluster.apply(object).await;
    write(cluster.dir.path(), "app/settings.yaml", SETTINGS);
    let path = cluster.dir.path().join("app");
    let path = path.to_str().unwrap();
    let run = cluster.run(&["build", "ks", "app", "--path", path]).await;
    assert!(run.output().contains("name: live-settings"), "{}", run.stdout);
    let run = cluster.run(&["build", "ks", "other", "--path", path]).await;
    assert_says(&run, "Kustomization/flux-system/other not found");
}

#[tokio::test]
async fn names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "app/settings.yaml", "kind: ConfigMap\n");
    write(dir.path(), "file.yaml", &declared("app", ""));
    assert_says(&build(&dir, &["app", "--path", "app"]).await, "app/settings.yaml");
    assert_says(&build(&dir, &["app", "--path", "none"]).await, "invalid resource path none");
    assert_says(
        &build(&dir, &["other", "--path", "app"]).await,
        "no Kustomization named other of namespace flux-system in file.yaml",
    );
    write(dir.path(), "file.yaml", &declared("app", "").replace("interval: 1m", "interval: soon"));
    assert_says(&build(&dir, &["app", "--path", "app"]).await, "spec.interval: \"soon\"");
}
