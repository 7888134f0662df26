//! Events in the API and at an address.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use common::Metrics;
use common::events::{Recorder, Severity};
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{Api, ListParams, ObjectMeta};
use serde_json::Value;
use url::Url;

const SOON: Duration = Duration::from_secs(20);

/// What an address was posted, and how often it has to refuse first.
#[derive(Clone, Default)]
struct Received {
    events: Arc<Mutex<Vec<Value>>>,
    refusals: Arc<AtomicUsize>,
}

async fn receive(State(received): State<Received>, Json(event): Json<Value>) -> StatusCode {
    let refuses = received
        .refusals
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok();
    if refuses {
        return StatusCode::BAD_GATEWAY;
    }
    received.events.lock().unwrap().push(event);
    StatusCode::ACCEPTED
}

async fn address(received: Received) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(receive)).with_state(received);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url.parse().unwrap()
}

fn object(namespace: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some("podinfo".to_owned()),
            namespace: Some(namespace.to_owned()),
            uid: Some("2bd5b5c2-8a75-4d6f-9c1c-5a3f5f1d0e77".to_owned()),
            annotations: Some(BTreeMap::from([
                ("event.toolkit.fluxcd.io/change_request".to_owned(), "12".to_owned()),
                ("example.com/private".to_owned(), "x".to_owned()),
            ])),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

async fn written(client: &kube::Client) -> Vec<Event> {
    let api: Api<Event> = Api::default_namespaced(client.clone());
    api.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn tells_the_api_and_the_address() {
    let cluster = testkit::cluster().await.unwrap();
    let received = Received::default();
    received.refusals.store(1, Ordering::SeqCst);
    let address = address(received.clone()).await;
    let client = cluster.client.clone();
    let recorder = Recorder::new("source-controller", client, Some(address), Metrics::new());
    let object = object(&cluster.namespace);
    let metadata = || BTreeMap::from([("revision".to_owned(), "main@sha1:abc".to_owned())]);
    recorder.publish(&object, Severity::Info, "NewArtifact", "stored artifact", metadata());
    recorder.publish(&object, Severity::Error, "GitOperationFailed", "no answer", metadata());
    recorder.publish(&object, Severity::Trace, "ArtifactUpToDate", "up to date", metadata());
    recorder.flush(SOON).await;

    let events = written(&cluster.client).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.type_.as_deref().unwrap(), event.reason.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("Normal", "NewArtifact"),
            ("Warning", "GitOperationFailed"),
            ("Normal", "ArtifactUpToDate")
        ]
    );
    let annotations = events[0].metadata.annotations.clone().unwrap();
    assert_eq!(annotations["revision"], "main@sha1:abc");
    assert_eq!(annotations["event.toolkit.fluxcd.io/change_request"], "12");
    assert!(!annotations.contains_key("example.com/private"));

    // What was refused at first comes too; a trace does not.
    let mut posted: Vec<_> = received.events.lock().unwrap().clone();
    posted.sort_by_key(|event| event["severity"].to_string());
    assert_eq!(posted.len(), 2, "{posted:?}");
    assert_eq!(posted[0]["severity"], "error");
    assert_eq!(posted[1]["message"], "stored artifact");
    assert_eq!(posted[1]["reportingController"], "source-controller");
    assert_eq!(posted[1]["involvedObject"]["kind"], "ConfigMap");
    assert_eq!(posted[1]["metadata"]["revision"], "main@sha1:abc");
}

#[tokio::test]
async fn counts_repetitions_instead_of_adding_them() {
    let cluster = testkit::cluster().await.unwrap();
    let recorder = Recorder::new("source-controller", cluster.client.clone(), None, Metrics::new());
    let object = object(&cluster.namespace);
    for _ in 0..3 {
        recorder.publish(&object, Severity::Error, "Failed", "no answer", BTreeMap::new());
    }
    recorder.publish(&object, Severity::Error, "Failed", "another one", BTreeMap::new());
    recorder.flush(SOON).await;
    let events = written(&cluster.client).await;
    let counts: Vec<_> = events.iter().map(|event| event.count.unwrap()).collect();
    assert_eq!(counts, [3, 1]);
}
