//! What the API adds to objects of single kinds, beyond defaults: things that come from the state of
//! the cluster or from the identity of the object.
//!
//! Addresses and node ports of services, selectors of jobs, service accounts and tolerations of
//! pods, storage classes of claims, names of custom kinds, and secrets given as text.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::object::Object;
use crate::rest::request::Call;
use crate::server::Cluster;
use crate::status::ApiError;
use crate::storage::Key;

/// Address of the API itself, the first of the block for services.
pub(crate) const API_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
const SERVICES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
const SERVICE_ADDRESSES: u32 = 1 << 16;
const NODE_PORTS: std::ops::RangeInclusive<u32> = 30_000..=32_767;

/// Completes a new object, or a changed one of which `old` is the stored state.
pub(crate) fn complete(
    cluster: &Cluster,
    call: &Call,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    if call.resource.custom || call.subresource.is_some() {
        return Ok(());
    }
    match (call.resource.group.as_str(), call.resource.kind.as_str()) {
        ("", "Secret") => secret(object),
        ("", "Service") => return service(cluster, object, old),
        ("", "Pod") if old.is_none() => return pod(cluster, call, object),
        ("", "PersistentVolumeClaim") if old.is_none() => claim(cluster, object),
        ("batch", "Job") if old.is_none() => job(object),
        _ => {}
    }
    Ok(())
}

/// Moves `stringData`, which is never stored, into `data`.
pub(crate) fn secret(object: &mut Value) {
    let fields = object.as_object_mut();
    if let Some(Value::Object(texts)) = fields.and_then(|fields| fields.shift_remove("stringData"))
    {
        if !object["data"].is_object() {
            object["data"] = json!({});
        }
        for (key, text) in texts {
            object["data"][&key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
        }
    }
}

fn pod(cluster: &Cluster, call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let name = object.name().to_owned();
    let Some(Value::Object(spec)) = object.get_mut("spec") else { return Ok(()) };
    let account = spec
        .get("serviceAccountName")
        .or(spec.get("serviceAccount"))
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .unwrap_or("default")
        .to_owned();
    for field in ["serviceAccountName", "serviceAccount"] {
        spec.insert(field.to_owned(), account.clone().into());
    }
    let class = spec.get("priorityClassName").and_then(Value::as_str).unwrap_or_default();
    let (priority, preemption) = if class.is_empty() {
        (0.into(), Value::Null)
    } else {
        let key = Key::new("", class);
        let class =
            cluster.store.get("priorityclasses.scheduling.k8s.io", &key).ok_or_else(|| {
                let why = format!("no PriorityClass with name {class} was found");
                ApiError::forbidden(&call.resource.group, &call.resource.plural, &name, &why)
            })?;
        (class.value["value"].clone(), class.value["preemptionPolicy"].clone())
    };
    spec.insert("priority".to_owned(), priority);
    let preemption = if preemption.is_null() { "PreemptLowerPriority".into() } else { preemption };
    spec.insert("preemptionPolicy".to_owned(), preemption);
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Value::Array(tolerations) = tolerations else { return Ok(()) };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|one| one["key"] == key) {
            tolerations.push(json!({
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }));
        }
    }
    Ok(())
}

/// A claim without a class gets the default one, if the cluster has one.
fn claim(cluster: &Cluster, object: &mut Value) {
    const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
    let Some(Value::Object(spec)) = object.get_mut("spec") else { return };
    if spec.contains_key("storageClassName") {
        return;
    }
    let is_default = |class: &Value| class["metadata"]["annotations"][DEFAULT] == "true";
    let found =
        cluster.store.list("storageclasses.storage.k8s.io", None, None, None, None, is_default);
    if let Some((key, _)) = found.ok().and_then(|found| found.entries.into_iter().next()) {
        spec.insert("storageClassName".to_owned(), key.name.clone().into());
    }
}

/// A job finds its pods by its own uid.
fn job(object: &mut Value) {
    if object["spec"]["manualSelector"] == true || !object["spec"].is_object() {
        return;
    }
    let name = object.name().to_owned();
    let Some(uid) = object.uid().map(str::to_owned) else { return };
    let spec = &mut object["spec"];
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        spec["template"]["metadata"]["labels"][label] = value.clone().into();
    }
    spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.into();
}

fn service(cluster: &Cluster, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
    if !object["spec"].is_object() {
        return Ok(());
    }
    if let Some(old) = old {
        drop_dependent(object, old);
    }
    let kind = object["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    if let Some(old) = old {
        keep_allocated(&mut object["spec"], &old["spec"]);
    }
    let taken = Taken::of(cluster, object.uid());
    let spec = &mut object["spec"];
    let address = match spec["clusterIP"].as_str().filter(|address| !address.is_empty()) {
        Some(address) => address.to_owned(),
        None => taken.free_address()?,
    };
    if spec["clusterIPs"].as_array().is_none_or(Vec::is_empty) {
        spec["clusterIPs"] = json!([address]);
    }
    spec["clusterIP"] = address.into();
    // Without a selector nothing says which families the endpoints will have.
    let is_open =
        spec["clusterIP"] == "None" && spec["selector"].as_object().is_none_or(Map::is_empty);
    if let Some(spec) = spec.as_object_mut().filter(|_| is_open) {
        spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4", "IPv6"]));
        spec.entry("ipFamilyPolicy").or_insert("RequireDualStack".into());
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
        spec.entry("ipFamilyPolicy").or_insert("SingleStack".into());
    }
    let on_nodes = kind == "NodePort"
        || (kind == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false);
    let mut ports = taken.ports;
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if on_nodes && port["nodePort"].as_u64().is_none_or(|port| port == 0) {
            let free = NODE_PORTS.clone().find(|port| !ports.contains(port));
            let free = free.ok_or_else(|| ApiError::internal("failed to allocate a nodePort"))?;
            ports.insert(free);
            port["nodePort"] = free.into();
        }
    }
    Ok(())
}

