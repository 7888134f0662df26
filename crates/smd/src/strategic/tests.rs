use serde_json::json;

use super::*;

fn pod_spec(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "spec": spec})
}

/// Merges into the spec of a Pod and returns the result.
fn merged(original: &Value, patch: &Value) -> Result<Value, StrategicError> {
    let schema = Schema::builtin("", "v1", "Pod").unwrap();
    let mut object = pod_spec(original);
    merge(&schema, &mut object, &json!({"spec": patch}))?;
    Ok(object["spec"].take())
}

#[test]
fn merges_as_the_api_server_does() {
    let containers =
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]});
    let cases = [
        (
            "elements of a keyed list",
            &containers,
            json!({"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}),
            json!({"containers": [
                {"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"},
            ]}),
        ),
        (
            "null removes",
            &json!({"nodeName": "x", "hostname": "y"}),
            json!({"nodeName": null, "subdomain": null}),
            json!({"hostname": "y"}),
        ),
        (
            "an element is deleted",
            &containers,
            json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            json!({"containers": [{"name": "b", "image": "1"}]}),
        ),
        (
            "a list is replaced",
            &containers,
            json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}),
            json!({"containers": [{"name": "c"}]}),
        ),
        (
            "a map is replaced",
            &json!({"securityContext": {"runAsUser": 1}}),
            json!({"securityContext": {"$patch": "replace", "fsGroup": 2}}),
            json!({"securityContext": {"fsGroup": 2}}),
        ),
        (
            "a map is emptied",
            &json!({"securityContext": {"runAsUser": 1}}),
            json!({"securityContext": {"$patch": "delete"}}),
            json!({"securityContext": {}}),
        ),
        (
            "a list without key is replaced",
            &json!({"tolerations": [{"key": "a"}]}),
            json!({"tolerations": [{"key": "b"}]}),
            json!({"tolerations": [{"key": "b"}]}),
        ),
        (
            "other members of a union go",
            &json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}),
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
        ),
        (
            "the order is set, what the patch does not name keeps its place",
            &containers,
            json!({
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
                "containers": [{"name": "c", "image": "3"}],
            }),
            json!({"containers": [
                {"name": "c", "image": "3"}, {"name": "a", "image": "1"}, {"name": "b", "image": "1"},
            ]}),
        ),
        (
            "directives of new fields are dropped",
            &json!({}),
            json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "b", "image": null}]}),
            json!({"containers": [{"name": "b"}]}),
        ),
        (
            "maps of strings are merged",
            &json!({"nodeSelector": {"a": "1", "b": "1"}}),
            json!({"nodeSelector": {"b": "2", "a": null, "c": "3"}}),
            json!({"nodeSelector": {"b": "2", "c": "3"}}),
        ),
    ];
    for (what, original, patch, expected) in cases {
        let result = merged(original, &patch).unwrap();
        assert!(equal(&result, &expected), "{what}: {result}");
        let order = |value: &Value| value["containers"].to_string();
        assert_eq!(order(&result), order(&expected), "{what}");
    }
}

#[test]
fn merges_lists_of_scalars_and_deletes_from_them() {
    let schema = Schema::builtin("", "v1", "Pod").unwrap();
    let mut object = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {
        "$deleteFromPrimitiveList/finalizers": ["a"],
        "$setElementOrder/finalizers": ["c", "b"],
        "finalizers": ["c"],
    }});
    merge(&schema, &mut object, &patch).unwrap();
    assert_eq!(object["metadata"]["finalizers"], json!(["c", "b"]));
}

#[test]
fn ports_of_a_service_go_by_number_alone() {
    let schema = Schema::builtin("", "v1", "Service").unwrap();
    let mut object = json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 443}]}});
    let patch = json!({"spec": {"ports": [{"port": 80, "nodePort": 30000}]}});
    merge(&schema, &mut object, &patch).unwrap();
    assert_eq!(
        object["spec"]["ports"],
        json!([{"port": 80, "targetPort": 8080, "nodePort": 30000}, {"port": 443}])
    );
}

#[test]
fn refuses_what_makes_no_sense() {
    let cases = [
        (
            json!({"containers": [{"image": "x"}]}),
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "merge"}]}),
            "merging lists cannot yet be specified in the patch",
        ),
        (json!({"securityContext": {"$patch": "x"}}), "unknown patch type: x"),
        (
            json!({"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]}),
            "invalid patch format of retainKeys",
        ),
        (
            json!({
                "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                "containers": [{"name": "b"}, {"name": "a"}],
            }),
            "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder \
             list:\n[map[name:a] map[name:b]]\n",
        ),
    ];
    let original = json!({
        "containers": [{"name": "a"}], "securityContext": {"runAsUser": 1}, "volumes": [{"name": "v"}],
    });
    for (patch, message) in cases {
        assert_eq!(merged(&original, &patch).unwrap_err().to_string(), message, "{patch}");
    }
}
