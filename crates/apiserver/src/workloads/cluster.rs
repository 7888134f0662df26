//! What a cluster has before anybody uses it: a node, a storage class, and accounts in namespaces.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node, ServiceAccount};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, Patch};
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::{NODE, RETRY, ensure, written_by};
use crate::clock;

/// The class of volumes that are made on demand.
pub(super) const STORAGE_CLASS: &str = "standard";
pub(super) const ADDRESS: &str = "10.0.0.1";

const RENEWAL: Duration = Duration::from_secs(10);

/// Creates node and storage class, then keeps the node alive.
pub(super) async fn prepare(client: Client) {
    while let Err(error) = create(&client).await {
        tracing::debug!(%error, "failed to create the node");
        tokio::time::sleep(RETRY).await;
    }
    let mut ticks = tokio::time::interval(RENEWAL);
    loop {
        ticks.tick().await;
        if let Err(error) = renew(&client).await {
            tracing::debug!(%error, "failed to renew the lease of the node");
        }
    }
}

async fn create(client: &Client) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    if ensure(&nodes, &node()).await?.is_some() {
        let status = Patch::Merge(json!({"status": node_status()}));
        nodes.patch_status(NODE, &written_by(), &status).await?;
    }
    let class = json!({
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "tidegate.dev/simulated",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    });
    ensure(&Api::<StorageClass>::all(client.clone()), &class).await?;
    Ok(())
}

fn node() -> Value {
    json!({
        "metadata": {
            "name": NODE,
            "labels": {
                "kubernetes.io/arch": std::env::consts::ARCH,
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/control-plane": "",
            },
        },
        "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"]},
    })
}

fn node_status() -> Value {
    let now = clock::now();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        })
    };
    let room = json!({"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "10000"});
    let version = concat!("v1.36.0+tidegate.", env!("CARGO_PKG_VERSION"));
    json!({
        "addresses": [
            {"type": "InternalIP", "address": ADDRESS},
            {"type": "Hostname", "address": NODE},
        ],
        "capacity": room,
        "allocatable": room,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID",
                "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "architecture": std::env::consts::ARCH,
            "bootID": "",
            "containerRuntimeVersion": "simulated://0",
            "kernelVersion": "simulated",
            "kubeProxyVersion": "",
            "kubeletVersion": version,
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "Simulated",
            "systemUUID": "",
        },
    })
}

async fn renew(client: &Client) -> Result<(), kube::Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let spec = json!({"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": now});
    let lease = json!({"metadata": {"name": NODE}, "spec": spec});
    if ensure(&leases, &lease).await?.is_none() {
        leases.patch(NODE, &written_by(), &Patch::Merge(json!({"spec": spec}))).await?;
    }
    Ok(())
}

/// Gives every namespace its default account.
pub(super) fn drive_namespaces(client: Client) -> BoxFuture<'static, ()> {
    let accounts = Api::<ServiceAccount>::all(client.clone());
    let controller = super::controller::<Namespace>(&client).watches(
        accounts,
        kube::runtime::watcher::Config::default().fields("metadata.name=default"),
        |account| account.namespace().map(|name| kube::runtime::reflector::ObjectRef::new(&name)),
    );
    super::drive(client, controller, namespace)
}

async fn namespace(obj: Arc<Namespace>, client: Arc<Client>) -> Result<Action, kube::Error> {
    if obj.metadata.deletion_timestamp.is_none() {
        let api: Api<ServiceAccount> = Api::namespaced((*client).clone(), &obj.name_any());
        if api.get_opt("default").await?.is_none() {
            ensure(&api, &json!({"metadata": {"name": "default"}})).await?;
        }
    }
    Ok(Action::await_change())
}
