use serde_json::json;

use super::*;
use crate::prune;

/// Returns an object as the server stores it.
fn stored(group: &str, version: &str, kind: &str, mut object: Value) -> Value {
    let schema = Schema::builtin(group, version, kind).unwrap();
    prune::round_trip(&schema, &mut object);
    fill(&schema, &mut object);
    object
}

#[track_caller]
fn assert_same(left: &Value, right: &Value) {
    assert!(crate::value::equal(left, right), "\n{left:#}\n{right:#}");
}

#[test]
fn fills_in_a_deployment() {
    let deployment = stored(
        "apps",
        "v1",
        "Deployment",
        json!({
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "serviceAccountName": "web",
                        "containers": [{
                            "name": "app", "image": "app",
                            "ports": [{"containerPort": 80}],
                            "livenessProbe": {"httpGet": {"port": 80}},
                            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                        }],
                        "volumes": [{"name": "tmp"}, {"name": "config", "configMap": {"name": "c"}}],
                    },
                },
            },
        }),
    );
    let expected = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{
                        "name": "app", "image": "app", "imagePullPolicy": "Always",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "livenessProbe": {
                            "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                            "timeoutSeconds": 1, "periodSeconds": 10,
                            "successThreshold": 1, "failureThreshold": 3,
                        },
                        "env": [{"name": "IP", "valueFrom": {
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"},
                        }}],
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    }],
                    "volumes": [
                        {"name": "tmp", "emptyDir": {}},
                        {"name": "config", "configMap": {"name": "c", "defaultMode": 420}},
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                    "schedulerName": "default-scheduler", "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                    "serviceAccount": "web", "serviceAccountName": "web",
                },
            },
        },
        "status": {},
    });
    assert_same(&deployment, &expected);
}

#[test]
fn fills_in_services_by_type() {
    let cases = [
        (
            json!({"ports": [{"port": 80}]}),
            json!({
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP",
                "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            }),
        ),
        (
            json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP"}),
            json!({
                "type": "LoadBalancer", "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": true,
            }),
        ),
        (
            json!({"type": "ExternalName", "externalName": "x.y"}),
            json!({"type": "ExternalName", "externalName": "x.y", "sessionAffinity": "None"}),
        ),
    ];
    for (spec, expected) in cases {
        let service = stored("", "v1", "Service", json!({"metadata": {}, "spec": spec}));
        assert_same(&service["spec"], &expected);
        assert_same(&service["status"], &json!({"loadBalancer": {}}));
    }
}

#[test]
fn a_pod_requests_its_limits_and_a_template_does_not() {
    let spec = json!({"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": "1"}}}]});
    let pod = stored("", "v1", "Pod", json!({"metadata": {}, "spec": spec}));
    assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"], json!({"cpu": "1"}));
    assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(pod["spec"]["enableServiceLinks"], true);
    let set = stored(
        "apps",
        "v1",
        "DaemonSet",
        json!({"metadata": {}, "spec": {"template": {"spec": spec}}}),
    );
    let template = &set["spec"]["template"]["spec"];
    assert_eq!(template["containers"][0]["resources"], json!({"limits": {"cpu": "1"}}));
    assert!(template.get("enableServiceLinks").is_none());
    assert_eq!(
        set["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    );
}

#[test]
fn keeps_what_is_given() {
    let strategy = json!({"type": "Recreate"});
    let deployment = stored(
        "apps",
        "v1",
        "Deployment",
        json!({"spec": {
            "replicas": 0, "strategy": strategy, "template": {"spec": {"containers": []}},
        }}),
    );
    assert_eq!(deployment["spec"]["replicas"], 0);
    assert_eq!(deployment["spec"]["strategy"], strategy);
}

#[test]
fn claims_in_a_stateful_set_have_a_kind() {
    let set = stored(
        "apps",
        "v1",
        "StatefulSet",
        json!({"spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
        }}),
    );
    assert_same(
        &set["spec"]["volumeClaimTemplates"][0],
        &json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {}, "volumeMode": "Filesystem"},
            "status": {"phase": "Pending"},
        }),
    );
    assert_eq!(set["spec"]["updateStrategy"]["rollingUpdate"]["partition"], 0);
}

#[test]
fn filling_in_twice_changes_nothing() {
    for (group, version, kind) in crate::schema::kinds() {
        let once = stored(group, version, kind, json!({"metadata": {"name": "a"}, "spec": {}}));
        let twice = stored(group, version, kind, once.clone());
        assert_same(&once, &twice);
    }
}

#[test]
fn fills_in_custom_resources_by_their_schema() {
    let schema = Schema::custom_unchecked(&json!({
        "type": "object",
        "properties": {"spec": {
            "type": "object",
            "default": {},
            "properties": {
                "a": {"type": "string", "default": "x"},
                "b": {"type": "object", "properties": {"c": {"type": "integer", "default": 1}}},
                "n": {"type": "string", "nullable": true, "default": "y"},
                "list": {"type": "array", "items": {"type": "object", "properties": {
                    "d": {"type": "boolean", "default": true},
                }}},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {
                    "e": {"type": "string", "default": "z"},
                }}},
                "plain": {"type": "string"},
            },
        }},
    }));
    let cases = [
        (json!({}), json!({"spec": {"a": "x", "n": "y"}})),
        (
            json!({"spec": {"a": null, "b": {}, "n": null, "list": [{}], "map": {"k": {}}, "plain": null}}),
            json!({"spec": {
                "a": "x", "b": {"c": 1}, "n": null, "list": [{"d": true}], "map": {"k": {"e": "z"}},
            }}),
        ),
        (json!({"spec": {"a": "", "b": null}}), json!({"spec": {"a": "", "n": "y"}})),
    ];
    for (mut object, expected) in cases {
        fill(&schema, &mut object);
        assert_same(&object, &expected);
    }
}
