//! `tidegate kustomize build`, and the commands that need no cluster.

use std::{fs, path::Path};

use crate::support::{Run, finish, tidegate};
use tempfile::TempDir;

const OBJECTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
data:
  mode: fast
---
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: bar
";

fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Returns a directory with `base/` and `overlay/`.
fn sample() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "base/kustomization.yaml", "resources: [objects.yaml]\n");
    write(dir.path(), "base/objects.yaml", OBJECTS);
    write(dir.path(), "overlay/kustomization.yaml", "resources: [../base]\nnameSuffix: -v2\n");
    write(dir.path(), "outside/kustomization.yaml", "resources: [../base/objects.yaml]\n");
    dir
}

async fn build(dir: &TempDir, args: &[&str]) -> Run {
    let mut command = tidegate(&["kustomize", "build"]);
    command.args(args).current_dir(dir.path());
    finish(command).await
}

fn kinds(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("kind: ")).collect()
}

#[tokio::test]
async fn prints_namespaces_first_unless_told_otherwise() {
    let dir = sample();
    let run = build(&dir, &["overlay"]).await;
    assert_eq!(kinds(run.output()), ["Namespace", "ConfigMap", "ConfigMap"]);
    assert!(run.stdout.contains("  name: settings-v2\n"));
    let run = build(&dir, &["overlay", "--reorder=none"]).await;
    assert_eq!(kinds(run.output()), ["ConfigMap", "Namespace", "ConfigMap"]);
}

#[tokio::test]
async fn builds_the_current_directory_by_default() {
    let dir = sample();
    let mut command = tidegate(&["kustomize", "build"]);
    command.current_dir(dir.path().join("base"));
    assert_eq!(kinds(finish(command).await.output()).len(), 3);
}

#[tokio::test]
async fn loads_files_from_outside_only_when_allowed_to() {
    let dir = sample();
    let run = build(&dir, &["outside"]).await;
    assert!(run.failure().starts_with("error: "), "{run:?}");
    assert_eq!(run.stdout, "");
    build(&dir, &["outside", "--load-restrictor=LoadRestrictionsNone"]).await.output();
}

#[tokio::test]
async fn labels_what_it_has_built_when_asked_to() {
    let dir = sample();
    let run = build(&dir, &["base", "--enable-managedby-label"]).await;
    assert_eq!(run.output().matches("app.kubernetes.io/managed-by: kustomize-").count(), 3);
}

#[tokio::test]
async fn writes_a_file_or_a_file_for_each_object() {
    let dir = sample();
    let text = build(&dir, &["base"]).await.output().to_owned();
    assert_eq!(build(&dir, &["base", "-o", "all.yaml"]).await.output(), "");
    assert_eq!(fs::read_to_string(dir.path().join("all.yaml")).unwrap(), text);

    fs::create_dir(dir.path().join("each")).unwrap();
    assert_eq!(build(&dir, &["base", "-o", "each"]).await.output(), "");
    let mut names: Vec<_> = fs::read_dir(dir.path().join("each"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "bar_v1_configmap_settings.yaml",
            "shop_v1_configmap_settings.yaml",
            "v1_namespace_shop.yaml"
        ]
    );
    let run = build(&dir, &["base", "-o", "nowhere/all.yaml"]).await;
    assert!(run.failure().contains("nowhere/all.yaml"), "{run:?}");
}

#[tokio::test]
async fn says_what_is_wrong_as_kubectl_does() {
    let dir = sample();
    let run = build(&dir, &["missing"]).await;
    assert!(
        run.failure().starts_with("error: must build at directory: not a valid directory: "),
        "{run:?}"
    );
    write(dir.path(), "base/objects.yaml", "a: [\n");
    let run = build(&dir, &["base"]).await;
    assert!(run.failure().contains("objects.yaml"), "{run:?}");
}

#[tokio::test]
async fn completes_commands_in_every_shell() {
    for shell in ["bash", "fish", "zsh", "powershell"] {
        let run = finish(tidegate(&["completion", shell])).await;
        assert!(run.output().contains("reconcile"), "{shell}");
    }
}

#[tokio::test]
async fn explains_itself_on_standard_output_and_mistakes_on_standard_error() {
    let run = finish(tidegate(&["--help"])).await;
    assert!(run.output().contains("tidegate local -f"), "{run:?}");
    assert_eq!(run.stderr, "");
    let run = finish(tidegate(&["get", "ks", "--nonsense"])).await;
    assert!(run.failure().contains("--nonsense"), "{run:?}");
    assert_eq!(run.stdout, "");
    let run = finish(tidegate(&["get", "ks", "--kubeconfig", "/nowhere"])).await;
    assert!(run.failure().starts_with("✗ failed to read kubeconfig /nowhere"), "{run:?}");
}
