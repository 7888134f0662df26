//! What a new cluster holds.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::admission::API_ADDRESS;
use crate::clock;
use crate::object::Object;
use crate::server::Cluster;
use crate::storage::Key;

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Classes of pods that a cluster cannot do without.
const PRIORITIES: [(&str, u32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// Creates the objects of a new cluster that are not there.
pub(crate) fn install(cluster: &Cluster) {
    for name in NAMESPACES {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        put(cluster, "namespaces", namespace);
    }
    // Clients inside of a cluster find the API through this service.
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": API_ADDRESS.to_string(),
            "clusterIPs": [API_ADDRESS.to_string()],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    });
    put(cluster, "services", service);
    roles(cluster);
    for (name, value) in PRIORITIES {
        let class = json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "preemptionPolicy": "PreemptLowerPriority",
        });
        put(cluster, "priorityclasses.scheduling.k8s.io", class);
    }
}

/// Creates the default roles and bindings that are not there, all at once.
fn roles(cluster: &Cluster) {
    static TABLE: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let lines = include_str!("../data/roles.txt").lines().filter(|line| !line.starts_with('#'));
        // A test reads every line, so that none is malformed.
        lines.filter_map(|line| Some(role(&serde_json::from_str(line).ok()?))).collect()
    });
    let now = clock::now();
    cluster.transact(|tx| {
        for object in TABLE.iter() {
            let mut object = object.clone();
            object["metadata"]["managedFields"][0]["time"] = now.clone().into();
            let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
            let key = Key::new(object.namespace(), object.name());
            let resource = format!("{kind}s.rbac.authorization.k8s.io");
            if tx.get(&resource, &key).is_none() {
                tx.put(&resource, &key, born(object, &now));
            }
        }
    });
}

/// Returns a role or binding of the table as it is stored.
fn role(line: &Value) -> Value {
    let mut labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    let extra = line["labels"].as_object();
    for (key, value) in extra.into_iter().flatten() {
        labels[key] = value.clone();
    }
    let annotations = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
    let of_map = |map: &Value| {
        let keys = map.as_object().into_iter().flatten().map(|(key, _)| format!("f:{key}"));
        let keys = std::iter::once(".".to_owned()).chain(keys);
        Value::Object(keys.map(|key| (key, json!({}))).collect())
    };
    let mut fields = Map::new();
    let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": line["kind"]});
    object["metadata"] =
        json!({"name": line["name"], "labels": labels, "annotations": annotations});
    if let Some(namespace) = line.get("namespace") {
        object["metadata"]["namespace"] = namespace.clone();
    }
    for field in ["rules", "aggregationRule", "roleRef", "subjects"] {
        if let Some(value) = line.get(field) {
            object[field] = value.clone();
            fields.insert(format!("f:{field}"), json!({}));
        }
    }
    if fields.contains_key("f:aggregationRule") {
        object["rules"] = Value::Null;
        fields["f:aggregationRule"] = json!({".": {}, "f:clusterRoleSelectors": {}});
    }
    fields.insert(
        "f:metadata".to_owned(),
        json!({"f:annotations": of_map(&annotations), "f:labels": of_map(&labels)}),
    );
    fields.sort_keys();
    object["metadata"]["managedFields"] = json!([{
        "manager": "kube-apiserver",
        "operation": "Update",
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "time": null,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }]);
    object
}

fn put(cluster: &Cluster, resource: &str, object: Value) {
    let key = Key::new(object.namespace(), object.name());
    let object = born(object, &clock::now());
    cluster.transact(|tx| {
        if tx.get(resource, &key).is_none() {
            tx.put(resource, &key, object);
        }
    });
}

/// Gives an object what all stored ones have.
fn born(mut object: Value, now: &str) -> Value {
    let meta = object.meta_mut();
    meta.insert("uid".into(), Uuid::new_v4().to_string().into());
    meta.insert("creationTimestamp".into(), now.into());
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_role_is_well_formed() {
        let lines = include_str!("../data/roles.txt").lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for line in lines {
            let object = role(&serde_json::from_str(line).unwrap());
            let kind = object["kind"].as_str().unwrap();
            let errors = smd::validate::builtin("rbac.authorization.k8s.io", kind, &object, None);
            assert!(errors.is_empty(), "{line}: {errors:?}");
            count += 1;
        }
        assert!(count > 100, "{count}");
    }
}
