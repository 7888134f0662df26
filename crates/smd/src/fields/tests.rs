use proptest::prelude::*;
use serde_json::json;

use super::*;

fn element() -> impl Strategy<Value = PathElement> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    prop_oneof![
        "[a-d]".prop_map(PathElement::Field),
        ".{0,3}".prop_map(PathElement::Field),
        proptest::collection::btree_map("[a-b]", scalar.clone(), 1..3).prop_map(PathElement::key),
        scalar.prop_map(PathElement::Value),
        (0usize..3).prop_map(PathElement::Index),
    ]
}

fn set() -> impl Strategy<Value = FieldSet> {
    proptest::collection::vec(proptest::collection::vec(element(), 1..4), 0..12)
        .prop_map(FieldSet::of)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!({})), Just(json!(null)), any::<i32>().prop_map(Value::from)];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof!["[fkvi.]:?[a-z{}\":0-9]{0,5}", Just(".".to_owned())];
        proptest::collection::vec((key, inner), 0..4)
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
    })
}

proptest! {
    #[test]
    fn survives_the_way_through_json(set in set()) {
        let text = set.to_json().to_string();
        let back = FieldSet::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(&back, &set);
        prop_assert_eq!(back.to_json().to_string(), text);
    }

    #[test]
    fn reading_never_panics(value in json_value()) {
        let _ = FieldSet::from_json(&value);
    }

    #[test]
    fn obeys_the_laws_of_sets(a in set(), b in set(), c in set()) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert!(a.recursive_difference(&a).is_empty());
        for path in a.union(&b).paths() {
            prop_assert!(a.has(&path) || b.has(&path));
        }
    }
}

#[test]
fn writes_members_that_have_children_with_a_dot() {
    let fields = json!({
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
    });
    let set = FieldSet::from_json(&fields).unwrap();
    assert_eq!(set.len(), 5);
    assert_eq!(set.to_json().to_string(), fields.to_string());
}

#[test]
fn difference_takes_one_path_and_recursive_difference_all_below() {
    let set = FieldSet::of_fields(["a", "a.b", "a.b.c", "d"]);
    let other = FieldSet::of_fields(["a.b"]);
    assert_eq!(set.difference(&other), FieldSet::of_fields(["a", "a.b.c", "d"]));
    assert_eq!(set.recursive_difference(&other), FieldSet::of_fields(["a", "d"]));
}

#[test]
fn skips_elements_of_unknown_types() {
    let set = FieldSet::from_json(&json!({"z:a": {}, "f:b": {}})).unwrap();
    assert_eq!(set, FieldSet::of_fields(["b"]));
}
