use serde_json::json;

use super::*;
use crate::schema::Schema;
use crate::{defaults, prune};

fn stored(group: &str, kind: &str, mut object: Value) -> Value {
    let version = if kind == "HorizontalPodAutoscaler" { "v2" } else { "v1" };
    let schema = Schema::builtin(group, version, kind).unwrap();
    prune::round_trip(&schema, &mut object);
    defaults::fill(&schema, &mut object);
    object
}

/// Returns the errors of a new object, after its defaults.
fn errors(group: &str, kind: &str, object: Value) -> Vec<String> {
    let object = stored(group, kind, object);
    builtin(group, kind, &object, None).iter().map(ToString::to_string).collect()
}

/// Returns the errors of a change.
fn update_errors(
    group: &str,
    kind: &str,
    old: &Value,
    change: impl FnOnce(&mut Value),
) -> Vec<String> {
    let old = stored(group, kind, old.clone());
    let mut new = old.clone();
    change(&mut new);
    let new = stored(group, kind, new);
    builtin(group, kind, &new, Some(&old)).iter().map(ToString::to_string).collect()
}

fn deployment() -> Value {
    json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        },
    }})
}

fn changed(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

/// Breaks an object.
type Change = fn(&mut Value);

const NONE: [String; 0] = [];

#[test]
fn a_good_deployment_passes_and_may_change_its_template() {
    assert_eq!(errors("apps", "Deployment", deployment()), NONE);
    let change = |new: &mut Value| {
        new["spec"]["replicas"] = 0.into();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2".into();
    };
    assert_eq!(update_errors("apps", "Deployment", &deployment(), change), NONE);
}

#[test]
fn an_empty_deployment_lacks_what_is_required() {
    assert_eq!(
        errors("apps", "Deployment", json!({"metadata": {"name": "web"}})),
        [
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template \
             `labels`",
            "spec.template.spec.containers: Required value",
        ]
    );
}

#[test]
fn words_problems_of_deployments_as_the_api_server_does() {
    let cases: [(Change, &str); 12] = [
        (
            |it| it["spec"]["replicas"] = (-1).into(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            |it| it["spec"]["selector"] = json!({}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            |it| it["spec"]["selector"]["matchLabels"]["app"] = "x".into(),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ),
        (
            |it| it["spec"]["template"]["spec"]["restartPolicy"] = "Never".into(),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            |it| it["spec"]["template"]["spec"]["containers"][0]["image"] = "".into(),
            "spec.template.spec.containers[0].image: Required value",
        ),
        (
            |it| it["spec"]["template"]["spec"]["containers"][0]["name"] = "a_b".into(),
            "spec.template.spec.containers[0].name: Invalid value: \"a_b\": a lowercase RFC 1123 \
             label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
             validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (
            |it| {
                it["spec"]["template"]["spec"]["containers"] =
                    json!([{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]);
            },
            "spec.template.spec.containers[1].name: Duplicate value: \"a\"",
        ),
        (
            |it| {
                it["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
                    json!([{"name": "data", "mountPath": "/data"}]);
            },
            "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
        ),
        (
            |it| {
                it["spec"]["template"]["spec"]["containers"][0]["ports"] =
                    json!([{"containerPort": 70000}]);
            },
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be \
             between 1 and 65535, inclusive",
        ),
        (
            |it| it["spec"]["strategy"] = json!({"type": "Odd"}),
            "spec.strategy: Unsupported value: {\"Type\":\"Odd\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\"",
        ),
        (
            |it| it["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = json!({}),
            "spec.template.spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            |it| {
                it["spec"]["template"]["spec"]["containers"][0]["resources"] =
                    json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
            },
            "spec.template.spec.containers[0].resources.requests: Invalid value: \"2Gi\": must be \
             less than or equal to memory limit of 1Gi",
        ),
    ];
    for (change, message) in cases {
        assert_eq!(errors("apps", "Deployment", changed(deployment(), change)), [message]);
    }
}

#[test]
fn selectors_of_workloads_are_immutable() {
    let change = |new: &mut Value| {
        new["spec"]["selector"]["matchLabels"] = json!({"app": "web", "tier": "x"});
        new["spec"]["template"]["metadata"]["labels"]["tier"] = "x".into();
    };
    for kind in ["Deployment", "DaemonSet", "ReplicaSet"] {
        assert_eq!(
            update_errors("apps", kind, &deployment(), change),
            ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"tier\":\"x\"}}: \
              field is immutable"],
            "{kind}"
        );
    }
    let found = update_errors("apps", "StatefulSet", &deployment(), change);
    assert!(
        found[0].starts_with("spec: Forbidden: updates to statefulset spec for fields other than")
    );
}

#[test]
fn jobs_keep_their_template() {
    let job = json!({"metadata": {"name": "j"}, "spec": {
        "selector": {"matchLabels": {"uid": "1"}},
        "template": {
            "metadata": {"labels": {"uid": "1"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]},
        },
    }});
    assert_eq!(errors("batch", "Job", job.clone()), NONE);
    let found = update_errors("batch", "Job", &job, |new| {
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "b".into();
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("spec.template: Invalid value: {"), "{found:?}");
    assert!(found[0].ends_with("}: field is immutable"), "{found:?}");
    let always = changed(job, |job| job["spec"]["template"]["spec"]["restartPolicy"] = Value::Null);
    assert_eq!(
        errors("batch", "Job", always),
        [
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
        ]
    );
}

#[test]
fn a_cron_job_needs_a_schedule() {
    let cron = |schedule: &str| {
        json!({"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]},
        }}}}})
    };
    assert_eq!(errors("batch", "CronJob", cron("*/5 * * * *")), NONE);
    assert_eq!(errors("batch", "CronJob", cron("@daily")), NONE);
    assert_eq!(errors("batch", "CronJob", cron("")), ["spec.schedule: Required value"]);
    assert_eq!(
        errors("batch", "CronJob", cron("* *")),
        ["spec.schedule: Invalid value: \"* *\": expected exactly 5 fields, found 2: [* *]"]
    );
}

#[test]
fn ports_of_services_are_told_apart() {
    let service = |ports: Value| json!({"metadata": {"name": "s"}, "spec": {"ports": ports}});
    let cases = [
        (json!([]), vec!["spec.ports: Required value"]),
        (json!([{"port": 80}]), vec![]),
        (
            json!([{"port": 0}]),
            vec![
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            json!([{"port": 80}, {"port": 443, "name": "https"}]),
            vec!["spec.ports[0].name: Required value"],
        ),
        (
            json!([{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]),
            vec!["spec.ports[1].name: Duplicate value: \"a\""],
        ),
        (
            json!([{"port": 80, "protocol": "ICMP"}]),
            vec![
                "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
    ];
    for (ports, expected) in cases {
        assert_eq!(errors("", "Service", service(ports)), expected);
    }
    let old = json!({"metadata": {"name": "s"}, "spec": {
        "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": [{"port": 80}],
    }});
    assert_eq!(
        update_errors("", "Service", &old, |new| {
            new["spec"]["clusterIP"] = "10.96.0.20".into();
            new["spec"]["clusterIPs"] = json!(["10.96.0.20"]);
        }),
        ["spec.clusterIPs[0]: Invalid value: [\"10.96.0.20\"]: may not change once set"]
    );
}

#[test]
fn secrets_and_config_maps_can_be_fixed() {
    let secret = json!({"metadata": {"name": "s"}, "immutable": true, "data": {"a": "YQ=="}});
    assert_eq!(
        update_errors("", "Secret", &secret, |new| new["data"]["a"] = "Yg==".into()),
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
    assert_eq!(
        update_errors("", "Secret", &secret, |new| new["type"] = "example.com/x".into()),
        ["type: Invalid value: \"example.com/x\": field is immutable"]
    );
    let tls =
        json!({"metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {"tls.crt": ""}});
    assert_eq!(errors("", "Secret", tls), ["data[tls.key]: Required value"]);
    let config = json!({"metadata": {"name": "c"}, "data": {"a/b": "x"}});
    assert_eq!(
        errors("", "ConfigMap", config),
        ["data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric \
          characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used \
          for validation is '[-._a-zA-Z0-9]+')"]
    );
}

#[test]
fn bindings_keep_their_role() {
    let binding = json!({
        "metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "n"}],
    });
    let group = "rbac.authorization.k8s.io";
    assert_eq!(errors(group, "RoleBinding", binding.clone()), NONE);
    assert_eq!(
        update_errors(group, "RoleBinding", &binding, |new| new["roleRef"]["name"] = "x".into()),
        ["roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\
          \"Name\":\"x\"}: cannot change roleRef"]
    );
    let rules =
        json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"]}]});
    assert_eq!(
        errors(group, "Role", rules),
        ["rules[0].verbs: Required value: verbs must contain at least one value"]
    );
}

#[test]
fn paths_of_ingresses_have_a_type_and_a_backend() {
    let ingress = |path: Value| json!({"metadata": {"name": "i"}, "spec": {"rules": [{"http": {"paths": [path]}}]}});
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    let group = "networking.k8s.io";
    let good = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    assert_eq!(errors(group, "Ingress", ingress(good)), NONE);
    assert_eq!(
        errors(group, "Ingress", ingress(json!({"path": "/", "backend": backend}))),
        ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"]
    );
    assert_eq!(
        errors(group, "Ingress", ingress(json!({"path": "x", "pathType": "Exact", "backend": {}}))),
        [
            "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path",
            "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend \
             is required",
        ]
    );
    assert_eq!(
        errors(group, "Ingress", json!({"metadata": {"name": "i"}})),
        ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]
    );
}

#[test]
fn claims_grow_only_once_bound() {
    let claim = json!({
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let grow = |new: &mut Value| new["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
    let found = update_errors("", "PersistentVolumeClaim", &claim, grow);
    assert!(found[0].starts_with("spec: Forbidden: spec is immutable after creation"), "{found:?}");
    let bound = changed(claim, |claim| claim["status"] = json!({"phase": "Bound"}));
    assert_eq!(update_errors("", "PersistentVolumeClaim", &bound, grow), NONE);
    assert_eq!(
        update_errors("", "PersistentVolumeClaim", &bound, |new| {
            new["spec"]["resources"]["requests"]["storage"] = "500Mi".into();
        }),
        ["spec.resources.requests.storage: Forbidden: field can not be less than previous value"]
    );
    assert_eq!(
        errors("", "PersistentVolumeClaim", json!({"metadata": {"name": "c"}})),
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ]
    );
}

#[test]
fn a_running_pod_changes_in_few_ways() {
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}});
    let image = |new: &mut Value| new["spec"]["containers"][0]["image"] = "a:2".into();
    assert_eq!(update_errors("", "Pod", &pod, image), NONE);
    let found = update_errors("", "Pod", &pod, |new| new["spec"]["hostNetwork"] = true.into());
    assert!(found[0].starts_with("spec: Forbidden: pod updates may not change fields other than"));
}

#[test]
fn autoscalers_have_limits() {
    let scaler = |least: i64, most: i64| {
        json!({"metadata": {"name": "a"}, "spec": {
            "minReplicas": least, "maxReplicas": most,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        }})
    };
    let kind = "HorizontalPodAutoscaler";
    assert_eq!(errors("autoscaling", kind, scaler(1, 3)), NONE);
    assert_eq!(
        errors("autoscaling", kind, scaler(3, 2)),
        ["spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"]
    );
    assert_eq!(
        errors("autoscaling", kind, scaler(1, 0)),
        [
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
        ]
    );
}

#[test]
fn a_definition_is_named_after_what_it_defines() {
    let crd = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}],
        }})
    };
    let (group, kind) = ("apiextensions.k8s.io", "CustomResourceDefinition");
    assert_eq!(errors(group, kind, crd("things.example.com")), NONE);
    assert_eq!(
        errors(group, kind, crd("x.example.com")),
        ["metadata.name: Invalid value: \"x.example.com\": must be \
          spec.names.plural+\".\"+spec.group"]
    );
    let none = changed(crd("things.example.com"), |it| {
        it["spec"]["versions"][0]["storage"] = false.into();
    });
    let found = errors(group, kind, none);
    assert!(found[0].starts_with("spec.versions: Invalid value: [{"), "{found:?}");
    assert!(found[0].ends_with("must have exactly one version marked as storage version"));
    let described = changed(crd("things.example.com"), |it| {
        let schema = &mut it["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["metadata"] = json!({"type": "object", "description": "Names."});
    });
    assert_eq!(
        errors(group, kind, described),
        ["spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify \
          anything other than name and generateName, but metadata is implicitly specified"]
    );
    assert_eq!(
        update_errors(group, kind, &crd("things.example.com"), |new| new["spec"]["scope"] =
            "Cluster".into()),
        ["spec.scope: Invalid value: \"Cluster\": field is immutable"]
    );
}

#[test]
fn variables_of_containers_come_from_somewhere() {
    let refused: &[(Value, &str)] = &[
        (
            json!({"env": [{"name": "a=b", "value": "1"}]}),
            "env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist \
             only of printable ASCII characters other than '='",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            "env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
             `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        (
            json!({"env": [
                {"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}},
            ]}),
            "env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a"}}}]}),
            "env[0].valueFrom.configMapKeyRef.key: Required value",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}}}]}),
            "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.foo\": error converting \
             fieldPath: field label not supported: spec.foo",
        ),
        (
            json!({"envFrom": [{}]}),
            "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
        ),
        (
            json!({"envFrom": [{"configMapRef": {}}]}),
            "envFrom[0].configMapRef.name: Required value",
        ),
        (
            json!({"ports": [
                {"containerPort": 1, "name": "a"},
                {"containerPort": 2, "name": "a"},
            ]}),
            "ports[1].name: Duplicate value: \"a\"",
        ),
    ];
    for (fields, error) in refused {
        let object = changed(deployment(), |it| {
            let container = &mut it["spec"]["template"]["spec"]["containers"][0];
            for (name, value) in fields.as_object().unwrap() {
                container[name] = value.clone();
            }
        });
        let prefix = "spec.template.spec.containers[0]";
        assert_eq!(errors("apps", "Deployment", object), [format!("{prefix}.{error}")]);
    }
    let good = changed(deployment(), |it| {
        let container = &mut it["spec"]["template"]["spec"]["containers"][0];
        container["env"] = json!([
            {"name": "ONE", "value": "1"},
            {"name": "empty"},
            {"name": "label", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "key", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}},
        ]);
        container["envFrom"] = json!([{"prefix": "P_", "secretRef": {"name": "a"}}]);
    });
    assert_eq!(errors("apps", "Deployment", good), [] as [String; 0]);
}
