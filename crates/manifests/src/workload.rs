//! What runs: the ServiceAccount, Service and Deployment of one controller.

use serde_json::{Value, json};

use crate::{Component, Options, labels};

/// Returns the objects of one component.
pub(crate) fn objects(component: Component, options: &Options) -> Vec<Value> {
    let mut objects = vec![service_account(component, options)];
    if component == Component::SourceController {
        objects.push(artifact_service(options));
    }
    objects.push(deployment(component, options));
    objects
}

fn metadata(component: Component, options: &Options) -> Value {
    json!({
        "name": component.name(),
        "namespace": options.namespace,
        "labels": labels(options, Some(component)),
    })
}

fn service_account(component: Component, options: &Options) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(component, options),
    })
}

/// Where the other controllers download artifacts from.
fn artifact_service(options: &Options) -> Value {
    let mut metadata = metadata(Component::SourceController, options);
    metadata["labels"]["control-plane"] = json!("controller");
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": "http" }],
            "selector": { "app": Component::SourceController.name() },
            "type": "ClusterIP",
        },
    })
}

fn deployment(component: Component, options: &Options) -> Value {
    let mut metadata = metadata(component, options);
    metadata["labels"]["control-plane"] = json!("controller");
    let mut pod_labels = labels(options, Some(component));
    pod_labels.insert("app".to_owned(), json!(component.name()));
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": component.name() } },
            "template": {
                "metadata": {
                    "annotations": {
                        "prometheus.io/port": "8080",
                        "prometheus.io/scrape": "true",
                    },
                    "labels": pod_labels,
                },
                "spec": pod(component, options),
            },
        },
    });
    if component == Component::SourceController {
        // The storage is local to the pod: two of them would serve different artifacts.
        deployment["spec"]["strategy"] = json!({ "type": "Recreate" });
    }
    deployment
}

fn pod(component: Component, options: &Options) -> Value {
    let mut volumes = vec![json!({ "name": "temp", "emptyDir": {} })];
    if component == Component::SourceController {
        volumes.insert(0, json!({ "name": "data", "emptyDir": {} }));
    }
    let mut pod = json!({
        "containers": [container(component, options)],
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-cluster-critical",
        "securityContext": { "fsGroup": 1337 },
        "serviceAccountName": component.name(),
        "terminationGracePeriodSeconds": match component {
            Component::SourceController => 10,
            Component::KustomizeController => 60,
        },
        "volumes": volumes,
    });
    if let Some(secret) = &options.image_pull_secret {
        pod["imagePullSecrets"] = json!([{ "name": secret }]);
    }
    if !options.toleration_keys.is_empty() {
        pod["tolerations"] = options
            .toleration_keys
            .iter()
            .map(|key| json!({ "key": key, "operator": "Exists" }))
            .collect();
    }
    pod
}

fn container(component: Component, options: &Options) -> Value {
    let mut ports = vec![
        json!({ "containerPort": 8080, "name": "http-prom", "protocol": "TCP" }),
        json!({ "containerPort": 9440, "name": "healthz", "protocol": "TCP" }),
    ];
    let mut mounts = vec![json!({ "mountPath": "/tmp", "name": "temp" })];
    let mut readiness = json!({ "httpGet": { "path": "/readyz", "port": "healthz" } });
    let mut cpu = "100m";
    if component == Component::SourceController {
        ports.insert(0, json!({ "containerPort": 9090, "name": "http", "protocol": "TCP" }));
        mounts.insert(0, json!({ "mountPath": "/data", "name": "data" }));
        // Only the leader serves artifacts, so only the leader is ready.
        readiness = json!({ "httpGet": { "path": "/", "port": "http" } });
        cpu = "50m";
    }
    json!({
        "name": "manager",
        "image": format!("{}/{}:{}", options.registry, component.name(), options.version),
        "imagePullPolicy": "IfNotPresent",
        "args": args(component, options),
        "env": [{
            "name": "RUNTIME_NAMESPACE",
            "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } },
        }],
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "healthz" } },
        "readinessProbe": readiness,
        "ports": ports,
        "resources": {
            "limits": { "cpu": "1000m", "memory": "1Gi" },
            "requests": { "cpu": cpu, "memory": "64Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "volumeMounts": mounts,
    })
}

fn args(component: Component, options: &Options) -> Vec<String> {
    let mut args = vec![
        // Nobody receives events until notification-controller is installed.
        "--events-addr=".to_owned(),
        format!("--watch-all-namespaces={}", options.watch_all_namespaces),
        format!("--log-level={}", options.log_level),
        "--log-encoding=json".to_owned(),
        "--enable-leader-election".to_owned(),
    ];
    if component == Component::SourceController {
        args.push("--storage-path=/data".to_owned());
        args.push(format!(
            "--storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.{}.",
            options.cluster_domain
        ));
    }
    args
}
