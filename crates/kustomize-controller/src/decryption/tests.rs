//! The services of Azure and Google, played by servers of our own.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sops::{DataKey, KeyError};
use testkit::service::{Request, Service};

use super::account::Account;
use super::http::Http;
use super::{Reference, azure, gcp};

/// Tokens are given for what a request says, and taken to decrypt the key `key`.
async fn service(is_proof: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Service {
    let answer = move |request: &Request| {
        let path = request.line.split(['?', ' ']).nth(1).unwrap_or_default();
        let authorized = request.header("authorization") == "Bearer token";
        match path {
            "/keys/app/1/decrypt" if authorized => (200, json!({"value": "a2V5"})),
            "/v1/projects/p/locations/l/keyRings/r/cryptoKeys/k:decrypt" if authorized => {
                (200, json!({"plaintext": "a2V5"}))
            }
            "/v1/projects/-/serviceAccounts/app@p.iam.gserviceaccount.com:generateAccessToken" => {
                (200, json!({"accessToken": "token"}))
            }
            _ if is_proof(request) => (200, json!({"access_token": "token"})),
            _ => (401, json!({"error": "invalid_client", "error_description": "who are you?"})),
        }
    };
    Service::start(answer).await.unwrap()
}

fn fields(request: &Request) -> std::collections::HashMap<String, String> {
    url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect()
}

fn plain(key: Result<DataKey, KeyError>) -> Result<Vec<u8>, String> {
    key.map(|key| key.expose_secret().to_vec()).map_err(|error| error.to_string())
}

/// Returns a ServiceAccount with annotations, and the cluster that it is in.
async fn account(annotations: Value) -> (testkit::cluster::Cluster, Account) {
    let cluster = testkit::cluster::embedded().await.unwrap();
    let api: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let object = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "kms", "annotations": annotations},
    });
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let reference = Reference { namespace: cluster.namespace.clone(), name: "kms".to_owned() };
    let account = Account::new(cluster.client.clone(), reference);
    (cluster, account)
}

/// A private key that protects nothing, and a certificate in name only.
const PEM: &str = include_str!("../../tests/testdata/throwaway-rsa.pem");

async fn from_azure(service: &Service, access: azure::Access) -> Result<Vec<u8>, String> {
    let vaults = vec![("127.0.0.1".to_owned(), "https://vault.azure.net".to_owned())];
    let defaults = azure::Defaults {
        authority: service.url.clone(),
        metadata: service.url.clone(),
        vaults,
        federated: None,
    };
    let key = azure::Key { vault_url: &service.url, name: "app", version: "1", encrypted: "YWJj" };
    plain(azure::decrypt(&Http::new(None).unwrap(), &defaults, &access, key).await)
}

async fn from_google(service: &Service, access: gcp::Access) -> Result<Vec<u8>, String> {
    let endpoints = gcp::Endpoints {
        kms: service.url.clone(),
        sts: service.url.clone(),
        iam: service.url.clone(),
        metadata: service.url.clone(),
    };
    let key = ("projects/p/locations/l/keyRings/r/cryptoKeys/k", "YWJj");
    plain(gcp::decrypt(&Http::new(None).unwrap(), &endpoints, &access, key).await)
}

fn azure_file(text: &str) -> azure::Access {
    azure::Access::Static(azure::Credentials::parse(text.as_bytes()).unwrap())
}

#[tokio::test]
async fn sops_azure_kv_holds_a_client_secret() {
    let service = service(|request| {
        let fields = fields(request);
        request.line == "POST /t/oauth2/v2.0/token"
            && fields["client_id"] == "c"
            && fields["client_secret"] == "s"
            && fields["scope"] == "https://vault.azure.net/.default"
    });
    let service = service.await;
    for file in [
        "tenantId: t\nclientId: c\nclientSecret: s\n",
        r#"{"tenant": "t", "appId": "c", "password": "s"}"#,
    ] {
        assert_eq!(from_azure(&service, azure_file(file)).await.unwrap(), b"key");
    }
    let wrong = azure_file("tenantId: t\nclientId: c\nclientSecret: hunter2\n");
    assert_eq!(
        from_azure(&service, wrong).await.unwrap_err(),
        "failed to get Azure token credential to decrypt: 401 Unauthorized: invalid_client: who \
         are you?"
    );
    let controller = from_azure(&service, azure::Access::Controller).await.unwrap_err();
    assert!(controller.contains("no credentials: neither sops.azure-kv"), "{controller}");
}

