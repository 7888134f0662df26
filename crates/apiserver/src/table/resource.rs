//! Rows of devices and their claims, and of other kinds that came late.

use serde_json::Value;

use super::format::{age, count, items, name, or};
use super::{AGE, Column, NAME, Printer, integer, text};

const ADMISSION: &str = "admissionregistration.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RESOURCE: &str = "resource.k8s.io";

const PLAIN: &[Column] = &[NAME, AGE];
const CLAIM: &[Column] = &[NAME, text("State"), AGE];
const SLICE: &[Column] = &[NAME, text("Node"), text("Driver"), text("Pool"), AGE];
const ATTRIBUTES_CLASS: &[Column] = &[NAME, text("DriverName"), AGE];
const SERVICE_CIDR: &[Column] = &[NAME, text("CIDRs"), AGE];
const ADDRESS: &[Column] = &[NAME, text("ParentRef")];
const MUTATING_POLICY: &[Column] = &[NAME, integer("Mutations"), text("ParamKind"), AGE];

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    let (columns, cells): (_, fn(&Value) -> Vec<Value>) = match (group, kind) {
        (RESOURCE, "DeviceClass" | "ResourceClaimTemplate") => {
            (PLAIN, |one| vec![name(one), age(one)])
        }
        (RESOURCE, "ResourceClaim") => {
            (CLAIM, |one| vec![name(one), claim_state(one).into(), age(one)])
        }
        (RESOURCE, "ResourceSlice") => (SLICE, |one| {
            let spec = &one["spec"];
            let part = |value: &Value| or(value, "");
            vec![
                name(one),
                part(&spec["nodeName"]),
                part(&spec["driver"]),
                part(&spec["pool"]["name"]),
                age(one),
            ]
        }),
        ("storage.k8s.io", "VolumeAttributesClass") => {
            (ATTRIBUTES_CLASS, |one| vec![name(one), or(&one["driverName"], ""), age(one)])
        }
        (NETWORKING, "ServiceCIDR") => (SERVICE_CIDR, |one| {
            let blocks = items(&one["spec"]["cidrs"]).iter().filter_map(Value::as_str);
            vec![name(one), blocks.collect::<Vec<_>>().join(",").into(), age(one)]
        }),
        (NETWORKING, "IPAddress") => (ADDRESS, |one| vec![name(one), parent(one).into()]),
        (ADMISSION, "MutatingAdmissionPolicy") => (MUTATING_POLICY, |one| {
            let spec = &one["spec"];
            vec![
                name(one),
                count(&spec["mutations"]).into(),
                super::cluster::param_kind(&spec["paramKind"]),
                age(one),
            ]
        }),
        _ => return None,
    };
    Some(Printer { columns, cells })
}

fn claim_state(claim: &Value) -> String {
    let mut words = Vec::new();
    if !claim["metadata"]["deletionTimestamp"].is_null() {
        words.push("deleted");
    }
    if claim["status"]["allocation"].is_null() {
        if claim["metadata"]["deletionTimestamp"].is_null() {
            words.push("pending");
        }
    } else {
        words.push("allocated");
        if !items(&claim["status"]["reservedFor"]).is_empty() {
            words.push("reserved");
        }
    }
    words.join(",")
}

fn parent(address: &Value) -> String {
    let reference = &address["spec"]["parentRef"];
    let parts = ["group", "resource", "namespace", "name"].map(|field| reference[field].as_str());
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}