/// What no longer applies to the type of a service goes, unless it was changed as well.
fn drop_dependent(object: &mut Value, old: &Value) {
    let (spec, before) = (&mut object["spec"], &old["spec"]);
    let text = |spec: &Value, field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let (kind, old_kind) = (text(spec, "type"), text(before, "type"));
    let on_nodes = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    let mut dropped = Vec::new();
    if kind == "ExternalName" {
        dropped.extend(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
    }
    if kind != "LoadBalancer" {
        dropped.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    let has_external = spec["externalIPs"].as_array().is_some_and(|ips| !ips.is_empty());
    if !on_nodes(&kind) && !has_external {
        dropped.extend(["externalTrafficPolicy", "healthCheckNodePort"]);
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|field, value| {
            !dropped.contains(&field.as_str()) || before.get(field) != Some(value)
        });
    }
    if on_nodes(&old_kind) && !on_nodes(&kind) {
        let ports = |spec: &Value| -> Vec<Value> {
            let ports = spec["ports"].as_array().into_iter().flatten();
            ports.map(|port| port["nodePort"].clone()).collect()
        };
        if ports(spec) == ports(before) {
            let ports = spec["ports"].as_array_mut().into_iter().flatten();
            for port in ports.filter_map(Value::as_object_mut) {
                port.shift_remove("nodePort");
            }
        }
    }
    if kind != "LoadBalancer" && object["status"].is_object() {
        object["status"]["loadBalancer"] = json!({});
    }
}

/// An update that leaves out what was allocated keeps it, as far as it still applies.
fn keep_allocated(spec: &mut Value, old: &Value) {
    let has = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    if !has(&spec["clusterIP"]) && old["type"] != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = old.get(field) {
                spec[field] = value.clone();
            }
        }
    }
    if matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
        let before = old["ports"].as_array().map_or(&[][..], Vec::as_slice);
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            let same = before
                .iter()
                .find(|one| one["port"] == port["port"] && one["protocol"] == port["protocol"]);
            if let (Some(known), true) =
                (same.and_then(|same| same.get("nodePort")), port["nodePort"].is_null())
            {
                port["nodePort"] = known.clone();
            }
        }
    }
}

/// What other services have.
struct Taken {
    addresses: HashSet<String>,
    ports: BTreeSet<u32>,
}

impl Taken {
    fn of(cluster: &Cluster, but: Option<&str>) -> Self {
        let mut taken = Self { addresses: HashSet::new(), ports: BTreeSet::new() };
        let others = |service: &Value| service.uid() != but;
        let Ok(found) = cluster.store.list("services", None, None, None, None, others) else {
            return taken;
        };
        for (_, entry) in found.entries {
            let spec = &entry.value["spec"];
            taken.addresses.extend(spec["clusterIP"].as_str().map(str::to_owned));
            let ports = spec["ports"].as_array().into_iter().flatten();
            let ports = ports.filter_map(|port| u32::try_from(port["nodePort"].as_u64()?).ok());
            taken.ports.extend(ports);
        }
        taken
    }

    fn free_address(&self) -> Result<String, ApiError> {
        let first = u32::from(SERVICES);
        // The first two addresses are the network's and the API's own.
        (2..SERVICE_ADDRESSES)
            .map(|offset| Ipv4Addr::from(first + offset).to_string())
            .find(|address| !self.addresses.contains(address))
            .ok_or_else(|| ApiError::internal("failed to allocate a clusterIP"))
    }
}

/// Assigns a pod to the node that a binding names, unless it has one.
pub(crate) fn bind(call: &Call, pod: &mut Value, binding: &Value) -> Result<(), ApiError> {
    let node = binding["target"]["name"].as_str().unwrap_or_default();
    let current = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if !current.is_empty() {
        let why = format!("pod {} is already assigned to node {current:?}", pod.name());
        return Err(call.conflict(pod.name(), &why));
    }
    if !pod["status"].is_object() {
        pod["status"] = Value::Object(Map::new());
    }
    pod["spec"]["nodeName"] = node.into();
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> =
        conditions.into_iter().filter(|condition| condition["type"] != "PodScheduled").collect();
    conditions.push(json!({
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": crate::clock::now(),
    }));
    pod["status"]["conditions"] = conditions.into();
    Ok(())
}
