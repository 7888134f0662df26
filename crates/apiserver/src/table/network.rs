//! Rows of services and what belongs to them.

use serde_json::Value;

use super::format::{age, first_of, items, labels, name, number, or, selector};
use super::{AGE, Column, NAME, Printer, text};

const SERVICE: &[Column] = &[
    NAME,
    text("Type"),
    text("Cluster-IP"),
    text("External-IP"),
    text("Port(s)"),
    AGE,
    text("Selector").wide(),
];
const INGRESS: &[Column] =
    &[NAME, text("Class"), text("Hosts"), text("Address"), text("Ports"), AGE];
const INGRESS_CLASS: &[Column] = &[NAME, text("Controller"), text("Parameters"), AGE];
const ENDPOINTS: &[Column] = &[NAME, text("Endpoints"), AGE];
const ENDPOINT_SLICE: &[Column] =
    &[NAME, text("AddressType"), text("Ports"), text("Endpoints"), AGE];
const NETWORK_POLICY: &[Column] = &[NAME, text("Pod-Selector"), AGE];

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    let (columns, cells): (_, fn(&Value) -> Vec<Value>) = match (group, kind) {
        ("", "Service") => (SERVICE, service),
        ("", "Endpoints") => (ENDPOINTS, endpoints),
        ("discovery.k8s.io", "EndpointSlice") => (ENDPOINT_SLICE, endpoint_slice),
        ("networking.k8s.io", "Ingress") => (INGRESS, ingress),
        ("networking.k8s.io", "IngressClass") => (INGRESS_CLASS, ingress_class),
        ("networking.k8s.io", "NetworkPolicy") => {
            (NETWORK_POLICY, |one| vec![name(one), selector(&one["spec"]["podSelector"]), age(one)])
        }
        _ => return None,
    };
    Some(Printer { columns, cells })
}

fn service(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    let ports: Vec<String> = items(&spec["ports"]).iter().map(port).collect();
    vec![
        name(one),
        or(&spec["type"], ""),
        or(&spec["clusterIPs"][0], "<none>"),
        external(one).into(),
        if ports.is_empty() { "<none>".into() } else { ports.join(",").into() },
        age(one),
        labels(&spec["selector"]).into(),
    ]
}

fn port(port: &Value) -> String {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    match number(&port["nodePort"]) {
        0 => format!("{}/{protocol}", number(&port["port"])),
        node => format!("{}:{node}/{protocol}", number(&port["port"])),
    }
}

fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let mut addresses: Vec<&str> =
        items(&spec["externalIPs"]).iter().filter_map(Value::as_str).collect();
    let kind = spec["type"].as_str().unwrap_or_default();
    let balanced = balancers(service);
    match kind {
        "ExternalName" => return spec["externalName"].as_str().unwrap_or_default().to_owned(),
        "LoadBalancer" if !balanced.is_empty() => addresses.insert(0, &balanced),
        "LoadBalancer" if addresses.is_empty() => return "<pending>".to_owned(),
        "ClusterIP" | "NodePort" if addresses.is_empty() => return "<none>".to_owned(),
        "ClusterIP" | "NodePort" | "LoadBalancer" => {}
        _ => return "<unknown>".to_owned(),
    }
    addresses.join(",")
}

/// Returns the addresses of the load balancers in front of a Service or Ingress.
fn balancers(object: &Value) -> String {
    let mut found: Vec<&str> = items(&object["status"]["loadBalancer"]["ingress"])
        .iter()
        .filter_map(|one| one["ip"].as_str().or(one["hostname"].as_str()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.join(",")
}

fn ingress(one: &Value) -> Vec<Value> {
    let spec = &one["spec"];
    let rules = items(&spec["rules"]);
    let hosts: Vec<String> = rules
        .iter()
        .filter_map(|rule| rule["host"].as_str().filter(|host| !host.is_empty()))
        .map(str::to_owned)
        .collect();
    vec![
        name(one),
        or(&spec["ingressClassName"], "<none>"),
        first_of(&hosts, 3, "*").into(),
        balancers(one).into(),
        if items(&spec["tls"]).is_empty() { "80" } else { "80, 443" }.into(),
        age(one),
    ]
}

fn ingress_class(one: &Value) -> Vec<Value> {
    let parameters = &one["spec"]["parameters"];
    let reference = match (parameters["kind"].as_str(), parameters["apiGroup"].as_str()) {
        (None, _) => "<none>".to_owned(),
        (Some(kind), group) => {
            let group = group.map(|group| format!(".{group}")).unwrap_or_default();
            format!("{kind}{group}/{}", parameters["name"].as_str().unwrap_or_default())
        }
    };
    vec![name(one), or(&one["spec"]["controller"], ""), reference.into(), age(one)]
}

fn endpoints(one: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for subset in items(&one["subsets"]) {
        let addresses = || items(&subset["addresses"]).iter().filter_map(|one| one["ip"].as_str());
        let ports = items(&subset["ports"]);
        if ports.is_empty() {
            found.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            found.extend(addresses().map(|ip| {
                let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
                format!("{ip}:{}", number(&port["port"]))
            }));
        }
    }
    vec![name(one), first_of(&found, 3, "<none>").into(), age(one)]
}

fn endpoint_slice(one: &Value) -> Vec<Value> {
    let ports: Vec<String> = items(&one["ports"])
        .iter()
        .map(|port| match port["port"].as_i64() {
            Some(number) => number.to_string(),
            None => port["name"].as_str().unwrap_or("*").to_owned(),
        })
        .collect();
    let addresses: Vec<String> = items(&one["endpoints"])
        .iter()
        .flat_map(|endpoint| items(&endpoint["addresses"]))
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    vec![
        name(one),
        or(&one["addressType"], ""),
        first_of(&ports, 3, "<unset>").into(),
        first_of(&addresses, 3, "<unset>").into(),
        age(one),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_a_load_balancer() {
        let mut object = json!({
            "metadata": {"name": "web"},
            "spec": {
                "type": "LoadBalancer",
                "clusterIPs": ["10.96.0.9"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
                "selector": {"app": "web"},
            },
        });
        let cells = service(&object);
        assert_eq!(cells[1..5], ["LoadBalancer", "10.96.0.9", "<pending>", "80:30080/TCP"]);
        object["status"]["loadBalancer"]["ingress"] = json!([{"ip": "192.0.2.1"}]);
        assert_eq!(service(&object)[3], "192.0.2.1");
    }

    #[test]
    fn shows_ready_addresses() {
        let object = json!({
            "metadata": {"name": "web"},
            "subsets": [{
                "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
                "ports": [{"port": 80}, {"port": 443}],
            }],
        });
        assert_eq!(endpoints(&object)[1], "10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 1 more...");
    }
}
