//! What SOPS has encrypted is decrypted: whole objects, values of Secrets, files of generators.
//!
//! The documents are those that the real SOPS made for the tests of the crate `sops`.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};

use crate::support::{World, args, config, is_true, message};

macro_rules! encrypted {
    ($name:literal) => {
        include_str!(concat!("../../sops/tests/testdata/documents/", $name))
    };
}

macro_rules! plain {
    ($name:literal) => {
        include_bytes!(concat!("../../sops/tests/testdata/plain/", $name)).as_slice()
    };
}

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../sops/tests/testdata/keys/", $name))
    };
}

/// A Secret with keys.
fn keys(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": data,
        "metadata": {"name": name, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
    })
}

/// `spec.decryption` with a Secret.
fn with(secret: &str) -> Value {
    json!({"decryption": {"provider": "sops", "secretRef": {"name": secret}}})
}

/// Starts a world with the Secret `keys`, which holds the first age key.
async fn with_age() -> World {
    let world = World::start().await;
    world.apply(keys("keys", &json!({"one.agekey": key!("one.agekey")}))).await;
    world
}

/// Returns a value of a Secret.
async fn secret(world: &World, name: &str, key: &str) -> Option<Vec<u8>> {
    let api: Api<Secret> = Api::default_namespaced(world.cluster.client.clone());
    let secret = api.get_opt(name).await.unwrap()?;
    secret.data?.remove(key).map(|ByteString(value)| value)
}

/// A Secret, written out, with an encrypted document as its only value.
fn wrapped(name: &str, key: &str, document: &str) -> String {
    use base64::Engine as _;
    let value = base64::engine::general_purpose::STANDARD.encode(document);
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ndata:\n  {key}: {value}\n")
}

#[tokio::test]
async fn provider_sops_decrypts_whole_secrets() {
    let world = with_age().await;
    world.publish("main@sha1:1", &[("s.yaml", encrypted!("secret.yaml"))]).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(secret(&world, "app", "password").await.unwrap(), b"correct horse");
    assert_eq!(secret(&world, "app", "lines").await.unwrap(), b"one\ntwo\n");
    assert_eq!(secret(&world, "other", "key").await.unwrap(), b"value");
}

#[tokio::test]
async fn provider_sops_decrypts_objects_of_any_kind() {
    let world = with_age().await;
    world.publish("main@sha1:1", &[("c.yaml", encrypted!("configmap.yaml"))]).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
}

