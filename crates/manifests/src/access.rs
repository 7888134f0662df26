//! Who may do what: quota, roles, bindings and network policies.

use serde_json::{Value, json};

use crate::{Component, Options, labels};

/// The API groups of the toolkit, also of controllers that are not installed here: roles are
/// shared with Flux's own controllers, which may run beside ours.
const GROUPS: [&str; 6] = [
    "source.toolkit.fluxcd.io",
    "source.extensions.fluxcd.io",
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "notification.toolkit.fluxcd.io",
    "image.toolkit.fluxcd.io",
];

/// The accounts of Flux's controllers, also of those that are not installed here. They may run
/// beside ours, and a binding that left them out would take their rights away.
const ACCOUNTS: [&str; 7] = [
    "kustomize-controller",
    "helm-controller",
    "source-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
    "source-watcher",
];

/// Returns the roles and bindings that the controllers of an installation share.
pub(crate) fn roles(options: &Options) -> Vec<Value> {
    let mut objects = vec![controller_role(options)];
    objects.extend(user_roles(options));
    objects.extend([
        binding(
            options,
            "crd-controller",
            &format!("crd-controller-{}", options.namespace),
            &ACCOUNTS,
        ),
        // What is applied may be anything, unless an account is impersonated.
        binding(
            options,
            "cluster-reconciler",
            "cluster-admin",
            &["kustomize-controller", "helm-controller"],
        ),
    ]);
    objects
}

/// Returns the roles of users.
pub(crate) fn user_roles(options: &Options) -> [Value; 2] {
    [view_role(options), edit_role(options)]
}

/// Lets pods of the cluster-critical priority classes run outside `kube-system`.
pub(crate) fn critical_pods(options: &Options) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {
            "name": format!("critical-pods-{}", options.namespace),
            "namespace": options.namespace,
            "labels": labels(options, None),
        },
        "spec": {
            "hard": { "pods": "1000" },
            "scopeSelector": { "matchExpressions": [{
                "operator": "In",
                "scopeName": "PriorityClass",
                "values": ["system-node-critical", "system-cluster-critical"],
            }] },
        },
    })
}

fn cluster_role(options: &Options, name: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": format!("{name}-{}", options.namespace),
            "labels": labels(options, None),
        },
        "rules": rules,
    })
}

fn controller_role(options: &Options) -> Value {
    let rules = json!([
        { "apiGroups": GROUPS, "resources": ["*"], "verbs": ["*"] },
        {
            "apiGroups": [""],
            "resources": ["namespaces", "secrets", "configmaps", "serviceaccounts"],
            "verbs": ["get", "list", "watch"],
        },
        { "apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"] },
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        },
        {
            "apiGroups": [""],
            "resources": ["configmaps/status"],
            "verbs": ["get", "update", "patch"],
        },
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        },
        { "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"] },
        { "nonResourceURLs": ["/livez/ping"], "verbs": ["head"] },
    ]);
    cluster_role(options, "crd-controller", &rules)
}

fn binding(options: &Options, name: &str, role: &str, accounts: &[&str]) -> Value {
    let subject = |account: &&str| json!({ "kind": "ServiceAccount", "name": account, "namespace": options.namespace });
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {
            "name": format!("{name}-{}", options.namespace),
            "labels": labels(options, None),
        },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role,
        },
        "subjects": accounts.iter().map(subject).collect::<Vec<_>>(),
    })
}

/// Returns what one controller needs for itself, bound to its account and to nothing else.
///
/// What kustomize-controller applies may be anything, so it may do anything besides.
pub(crate) fn least(component: Component, options: &Options) -> Vec<Value> {
    let name = component.name();
    let mut objects = vec![cluster_role(options, name, &needs(component))];
    objects.push(binding(options, name, &format!("{name}-{}", options.namespace), &[name]));
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {
            "name": format!("{name}-leader-election"),
            "namespace": options.namespace,
            "labels": labels(options, Some(component)),
        },
        "rules": [
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
            },
            { "apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"] },
        ],
    });
    let mut bound = role.clone();
    bound["kind"] = json!("RoleBinding");
    if let Some(bound) = bound.as_object_mut() {
        bound.shift_remove("rules");
    }
    bound["roleRef"] = json!({
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": format!("{name}-leader-election"),
    });
    bound["subjects"] =
        json!([{ "kind": "ServiceAccount", "name": name, "namespace": options.namespace }]);
    objects.extend([role, bound]);
    if component == Component::KustomizeController {
        objects.push(binding(options, "cluster-reconciler", "cluster-admin", &[name]));
    }
    objects
}

