use serde_json::json;

use super::*;

const MANAGER: &str = "kustomize-controller";

fn view() -> Viewpoint {
    Viewpoint {
        group: "kustomize.toolkit.fluxcd.io".to_owned(),
        field_manager: MANAGER.to_owned(),
        overridden_managers: Vec::new(),
    }
}

/// Returns a Deployment that we have applied, at a version and generation.
fn object(version: u64, generation: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "generation": generation,
            "resourceVersion": version.to_string(),
            "labels": {"kustomize.toolkit.fluxcd.io/name": "apps"},
            "managedFields": [entry(MANAGER, "Apply", json!({"f:spec": {"f:replicas": {}}}))],
        },
        "spec": {"replicas": 1},
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the callers write literals")]
fn entry(manager: &str, operation: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields})
}

fn track(object: &mut Value, entry: Value) {
    object["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
}

fn read(object: &Value) -> State {
    State::read(&view(), "apps", "Deployment", object, false).unwrap()
}

fn owner() -> Arc<Owner> {
    Arc::new(Owner { group: view().group, namespace: "flux-system".into(), name: "apps".into() })
}

fn known(object: &Value) -> Known {
    Known::new(1, owner(), read(object), true)
}

fn place() -> Place {
    Place::of_object(&object(1, 1))
}

/// Says whether an object that is known stays known after a later version of it.
fn stays(earlier: &Value, later: &Value) -> bool {
    let mut memory = Memory::default();
    assert_eq!(memory.remember(place(), known(earlier)), None);
    let moved = memory.observe(&place(), read(later), Instant::now());
    assert_eq!(moved.is_none(), memory.known(&place()).is_some());
    moved.is_none()
}

#[test]
fn a_write_of_the_status_is_no_change() {
    assert!(stays(&object(1, 1), &object(2, 1)));
    let mut later = object(2, 1);
    let mut status = entry("kube-controller-manager", "Update", json!({"f:status": {}}));
    status["subresource"] = json!("status");
    track(&mut later, status);
    assert!(stays(&object(1, 1), &later));

    let without = |mut object: Value| {
        object["metadata"].as_object_mut().unwrap().shift_remove("generation");
        object
    };
    assert!(stays(&without(object(1, 1)), &without(later)));
    assert!(!stays(&without(object(1, 1)), &without(object(2, 1))));
}

#[test]
fn a_new_generation_that_nobody_has_written_is_a_change() {
    assert!(!stays(&object(1, 1), &object(2, 2)));
}

#[test]
fn a_field_that_is_not_ours_is_no_change() {
    let mut later = object(2, 2);
    later["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
    track(&mut later, entry("kube-controller-manager", "Update", json!({"f:metadata": {}})));
    assert!(stays(&object(1, 1), &later));
}

#[test]
fn what_takes_a_field_of_ours_is_a_change() {
    let mut later = object(2, 2);
    later["metadata"]["managedFields"] = json!([
        entry(MANAGER, "Apply", json!({})),
        entry("editor", "Update", json!({"f:spec": {"f:replicas": {}}})),
    ]);
    assert!(!stays(&object(1, 1), &later));
    later["metadata"]["managedFields"] = json!([]);
    assert!(!stays(&object(1, 1), &later));
}

#[test]
fn what_has_to_be_taken_over_is_a_change() {
    let mut later = object(2, 2);
    track(&mut later, entry("kubectl-edit", "Update", json!({"f:spec": {"f:paused": {}}})));
    assert!(!stays(&object(1, 1), &later));
}

#[test]
fn a_mark_is_a_change_whoever_makes_it() {
    let mut later = object(2, 1);
    later["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
    track(&mut later, entry("dashboard", "Update", json!({"f:metadata": {}})));
    assert!(!stays(&object(1, 1), &later));
    let mut later = object(2, 1);
    later["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(!stays(&object(1, 1), &later));
}

#[test]
fn another_object_of_the_same_name_is_a_change() {
    let mut later = object(2, 1);
    later["metadata"]["uid"] = json!("v");
    assert!(!stays(&object(1, 1), &later));
}

#[test]
fn old_news_is_no_news() {
    let mut edited = object(1, 2);
    edited["metadata"]["managedFields"] = json!([]);
    assert!(stays(&object(2, 1), &edited));
    let mut memory = Memory::default();
    memory.remember(place(), known(&object(5, 1)));
    assert_eq!(memory.removed(&place(), 4, Instant::now()), None);
    assert!(memory.known(&place()).is_some());
    assert_eq!(memory.listed(&HashSet::new(), 5, Instant::now()).len(), 1);
    assert!(memory.is_empty());
}

#[test]
fn does_not_wait_for_news_of_an_api_that_was_set_back() {
    let mut memory = Memory::default();
    memory.remember(place(), known(&object(5, 1)));
    assert_eq!(memory.listed(&HashSet::from([place()]), 4, Instant::now()), []);
    assert!(memory.known(&place()).is_none());
}

#[test]
fn what_is_told_during_a_look_is_not_lost() {
    let mut edited = object(7, 2);
    edited["metadata"]["managedFields"] = json!([]);
    let mut memory = Memory::default();
    memory.begin(place());
    assert_eq!(memory.observe(&place(), read(&edited), Instant::now()), None);
    let moved = memory.remember(place(), known(&object(6, 1))).unwrap();
    assert!(moved.was_trusted && memory.known(&place()).is_none());
    // What was written after the edit is right.
    assert_eq!(memory.remember(place(), known(&object(8, 3))), None);
    memory.end(&place());
    assert!(memory.known(&place()).is_some());

    memory.begin(place());
    assert_eq!(memory.removed(&place(), 9, Instant::now()), None);
    assert!(memory.remember(place(), known(&object(8, 3))).is_some());
    memory.end(&place());
    assert!(memory.is_empty());
}

#[test]
fn tells_when_it_was_trusted_a_moment_too_long() {
    let mut edited = object(2, 2);
    edited["metadata"]["managedFields"] = json!([]);
    let now = Instant::now();
    for (age, was_trusted) in [(LAG / 2, true), (LAG * 2, false)] {
        let mut memory = Memory::default();
        memory.remember(place(), known(&object(1, 1)));
        memory.trust(&place(), now);
        let moved = memory.observe(&place(), read(&edited), now + age).unwrap();
        assert_eq!(moved, Moved { owner: (*owner()).clone(), was_trusted });
    }
}

#[test]
fn knows_the_health_of_a_version_from_the_whole_object_alone() {
    let mut memory = Memory::default();
    memory.remember(place(), known(&object(1, 1)));
    let whole = State::read(&view(), "apps", "Deployment", &object(2, 1), true).unwrap();
    memory.observe(&place(), whole, Instant::now());
    let health = memory.known(&place()).unwrap().state.health;
    assert_eq!(health, Some(Status::InProgress));
    memory.observe(&place(), read(&object(3, 1)), Instant::now());
    let state = &memory.known(&place()).unwrap().state;
    assert_eq!(state.health, None);
    // A write of the status leaves the rest as it was.
    assert!(state.content.is_some());
    let config = State::read(&view(), "", "ConfigMap", &object(1, 1), false).unwrap();
    assert_eq!(config.health, Some(Status::Current));
}

#[test]
fn content_is_what_an_apply_can_change() {
    let base = object(1, 1);
    let mut same = object(2, 2);
    same["status"] = json!({"replicas": 1});
    same["metadata"]["annotations"] = json!({});
    assert_eq!(content(&base), content(&same));
    for (pointer, value) in [("/spec/replicas", json!(2)), ("/metadata/labels", json!({}))] {
        let mut other = object(1, 1);
        *other.pointer_mut(pointer).unwrap() = value;
        assert_ne!(content(&base), content(&other), "{pointer}");
    }
}
