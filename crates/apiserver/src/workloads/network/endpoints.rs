//! Which pods are behind a service.

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams, Patch};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::{NODE, beside, ensure, hash, is_ready, owner, written_by};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Returns whether a service sends traffic to a pod once it is ready.
pub(super) fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        !selector.is_empty()
            && selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
    })
}

/// Writes the endpoints of a service that selects pods.
pub(super) async fn write(client: &Client, service: &Service) -> Result<(), kube::Error> {
    let Some(spec) = &service.spec else { return Ok(()) };
    let Some(selector) = spec.selector.as_ref().filter(|selector| !selector.is_empty()) else {
        return Ok(());
    };
    let api: Api<Pod> = beside(client, service);
    let labels: Vec<String> =
        selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut pods = api.list(&ListParams::default().labels(&labels.join(","))).await?.items;
    pods.retain(|pod| address(pod).is_some());
    pods.sort_by_key(ResourceExt::name_any);
    let ports = spec.ports.as_deref().unwrap_or_default();
    let first = pods.first();
    let name = service.name_any();
    put(&beside::<EndpointSlice, _>(client, service), &slice(service, &pods, ports, first)).await?;
    let (ready, not_ready): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| is_ready(pod));
    let numbered: Vec<Value> = ports
        .iter()
        .map(|port| match endpoint_port(port, first) {
            Value::Object(mut fields) => {
                fields.retain(|_, value| value != "");
                fields.into()
            }
            other => other,
        })
        .collect();
    let subset = json!({
        "addresses": ready.iter().map(|pod| old_address(pod)).collect::<Vec<_>>(),
        "notReadyAddresses": not_ready.iter().map(|pod| old_address(pod)).collect::<Vec<_>>(),
        "ports": numbered,
    });
    let subsets = if pods.is_empty() { json!([]) } else { json!([tidy(subset)]) };
    let endpoints = json!({
        "metadata": {
            "name": name,
            "labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"},
            "ownerReferences": [owner(service)],
        },
        "subsets": subsets,
    });
    put(&beside::<Endpoints, _>(client, service), &endpoints).await
}

fn slice(service: &Service, pods: &[Pod], ports: &[ServicePort], first: Option<&Pod>) -> Value {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let ready = is_ready(pod);
            json!({
                "addresses": [address(pod)],
                "conditions": {"ready": ready, "serving": ready, "terminating": false},
                "nodeName": NODE,
                "targetRef": target(pod),
            })
        })
        .collect();
    let name = service.name_any();
    json!({
        "metadata": {
            "name": format!("{name}-{}", &hash(&name)[..5]),
            "labels": {SERVICE_NAME: name, MANAGED_BY: "endpointslice-controller.k8s.io"},
            "ownerReferences": [owner(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports.iter().map(|port| endpoint_port(port, first)).collect::<Vec<_>>(),
    })
}

/// Creates an object, or makes it say what is given.
async fn put<K>(api: &Api<K>, wanted: &Value) -> Result<(), kube::Error>
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned + Resource,
{
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    let Some(found) = api.get_opt(name).await? else {
        return ensure(api, wanted).await.map(drop);
    };
    let found = serde_json::to_value(&found).map_err(kube::Error::SerdeError)?;
    let mut merged = found.clone();
    json_patch::merge(&mut merged, wanted);
    if merged != found {
        match api.patch(name, &written_by(), &Patch::Merge(wanted)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Leaves out lists that are empty.
fn tidy(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    }
    object
}

fn address(pod: &Pod) -> Option<&str> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.as_ref()?;
    let done = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    status.pod_ip.as_deref().filter(|_| !done)
}

fn old_address(pod: &Pod) -> Value {
    json!({"ip": address(pod), "nodeName": NODE, "targetRef": target(pod)})
}

fn target(pod: &Pod) -> Value {
    json!({
        "kind": "Pod",
        "namespace": pod.namespace(),
        "name": pod.name_any(),
        "uid": pod.uid(),
    })
}

/// Returns a port of the service as the pods know it.
fn endpoint_port(port: &ServicePort, pod: Option<&Pod>) -> Value {
    let number = match &port.target_port {
        Some(IntOrString::Int(number)) if *number > 0 => *number,
        Some(IntOrString::String(name)) => named_port(pod, name).unwrap_or(port.port),
        _ => port.port,
    };
    let mut value = json!({
        // Slices always have a name, an empty one if need be: kubectl relies on it.
        "name": port.name.as_deref().unwrap_or_default(),
        "port": number,
        "protocol": port.protocol.as_deref().unwrap_or("TCP"),
    });
    if let Some(protocol) = &port.app_protocol {
        value["appProtocol"] = protocol.clone().into();
    }
    value
}

fn named_port(pod: Option<&Pod>, name: &str) -> Option<i32> {
    let containers = pod?.spec.as_ref()?.containers.iter();
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
}
