//! What a new cluster holds, and what every namespace gets.

use serde_json::json;
use uuid::Uuid;

use crate::clock;
use crate::server::Cluster;
use crate::storage::Key;

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Creates the objects of a new cluster.
pub(crate) fn install(cluster: &Cluster) {
    for name in NAMESPACES {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": Uuid::new_v4().to_string(),
                "creationTimestamp": clock::now(),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        cluster.transact(|tx| tx.put("namespaces", &Key::new("", name), namespace));
    }
}
