//! `tidegate reconcile`, `suspend` and `resume`, with a controller that the test plays.

use std::sync::{Arc, Mutex};

use crate::support::{Cluster, git_repository, kustomization, ready};
use futures::TryStreamExt as _;
use kube::{
    api::{Patch, PatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};

const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Plays the controller of an object: every request, and the end of every suspension, is answered
/// with a status, and noted in `log`.
fn play(cluster: &Cluster, object: &Value, outcome: Value, log: &Arc<Mutex<Vec<String>>>) {
    let (api, log) = (cluster.api(object), log.clone());
    let kind = object["kind"].as_str().unwrap().to_owned();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    tokio::spawn(async move {
        let changes = watcher::watch_object(api.clone(), &name);
        futures::pin_mut!(changes);
        let mut answered = None;
        while let Some(object) = changes.try_next().await.unwrap() {
            let Some(object) = object else { continue };
            let object = serde_json::to_value(object).unwrap();
            let requested = object["metadata"]["annotations"][REQUESTED_AT].clone();
            let generation = object["metadata"]["generation"].clone();
            let wanted = Some((requested.clone(), generation.clone()));
            if object["spec"]["suspend"] == true || answered == wanted {
                continue;
            }
            answered = wanted;
            let running = json!({ "conditions": [
                { "type": "Reconciling", "status": "True", "reason": "Progressing", "message": "",
                  "lastTransitionTime": "2026-01-01T00:00:00Z" },
                ready("Unknown", "running"),
            ]});
            let mut ended = outcome.clone();
            ended["lastHandledReconcileAt"] = requested;
            ended["observedGeneration"] = generation;
            log.lock().unwrap().push(kind.clone());
            for status in [running, ended] {
                let patch = Patch::Merge(json!({ "status": status }));
                api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
            }
        }
    });
}

fn applied() -> Value {
    json!({ "conditions": [ready("True", "Applied")], "lastAppliedRevision": "main@sha1:1" })
}

fn failed() -> Value {
    json!({ "conditions": [ready("False", "no such path")] })
}

/// Returns a cluster with an object, and a log of what its controller does.
async fn played(object: &Value, outcome: Value) -> (Cluster, Arc<Mutex<Vec<String>>>) {
    let cluster = Cluster::start().await;
    let log = Arc::default();
    cluster.apply(object.clone()).await;
    play(&cluster, object, outcome, &log);
    (cluster, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_for_a_reconciliation_and_tells_its_outcome() {
    let object = kustomization("apps");
    let (cluster, _) = played(&object, applied()).await;
    let run = cluster.run(&["reconcile", "kustomization", "apps"]).await;
    assert_eq!(run.output(), "");
    assert_eq!(
        run.stderr,
        "► annotating Kustomization apps in flux-system namespace\n\
         ✔ Kustomization annotated\n\
         ◎ waiting for Kustomization reconciliation\n\
         ✔ applied revision main@sha1:1\n"
    );
    let annotations = cluster.get(&object).await["metadata"]["annotations"].clone();
    let time: jiff::Timestamp = annotations[REQUESTED_AT].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_why_a_reconciliation_has_failed() {
    let (cluster, _) = played(&git_repository("fleet"), failed()).await;
    let run = cluster.run(&["reconcile", "source", "git", "fleet"]).await;
    assert!(
        run.failure().ends_with("✗ GitRepository reconciliation failed: 'no such path'\n"),
        "{run:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciles_the_source_first_when_asked_to() {
    let (cluster, log) = played(&kustomization("fleet"), applied()).await;
    let source = git_repository("fleet");
    cluster.apply(source.clone()).await;
    play(&cluster, &source, json!({ "conditions": [ready("True", "stored")] }), &log);
    cluster.run(&["reconcile", "ks", "fleet"]).await.output();
    cluster.run(&["reconcile", "source", "git", "fleet"]).await.output();
    log.lock().unwrap().clear();
    cluster.run(&["reconcile", "ks", "fleet", "--with-source"]).await.output();
    assert_eq!(*log.lock().unwrap(), ["GitRepository", "Kustomization"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_when_the_time_is_over() {
    let cluster = Cluster::start().await;
    cluster.apply(kustomization("apps")).await;
    let run = cluster.run(&["reconcile", "ks", "apps", "--timeout", "300ms"]).await;
    assert!(run.failure().contains("not finished after 300ms"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_missing_or_suspended() {
    let cluster = Cluster::start().await;
    let run = cluster.run(&["reconcile", "ks", "apps"]).await;
    assert_eq!(
        run.failure(),
        "✗ Kustomization object 'apps' not found in \"flux-system\" namespace\n"
    );
    let mut suspended = kustomization("apps");
    suspended["spec"]["suspend"] = json!(true);
    cluster.apply(suspended).await;
    let run = cluster.run(&["reconcile", "ks", "apps"]).await;
    assert_eq!(run.failure(), "✗ resource is suspended\n");
    assert!(cluster.run(&["reconcile", "ks", "No/Name"]).await.code == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspends_each_name_once_and_goes_on_after_a_missing_one() {
    let cluster = Cluster::start().await;
    let object = kustomization("apps");
    cluster.apply(object.clone()).await;
    let run = cluster.run(&["suspend", "kustomization", "missing", "apps", "apps"]).await;
    assert_eq!(run.output(), "");
    assert_eq!(
        run.stderr,
        "► suspending kustomization missing in flux-system namespace\n\
         ✗ Kustomization object 'missing' not found in \"flux-system\" namespace\n\
         ► suspending kustomization apps in flux-system namespace\n\
         ✔ kustomization suspended\n"
    );
    assert_eq!(cluster.get(&object).await["spec"]["suspend"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspends_all_objects_of_a_kind() {
    let cluster = Cluster::start().await;
    let objects = [git_repository("a"), git_repository("b")];
    for object in &objects {
        cluster.apply(object.clone()).await;
    }
    cluster.run(&["suspend", "source", "git", "--all"]).await.output();
    for object in &objects {
        assert_eq!(cluster.get(object).await["spec"]["suspend"], true);
    }
    assert_eq!(
        cluster.run(&["suspend", "ks", "--all"]).await.failure(),
        "✗ no Kustomization objects found in \"flux-system\" namespace\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_the_run_after_a_resumption_and_not_for_an_old_outcome() {
    let mut object = kustomization("apps");
    let (cluster, _) = played(&object, applied()).await;
    cluster.run(&["suspend", "ks", "apps"]).await.output();
    cluster.set_status(&object, failed()).await;
    let run = cluster.run(&["resume", "ks", "apps"]).await;
    run.output();
    assert!(run.stderr.ends_with("✔ applied revision main@sha1:1\n"), "{run:?}");
    object = cluster.get(&object).await;
    assert!(object["spec"].get("suspend").is_none(), "{object}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_the_resumed_objects_that_fail() {
    let object = kustomization("apps");
    let (cluster, _) = played(&object, failed()).await;
    cluster.run(&["suspend", "ks", "apps"]).await.output();
    let run = cluster.run(&["resume", "ks", "apps"]).await;
    assert!(
        run.failure().ends_with(
            "✗ Kustomization reconciliation failed: 'no such path'\n\
             ✗ reconciliation failed for 1 Kustomization(s)\n"
        ),
        "{run:?}"
    );
    cluster.run(&["suspend", "ks", "apps"]).await.output();
    cluster.run(&["resume", "ks", "apps", "--wait=false"]).await.output();
}