#[tokio::test]
async fn sops_azure_kv_holds_a_certificate() {
    let service = service(|request| {
        let fields = fields(request);
        fields["client_assertion_type"].ends_with(":jwt-bearer")
            && fields["client_assertion"].split('.').count() == 3
    });
    let service = service.await;
    let certificate = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
    let pem = serde_json::to_string(&format!("{certificate}{PEM}")).unwrap();
    let file = format!("tenantId: t\nclientId: c\nclientCertificate: {pem}\n");
    assert_eq!(from_azure(&service, azure_file(&file)).await.unwrap(), b"key");
}

#[tokio::test]
async fn sops_azure_kv_names_a_managed_identity() {
    let service = service(|request| {
        request.line.starts_with("GET /metadata/identity/oauth2/token?")
            && request.line.contains("client_id=c")
            && request.header("metadata") == "true"
    });
    let service = service.await;
    assert_eq!(from_azure(&service, azure_file("clientId: c\n")).await.unwrap(), b"key");
}

#[tokio::test]
async fn service_accounts_are_federated_with_azure() {
    let service = service(|request| {
        let fields = fields(request);
        request.line == "POST /t/oauth2/v2.0/token"
            && fields["client_id"] == "c"
            && !fields["client_assertion"].is_empty()
    });
    let service = service.await;
    let (_cluster, own) = account(json!({
        "azure.workload.identity/tenant-id": "t", "azure.workload.identity/client-id": "c",
    }))
    .await;
    let access = azure::Access::Account(own);
    assert_eq!(from_azure(&service, access).await.unwrap(), b"key");
    let (_cluster, none) = account(json!({})).await;
    assert_eq!(
        from_azure(&service, azure::Access::Account(none)).await.unwrap_err(),
        "failed to get Azure token credential to decrypt: azure tenant ID is not set in the service \
         account annotation azure.workload.identity/tenant-id"
    );
}

#[tokio::test]
async fn sops_gcp_kms_holds_the_key_of_an_account() {
    let service = service(|request| {
        let fields = fields(request);
        fields["grant_type"].ends_with(":jwt-bearer") && fields["assertion"].split('.').count() == 3
    });
    let service = service.await;
    let file = json!({
        "type": "service_account", "client_email": "app@p.iam.gserviceaccount.com",
        "private_key_id": "1", "private_key": PEM, "token_uri": service.url,
    });
    let credentials = gcp::Credentials::parse(file.to_string().as_bytes()).unwrap();
    let access = gcp::Access::Static(credentials);
    assert_eq!(from_google(&service, access).await.unwrap(), b"key");
}

#[tokio::test]
async fn without_credentials_google_is_asked_as_the_machine() {
    let service = service(|request| {
        request.line == "GET /computeMetadata/v1/instance/service-accounts/default/token"
            && request.header("metadata-flavor") == "Google"
    });
    let service = service.await;
    assert_eq!(from_google(&service, gcp::Access::Controller).await.unwrap(), b"key");
}

#[tokio::test]
async fn service_accounts_are_exchanged_for_accounts_of_google() {
    let service = service(|request| {
        let fields = fields(request);
        request.line == "POST /v1/token"
            && fields["audience"]
                == "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/c"
            && !fields["subject_token"].is_empty()
    });
    let service = service.await;
    let pool = "projects/1/locations/global/workloadIdentityPools/p/providers/c";
    let (_cluster, own) = account(json!({
        "gcp.auth.fluxcd.io/workload-identity-provider": pool,
        "iam.gke.io/gcp-service-account": "app@p.iam.gserviceaccount.com",
    }))
    .await;
    assert_eq!(from_google(&service, gcp::Access::Account(own)).await.unwrap(), b"key");
    let paths: Vec<_> = service.requests().iter().map(|it| it.line.clone()).collect();
    assert_eq!(paths.len(), 3);
    assert!(paths[1].ends_with(":generateAccessToken"));
    let (_cluster, none) = account(json!({})).await;
    let error = from_google(&service, gcp::Access::Account(none)).await.unwrap_err();
    assert!(error.contains("the pool of a GKE cluster is not looked up"), "{error}");
}
