//! Follows renamed objects in the fields that name them.

use serde_json::{Value, json};

use crate::error::Problem;
use crate::fields::visit;
use crate::kustomization::FieldSpec;
use crate::resource::{Resource, Resources};

/// Paths below a pod spec: what they name, and where.
const POD: [(&str, &str); 15] = [
    ("ConfigMap", "volumes/configMap/name"),
    ("ConfigMap", "containers/env/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "initContainers/env/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "containers/envFrom/configMapRef/name"),
    ("ConfigMap", "initContainers/envFrom/configMapRef/name"),
    ("ConfigMap", "volumes/projected/sources/configMap/name"),
    ("Secret", "volumes/secret/secretName"),
    ("Secret", "containers/env/valueFrom/secretKeyRef/name"),
    ("Secret", "initContainers/env/valueFrom/secretKeyRef/name"),
    ("Secret", "containers/envFrom/secretRef/name"),
    ("Secret", "initContainers/envFrom/secretRef/name"),
    ("Secret", "imagePullSecrets/name"),
    ("Secret", "volumes/projected/sources/secret/name"),
    ("ServiceAccount", "serviceAccountName"),
    ("PersistentVolumeClaim", "volumes/persistentVolumeClaim/claimName"),
];

/// Other paths: what they name, who names it, and where.
const OTHER: [(&str, &str, &str); 16] = [
    ("Deployment", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    ("StatefulSet", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    ("Secret", "Ingress", "spec/tls/secretName"),
    ("Secret", "ServiceAccount", "imagePullSecrets/name"),
    ("Service", "StatefulSet", "spec/serviceName"),
    ("Service", "Ingress", "spec/rules/http/paths/backend/serviceName"),
    ("Service", "Ingress", "spec/rules/http/paths/backend/service/name"),
    ("Service", "Ingress", "spec/defaultBackend/service/name"),
    ("Service", "APIService", "spec/service/name"),
    ("Role", "RoleBinding", "roleRef/name"),
    ("ClusterRole", "RoleBinding", "roleRef/name"),
    ("ClusterRole", "ClusterRoleBinding", "roleRef/name"),
    ("PersistentVolume", "PersistentVolumeClaim", "spec/volumeName"),
    ("StorageClass", "PersistentVolumeClaim", "spec/storageClassName"),
    ("StorageClass", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
    ("PriorityClass", "Pod", "spec/priorityClassName"),
];

/// What an object was called and is called now.
struct Renamed {
    kind: String,
    old: Vec<String>,
    new: String,
    /// The namespace that it ends up in.
    namespace: String,
    /// The namespace that it names, if any.
    written: String,
}

/// Writes the current names of renamed objects where their old names stand.
pub(crate) fn fix(all: &mut Resources) -> Result<(), Problem> {
    let renamed: Vec<Renamed> = all.iter().filter_map(renamed).collect();
    if renamed.is_empty() {
        return Ok(());
    }
    for item in all.items_mut() {
        let namespace = item.id().effective_namespace().to_owned();
        for (target, path) in paths(item.kind()) {
            let spec = FieldSpec { path, ..FieldSpec::default() };
            visit(&mut item.value, &spec, &mut |field| {
                if let Some(name) = field.as_str()
                    && let Some(new) = current(&renamed, target, name, &namespace)?
                {
                    *field = json!(new.new);
                }
                Ok(())
            })?;
        }
        if matches!(item.kind(), "RoleBinding" | "ClusterRoleBinding") {
            subjects(&mut item.value, &renamed);
        }
    }
    Ok(())
}

fn renamed(item: &Resource) -> Option<Renamed> {
    let old: Vec<String> = item.previous_names().map(str::to_owned).collect();
    (!old.is_empty()).then(|| Renamed {
        kind: item.kind().to_owned(),
        old,
        new: item.name().to_owned(),
        namespace: item.id().effective_namespace().to_owned(),
        written: item.namespace().to_owned(),
    })
}

fn paths(kind: &str) -> Vec<(&'static str, String)> {
    let pod = match kind {
        "Pod" => "spec/",
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" | "Job" => "spec/template/spec/",
        "CronJob" => "spec/jobTemplate/spec/template/spec/",
        _ => "",
    };
    let pods = POD.iter().filter(|_| !pod.is_empty());
    let pods = pods.map(|(target, path)| (*target, format!("{pod}{path}")));
    let other = OTHER.iter().filter(|(_, referrer, _)| *referrer == kind);
    pods.chain(other.map(|(target, _, path)| (*target, (*path).to_owned()))).collect()
}

fn current<'a>(
    renamed: &'a [Renamed],
    kind: &str,
    name: &str,
    namespace: &str,
) -> Result<Option<&'a Renamed>, Problem> {
    let mut found = renamed.iter().filter(|to| {
        to.kind == kind
            && to.old.iter().any(|old| old == name)
            && (to.namespace == namespace
                || [namespace, &to.namespace].contains(&crate::id::CLUSTER))
    });
    let Some(first) = found.next() else { return Ok(None) };
    if found.any(|other| other.new != first.new) {
        return Err(Problem::rule(format!("several objects of kind {kind} were called {name:?}")));
    }
    Ok(Some(first))
}

/// Subjects say their namespace themselves, so they follow it as well as the name.
fn subjects(object: &mut Value, renamed: &[Renamed]) {
    let list = object.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in list.into_iter().flatten().filter(|subject| subject.is_object()) {
        let name = subject["name"].as_str().unwrap_or_default().to_owned();
        let mut found = renamed.iter().filter(|to| {
            to.kind == "ServiceAccount"
                && subject["kind"] == "ServiceAccount"
                && to.old.contains(&name)
        });
        if let (Some(to), None) = (found.next(), found.next()) {
            subject["name"] = json!(to.new);
            if !to.written.is_empty() {
                subject["namespace"] = json!(to.written);
            }
        }
    }
}
