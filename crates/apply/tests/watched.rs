//! Objects that a watch tells of are not looked at again until they change.

use std::sync::Arc;
use std::time::Duration;

use api::inventory::Inventory;
use apply::kstatus::{Health, Status};
use apply::{Action, Assess, ChangeSet, Check, Cluster, Moved, Options, Prepared, Target};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::support::{Recorded, config, options, prepare, recorded, view};

const PATIENCE: Duration = Duration::from_secs(20);

/// A target whose objects are watched.
struct Watched {
    recorded: Recorded,
    target: Target,
    moved: UnboundedReceiver<Moved>,
}

async fn watched() -> Watched {
    let recorded = recorded().await;
    let (cluster, moved) = Cluster::watching(recorded.client.clone(), view());
    Watched { target: Target::new(cluster, options()), moved, recorded }
}

impl Watched {
    async fn apply(&self, set: &Prepared) -> (ChangeSet, Vec<String>) {
        self.recorded.requests();
        let changes = self.target.apply(set).await.unwrap();
        let mut requests = self.recorded.requests();
        // Watches begin on their own.
        requests.retain(|request| !request.starts_with("GET"));
        (changes, requests)
    }

    /// Applies a set until that needs no request: what was written has been seen.
    async fn settle(&self, set: &Prepared) {
        let settle = async {
            while !self.apply(set).await.1.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, settle).await.expect("objects become known");
    }

    async fn until_moved(&mut self) -> Moved {
        timeout(PATIENCE, self.moved.recv()).await.expect("a change is seen").unwrap()
    }

    fn path(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{name}", self.recorded.namespace())
    }

    fn deployments(&self) -> Api<k8s_openapi::api::apps::v1::Deployment> {
        Api::namespaced(self.recorded.cluster.client.clone(), &self.recorded.namespace())
    }
}

fn deployment(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
    })
}

fn actions(changes: &ChangeSet) -> Vec<Action> {
    changes.changes.iter().map(|change| change.action).collect()
}

#[tokio::test]
async fn makes_no_request_until_something_changes() {
    let mut watched = watched().await;
    let namespace = watched.recorded.namespace();
    let objects = vec![config(&namespace, "a", "1"), config(&namespace, "b", "1")];
    let set = prepare(&watched.target, objects).await;
    watched.settle(&set).await;
    let (changes, requests) = watched.apply(&set).await;
    assert_eq!(actions(&changes), [Action::Unchanged, Action::Unchanged]);
    assert_eq!(requests, Vec::<String>::new());

    watched.recorded.merge(&namespace, "b", json!({"data": {"key": "2"}})).await;
    let moved = watched.until_moved().await;
    assert_eq!(moved.owner, options().owner);
    let (changes, requests) = watched.apply(&set).await;
    assert_eq!(actions(&changes), [Action::Unchanged, Action::Configured]);
    let path = watched.path("b");
    assert_eq!(requests, [format!("PATCH {path} (dry run)"), format!("PATCH {path}")]);
}

#[tokio::test]
async fn asks_for_nothing_but_what_is_declared_anew() {
    let watched = watched().await;
    let namespace = watched.recorded.namespace();
    let objects = |value| vec![config(&namespace, "a", "1"), config(&namespace, "b", value)];
    watched.settle(&prepare(&watched.target, objects("1")).await).await;
    let set = prepare(&watched.target, objects("2")).await;
    let (changes, _) = watched.apply(&set).await;
    assert_eq!(actions(&changes), [Action::Unchanged, Action::Configured]);
    watched.settle(&set).await;
    // Not even the live object is read: what it was is known.
    watched.recorded.requests();
    watched.target.apply(&prepare(&watched.target, objects("3")).await).await.unwrap();
    let path = watched.path("b");
    assert_eq!(
        watched.recorded.requests(),
        [format!("PATCH {path} (dry run)"), format!("PATCH {path}")]
    );
}

#[tokio::test]
async fn an_object_that_was_deleted_is_made_again() {
    let mut watched = watched().await;
    let namespace = watched.recorded.namespace();
    let set = prepare(&watched.target, vec![config(&namespace, "a", "1")]).await;
    watched.settle(&set).await;
    let api: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(watched.recorded.cluster.client.clone(), &namespace);
    api.delete("a", &DeleteParams::default()).await.unwrap();
    watched.until_moved().await;
    assert_eq!(actions(&watched.apply(&set).await.0), [Action::Created]);
}