#[tokio::test]
async fn values_of_secrets_are_decrypted_in_every_format() {
    let world = with_age().await;
    let files = [
        ("env.yaml", wrapped("env", "app.env", encrypted!("app.env"))),
        ("ini.yaml", wrapped("ini", "app.ini", encrypted!("app.ini"))),
        ("binary.yaml", wrapped("binary", "blob", encrypted!("blob.bin"))),
        ("yaml.yaml", wrapped("yaml", "values.yml", encrypted!("values.yaml"))),
        ("json.yaml", wrapped("json", ".dockerconfigjson", encrypted!("docker.json"))),
        ("none.yaml", wrapped("none", "a.yaml", "a: b")),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    world.publish("main@sha1:1", &files).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    for (name, key, expected) in [
        ("env", "app.env", plain!("app.env")),
        ("ini", "app.ini", plain!("app.ini")),
        ("binary", "blob", plain!("blob.bin")),
        ("yaml", "values.yml", plain!("values.yaml")),
        ("json", ".dockerconfigjson", plain!("docker.json")),
        ("none", "a.yaml", b"a: b"),
    ] {
        assert_eq!(secret(&world, name, key).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn secret_generator_files_and_envs_are_decrypted_before_they_are_hashed() {
    let world = with_age().await;
    let generator = |files: &str| {
        format!(
            "resources: [../base]\nsecretGenerator:\n- name: files\n  files: [{files}]\n- name: envs\n  \
             options: {{disableNameSuffixHash: true}}\n  envs: [app.env]\n"
        )
    };
    let base = "configMapGenerator:\n- name: same\n  files: [../apps/app.ini]\n  options: {disableNameSuffixHash: true}\n";
    let files = "app.ini, values.yaml=values.enc, blob=blob.bin";
    world
        .publish(
            "main@sha1:1",
            &[
                ("apps/kustomization.yaml", &generator(files)),
                ("base/kustomization.yaml", base),
                ("apps/app.ini", encrypted!("app.ini")),
                ("apps/app.env", encrypted!("app.env")),
                ("apps/values.enc", encrypted!("values.yaml")),
                ("apps/blob.bin", encrypted!("blob.bin")),
            ],
        )
        .await;
    let mut spec = with("keys");
    spec["path"] = "apps".into();
    world.create("apps", spec.clone()).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    let inventory = crate::support::inventory(&obj);
    let name = inventory.iter().find_map(|id| id.split('_').find(|it| it.starts_with("files-")));
    let name = name.unwrap().to_owned();
    assert_eq!(secret(&world, &name, "app.ini").await.unwrap(), plain!("app.ini"));
    assert_eq!(secret(&world, &name, "values.yaml").await.unwrap(), plain!("values.yaml"));
    assert_eq!(secret(&world, &name, "blob").await.unwrap(), plain!("blob.bin"));
    assert_eq!(secret(&world, "envs", "USER").await.unwrap(), b"app");
    // A file that several generators read is plain in all of them.
    let same = world.configs().get("same").await.unwrap().data.unwrap();
    assert_eq!(same["app.ini"].as_bytes(), plain!("app.ini"));

    // The name is that of the plain content, so it does not change with the encryption.
    let ini = String::from_utf8(plain!("app.ini").to_vec()).unwrap();
    let values = String::from_utf8(plain!("values.yaml").to_vec()).unwrap();
    world
        .publish(
            "main@sha1:2",
            &[
                ("apps/kustomization.yaml", &generator(files)),
                ("base/kustomization.yaml", base),
                ("apps/app.ini", &ini),
                ("apps/app.env", encrypted!("app.env")),
                ("apps/values.enc", &values),
                ("apps/blob.bin", encrypted!("blob.bin")),
            ],
        )
        .await;
    let obj = world.until_applied("apps", "main@sha1:2").await;
    assert_eq!(crate::support::inventory(&obj), inventory);
}

#[tokio::test]
async fn patches_path_is_decrypted() {
    let world = with_age().await;
    world
        .publish(
            "main@sha1:1",
            &[
                ("kustomization.yaml", "resources: [x.yaml]\npatches: [{path: patch.yaml}]\n"),
                ("x.yaml", &config("x", "plain")),
                ("patch.yaml", encrypted!("patch.yaml")),
            ],
        )
        .await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("x").await.as_deref(), Some("patched"));
}

#[tokio::test]
async fn secret_ref_holds_keys_of_every_local_kind() {
    let world = World::start().await;
    let all = json!({
        "a.agekey": key!("two.agekey"), "b.agekey": key!("three.agekey"), "c.agekey": key!("ssh-ed25519.key"),
        "d.asc": key!("ed25519.asc"), "e.asc": key!("rsa.asc"), "README": "not a key",
    });
    world.apply(keys("keys", &all)).await;
    let files = [
        ("age.yaml", wrapped("age", "x.json", encrypted!("config.json"))),
        ("ssh.yaml", wrapped("ssh", "x.json", encrypted!("ssh.json"))),
        ("pgp.yaml", wrapped("pgp", "x.json", encrypted!("pgp-ed25519.json"))),
        ("rsa.yaml", wrapped("rsa", "x.json", encrypted!("pgp-rsa.json"))),
        ("groups.yaml", wrapped("groups", "x.yaml", encrypted!("groups.yaml"))),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    world.publish("main@sha1:1", &files).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    for name in ["age", "ssh", "pgp", "rsa"] {
        assert_eq!(secret(&world, name, "x.json").await.unwrap(), plain!("config.json"), "{name}");
    }
    assert_eq!(secret(&world, "groups", "x.yaml").await.unwrap(), plain!("groups.yaml"));
}

#[tokio::test]
async fn sops_age_secret_is_for_those_that_name_none() {
    let world = World::without_controller(&api::crds()).await;
    let default = json!({"one.agekey": key!("one.agekey"), "broken.asc": "not a key"});
    world.apply(keys("default", &default)).await;
    world.apply(keys("empty", &json!({"README": "no keys"}))).await;
    world.publish("main@sha1:1", &[("c.yaml", encrypted!("configmap.yaml"))]).await;
    let mut args = args();
    args.sops_age_secret = "default".to_owned();
    args.common.runtime_namespace.clone_from(&world.namespace);
    world.run(args);
    world.create("own", with("empty")).await;
    let message = world.until_failed("own", "BuildFailed").await;
    assert!(message.contains("failed to load age identities"), "{message}");
    assert_eq!(world.config("whole").await, None);
    world.create("default", json!({"decryption": {"provider": "sops"}})).await;
    world.until_applied("default", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
}

#[tokio::test]
async fn decrypt_disabled_leaves_objects_as_they_are() {
    let world = with_age().await;
    let annotation = "  annotations:\n    kustomize.toolkit.fluxcd.io/decrypt: Disabled\n";
    let document = wrapped("kept", "app.env", encrypted!("app.env"));
    let document = document.replace("  name: kept\n", &format!("  name: kept\n{annotation}"));
    world.publish("main@sha1:1", &[("s.yaml", &document)]).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    let kept = secret(&world, "kept", "app.env").await.unwrap();
    assert_eq!(kept, encrypted!("app.env").as_bytes());
}

#[tokio::test]
async fn the_mac_is_not_checked() {
    let world = with_age().await;
    let changed = encrypted!("configmap.yaml").replace("name: whole", "name: changed");
    world.publish("main@sha1:1", &[("c.yaml", &changed)]).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("changed").await.as_deref(), Some("of a ConfigMap"));
}

#[tokio::test]
async fn values_are_substituted_after_they_are_decrypted() {
    let world = with_age().await;
    world.publish("main@sha1:1", &[("c.yaml", encrypted!("configmap.yaml"))]).await;
    let mut spec = with("keys");
    spec["postBuild"] = json!({"substitute": {"x": "1"}});
    world.create("apps", spec).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
}

#[tokio::test]
async fn a_secret_that_gets_the_right_key_is_used_at_once() {
    let world = World::start().await;
    world.apply(keys("keys", &json!({"a.agekey": key!("two.agekey")}))).await;
    world.publish("main@sha1:1", &[("c.yaml", encrypted!("configmap.yaml"))]).await;
    world.create("apps", with("keys")).await;
    world.until_failed("apps", "BuildFailed").await;
    world.apply(keys("keys", &json!({"a.agekey": key!("one.agekey")}))).await;
    world.until_applied("apps", "main@sha1:1").await;
}

/// Applies something good, then changes what is declared, and returns the message of the failure
/// once it is certain that nothing was lost and that there was an event.
async fn after_good(spec: Value, files: &[(&str, &str)]) -> String {
    let world = with_age().await;
    world.apply(keys("other", &json!({"a.agekey": key!("two.agekey")}))).await;
    world.apply(keys("broken", &json!({"a.agekey": "hunter2"}))).await;
    world.apply(keys("broken-pgp", &json!({"a.asc": "hunter2"}))).await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    world.create("apps", with("keys")).await;
    world.until_applied("apps", "main@sha1:1").await;
    world.merge("apps", json!({"spec": spec})).await;
    world.publish("main@sha1:2", files).await;
    let message = world.until_failed("apps", "BuildFailed").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
    let first = message.lines().next().unwrap();
    world.until_event("apps", "BuildFailed", first).await;
    assert!(!message.contains("hunter2"), "{message}");
    message.replace(&world.namespace, "NS")
}

#[tokio::test]
async fn build_failed_names_the_secret_that_is_missing() {
    let files = [("a.yaml", config("a", "2"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let message = after_good(with("none"), &files).await;
    assert_eq!(message, "secrets \"none\" not found");
}

#[tokio::test]
async fn build_failed_names_the_value_that_is_no_key() {
    let text = config("a", "2");
    assert_eq!(
        after_good(with("broken"), &[("a.yaml", &text)]).await,
        "failed to import 'a.agekey' data from sops decryption Secret 'NS/broken': failed to parse \
         and add to age identities: unknown identity type"
    );
    assert_eq!(
        after_good(with("broken-pgp"), &[("a.yaml", &text)]).await,
        "failed to import 'a.asc' data from sops decryption Secret 'NS/broken-pgp': cannot import \
         armored key data into GnuPG keyring: no valid OpenPGP private key found"
    );
}

#[tokio::test]
async fn build_failed_says_why_no_key_fits() {
    let message = after_good(with("other"), &[("s.yaml", encrypted!("configmap.yaml"))]).await;
    let expected = "\
decryption failed for 'ConfigMap.v1.[noGrp]/whole': failed to decrypt and format 'NS/whole' ConfigMap \
data: cannot get sops data key: Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
  age1suz52wrqee5slvn5c803jy2wrn8rj9lyqhh7yl2d3he7pc4nav7qw5cmal: FAILED
    - | failed to create reader for decrypting sops data key with
      | age: identity did not match any of the recipients: incorrect
      | identity for recipient block

Recovery failed because no master key was able to decrypt the file. In
order for SOPS to recover the file, at least one key has to be successful,
but none were.";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn build_failed_names_the_field_of_a_secret() {
    let document = wrapped("s", "app.env", encrypted!("app.env"));
    let message = after_good(with("other"), &[("s.yaml", &document)]).await;
    let expected = "decryption failed for 'Secret.v1.[noGrp]/s': failed to decrypt and format 'NS/s' \
                    Secret field 'app.env': cannot get sops data key: ";
    assert!(message.starts_with(expected), "{message}");
    // The format is that of the key, which cannot hold what is encrypted.
    let document = wrapped("s", "app", encrypted!("app.env"));
    assert_eq!(
        after_good(with("keys"), &[("s.yaml", &document)]).await,
        "decryption failed for 'Secret.v1.[noGrp]/s': failed to decrypt and format 'NS/s' Secret \
         field 'app': failed to emit encrypted dotenv file as decrypted binary: error emitting \
         binary store: no binary data found in tree"
    );
}

#[tokio::test]
async fn build_failed_redacts_a_value_that_is_not_encrypted() {
    let encrypted = encrypted!("configmap.yaml");
    let (before, _) = encrypted.split_once("    key: ").unwrap();
    let (_, sops) = encrypted.split_once("\nsops:").unwrap();
    let document = format!("{before}    key: hunter2\nsops:{sops}");
    assert_eq!(
        after_good(with("keys"), &[("s.yaml", &document)]).await,
        "decryption failed for 'ConfigMap.v1.[noGrp]/whole': failed to decrypt and format \
         'NS/whole' ConfigMap data: error decrypting sops tree: Error walking tree: Could not \
         decrypt value: Input string <redacted> does not match sops' data format"
    );
}

#[tokio::test]
async fn build_failed_names_the_source_that_cannot_be_decrypted() {
    let kustomization = ("kustomization.yaml", "secretGenerator: [{name: s, envs: [app.env]}]");
    assert_eq!(
        after_good(with("keys"), &[kustomization]).await,
        "error decrypting sources: lstat app.env: no such file or directory"
    );
    let files = [kustomization, ("app.env", encrypted!("app.env"))];
    let message = after_good(with("other"), &files).await;
    assert!(
        message.starts_with("error decrypting sources: cannot get sops data key: "),
        "{message}"
    );
}

#[tokio::test]
async fn feature_gate_disabled_stalls_what_names_a_service_account() {
    let world = World::start().await;
    world.publish("main@sha1:1", &[("a.yaml", &config("a", "1"))]).await;
    let decryption = json!({"provider": "sops", "serviceAccountName": "kms"});
    world.create("apps", json!({"decryption": decryption})).await;
    let reason = "FeatureGateDisabled";
    let expected = "to use spec.decryption.serviceAccountName for decryption authentication please \
                    enable the ObjectLevelWorkloadIdentity feature gate in the controller";
    assert_eq!(world.until_failed("apps", reason).await, expected);
    let obj = world.until("apps", "stalled", |obj| is_true(obj, "Stalled")).await;
    assert_eq!(message(&obj, "Stalled"), expected);
    world.until_event("apps", reason, expected).await;
    assert_eq!(world.config("a").await, None);
}

#[tokio::test]
async fn a_secret_without_a_mac_is_still_encrypted() {
    let world = with_age().await;
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nsops:\n  lastmodified: x\n";
    world.publish("main@sha1:1", &[("s.yaml", secret)]).await;
    world.create("apps", with("keys")).await;
    let message = world.until_failed("apps", "ReconciliationFailed").await;
    assert!(message.contains("is SOPS encrypted, configuring decryption is required"), "{message}");
}
