//! `dependsOn[].readyExpr`: readiness by an expression in CEL.

use kustomize_controller::Args;
use serde_json::json;

use crate::support::{World, args, condition, config};

/// Publishes what `base` and `apps` apply; nobody has created either.
async fn published(world: &World) {
    let (a, b) = (config("a", "1"), config("b", "1"));
    world.publish("main@sha1:1", &[("base/a.yaml", &a), ("apps/b.yaml", &b)]).await;
}

fn apps(expression: &str) -> serde_json::Value {
    json!({"path": "apps", "dependsOn": [{"name": "base", "readyExpr": expression}]})
}

#[tokio::test]
async fn runs_when_the_expression_is_true() {
    let world = World::start().await;
    published(&world).await;
    world.create("base", json!({"path": "base", "suspend": true})).await;
    let expression = "has(dep.metadata.annotations) && \
                      dep.metadata.annotations['tier'] == self.metadata.name";
    world.create("apps", apps(expression)).await;
    let message = world.until_failed("apps", "DependencyNotReady").await;
    let expected =
        format!("dependency '{}/base' is not ready according to readyExpr eval", world.namespace);
    assert_eq!(message, expected);
    let note = "Dependencies do not meet ready condition, retrying in 30s";
    world.until_event("apps", "DependencyNotReady", note).await;
    // Not ready itself, as it is suspended; the expression decides alone, and any change wakes.
    world.merge("base", json!({"metadata": {"annotations": {"tier": "apps"}}})).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn is_a_condition_more_when_the_gate_is_on() {
    let world = World::without_controller(&api::crds()).await;
    let mut args: Args = args();
    args.common.feature_gates = "AdditiveCELDependencyCheck=true".to_owned();
    world.run(args);
    published(&world).await;
    world.create("base", json!({"path": "base", "suspend": true})).await;
    world.create("apps", apps("dep.spec.path == 'base'")).await;
    let message = world.until_failed("apps", "DependencyNotReady").await;
    assert_eq!(message, format!("dependency '{}/base' is not ready", world.namespace));
    world.merge("base", json!({"spec": {"suspend": false}})).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn an_error_at_run_time_is_tried_again() {
    let world = World::start().await;
    published(&world).await;
    world.create("base", json!({"path": "base", "suspend": true})).await;
    world.create("apps", apps("dep.metadata.labels['tier'] == 'x'")).await;
    let message = world.until_failed("apps", "DependencyNotReady").await;
    let start = "failed to evaluate the CEL expression 'dep.metadata.labels['tier'] == 'x'': ";
    assert_eq!(message, format!("{start}no such key: labels"));
    let obj = world.kustomizations().get("apps").await.unwrap();
    let expected = ("True".to_owned(), "ProgressingWithRetry".to_owned());
    assert_eq!(condition(&obj, "Reconciling"), Some(expected));
    world.merge("base", json!({"metadata": {"labels": {"tier": "x"}}})).await;
    world.until_applied("apps", "main@sha1:1").await;
}

#[tokio::test]
async fn an_expression_that_does_not_compile_stalls() {
    let world = World::start().await;
    published(&world).await;
    world.create("base", json!({"path": "base"})).await;
    let prefix = "Reconciliation failed terminally due to configuration error: failed to evaluate \
                  dependency base: ";
    for (name, expression, part) in [
        ("undeclared", "other.metadata.name == 'x'", "failed to parse the CEL expression"),
        ("syntax", "dep.", "failed to parse the CEL expression 'dep.': "),
        ("type", "dep.spec.suspend", "CEL expression output type mismatch: expected bool, got dyn"),
    ] {
        world.create(name, apps(expression)).await;
        let message = world.until_failed(name, "InvalidCELExpression").await;
        assert!(message.starts_with(&format!("{prefix}{part}")), "{message}");
        let obj = world.kustomizations().get(name).await.unwrap();
        let expected = ("True".to_owned(), "InvalidCELExpression".to_owned());
        assert_eq!(condition(&obj, "Stalled"), Some(expected));
        assert_eq!(obj.status.unwrap().observed_generation, obj.metadata.generation);
        let event = world.until_event(name, "InvalidCELExpression", prefix).await;
        let annotations = event.metadata.annotations.unwrap();
        assert_eq!(annotations["kustomize.toolkit.fluxcd.io/revision"], "main@sha1:1");
    }
}
