//! `healthCheckExprs`: health by expressions in CEL.

use api::kustomize::Kustomization;
use serde_json::{Value, json};

use crate::support::{World, args, condition, is_true, message};

fn widget(group: &str) -> String {
    format!("apiVersion: {group}/v1\nkind: Widget\nmetadata:\n  name: a\nspec:\n  size: 1\n")
}

/// Applies a widget and waits for its health by expressions.
async fn checking(fields: Value) -> (World, String) {
    let world = World::start().await;
    let group = world.define_widgets().await;
    world.publish("main@sha1:1", &[("a.yaml", &widget(&group))]).await;
    let mut check = json!({"apiVersion": format!("{group}/v1"), "kind": "Widget"});
    check.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let spec = json!({"wait": true, "timeout": "30s", "healthCheckExprs": [check]});
    world.create("apps", spec).await;
    world.until("apps", "checking", is_checking).await;
    (world, group)
}

fn is_checking(obj: &Kustomization) -> bool {
    condition(obj, "Healthy") == Some(("Unknown".to_owned(), "Progressing".to_owned()))
}

async fn set_phase(world: &World, group: &str, phase: &str) {
    let status = json!({"status": {"phase": phase}});
    world.merge_object(&format!("{group}/v1"), "Widget", "a", status).await;
}

#[tokio::test]
async fn current_decides_that_an_object_is_healthy() {
    let fields = json!({
        "current": "has(status.phase) && status.phase == 'Good'",
        "inProgress": "has(status.phase) && status.phase == 'Busy'",
    });
    let (world, group) = checking(fields).await;
    set_phase(&world, &group, "Busy").await;
    set_phase(&world, &group, "Good").await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert!(is_true(&obj, "Healthy"));
}

#[tokio::test]
async fn failed_ends_the_wait() {
    let fields = json!({
        "current": "has(status.phase) && status.phase == 'Good'",
        "failed": "has(status.phase) && status.phase == 'Bad'",
    });
    let (world, group) = checking(fields).await;
    set_phase(&world, &group, "Bad").await;
    let message = world.until_failed("apps", "HealthCheckFailed").await;
    let namespace = &world.namespace;
    let end =
        format!("failed early due to stalled resources: [Widget/{namespace}/a status: 'Failed']");
    assert!(message.ends_with(&end), "{message}");
}

#[tokio::test]
async fn an_expression_for_a_group_is_about_all_of_its_kinds() {
    let world = World::start().await;
    let group = world.define_widgets().await;
    world.publish("main@sha1:1", &[("a.yaml", &widget(&group))]).await;
    let check = json!({"apiVersion": format!("{group}/v1"), "current": "spec.size == 1"});
    world.create("apps", json!({"wait": true, "healthCheckExprs": [check]})).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn an_error_at_run_time_waits_until_the_time_is_over() {
    let (world, _) = checking(json!({"current": "status.phase == 'Good'"})).await;
    // No timeout is shorter than 30s.
    let obj = world.kustomizations().get("apps").await.unwrap();
    assert!(!is_true(&obj, "Stalled"));
    let message = world.until_failed_within("apps", "HealthCheckFailed", 45).await;
    let namespace = &world.namespace;
    let end = format!(
        "timeout waiting for: [Widget/{namespace}/a status: 'Unknown': failed to evaluate the CEL \
         expression 'status.phase == 'Good'': no such attribute(s): status]"
    );
    assert!(message.ends_with(&end), "{message}");
}

#[tokio::test]
async fn an_invalid_expression_stalls_before_the_source_is_looked_at() {
    let world = World::start().await;
    let check = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "current": "true", "inProgress": "status.",
    });
    world.create("apps", json!({"healthCheckExprs": [check]})).await;
    let text = world.until_failed("apps", "InvalidCELExpression").await;
    let start = "Reconciliation failed terminally due to configuration error: failed to create \
                 custom status evaluator for healthchecks[0]: failed to parse the expression \
                 InProgress: failed to parse the CEL expression 'status.': ";
    assert!(text.starts_with(start), "{text}");
    let obj = world.kustomizations().get("apps").await.unwrap();
    let expected = ("True".to_owned(), "InvalidCELExpression".to_owned());
    assert_eq!(condition(&obj, "Stalled"), Some(expected));
    assert_eq!(message(&obj, "Stalled"), text);
    assert_eq!(condition(&obj, "Reconciling"), None);
    assert_eq!(obj.status.unwrap().observed_generation, obj.metadata.generation);
    let event = world.until_event("apps", "InvalidCELExpression", start).await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.metadata.annotations, None);
}

#[tokio::test]
async fn two_expressions_for_one_kind_stall() {
    let world = World::start().await;
    let check = |version: &str| json!({"apiVersion": format!("example.com/{version}"), "kind": "Widget", "current": "true"});
    world.create("apps", json!({"healthCheckExprs": [check("v1"), check("v2")]})).await;
    let message = world.until_failed("apps", "InvalidCELExpression").await;
    let expected = "Reconciliation failed terminally due to configuration error: duplicate custom \
                    health check for GroupKind Widget.example.com at healthchecks[1]";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn another_spec_ends_the_stall() {
    let world = World::without_controller(&api::crds()).await;
    world.run(args());
    let group = world.define_widgets().await;
    world.publish("main@sha1:1", &[("a.yaml", &widget(&group))]).await;
    let check = |current: &str| json!([{"apiVersion": format!("{group}/v1"), "kind": "Widget", "current": current}]);
    world.create("apps", json!({"wait": true, "healthCheckExprs": check("(")})).await;
    world.until_failed("apps", "InvalidCELExpression").await;
    world.merge("apps", json!({"spec": {"healthCheckExprs": check("true")}})).await;
    let obj = world.until_applied("apps", "main@sha1:1").await;
    assert_eq!(condition(&obj, "Stalled"), None);
}
