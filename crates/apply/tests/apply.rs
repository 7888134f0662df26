//! Objects are applied in stages, and only when they differ.

use crate::support::{config, options, prepare, recorded};
use apply::{Action, Failure, Metadata, Target};
use serde_json::{Value, json};

fn actions(changes: &apply::ChangeSet) -> Vec<Action> {
    changes.changes.iter().map(|change| change.action).collect()
}

#[tokio::test]
async fn creates_what_is_missing_and_then_leaves_it() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![config(&namespace, "a", "1")]).await;
    assert_eq!(actions(&target.apply(&set).await.unwrap()), [Action::Created]);
    let live = cluster.get("v1", "ConfigMap", &namespace, "a").await.unwrap();
    assert_eq!(live["data"], json!({"key": "1"}));
    assert_eq!(live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"], "apps");
    assert_eq!(live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/namespace"], "flux-system");
    assert_eq!(actions(&target.apply(&set).await.unwrap()), [Action::Unchanged]);
    // Another process knows nothing of the first one.
    assert_eq!(actions(&cluster.target().apply(&set).await.unwrap()), [Action::Unchanged]);
}

#[tokio::test]
async fn makes_one_request_for_an_unchanged_object() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let objects = vec![config(&namespace, "a", "1"), config(&namespace, "b", "1")];
    target.apply(&prepare(&target, objects.clone()).await).await.unwrap();
    cluster.requests();
    let set = prepare(&target, objects).await;
    target.apply(&set).await.unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let mut requests = cluster.requests();
    requests.sort_unstable();
    assert_eq!(
        requests,
        [format!("PATCH {path}/a (dry run)"), format!("PATCH {path}/b (dry run)")]
    );
}

#[tokio::test]
async fn corrects_what_has_drifted_and_writes_nothing_else() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let objects = vec![config(&namespace, "a", "1"), config(&namespace, "b", "1")];
    let set = prepare(&target, objects).await;
    target.apply(&set).await.unwrap();
    cluster.merge(&namespace, "b", json!({"data": {"key": "2"}})).await;
    let changes = target.apply(&set).await.unwrap();
    assert_eq!(actions(&changes), [Action::Unchanged, Action::Configured]);
    assert_eq!(changes.lines(&[Action::Configured]), format!("ConfigMap/{namespace}/b configured"));
    let live = cluster.get("v1", "ConfigMap", &namespace, "b").await.unwrap();
    assert_eq!(live["data"]["key"], "1");
}

#[tokio::test]
async fn reports_every_refused_object_and_writes_none() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let objects = vec![
        config(&namespace, "good", "1"),
        config("absent", "lost", "1"),
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": namespace}}),
    ];
    let error = target.apply(&prepare(&target, objects).await).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "ConfigMap/absent/lost not found: namespaces \"absent\" not found\n\
             Widget/{namespace}/w dry-run failed: no matches for kind \"Widget\" in version \
             \"example.com/v1\""
        )
    );
    assert!(matches!(error.failure, Failure::Objects(problems) if problems.len() == 2));
    assert_eq!(cluster.get("v1", "ConfigMap", &namespace, "good").await, None);
}

#[tokio::test]
async fn says_that_a_namespace_is_missing() {
    let cluster = recorded().await;
    let target = cluster.target();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let error = target.apply(&prepare(&target, vec![object]).await).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap/a namespace not specified: the server could not find the requested resource"
    );
}

fn definition(group: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
            }}}],
        },
    })
}

#[tokio::test]
async fn applies_objects_of_a_kind_and_a_namespace_of_the_same_set() {
    let cluster = recorded().await;
    let target = cluster.target();
    let fresh = format!("{}-fresh", cluster.namespace());
    let group = format!("{fresh}.example.com");
    let objects = vec![
        json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w", "namespace": fresh}, "spec": {"size": 1}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fresh}}),
        definition(&group),
    ];
    let changes = target.apply(&prepare(&target, objects).await).await.unwrap();
    assert_eq!(
        changes.lines(&[Action::Created]),
        format!(
            "CustomResourceDefinition/widgets.{group} created\nNamespace/{fresh} created\n\
             Widget/{fresh}/w created"
        )
    );
    let ids: Vec<_> = changes.inventory().entries.into_iter().map(|entry| entry.id).collect();
    assert_eq!(
        ids,
        [
            format!("_widgets.{group}_apiextensions.k8s.io_CustomResourceDefinition"),
            format!("_{fresh}__Namespace"),
            format!("{fresh}_w_{group}_Widget")
        ]
    );
}