#[tokio::test]
async fn an_object_without_the_labels_of_its_owner_is_looked_at() {
    let mut watched = watched().await;
    let namespace = watched.recorded.namespace();
    let set = prepare(&watched.target, vec![config(&namespace, "a", "1")]).await;
    watched.settle(&set).await;
    let labels = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}});
    watched.recorded.merge(&namespace, "a", labels).await;
    watched.until_moved().await;
    assert_eq!(actions(&watched.apply(&set).await.0), [Action::Configured]);
}

#[tokio::test]
async fn status_and_fields_of_others_are_no_change() {
    let mut watched = watched().await;
    let namespace = watched.recorded.namespace();
    let objects = vec![deployment(&namespace, "web"), deployment(&namespace, "work")];
    let set = prepare(&watched.target, objects).await;
    watched.settle(&set).await;
    let api = watched.deployments();
    let status = json!({"status": {"conditions": [
        {"type": "Example", "status": "True", "reason": "Test", "message": ""},
    ]}});
    let params = PatchParams { field_manager: Some("tool".into()), ..PatchParams::default() };
    api.patch_status("web", &params, &Patch::Strategic(status)).await.unwrap();
    let annotations = json!({"metadata": {"annotations": {"example.com/note": "x"}}});
    api.patch("web", &params, &Patch::Merge(annotations)).await.unwrap();
    // What the watch tells later, it tells after these.
    let replicas = json!({"spec": {"replicas": 1}});
    api.patch("work", &params, &Patch::Merge(replicas)).await.unwrap();
    watched.until_moved().await;
    let (changes, requests) = watched.apply(&set).await;
    assert_eq!(actions(&changes), [Action::Unchanged, Action::Configured]);
    let others = requests.iter().filter(|request| !request.contains("/deployments/work"));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// A claim is healthy once it is bound.
fn claim(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "none",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

#[tokio::test]
async fn all_who_wait_share_a_watch() {
    let watched = watched().await;
    let namespace = watched.recorded.namespace();
    let names = ["a", "b", "c"];
    let objects = names.map(|name| claim(&namespace, name)).to_vec();
    let set = prepare(&watched.target, objects).await;
    watched.settle(&set).await;
    let (changes, _) = watched.apply(&set).await;
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    let api: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(watched.recorded.cluster.client.clone(), &namespace);
    let bind = async {
        for name in names {
            let status = json!({"status": {"phase": "Bound"}});
            let params = PatchParams::default();
            api.patch_status(name, &params, &Patch::Merge(&status)).await.unwrap();
        }
    };
    let waits = checks.chunks(1).map(|check| watched.target.wait(check, PATIENCE));
    let (results, ()) = tokio::join!(futures::future::join_all(waits), bind);
    results.into_iter().for_each(Result::unwrap);
    // One watch of whole objects, where there was one of metadata.
    let claims = format!("GET /api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let own = |requests: Vec<String>| requests.into_iter().any(|it| it.starts_with(&claims));
    assert!(!own(watched.recorded.requests()));
    // How they are is known from now on.
    let (changes, requests) = watched.apply(&set).await;
    assert_eq!(requests, Vec::<String>::new());
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    watched.target.wait(&checks, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_without_a_watch_reads_what_is_not_known() {
    let watched = watched().await;
    let namespace = watched.recorded.namespace();
    let set = prepare(&watched.target, vec![claim(&namespace, "a")]).await;
    watched.settle(&set).await;
    let (changes, _) = watched.apply(&set).await;
    let api: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(watched.recorded.cluster.client.clone(), &namespace);
    let status = json!({"status": {"phase": "Bound"}});
    api.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    watched.target.wait(&checks, PATIENCE).await.unwrap();
}

/// Says that no ConfigMap is healthy.
#[derive(Debug)]
struct Never;

impl Assess for Never {
    fn concerns(&self, _: &str, kind: &str) -> bool {
        kind == "ConfigMap"
    }

    fn assess(&self, _: &Value) -> Option<Result<Health, String>> {
        Some(Ok(Health::new(Status::InProgress, "")))
    }
}

#[tokio::test]
async fn what_is_assessed_otherwise_is_not_healthy_because_it_is_known() {
    let watched = watched().await;
    let namespace = watched.recorded.namespace();
    let set = prepare(&watched.target, vec![config(&namespace, "a", "1")]).await;
    watched.settle(&set).await;
    let options = Options { assess: Some(Arc::new(Never)), ..options() };
    let target = Target::new(watched.target.cluster().clone(), options);
    let changes = target.apply(&set).await.unwrap();
    let checks: Vec<_> = changes.changes.iter().map(Check::from).collect();
    target.wait(&checks, Duration::from_millis(200)).await.unwrap_err();
}

#[tokio::test]
async fn another_user_has_to_ask_for_itself() {
    let watched = watched().await;
    let namespace = watched.recorded.namespace();
    let set = prepare(&watched.target, vec![config(&namespace, "a", "1")]).await;
    watched.settle(&set).await;
    let user = format!("system:serviceaccount:{namespace}:nobody");
    let cluster = watched.target.cluster().acting_as(&user).unwrap();
    let error = Target::new(cluster, options()).apply(&set).await.unwrap_err().to_string();
    assert!(error.contains("nobody"), "{error}");
}

#[tokio::test]
async fn looks_at_everything_where_watches_are_forbidden() {
    let recorded = recorded().await;
    let namespace = recorded.namespace();
    let user = format!("system:serviceaccount:{namespace}:nobody");
    let client = recorded.client.clone();
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        let client = client.clone();
        if request.uri().query().is_some_and(|query| query.contains("labelSelector")) {
            request.headers_mut().insert("impersonate-user", user.parse().unwrap());
        }
        async move { client.send(request).await }
    });
    let (cluster, moved) = Cluster::watching(Client::new(service, "default"), view());
    let target = Target::new(cluster, options());
    let watched = Watched { recorded, target, moved };
    let set = prepare(&watched.target, vec![config(&namespace, "a", "1")]).await;
    for _ in 0..5 {
        assert_ne!(watched.apply(&set).await.1, Vec::<String>::new());
    }
    watched.recorded.merge(&namespace, "a", json!({"data": {"key": "2"}})).await;
    assert_eq!(actions(&watched.apply(&set).await.0), [Action::Configured]);
    let pruned = watched.target.prune(&set.inventory().entries, &Inventory::default()).await;
    assert_eq!(pruned.changes.changes[0].action, Action::Deleted);
}

#[tokio::test]
async fn finds_what_changed_while_the_watch_was_away() {
    let recorded = recorded().await;
    let namespace = recorded.namespace();
    let client = recorded.client.clone();
    let is_cut = std::sync::Arc::new(std::sync::atomic::AtomicBool::default());
    let cut = is_cut.clone();
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let client = client.clone();
        let query = request.uri().query().unwrap_or_default();
        let is_watch = query.contains("watch=true") && query.contains("labelSelector");
        let cut = cut.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            if is_watch && cut {
                let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                    "status": "Failure", "reason": "Expired", "message": "too old", "code": 410});
                let answer = http::Response::builder().status(410);
                return Ok(answer
                    .body(kube::client::Body::from(gone.to_string().into_bytes()))
                    .unwrap());
            }
            let answer: http::Response<kube::client::Body> = client.send(request).await?;
            Ok::<_, kube::Error>(answer)
        }
    });
    let (cluster, moved) = Cluster::watching(Client::new(service, "default"), view());
    let target = Target::new(cluster, options());
    let mut watched = Watched { recorded, target, moved };
    is_cut.store(true, std::sync::atomic::Ordering::Relaxed);
    let objects = vec![config(&namespace, "a", "1"), config(&namespace, "b", "1")];
    let set = prepare(&watched.target, objects).await;
    watched.apply(&set).await;
    watched.recorded.merge(&namespace, "a", json!({"data": {"key": "2"}})).await;
    is_cut.store(false, std::sync::atomic::Ordering::Relaxed);
    watched.until_moved().await;
    assert_eq!(actions(&watched.apply(&set).await.0), [Action::Configured, Action::Unchanged]);
}

#[tokio::test]
async fn deletes_without_reading_and_not_what_was_marked_since() {
    // Without a watch, what is known gets old.
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let objects = ["a", "b", "c"].map(|name| config(&namespace, name, "1"));
    let set = prepare(&target, objects.to_vec()).await;
    let inventory = target.apply(&set).await.unwrap().inventory();
    let mark =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    cluster.merge(&namespace, "b", mark).await;
    cluster.merge(&namespace, "c", json!({"data": {"key": "2"}})).await;
    cluster.requests();
    let pruned = target.prune(&inventory.entries, &Inventory::default()).await;
    assert!(pruned.result.is_ok());
    let path = |name| format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
    assert_eq!(
        cluster.requests(),
        [
            format!("DELETE {}", path("c")),
            format!("GET {}", path("c")),
            format!("DELETE {}", path("c")),
            format!("DELETE {}", path("b")),
            format!("GET {}", path("b")),
            format!("DELETE {}", path("a")),
        ]
    );
    let lines = pruned.changes.lines(&[Action::Skipped]);
    assert_eq!(lines, format!("ConfigMap/{namespace}/b skipped"));
    assert!(cluster.get("v1", "ConfigMap", &namespace, "b").await.is_some());
}
