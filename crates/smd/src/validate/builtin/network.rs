//! Services, ingresses and network policies.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Found, is_empty, items, selector, text};
use crate::validate::{FieldError, meta, names};

pub(super) fn service(object: &Value, old: Option<&Value>, found: &mut Found) {
    let spec = &object["spec"];
    let kind = text(&spec["type"]);
    let is_headless = spec["clusterIP"] == "None";
    if let Some(old) = old.map(|old| &old["spec"])
        && kind != "ExternalName"
        && text(&old["type"]) != "ExternalName"
        && !is_empty(&old["clusterIP"])
        && old["clusterIP"] != spec["clusterIP"]
    {
        found.invalid("spec.clusterIPs[0]", &spec["clusterIPs"], "may not change once set");
    }
    if items(&spec["ports"]).is_empty() && !is_headless && kind != "ExternalName" {
        found.required("spec.ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless => {
            let what = format!("may not be set to 'None' for {kind} services");
            found.invalid("spec.clusterIPs[0]", &spec["clusterIP"], &what);
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !is_empty(&spec[field]) {
                    let what = "may not be set for ExternalName services";
                    found.forbidden(&format!("spec.{field}"), what);
                }
            }
            match text(&spec["externalName"]).trim_end_matches('.') {
                "" => found.required("spec.externalName", ""),
                name => found.names("spec.externalName", &name.into(), names::subdomain),
            }
        }
        _ => {}
    }
    ports(items(&spec["ports"]), kind, found);
    meta::labels(&spec["selector"], "spec.selector", &mut found.errors);
    found.choice("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"]);
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    found.choice("spec.type", &spec["type"], &kinds);
    let policy = &spec["externalTrafficPolicy"];
    let is_outside = matches!(kind, "LoadBalancer" | "NodePort") || !is_empty(&spec["externalIPs"]);
    if !is_outside && !is_empty(policy) {
        let what = "may only be set for externally-accessible services";
        found.invalid("spec.externalTrafficPolicy", policy, what);
    }
}

