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

/// Returns the objects that do not belong to one component.
pub(crate) fn objects(options: &Options) -> Vec<Value> {
    let mut objects = vec![
        critical_pods(options),
        controller_role(options),
        controller_binding(options),
        view_role(options),
        edit_role(options),
    ];
    if options.has(Component::KustomizeController) {
        objects.push(reconciler_binding(options));
    }
    if options.network_policy {
        objects.extend([allow_egress(options), allow_scraping(options)]);
    }
    objects
}

/// Lets pods of the cluster-critical priority classes run outside `kube-system`.
fn critical_pods(options: &Options) -> Value {
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

fn controller_binding(options: &Options) -> Value {
    binding(
        options,
        "crd-controller",
        &format!("crd-controller-{}", options.namespace),
        &Component::ALL,
    )
}

/// What kustomizations apply may be anything, unless they are impersonated.
fn reconciler_binding(options: &Options) -> Value {
    binding(options, "cluster-reconciler", "cluster-admin", &[Component::KustomizeController])
}

fn binding(options: &Options, name: &str, role: &str, components: &[Component]) -> Value {
    let subjects: Vec<Value> = components
        .iter()
        .filter(|component| options.has(**component))
        .map(|component| {
            json!({
                "kind": "ServiceAccount",
                "name": component.name(),
                "namespace": options.namespace,
            })
        })
        .collect();
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
        "subjects": subjects,
    })
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

fn network_policy(options: &Options, name: &str, spec: &Value) -> Value {
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
}

fn allow_egress(options: &Options) -> Value {
    let spec = json!({
        "egress": [{}],
        "ingress": [{ "from": [{ "podSelector": {} }] }],
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    });
    network_policy(options, "allow-egress", &spec)
}

fn allow_scraping(options: &Options) -> Value {
    let spec = json!({
        "ingress": [{
            "from": [{ "namespaceSelector": {} }],
            "ports": [{ "port": 8080, "protocol": "TCP" }],
        }],
        "podSelector": {},
        "policyTypes": ["Ingress"],
    });
    network_policy(options, "allow-scraping", &spec)
}
