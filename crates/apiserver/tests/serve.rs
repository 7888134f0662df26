//! The API over a socket: TLS, tokens, limits.

use std::time::{Duration, Instant};

use apiserver::{ApiServer, Options, ServeError, Served};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use secrecy::ExposeSecret;
use serde_json::json;

async fn serve(options: Options) -> (ApiServer, Served) {
    let api = ApiServer::new(options);
    let served = api.serve(([127, 0, 0, 1], 0).into()).await.expect("a port is free");
    (api, served)
}

/// Returns a client of the kubeconfig, with another token if one is given.
async fn client(served: &Served, token: Option<&str>) -> Client {
    let mut text = served.kubeconfig();
    if let Some(token) = token {
        text = text.replace(served.token.expose_secret(), token);
    }
    let kubeconfig = Kubeconfig::from_yaml(&text).expect("it is a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("it names a cluster")).expect("it has a certificate")
}

async fn code(client: Client, path: &str) -> u16 {
    let request = http::Request::get(path).body(Vec::new()).expect("the path is valid");
    match client.request_text(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => unreachable!("{error}"),
    }
}

#[tokio::test]
async fn serves_whoever_has_the_kubeconfig() {
    let (local, served) = serve(Options::default()).await;
    let remote: Api<ConfigMap> = Api::default_namespaced(client(&served, None).await);
    let object = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    remote.create(&PostParams::default(), &object).await.unwrap();
    let local: Api<ConfigMap> = Api::default_namespaced(Client::new(local.service(), "default"));
    assert!(local.get_opt("a").await.unwrap().is_some(), "both show the same objects");
}

#[tokio::test]
async fn refuses_tokens_that_nobody_was_given() {
    let (_server, served) = serve(Options::default()).await;
    let stranger = client(&served, Some("guess")).await;
    assert_eq!(code(stranger.clone(), "/api/v1/namespaces").await, 401);
    assert_eq!(code(stranger, "/readyz").await, 401);
}

#[tokio::test]
async fn shows_no_secret_in_its_debug_form() {
    let (local, served) = serve(Options::default()).await;
    let shown = format!("{local:?} {served:?}");
    assert!(!shown.contains(served.token.expose_secret()));
    assert!(!shown.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn listens_on_loopback_unless_told_otherwise() {
    let everywhere = ([0, 0, 0, 0], 0).into();
    let refused = ApiServer::new(Options::default()).serve(everywhere).await;
    assert!(matches!(refused, Err(ServeError::NotLoopback { .. })), "{refused:?}");
    let allowed = ApiServer::new(Options { remote: true, ..Options::default() });
    assert!(allowed.serve(everywhere).await.is_ok());
}

#[tokio::test]
async fn refuses_bodies_beyond_the_limit() {
    let (_server, served) = serve(Options { body_limit: 1_000, ..Options::default() }).await;
    let api: Api<ConfigMap> = Api::default_namespaced(client(&served, None).await);
    let large = json!({"metadata": {"name": "a"}, "data": {"key": "x".repeat(2_000)}});
    let object = serde_json::from_value(large).unwrap();
    let error = api.create(&PostParams::default(), &object).await.unwrap_err();
    let kube::Error::Api(status) = error else { unreachable!("{error}") };
    assert_eq!((status.code, status.reason.as_str()), (413, "RequestEntityTooLarge"));
}

#[tokio::test]
async fn ends_when_it_is_dropped() {
    let (_server, served) = serve(Options::default()).await;
    let client = client(&served, None).await;
    let addr = served.addr;
    assert_eq!(code(client, "/readyz").await, 200);
    drop(served);
    let closed = async {
        // The task that listens is cancelled when it is next polled.
        while tokio::net::TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the port is closed");
}

#[tokio::test]
async fn keeps_its_authority_when_served_twice() {
    let (server, first) = serve(Options::default()).await;
    let second = server.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    assert_eq!(first.ca, second.ca);
    assert_ne!(first.token.expose_secret(), second.token.expose_secret());
}

/// Without optimization it takes tens of milliseconds; the best of some runs has to stay below.
const START_LIMIT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn starts_fast() {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let begin = Instant::now();
        let (_server, served) = serve(Options::default()).await;
        best = best.min(begin.elapsed());
        drop(served);
    }
    assert!(best < START_LIMIT, "{best:?}");
}

#[tokio::test]
async fn counts_requests_and_objects() {
    let (local, _served) = serve(Options::default()).await;
    let client = Client::new(local.service(), "default");
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let object = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    for dry_run in [true, false, false] {
        let params = PostParams { dry_run, ..PostParams::default() };
        let _ = api.create(&params, &object).await;
    }
    let request = http::Request::get("/metrics").body(Vec::new()).expect("the path is valid");
    let text = client.request_text(request).await.unwrap();
    let counter = |code: u16, dry_run: &str| {
        format!(
            "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"{dry_run}\",\
             group=\"\",resource=\"configmaps\",scope=\"resource\",subresource=\"\",verb=\"POST\",\
             version=\"v1\"}} 1\n"
        )
    };
    for (code, dry_run) in [(201, "All"), (201, ""), (409, "")] {
        assert!(text.contains(&counter(code, dry_run)), "{code} {dry_run:?} in {text}");
    }
    let objects = "apiserver_resource_objects{group=\"\",resource=\"configmaps\"} 1\n";
    assert!(text.contains(objects), "{text}");
}
