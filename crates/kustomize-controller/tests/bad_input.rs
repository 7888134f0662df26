//! Bad input is named in conditions and events, and leaves what is there in place.

use crate::support::{World, config, inventory, is_true};
use serde_json::{Value, json};

/// Applies something good, then publishes files that are not, and returns the message.
///
/// The good objects have to stay, and so does their inventory.
async fn after_good(fields: Value, files: &[(&str, &str)], reason: &str) -> String {
    let world = World::start().await;
    let good = config("good", "1");
    world.publish("main@sha1:1", &[("apps/good.yaml", &good)]).await;
    world.create("apps", fields).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.publish("main@sha1:2", files).await;
    let message = world.until_failed("apps", reason).await;
    let first = message.lines().next().unwrap().to_owned();
    world.until_event("apps", reason, &first).await;
    assert_eq!(world.config("good").await.as_deref(), Some("1"));
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert!(inventory(&obj).contains(&format!("{}_good__ConfigMap", world.namespace)));
    assert_eq!(crate::support::applied(&obj), Some("main@sha1:1"));
    assert!(is_true(&obj, "Reconciling"));
    message.replace(&world.namespace, "NS")
}

#[tokio::test]
async fn names_a_source_that_does_not_exist() {
    let world = World::start().await;
    world.create("apps", json!({})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    assert_eq!(message, format!("Source 'GitRepository/{}/repo' not found", world.namespace));
}

#[tokio::test]
async fn waits_for_a_source_without_artifact() {
    let world = World::start().await;
    world.advertise("GitRepository", "repo", &Value::Null).await;
    world.create("apps", json!({})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    assert_eq!(message, "Source artifact not found, retrying in 30s");
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn waits_for_an_artifact_that_is_not_served() {
    let world = World::start().await;
    let artifact = world.artifacts.publish("main@sha1:1", &[]).unwrap();
    world.artifacts.withdraw(&artifact);
    world.advertise("GitRepository", "repo", &artifact).await;
    world.create("apps", json!({})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    assert_eq!(message, "Source is not ready, artifact not found, retrying in 30s");
}

#[tokio::test]
async fn refuses_an_artifact_with_another_digest() {
    let world = World::start().await;
    let mut artifact =
        world.artifacts.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).unwrap();
    artifact["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    world.advertise("GitRepository", "repo", &artifact).await;
    world.create("apps", json!({})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    let start = "failed to verify archive: computed digest doesn't match provided 'sha256:000";
    assert!(message.starts_with(start), "{message}");
    world.until_event("apps", "ArtifactFailed", start).await;
    assert_eq!(world.config("a").await, None);
}

#[tokio::test]
async fn refuses_an_artifact_that_is_no_archive() {
    let world = World::start().await;
    let artifact = world.artifacts.publish_bytes("main@sha1:1", b"<html>".to_vec());
    world.advertise("GitRepository", "repo", &artifact).await;
    world.create("apps", json!({})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    assert!(message.starts_with("failed to untar archive: "), "{message}");
}

#[tokio::test]
async fn names_a_path_that_does_not_exist() {
    let files = [("elsewhere/a.yaml", "a: b")];
    let message = after_good(json!({"path": "./apps"}), &files, "ArtifactFailed").await;
    assert_eq!(message, "kustomization path not found: stat ./apps: no such file or directory");
}

#[tokio::test]
async fn does_not_leave_the_artifact() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"path": "../../../etc"})).await;
    let message = world.until_failed("apps", "ArtifactFailed").await;
    assert_eq!(
        message,
        "kustomization path not found: stat ../../../etc: no such file or directory"
    );
    let files = [("kustomization.yaml", "resources: [../../../etc/passwd]\n")];
    world.publish("main@sha1:2", &files).await;
    world.create("up", json!({})).await;
    let message = world.until_failed("up", "BuildFailed").await;
    assert!(message.contains("../../../etc/passwd"), "{message}");
}

#[tokio::test]
async fn names_file_and_line_of_broken_yaml() {
    let files = [("apps/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [x\n")];
    let message = after_good(json!({"path": "apps"}), &files, "BuildFailed").await;
    assert!(
        message.starts_with("failed to decode Kubernetes YAML from apps/broken.yaml"),
        "{message}"
    );
    assert!(message.contains("line "), "{message}");
}

#[tokio::test]
async fn names_what_is_no_object() {
    let files = [("apps/values.yaml", "replicas: 2\n")];
    let message = after_good(json!({"path": "apps"}), &files, "BuildFailed").await;
    assert!(message.contains("apps/values.yaml"), "{message}");
}

#[tokio::test]
async fn names_an_object_that_is_declared_twice() {
    let (one, two) = (config("twin", "1"), config("twin", "2"));
    let files = [("apps/one.yaml", one.as_str()), ("apps/two.yaml", two.as_str())];
    let message = after_good(json!({"path": "apps"}), &files, "BuildFailed").await;
    assert!(message.contains("twin"), "{message}");
}

#[tokio::test]
async fn names_a_namespace_that_does_not_exist() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", json!({"targetNamespace": "absent"})).await;
    let message = world.until_failed("apps", "ReconciliationFailed").await;
    assert_eq!(message, "ConfigMap/absent/a not found: namespaces \"absent\" not found");
    world.until_event("apps", "ReconciliationFailed", &message).await;
}

#[tokio::test]
async fn names_every_object_that_the_api_refuses() {
    let bad = |name: &str| {
        format!("apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: {name}\n")
    };
    let (one, two, new) = (bad("one"), bad("two"), config("new", "1"));
    let files = [
        ("apps/1.yaml", one.as_str()),
        ("apps/2.yaml", two.as_str()),
        ("apps/3.yaml", new.as_str()),
    ];
    let message = after_good(json!({"path": "apps"}), &files, "ReconciliationFailed").await;
    let refused = |name: &str| {
        format!(
            "Widget/NS/{name} dry-run failed: no matches for kind \"Widget\" in version \"example.com/v1\""
        )
    };
    assert_eq!(message, format!("{}\n{}", refused("one"), refused("two")));
}

#[tokio::test]
async fn refuses_secrets_that_are_encrypted_still() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ndata:\n  a: ENC[x]\nsops:\n  mac: ENC[y]\n";
    let message =
        after_good(json!({"path": "apps"}), &[("apps/s.yaml", secret)], "ReconciliationFailed")
            .await;
    assert_eq!(
        message,
        "Secret/NS/s is SOPS encrypted, configuring decryption is required for this secret to be \
         reconciled"
    );
}