/// Source: the RBAC markers of source-controller 1.9.4 and kustomize-controller 1.9.4.
fn needs(component: Component) -> Value {
    const READ: [&str; 3] = ["get", "list", "watch"];
    const WRITE: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
    const STATUS: [&str; 3] = ["get", "update", "patch"];
    const FINALIZERS: [&str; 5] = ["get", "create", "update", "patch", "delete"];
    let sources =
        ["gitrepositories", "ocirepositories", "helmrepositories", "helmcharts", "buckets"];
    let of = |resources: &[&str], part: &str| -> Vec<String> {
        resources.iter().map(|resource| format!("{resource}/{part}")).collect()
    };
    let mut rules = vec![
        json!({ "apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"] }),
        json!({ "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"] }),
        json!({ "nonResourceURLs": ["/livez/ping"], "verbs": ["head"] }),
    ];
    let own: (&str, &[&str]) = match component {
        Component::SourceController => {
            rules.push(json!({
                "apiGroups": [""],
                "resources": ["secrets", "serviceaccounts"],
                "verbs": READ,
            }));
            ("source.toolkit.fluxcd.io", &sources)
        }
        Component::KustomizeController => {
            rules.push(json!({
                "apiGroups": [""],
                "resources": ["configmaps", "secrets", "serviceaccounts"],
                "verbs": READ,
            }));
            rules.push(json!({
                "apiGroups": ["source.toolkit.fluxcd.io"],
                "resources": ["buckets", "externalartifacts", "gitrepositories", "ocirepositories"],
                "verbs": READ,
            }));
            ("kustomize.toolkit.fluxcd.io", &["kustomizations"])
        }
    };
    let (group, resources) = own;
    rules.push(json!({ "apiGroups": [group], "resources": resources, "verbs": WRITE }));
    rules.push(json!({
        "apiGroups": [group], "resources": of(resources, "status"), "verbs": STATUS,
    }));
    rules.push(json!({
        "apiGroups": [group], "resources": of(resources, "finalizers"), "verbs": FINALIZERS,
    }));
    Value::Array(rules)
}

fn view_role(options: &Options) -> Value {
    let rules =
        json!([{ "apiGroups": GROUPS, "resources": ["*"], "verbs": ["get", "list", "watch"] }]);
    aggregated(cluster_role(options, "flux-view", &rules), &["admin", "edit", "view"])
}

fn edit_role(options: &Options) -> Value {
    let rules = json!([{
        "apiGroups": GROUPS,
        "resources": ["*"],
        "verbs": ["create", "delete", "deletecollection", "patch", "update"],
    }]);
    aggregated(cluster_role(options, "flux-edit", &rules), &["admin", "edit"])
}

fn aggregated(mut role: Value, into: &[&str]) -> Value {
    for name in into {
        let key = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
        role["metadata"]["labels"][key] = json!("true");
    }
    role
}

/// Returns the policies that let only what is needed through.
pub(crate) fn network_policies(options: &Options) -> Vec<Value> {
    let policy = |name: &str, spec: &Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": name,
                "namespace": options.namespace,
                "labels": labels(options, None),
            },
            "spec": spec,
        })
    };
    let from_anywhere = |pods: &Value, port: u16| {
        json!({
            "ingress": [{
                "from": [{ "namespaceSelector": {} }],
                "ports": [{ "port": port, "protocol": "TCP" }],
            }],
            "podSelector": pods,
            "policyTypes": ["Ingress"],
        })
    };
    let egress = json!({
        "egress": [{}],
        "ingress": [{ "from": [{ "podSelector": {} }] }],
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    });
    let receiver = json!({ "matchLabels": { "app": "notification-controller" } });
    vec![
        policy("allow-egress", &egress),
        policy("allow-scraping", &from_anywhere(&json!({}), 8080)),
        policy("allow-webhooks", &from_anywhere(&receiver, 9292)),
    ]
}
