//! Objects of built-in kinds: what is required, what has to fit together, what cannot change.
//!
//! Not everything that the API server checks is checked here: the rules are those that users meet.
//!
//! Source: `pkg/apis/*/validation`, Kubernetes 1.36.

mod access;
mod autoscaling;
mod config;
mod crd;
mod env;
mod network;
mod pod;
mod selector;
mod storage;
mod workload;

use serde_json::Value;

use super::FieldError;
use crate::value::equal;

/// Checks an object of a built-in kind; `old` is what it replaces. Metadata and types are checked
/// by [`metadata`](super::metadata) and [`type_error`](super::type_error).
pub fn builtin(group: &str, kind: &str, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut found = Found::default();
    // Definitions of kinds come from servers with rules of their own.
    if !matches!(group, "apiextensions.k8s.io" | "apiregistration.k8s.io") {
        finalizers(object, &mut found);
    }
    match (group, kind) {
        ("", "Pod") => pod::pod(object, old, &mut found),
        ("", "ReplicationController") => workload::replication_controller(object, &mut found),
        ("", "ConfigMap") => config::config_map(object, old, &mut found),
        ("", "Secret") => config::secret(object, old, &mut found),
        ("", "Service") => network::service(object, old, &mut found),
        ("", "PersistentVolumeClaim") => storage::claim(object, old, &mut found),
        ("", "PersistentVolume") => storage::volume(object, &mut found),
        ("apps", "Deployment") => workload::deployment(object, old, &mut found),
        ("apps", "ReplicaSet") => workload::replica_set(object, old, &mut found),
        ("apps", "StatefulSet") => workload::stateful_set(object, old, &mut found),
        ("apps", "DaemonSet") => workload::daemon_set(object, old, &mut found),
        ("batch", "Job") => workload::job(object, old, &mut found),
        ("batch", "CronJob") => workload::cron_job(object, &mut found),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::autoscaler(object, &mut found),
        ("policy", "PodDisruptionBudget") => autoscaling::disruption_budget(object, &mut found),
        ("networking.k8s.io", "Ingress") => network::ingress(object, &mut found),
        ("networking.k8s.io", "NetworkPolicy") => network::policy(object, &mut found),
        ("rbac.authorization.k8s.io", "Role") => access::role(object, true, &mut found),
        ("rbac.authorization.k8s.io", "ClusterRole") => access::role(object, false, &mut found),
        ("rbac.authorization.k8s.io", "RoleBinding") => {
            access::binding(object, old, &["Role", "ClusterRole"], &mut found);
        }
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
            access::binding(object, old, &["ClusterRole"], &mut found);
        }
        ("storage.k8s.io", "StorageClass") => storage::class(object, old, &mut found),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            crd::definition(object, old, &mut found);
        }
        _ => {}
    }
    found.errors
}

/// Finalizers without a domain are those that Kubernetes itself has.
fn finalizers(object: &Value, found: &mut Found) {
    const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    for (index, finalizer) in items(&object["metadata"]["finalizers"]).iter().enumerate() {
        let name = text(finalizer);
        if !name.contains('/') && !STANDARD.contains(&name) {
            let what = "name is neither a standard finalizer name nor is it fully qualified";
            found.invalid(&format!("metadata.finalizers[{index}]"), finalizer, what);
        }
    }
}

const IMMUTABLE: &str = "field is immutable";

/// Collects errors; every method takes the path of a field and its value.
#[derive(Default)]
struct Found {
    errors: Vec<FieldError>,
}

impl Found {
    fn add(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    fn invalid(&mut self, path: &str, value: &Value, what: &str) {
        self.add(FieldError::invalid(path, value, what));
    }

    fn required(&mut self, path: &str, what: &str) {
        self.add(FieldError::required(path, what));
    }

    fn forbidden(&mut self, path: &str, what: &str) {
        self.add(FieldError::forbidden(path, what));
    }

    /// Adds what a rule of names says of a value.
    fn names(&mut self, path: &str, value: &Value, rule: fn(&str) -> Vec<String>) {
        for problem in rule(value.as_str().unwrap_or_default()) {
            self.invalid(path, value, &problem);
        }
    }

    /// The text has to be one of these. An empty one is missing.
    fn choice(&mut self, path: &str, value: &Value, choices: &[&str]) {
        match value.as_str().unwrap_or_default() {
            "" => self.required(path, ""),
            text if choices.contains(&text) => {}
            _ => {
                let choices: Vec<Value> = choices.iter().map(|&choice| choice.into()).collect();
                self.add(FieldError::unsupported(path, value, &choices));
            }
        }
    }

    fn not_negative(&mut self, path: &str, value: &Value) {
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    fn port(&mut self, path: &str, value: &Value) {
        let number = value.as_i64().unwrap_or_default();
        if !(1..=65_535).contains(&number) {
            self.invalid(path, &number.into(), "must be between 1 and 65535, inclusive");
        }
    }

    /// A number of a port or the name of one.
    fn port_or_name(&mut self, path: &str, value: &Value) {
        if value.is_string() {
            self.names(path, value, super::names::port);
        } else {
            self.port(path, value);
        }
    }

    fn unchanged(&mut self, path: &str, new: &Value, old: &Value) {
        if !equal(new, old) {
            self.invalid(path, new, IMMUTABLE);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
