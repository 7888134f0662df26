//! Data keys are decrypted by services, with credentials or as a ServiceAccount.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sops::age::Identities;
use testkit::service::{Request, Service};

use crate::support::{World, args};

const DOCUMENT: &str = include_str!("../../sops/tests/testdata/documents/configmap.yaml");
const KEY: &str = include_str!("../../sops/tests/testdata/keys/one.agekey");

/// Returns a ConfigMap `whole` whose data key a service protects, and the key.
fn document(service: &str, master: &Value) -> (String, String) {
    let mut object = goyaml::parse_documents(DOCUMENT).unwrap().remove(0);
    let sops = object["sops"].as_object_mut().unwrap();
    let age = sops.remove("age").unwrap();
    let mut keys = Identities::default();
    keys.import(KEY).unwrap();
    let key = keys.decrypt(age[0]["enc"].as_str().unwrap()).unwrap();
    sops.insert(service.to_owned(), json!([master]));
    (object.to_string(), STANDARD.encode(key.expose_secret()))
}

fn keys(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": data})
}

fn with_secret() -> Value {
    json!({"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}})
}

/// A Vault whose engine takes one token, and that gives it to whoever logs in.
async fn vault(role: Option<String>) -> (Service, impl Fn(&str) -> String) {
    let (_, key) = document("hc_vault", &json!({}));
    let service = Service::start(move |request: &Request| {
        if request.line == "POST /v1/auth/kubernetes/login" {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            if role.as_deref() != body["role"].as_str() {
                return (400, json!({"errors": ["invalid role"]}));
            }
            return (200, json!({"auth": {"client_token": "token-of-test"}}));
        }
        let is_known = request.line == "POST /v1/transit/decrypt/app"
            && request.header("x-vault-token") == "token-of-test"
            && request.body.contains("vault:v1:abc");
        if is_known {
            (200, json!({"data": {"plaintext": key}}))
        } else {
            (403, json!({"errors": ["permission denied"]}))
        }
    });
    let document = |address: &str| {
        let master = json!({
            "vault_address": address, "engine_path": "transit", "key_name": "app",
            "created_at": "2026-11-25T00:00:00Z", "enc": "vault:v1:abc",
        });
        document("hc_vault", &master).0
    };
    (service.await.unwrap(), document)
}

#[tokio::test]
async fn sops_vault_token_is_used() {
    let world = World::start().await;
    let (vault, document) = vault(None).await;
    world.apply(keys(&json!({"sops.vault-token": "token-of-test\n"}))).await;
    world.publish("main@sha1:1", &[("c.yaml", &document(&vault.url))]).await;
    world.create("apps", with_secret()).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
}

#[tokio::test]
async fn a_service_that_refuses_is_named_with_its_reason() {
    let world = World::start().await;
    let (vault, document) = vault(None).await;
    world.apply(keys(&json!({"sops.vault-token": "hunter2"}))).await;
    world.publish("main@sha1:1", &[("c.yaml", &document(&vault.url))]).await;
    world.create("apps", with_secret()).await;
    let message = world.until_failed("apps", "BuildFailed").await;
    let message = message.replace("\n      | ", " ");
    let expected = format!(
        "{}/v1/transit/keys/app: FAILED\n    - | failed to decrypt sops data key from Vault transit \
         backend 'transit/decrypt/app': 403 Forbidden: permission denied\n",
        vault.url
    );
    assert!(message.contains(&expected) && !message.contains("hunter2"), "{message}");
    assert_eq!(world.config("whole").await, None);
}

#[tokio::test]
async fn vault_token_of_the_environment_comes_last() {
    let world = World::without_controller(&api::crds()).await;
    let (vault, document) = vault(None).await;
    let mut args = args();
    args.environment.vault_token = Some("token-of-test".into());
    args.environment.vault_namespace = Some("team".to_owned());
    world.run(args);
    world.publish("main@sha1:1", &[("c.yaml", &document(&vault.url))]).await;
    world.create("apps", json!({"decryption": {"provider": "sops"}})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(vault.requests()[0].header("x-vault-namespace"), "team");
    world.apply(keys(&json!({"sops.vault-token": "other"}))).await;
    world.create("own", with_secret()).await;
    let message = world.until_failed("own", "BuildFailed").await;
    assert!(message.contains("permission denied"), "{message}");
}

#[tokio::test]
async fn sops_vault_configmap_lets_service_accounts_log_in() {
    let world = World::without_controller(&api::crds()).await;
    let (vault, document) = vault(Some(format!("{}_kms", world.namespace))).await;
    let account = |name: &str| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    world.apply(account("kms")).await;
    world.apply(account("other")).await;
    let config =
        format!("instances:\n- address: {}\n  loginPath: auth/kubernetes/login\n", vault.url);
    world
        .apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vaults"},
            "data": {"config.yaml": config},
        }))
        .await;
    let mut args = args();
    args.sops_vault_configmap = "vaults".to_owned();
    args.common.runtime_namespace.clone_from(&world.namespace);
    args.common.feature_gates = "ObjectLevelWorkloadIdentity=true".to_owned();
    args.default_decryption_service_account = "kms".to_owned();
    world.run(args);

    world.publish("main@sha1:1", &[("c.yaml", &document(&vault.url))]).await;
    world.create("apps", json!({"decryption": {"provider": "sops"}})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
    let decryption = json!({"provider": "sops", "serviceAccountName": "other"});
    world.create("other", json!({"decryption": decryption})).await;
    let message = world.until_failed("other", "BuildFailed").await.replace("\n      | ", " ");
    let expected = format!(
        "failed to authenticate with Vault '{}' at login path 'auth/kubernetes/login' as role \
         '{}_other': 400 Bad Request: invalid role",
        vault.url, world.namespace
    );
    assert!(message.contains(&expected), "{message}");

    // Only servers in the ConfigMap are told who we are.
    let stranger = Service::start(|_| (200, json!({"auth": {"client_token": "x"}}))).await.unwrap();
    world.publish("main@sha1:2", &[("c.yaml", &document(&stranger.url))]).await;
    let message = world.until_failed("apps", "BuildFailed").await.replace("\n      | ", " ");
    let expected = format!("no Vault login path configured for address '{}'", stranger.url);
    assert!(message.contains(&expected), "{message}");
    assert!(stranger.requests().is_empty());
}

/// AWS, which answers to one access key of a session.
async fn aws() -> (Service, String) {
    let arn = "arn:aws:kms:eu-west-1:123456789012:key/app";
    let master = json!({
        "arn": arn, "context": {"app": "web"}, "created_at": "2026-11-25T00:00:00Z",
        "enc": "YWJj", "aws_profile": "",
    });
    let (document, key) = document("kms", &master);
    let service = Service::start(move |request: &Request| {
        let credential = request.header("authorization").split('/').next().unwrap_or_default();
        let issued = |action: &str| {
            json!({format!("{action}Response"): {format!("{action}Result"): {"Credentials": {
                "AccessKeyId": "AKIDROLE", "SecretAccessKey": "secret", "SessionToken": "session",
            }}}})
        };
        if request.body.starts_with("Action=AssumeRoleWithWebIdentity&") {
            return (200, issued("AssumeRoleWithWebIdentity"));
        }
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let is_known = request.header("x-amz-target") == "TrentService.Decrypt"
            && matches!(
                credential,
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE" | "AWS4-HMAC-SHA256 Credential=AKIDROLE"
            )
            && body
                == json!({"CiphertextBlob": "YWJj", "KeyId": arn, "EncryptionContext": {"app": "web"}});
        if is_known {
            (200, json!({"KeyId": arn, "Plaintext": key}))
        } else {
            (400, json!({"__type": "AccessDeniedException", "message": "not allowed"}))
        }
    });
    (service.await.unwrap(), document)
}

#[tokio::test]
async fn sops_aws_kms_holds_an_access_key() {
    let world = World::without_controller(&api::crds()).await;
    let (aws, document) = aws().await;
    let mut args = args();
    args.environment.aws_endpoint_url = Some(aws.url.parse().unwrap());
    world.run(args);
    let file = "aws_access_key_id: AKIDEXAMPLE\naws_secret_access_key: hunter2\n";
    world.apply(keys(&json!({"sops.aws-kms": file}))).await;
    world.publish("main@sha1:1", &[("c.yaml", &document)]).await;
    world.create("apps", with_secret()).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
    assert!(!format!("{:?}", aws.requests()).contains("hunter2"));

    world.create("none", json!({"decryption": {"provider": "sops"}})).await;
    let message = world.until_failed("none", "BuildFailed").await.replace("\n      | ", " ");
    assert!(message.contains("with AWS KMS: no credentials: neither sops.aws-kms"), "{message}");
}

#[tokio::test]
async fn service_account_name_takes_on_a_role_of_aws() {
    let world = World::without_controller(&api::crds()).await;
    let (aws, document) = aws().await;
    let mut args = args();
    args.environment.aws_endpoint_url = Some(aws.url.parse().unwrap());
    args.common.feature_gates = "ObjectLevelWorkloadIdentity=true".to_owned();
    world.run(args);
    let role = "arn:aws:iam::123456789012:role/app";
    world
        .apply(json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "kms", "annotations": {"eks.amazonaws.com/role-arn": role}},
        }))
        .await;
    world.publish("main@sha1:1", &[("c.yaml", &document)]).await;
    let decryption = json!({"provider": "sops", "serviceAccountName": "kms"});
    world.create("apps", json!({"decryption": decryption})).await;
    world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(world.config("whole").await.as_deref(), Some("of a ConfigMap"));
    let requests = aws.requests();
    let session = format!("RoleSessionName=kms.{}.eu-west-1.fluxcd.io", world.namespace);
    assert!(requests[0].body.contains(&session), "{:?}", requests[0]);
    assert_eq!(requests[1].header("x-amz-security-token"), "session");

    let decryption = json!({"provider": "sops", "serviceAccountName": "missing"});
    world.create("missing", json!({"decryption": decryption})).await;
    let message = world.until_failed("missing", "BuildFailed").await.replace("\n      | ", " ");
    let expected = format!("failed to get service account '{}/missing': ", world.namespace);
    assert!(message.contains(&expected), "{message}");
}