#[tokio::test]
async fn leaves_what_is_marked_alone() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let marked = |name: &str, key: &str, value: &str, content: &str| {
        let mut object = config(&namespace, name, content);
        object["metadata"]["annotations"] =
            json!({format!("{}/{key}", crate::support::GROUP): value});
        object
    };
    let set = vec![
        config(&namespace, "live", "1"),
        marked("once", "ssa", "IfNotPresent", "1"),
        marked("off", "reconcile", "disabled", "1"),
        marked("ignored", "ssa", "Ignore", "1"),
    ];
    let changes = target.apply(&prepare(&target, set).await).await.unwrap();
    // In order of names: ignored, live, off, once.
    let expected = [Action::Skipped, Action::Created, Action::Skipped, Action::Created];
    assert_eq!(actions(&changes), expected);

    let annotation =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}});
    cluster.merge(&namespace, "live", annotation).await;
    let set = vec![config(&namespace, "live", "2"), marked("once", "ssa", "IfNotPresent", "2")];
    let changes = target.apply(&prepare(&target, set).await).await.unwrap();
    assert_eq!(actions(&changes), [Action::Skipped, Action::Skipped]);
    for name in ["live", "once"] {
        let live = cluster.get("v1", "ConfigMap", &namespace, name).await.unwrap();
        assert_eq!(live["data"]["key"], "1", "{name}");
    }
}

#[tokio::test]
async fn puts_common_metadata_on_every_object() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let metadata = Metadata {
        labels: [("team".to_owned(), "a".to_owned())].into(),
        annotations: [("note".to_owned(), "b".to_owned())].into(),
    };
    let set = target.prepare(vec![config(&namespace, "a", "1")], &metadata).await.unwrap();
    target.apply(&set).await.unwrap();
    let live = cluster.get("v1", "ConfigMap", &namespace, "a").await.unwrap();
    assert_eq!(live["metadata"]["labels"]["team"], "a");
    assert_eq!(live["metadata"]["annotations"]["note"], "b");
}

#[tokio::test]
async fn recreates_immutable_objects_only_with_force() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let set = prepare(&target, vec![config(&namespace, "a", "1")]).await;
    target.apply(&set).await.unwrap();
    cluster.make_immutable(format!("/api/v1/namespaces/{namespace}/configmaps/a"));
    let set = prepare(&target, vec![config(&namespace, "a", "2")]).await;
    let error = target.apply(&set).await.unwrap_err().to_string();
    let expected = format!("ConfigMap/{namespace}/a dry-run failed (Invalid): ");
    assert!(error.starts_with(&expected), "{error}");

    let force = apply::Options { force: true, ..options() };
    let target = Target::new(target.cluster().clone(), force);
    assert_eq!(actions(&target.apply(&set).await.unwrap()), [Action::Created]);
    let live = cluster.get("v1", "ConfigMap", &namespace, "a").await.unwrap();
    assert_eq!(live["data"]["key"], "2");
}

#[tokio::test]
async fn removes_fields_that_kubectl_has_set() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let mut object = config(&namespace, "a", "1");
    object["data"]["old"] = json!("x");
    let api: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(cluster.cluster.client.clone(), &namespace);
    let params = kube::api::PostParams {
        field_manager: Some("kubectl-create".to_owned()),
        ..kube::api::PostParams::default()
    };
    api.create(&params, &serde_json::from_value(object).unwrap()).await.unwrap();
    let target = cluster.target();
    let set = prepare(&target, vec![config(&namespace, "a", "1")]).await;
    assert_eq!(actions(&target.apply(&set).await.unwrap()), [Action::Configured]);
    let live = cluster.get("v1", "ConfigMap", &namespace, "a").await.unwrap();
    assert_eq!(live["data"], json!({"key": "1"}));
}

#[tokio::test]
async fn leaves_out_fields_that_a_built_in_kind_does_not_have() {
    let cluster = recorded().await;
    let namespace = cluster.namespace();
    let target = cluster.target();
    let mut object = config(&namespace, "a", "1");
    object["spec"] = json!({"replicas": 1});
    object["dta"] = json!({"key": "2"});
    let set = prepare(&target, vec![object]).await;
    let changes = target.apply(&set).await.unwrap();
    assert_eq!(changes.dropped(), format!("ConfigMap/{namespace}/a: spec, dta"));
    let live = cluster.get("v1", "ConfigMap", &namespace, "a").await.unwrap();
    assert_eq!(live["data"], json!({"key": "1"}));
    assert_eq!(live.get("dta"), None);

    let again = target.apply(&set).await.unwrap();
    assert_eq!(actions(&again), [Action::Unchanged]);
    assert_eq!(again.dropped(), "");
}
