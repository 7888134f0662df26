//! Makes objects such that what the API stores is what was asked for: without it, the same
//! manifest would differ from its own stored form.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use crate::object::Subject;

/// Normalises an object in place.
///
/// Source: `Unstructured`, fluxcd/pkg `ssa/normalize/normalize.go`; of the conversion to Go types,
/// what has an effect on the stored object.
pub(crate) fn normalize(object: &mut Value) {
    let subject = Subject::of(object);
    match (subject.group(), subject.kind.as_str()) {
        ("", "Secret") => {
            join_lines(object.get_mut("data"));
            encode_string_data(object);
        }
        ("", "ConfigMap") => join_lines(object.get_mut("binaryData")),
        ("", "Service") => default_protocol(object.pointer_mut("/spec/ports")),
        ("", "Pod") => default_container_ports(object.pointer_mut("/spec/containers")),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => {
            default_container_ports(object.pointer_mut("/spec/template/spec/containers"));
        }
        ("batch", "CronJob") => default_container_ports(
            object.pointer_mut("/spec/jobTemplate/spec/template/spec/containers"),
        ),
        _ => {}
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"]
        {
            metadata.shift_remove(field);
        }
    }
    let is_definition = subject.kind == "CustomResourceDefinition";
    if let Some(object) = object.as_object_mut().filter(|_| !is_definition) {
        object.shift_remove("status");
    }
}

/// Removes line breaks in base64, which generators write and the API does not store.
fn join_lines(data: Option<&mut Value>) {
    for (_, value) in data.and_then(Value::as_object_mut).into_iter().flatten() {
        if let Value::String(text) = value {
            text.retain(|char| !matches!(char, '\n' | '\r'));
        }
    }
}

/// Moves `stringData` into `data`, unless a value is no text: then the API says what is wrong.
fn encode_string_data(secret: &mut Value) {
    let Some(Value::Object(plain)) = secret.get("stringData") else { return };
    let encoded: Option<Map<String, Value>> = plain
        .iter()
        .map(|(key, value)| Some((key.clone(), BASE64_STANDARD.encode(value.as_str()?).into())))
        .collect();
    let (Some(encoded), Some(secret)) = (encoded, secret.as_object_mut()) else { return };
    secret.shift_remove("stringData");
    let data = secret.entry("data").or_insert(Value::Null);
    if let Value::Object(data) = data {
        data.extend(encoded);
    } else {
        *data = Value::Object(encoded);
    }
}

fn default_container_ports(containers: Option<&mut Value>) {
    for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
        default_protocol(container.get_mut("ports"));
    }
}

/// The protocol is part of the key that identifies a port in an apply.
fn default_protocol(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            let protocol = port.entry("protocol").or_insert(Value::Null);
            if protocol.as_str().is_none_or(str::is_empty) {
                *protocol = "TCP".into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn normalized(mut object: Value) -> Value {
        normalize(&mut object);
        object
    }

    #[test]
    fn moves_string_data_of_secrets_into_data() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"},
            "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"},
        });
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"},
            "data": {"a": "bmV3", "b": "Yg=="},
        });
        assert_eq!(normalized(secret), expected);
    }

    #[test]
    fn joins_the_lines_of_base64() {
        for (kind, field) in [("Secret", "data"), ("ConfigMap", "binaryData")] {
            let object =
                |value: &str| json!({"apiVersion": "v1", "kind": kind, field: {"a": value}});
            assert_eq!(normalized(object("YWJj\nYQ==\n")), object("YWJjYQ=="));
        }
        let text = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b\n"}});
        assert_eq!(normalized(text.clone()), text);
    }

    #[test]
    fn drops_status_except_that_of_definitions() {
        let object = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "status": {"a": 1}});
        assert_eq!(normalized(object("v1", "Pod")).get("status"), None);
        let crd = object("apiextensions.k8s.io/v1", "CustomResourceDefinition");
        assert!(normalized(crd).get("status").is_some());
    }

    #[test]
    fn gives_ports_their_protocol() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]},
        });
        let ports = normalized(service)["spec"]["ports"].clone();
        assert_eq!(
            ports,
            json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}])
        );
    }

    #[test]
    fn drops_what_only_the_api_writes() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "x", "creationTimestamp": null, "resourceVersion": "1", "uid": "u",
        }});
        assert_eq!(normalized(object)["metadata"], json!({"name": "x"}));
    }
}
