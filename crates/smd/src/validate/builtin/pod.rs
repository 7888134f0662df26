//! Pods and templates of them.

use std::collections::HashSet;

use serde_json::Value;

use super::{Found, env, items, text};
use crate::quantity::Quantity;
use crate::validate::{FieldError, meta, names};
use crate::value::equal;

/// Sources of volumes in the order they are looked at.
const VOLUMES: [&str; 29] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "azureFile",
    "configMap",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "projected",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "csi",
    "ephemeral",
    "image",
];

pub(super) fn pod(object: &Value, old: Option<&Value>, found: &mut Found) {
    spec(&object["spec"], "spec", found);
    if let Some(old) = old {
        update(&object["spec"], &old["spec"], found);
    }
}

/// A running pod can change in few ways.
fn update(new: &Value, old: &Value, found: &mut Found) {
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(spec) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "nodeName",
            ] {
                spec.shift_remove(field);
            }
            for list in ["containers", "initContainers"] {
                let list = spec.get_mut(list).and_then(Value::as_array_mut);
                for container in list.into_iter().flatten().filter_map(Value::as_object_mut) {
                    container.shift_remove("image");
                }
            }
        }
        spec
    };
    if !equal(&fixed(new), &fixed(old)) {
        found.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
             additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
             set to 1 if it was previously negative)",
        );
    }
}

/// Checks a template of pods.
pub(super) fn template(template: &Value, path: &str, found: &mut Found) {
    let labels = &template["metadata"]["labels"];
    meta::labels(labels, &format!("{path}.labels"), &mut found.errors);
    spec(&template["spec"], &format!("{path}.spec"), found);
}

fn spec(spec: &Value, path: &str, found: &mut Found) {
    let mut volumes = HashSet::new();
    for (index, volume) in items(&spec["volumes"]).iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let before = found.errors.len();
        let given = VOLUMES.iter().filter(|source| !volume[**source].is_null());
        for source in given.skip(1) {
            let what = "may not specify more than 1 volume type";
            found.forbidden(&format!("{path}.{source}"), what);
        }
        name(volume, &path, &mut HashSet::new(), found);
        let volume_name = text(&volume["name"]);
        if volumes.contains(volume_name) {
            found.add(FieldError::duplicate(&format!("{path}.name"), &volume["name"]));
        }
        // What is wrong cannot be mounted.
        if found.errors.len() == before {
            volumes.insert(volume_name);
        }
    }
    if items(&spec["containers"]).is_empty() {
        found.required(&format!("{path}.containers"), "");
    }
    let mut known = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (index, one) in items(&spec[list]).iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            name(one, &path, &mut known, found);
            container(one, &path, &volumes, found);
        }
    }
    found.choice(
        &format!("{path}.restartPolicy"),
        &spec["restartPolicy"],
        &["Always", "OnFailure", "Never"],
    );
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    found.choice(&format!("{path}.dnsPolicy"), &spec["dnsPolicy"], &policies);
    meta::labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), &mut found.errors);
    if !text(&spec["serviceAccountName"]).is_empty() {
        let path = format!("{path}.serviceAccountName");
        found.names(&path, &spec["serviceAccountName"], names::subdomain);
    }
}

/// Names within a pod are labels, each there once.
fn name<'a>(item: &'a Value, path: &str, known: &mut HashSet<&'a str>, found: &mut Found) {
    let path = format!("{path}.name");
    let name = text(&item["name"]);
    if name.is_empty() {
        found.required(&path, "");
        return;
    }
    found.names(&path, &item["name"], names::label);
    if !known.insert(name) {
        found.add(FieldError::duplicate(&path, &item["name"]));
    }
}

fn container(container: &Value, path: &str, volumes: &HashSet<&str>, found: &mut Found) {
    let image = text(&container["image"]);
    if image.is_empty() {
        found.required(&format!("{path}.image"), "");
    } else if image.trim() != image {
        let what = "must not have leading or trailing whitespace";
        found.invalid(&format!("{path}.image"), &container["image"], what);
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    found.choice(&format!("{path}.imagePullPolicy"), &container["imagePullPolicy"], &policies);
    let mut ports = HashSet::new();
    for (index, port) in items(&container["ports"]).iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(&port["name"]);
        if !name.is_empty() {
            found.names(&format!("{path}.name"), &port["name"], names::port);
            if names::port(name).is_empty() && !ports.insert(name) {
                found.add(FieldError::duplicate(&format!("{path}.name"), &port["name"]));
            }
        }
        if port["containerPort"].as_i64().unwrap_or_default() == 0 {
            found.required(&format!("{path}.containerPort"), "");
        } else {
            found.port(&format!("{path}.containerPort"), &port["containerPort"]);
        }
        if port["hostPort"].as_i64().unwrap_or_default() != 0 {
            found.port(&format!("{path}.hostPort"), &port["hostPort"]);
        }
        found.choice(&format!("{path}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
    }
    env::environment(container, path, found);
    let mut paths = HashSet::new();
    for (index, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        if text(&mount["name"]).is_empty() {
            found.required(&format!("{path}.name"), "");
        } else if !volumes.contains(text(&mount["name"])) {
            found.add(FieldError::not_found(&format!("{path}.name"), &mount["name"]));
        }
        if text(&mount["mountPath"]).is_empty() {
            found.required(&format!("{path}.mountPath"), "");
        } else if !paths.insert(text(&mount["mountPath"])) {
            found.invalid(&format!("{path}.mountPath"), &mount["mountPath"], "must be unique");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        probe_of(&container[probe], &format!("{path}.{probe}"), found);
    }
    resources(&container["resources"], &format!("{path}.resources"), found);
}

fn probe_of(probe: &Value, path: &str, found: &mut Found) {
    if probe.is_null() {
        return;
    }
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    let given: Vec<_> = handlers.iter().filter(|handler| !probe[**handler].is_null()).collect();
    match given.as_slice() {
        [] => found.required(path, "must specify a handler type"),
        [_] => {}
        [_, rest @ ..] => {
            for handler in rest {
                let what = "may not specify more than 1 handler type";
                found.forbidden(&format!("{path}.{handler}"), what);
            }
        }
    }
    for handler in ["httpGet", "tcpSocket"] {
        if !probe[handler].is_null() {
            found.port_or_name(&format!("{path}.{handler}.port"), &probe[handler]["port"]);
        }
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        found.not_negative(&format!("{path}.{field}"), &probe[field]);
    }
}

/// No more can be requested than is allowed.
fn resources(resources: &Value, path: &str, found: &mut Found) {
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name];
        let amounts = (Quantity::of(request), Quantity::of(limit));
        if let (Some(requested), Some(allowed)) = amounts
            && requested > allowed
        {
            let shown = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
            let what = format!("must be less than or equal to {name} limit of {shown}");
            let shown = request.as_str().map_or_else(|| request.to_string(), str::to_owned);
            found.invalid(&format!("{path}.requests"), &shown.into(), &what);
        }
    }
}