fn ports(ports: &[Value], kind: &str, found: &mut Found) {
    let (mut known_names, mut known, mut known_on_nodes) =
        (HashSet::new(), HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(&port["name"]);
        if name.is_empty() {
            if ports.len() > 1 {
                found.required(&format!("{path}.name"), "");
            }
        } else {
            found.names(&format!("{path}.name"), &port["name"], names::label);
            if !known_names.insert(name) {
                found.add(FieldError::duplicate(&format!("{path}.name"), &port["name"]));
            }
        }
        found.port(&format!("{path}.port"), &port["port"]);
        found.choice(&format!("{path}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        found.port_or_name(&format!("{path}.targetPort"), &port["targetPort"]);
        if kind == "ClusterIP" && port["nodePort"].as_i64().is_some_and(|port| port != 0) {
            let what = "may not be used when `type` is 'ClusterIP'";
            found.forbidden(&format!("{path}.nodePort"), what);
        }
        let protocol = text(&port["protocol"]);
        if let Some(number) = port["nodePort"].as_i64().filter(|port| *port != 0)
            && !known_on_nodes.insert((protocol, number))
        {
            found.add(FieldError::duplicate(&format!("{path}.nodePort"), &number.into()));
        }
        if !known.insert((protocol, port["port"].as_i64())) {
            // As the internal type of the API server is written.
            let shown = json!({
                "Name": "", "Protocol": protocol, "AppProtocol": null, "Port": port["port"],
                "TargetPort": 0, "NodePort": 0,
            });
            let head = format!("Duplicate value: {shown}");
            found.add(FieldError::new("FieldValueDuplicate", &path, head, ""));
        }
    }
}

pub(super) fn ingress(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    let (rules, backend) = (items(&spec["rules"]), &spec["defaultBackend"]);
    if rules.is_empty() && backend.is_null() {
        let what = "either `defaultBackend` or `rules` must be specified";
        found.invalid("spec", &spec["rules"], what);
    }
    if !backend.is_null() {
        backend_of(backend, "spec.defaultBackend", found);
    }
    for (index, rule) in rules.iter().enumerate() {
        let host = text(&rule["host"]);
        if !host.is_empty() && !host.starts_with("*.") {
            found.names(&format!("spec.rules[{index}].host"), &rule["host"], names::subdomain);
        }
        if rule["http"].is_null() {
            continue;
        }
        let path = format!("spec.rules[{index}].http.paths");
        let paths = items(&rule["http"]["paths"]);
        if paths.is_empty() {
            found.required(&path, "");
        }
        for (index, entry) in paths.iter().enumerate() {
            path_of(entry, &format!("{path}[{index}]"), found);
        }
    }
    for (index, entry) in items(&spec["tls"]).iter().enumerate() {
        if !text(&entry["secretName"]).is_empty() {
            let path = format!("spec.tls[{index}].secretName");
            found.names(&path, &entry["secretName"], names::subdomain);
        }
    }
}

fn path_of(entry: &Value, path: &str, found: &mut Found) {
    if text(&entry["pathType"]).is_empty() {
        found.required(&format!("{path}.pathType"), "pathType must be specified");
        return;
    }
    let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
    found.choice(&format!("{path}.pathType"), &entry["pathType"], &kinds);
    let url = text(&entry["path"]);
    let may_be_empty = text(&entry["pathType"]) == "ImplementationSpecific";
    let is_left_out = may_be_empty && url.is_empty();
    if !url.starts_with('/') && !is_left_out {
        found.invalid(&format!("{path}.path"), &url.into(), "must be an absolute path");
    }
    backend_of(&entry["backend"], &format!("{path}.backend"), found);
}

fn backend_of(backend: &Value, path: &str, found: &mut Found) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_null(), resource.is_null()) {
        (false, false) => {
            found.invalid(path, &"".into(), "cannot set both resource and service backends");
        }
        (true, true) => {
            found.invalid(path, &"".into(), "resource or service backend is required");
        }
        (false, true) => {
            if text(&service["name"]).is_empty() {
                found.required(&format!("{path}.service.name"), "");
            }
            let port = &service["port"];
            let number = port["number"].as_i64().unwrap_or_default();
            match (text(&port["name"]).is_empty(), number) {
                (false, number) if number != 0 => {
                    found.invalid(path, &"".into(), "cannot set both port name & port number");
                }
                (false, _) => {
                    found.names(&format!("{path}.service.port.name"), &port["name"], names::port);
                }
                (true, 0) => found.required(path, "port name or number is required"),
                (true, _) => found.port(&format!("{path}.service.port.number"), &port["number"]),
            }
        }
        (true, false) => {}
    }
}

pub(super) fn policy(object: &Value, found: &mut Found) {
    let spec = &object["spec"];
    selector::check(&spec["podSelector"], "spec.podSelector", found);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in items(&spec[rules]).iter().enumerate() {
            for (place, peer) in items(&rule[peers]).iter().enumerate() {
                let path = format!("spec.{rules}[{index}].{peers}[{place}]");
                let selects =
                    !peer["podSelector"].is_null() || !peer["namespaceSelector"].is_null();
                match (selects, peer["ipBlock"].is_null()) {
                    (false, true) => found.required(&path, "must specify a peer"),
                    (true, false) => {
                        found.forbidden(&path, "may not specify both ipBlock and another peer");
                    }
                    _ => {}
                }
            }
            for (place, port) in items(&rule["ports"]).iter().enumerate() {
                let path = format!("spec.{rules}[{index}].ports[{place}]");
                found.choice(
                    &format!("{path}.protocol"),
                    &port["protocol"],
                    &["TCP", "UDP", "SCTP"],
                );
                if !port["port"].is_null() {
                    found.port_or_name(&format!("{path}.port"), &port["port"]);
                }
            }
        }
    }
    let types = items(&spec["policyTypes"]);
    for (index, one) in types.iter().enumerate() {
        found.choice(&format!("spec.policyTypes[{index}]"), one, &["Ingress", "Egress"]);
    }
}
