//! Defaults that depend on other fields.

use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

macro_rules! hooks {
    ($($name:literal => $hook:ident,)*) => {
        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($name),*];

        /// Fills in an object of a definition.
        pub(super) fn run(name: &str, object: &mut Object) {
            match name {
                $($name => $hook(object),)*
                _ => {}
            }
        }
    };
}

hooks! {
    "core.v1.Pod" => pod,
    "core.v1.PodSpec" => pod_spec,
    "core.v1.Container" => container,
    "core.v1.EphemeralContainer" => container,
    "core.v1.Volume" => volume,
    "core.v1.Probe" => probe,
    "core.v1.Service" => service,
    "core.v1.ReplicationController" => replication_controller,
    "core.v1.LimitRangeItem" => limit_range_item,
    "core.v1.NodeStatus" => node_status,
    "core.v1.Namespace" => namespace,
    "apps.v1.DeploymentStrategy" => deployment_strategy,
    "apps.v1.DaemonSetUpdateStrategy" => daemon_set_strategy,
    "apps.v1.StatefulSetUpdateStrategy" => stateful_set_strategy,
    "apps.v1.StatefulSetSpec" => stateful_set_spec,
    "batch.v1.Job" => job,
    "autoscaling.v2.HorizontalPodAutoscalerSpec" => autoscaler_spec,
    "autoscaling.v2.HorizontalPodAutoscalerBehavior" => autoscaler_behavior,
    "networking.v1.NetworkPolicySpec" => network_policy_spec,
    "rbac.v1.Subject" => subject,
    "apiextensions.v1.CustomResourceDefinitionNames" => definition_names,
}

fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn part<'a>(object: &'a mut Object, field: &str) -> Option<&'a mut Object> {
    object.get_mut(field)?.as_object_mut()
}

fn items<'a>(object: &'a mut Object, field: &str) -> impl Iterator<Item = &'a mut Object> {
    let list = object.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn set(object: &mut Object, field: &str, default: impl Into<Value>) {
    let value = object.entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = default.into();
    }
}

/// Copies the entries of a map that another one lacks.
fn complete(object: &mut Object, field: &str, from: Option<Value>) {
    let Some(Value::Object(from)) = from else { return };
    if from.is_empty() {
        return;
    }
    set(object, field, Object::new());
    let Some(to) = part(object, field) else { return };
    for (key, value) in from {
        to.entry(key).or_insert(value);
    }
}

fn pod(object: &mut Object) {
    let Some(spec) = part(object, "spec") else { return };
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            if let Some(resources) = part(container, "resources") {
                let limits = resources.get("limits").cloned();
                complete(resources, "requests", limits);
            }
        }
    }
    let class = quality_of_service(spec);
    set(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            for container in items(spec, list) {
                for port in items(container, "ports") {
                    let number = port.get("containerPort").cloned().unwrap_or_default();
                    if port.get("hostPort").is_none_or(|port| *port == 0) {
                        port.insert("hostPort".to_owned(), number);
                    }
                }
            }
        }
    }
    if let Some(status) = part(object, "status") {
        set(status, "qosClass", class);
    }
}

/// Returns the class of a pod by what its containers request and may use of CPU and memory.
fn quality_of_service(spec: &Object) -> &'static str {
    let mut is_best_effort = true;
    let mut is_guaranteed = true;
    for list in ["containers", "initContainers"] {
        for container in spec.get(list).and_then(Value::as_array).into_iter().flatten() {
            for resource in ["cpu", "memory"] {
                let of = |kind: &str| container.get("resources")?.get(kind)?.get(resource);
                let (request, limit) = (of("requests"), of("limits"));
                is_best_effort &= request.is_none() && limit.is_none();
                is_guaranteed &= limit.is_some() && request == limit;
            }
        }
    }
    match (is_best_effort, is_guaranteed) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}

/// The service account has a name from before it was called one.
fn pod_spec(object: &mut Object) {
    let (name, alias) = ("serviceAccountName", "serviceAccount");
    match (text(object, name).to_owned(), text(object, alias).to_owned()) {
        (name, _) if !name.is_empty() => object.insert(alias.to_owned(), name.into()),
        (_, alias) if !alias.is_empty() => object.insert(name.to_owned(), alias.into()),
        _ => None,
    };
}

fn container(object: &mut Object) {
    if text(object, "imagePullPolicy").is_empty() {
        let policy = if is_latest(text(object, "image")) { "Always" } else { "IfNotPresent" };
        object.insert("imagePullPolicy".to_owned(), policy.into());
    }
}

/// Returns whether an image has the tag `latest`, be it for want of another.
fn is_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, ""), |(name, rest)| (name, rest));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !last.is_empty() && digest.is_empty(),
    }
}

fn volume(object: &mut Object) {
    if object.iter().all(|(field, value)| field == "name" || value.is_null()) {
        object.insert("emptyDir".to_owned(), json!({}));
    }
}

fn probe(object: &mut Object) {
    for (field, default) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        if object.get(field).is_none_or(|value| *value == 0) {
            object.insert(field.to_owned(), default.into());
        }
    }
}

fn service(object: &mut Object) {
    let Some(spec) = part(object, "spec") else { return };
    // The defaults of the specification itself come after its parent's.
    let kind = match text(spec, "type") {
        "" => "ClusterIP",
        kind => kind,
    }
    .to_owned();
    match text(spec, "sessionAffinity") {
        "ClientIP" => {
            let timeout = spec
                .get("sessionAffinityConfig")
                .and_then(|config| config.get("clientIP")?.get("timeoutSeconds"));
            if timeout.is_none_or(Value::is_null) {
                let config = json!({"clientIP": {"timeoutSeconds": 10_800}});
                spec.insert("sessionAffinityConfig".to_owned(), config);
            }
        }
        _ => {
            spec.shift_remove("sessionAffinityConfig");
        }
    }
    for port in items(spec, "ports") {
        let number = port.get("port").cloned().unwrap_or_default();
        if port.get("targetPort").is_none_or(|it| it.is_null() || *it == 0 || *it == "") {
            port.insert("targetPort".to_owned(), number);
        }
    }
    let has_external =
        spec.get("externalIPs").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    let outside = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && has_external);
    if outside && text(spec, "externalTrafficPolicy").is_empty() {
        spec.insert("externalTrafficPolicy".to_owned(), "Cluster".into());
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
        let balancer = part(object, "status").and_then(|status| part(status, "loadBalancer"));
        if let Some(balancer) = balancer {
            for ingress in items(balancer, "ingress") {
                if !text(ingress, "ip").is_empty() {
                    set(ingress, "ipMode", "VIP");
                }
            }
        }
    }
}

fn replication_controller(object: &mut Object) {
    let labels = object
        .get("spec")
        .and_then(|spec| spec.get("template")?.get("metadata")?.get("labels"))
        .and_then(Value::as_object)
        .cloned();
    let Some(labels) = labels else { return };
    let is_empty = |map: Option<&Value>| map.and_then(Value::as_object).is_none_or(Map::is_empty);
    if let Some(spec) = part(object, "spec")
        && is_empty(spec.get("selector"))
    {
        spec.insert("selector".to_owned(), labels.clone().into());
    }
    if let Some(meta) = part(object, "metadata")
        && is_empty(meta.get("labels"))
    {
        meta.insert("labels".to_owned(), labels.into());
    }
}

fn limit_range_item(object: &mut Object) {
    if text(object, "type") == "Container" {
        for (field, from) in
            [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
        {
            let from = object.get(from).cloned();
            complete(object, field, from);
        }
    }
}

fn node_status(object: &mut Object) {
    if let Some(capacity) = object.get("capacity").cloned() {
        set(object, "allocatable", capacity);
    }
}

fn namespace(object: &mut Object) {
    let Some(meta) = part(object, "metadata") else { return };
    let name = text(meta, "name").to_owned();
    if !name.is_empty() {
        set(meta, "labels", Object::new());
        if let Some(labels) = part(meta, "labels") {
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
        }
    }
}

/// Fills in the parameters of a rolling update.
fn rolling_update(object: &mut Object, defaults: &[(&str, Value)]) {
    if text(object, "type") == "RollingUpdate" {
        set(object, "rollingUpdate", Object::new());
        if let Some(rolling) = part(object, "rollingUpdate") {
            for (field, default) in defaults {
                set(rolling, field, default.clone());
            }
        }
    }
}

fn deployment_strategy(object: &mut Object) {
    rolling_update(object, &[("maxUnavailable", "25%".into()), ("maxSurge", "25%".into())]);
}

fn daemon_set_strategy(object: &mut Object) {
    rolling_update(object, &[("maxUnavailable", 1.into()), ("maxSurge", 0.into())]);
}

fn stateful_set_strategy(object: &mut Object) {
    if text(object, "type").is_empty() {
        object.insert("type".to_owned(), "RollingUpdate".into());
        set(object, "rollingUpdate", Object::new());
    }
}

fn stateful_set_spec(object: &mut Object) {
    for claim in items(object, "volumeClaimTemplates") {
        claim.insert("apiVersion".to_owned(), "v1".into());
        claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
    }
}

fn job(object: &mut Object) {
    let Some(spec) = part(object, "spec") else { return };
    let is_unset = |field: &str| spec.get(field).is_none_or(Value::is_null);
    if is_unset("completions") && is_unset("parallelism") {
        spec.insert("completions".to_owned(), 1.into());
    }
    set(spec, "parallelism", 1);
    let by_index = spec.get("backoffLimitPerIndex").is_some_and(|limit| !limit.is_null());
    set(spec, "backoffLimit", if by_index { i32::MAX } else { 6 });
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let fails = spec.get("podFailurePolicy").is_some_and(|policy| !policy.is_null());
    set(spec, "podReplacementPolicy", if fails { "Failed" } else { "TerminatingOrFailed" });
    let labels = spec
        .get("template")
        .and_then(|template| template.get("metadata")?.get("labels"))
        .filter(|labels| labels.is_object())
        .cloned();
    if let (Some(labels), Some(meta)) = (labels, part(object, "metadata"))
        && meta.get("labels").and_then(Value::as_object).is_none_or(Map::is_empty)
    {
        meta.insert("labels".to_owned(), labels);
    }
}

fn autoscaler_spec(object: &mut Object) {
    if object.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        object.insert("metrics".to_owned(), metrics);
    }
}

fn autoscaler_behavior(object: &mut Object) {
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let up = json!({
        "stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent],
    });
    let down = json!({"selectPolicy": "Max", "policies": [percent]});
    for (field, defaults) in [("scaleUp", up), ("scaleDown", down)] {
        complete(object, field, Some(defaults));
    }
}

fn network_policy_spec(object: &mut Object) {
    let has = |field: &str| {
        object.get(field).and_then(Value::as_array).is_some_and(|items| !items.is_empty())
    };
    if !has("policyTypes") {
        let types = if has("egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        object.insert("policyTypes".to_owned(), types);
    }
}

fn subject(object: &mut Object) {
    if text(object, "apiGroup").is_empty() && matches!(text(object, "kind"), "User" | "Group") {
        object.insert("apiGroup".to_owned(), "rbac.authorization.k8s.io".into());
    }
}

fn definition_names(object: &mut Object) {
    let kind = text(object, "kind").to_owned();
    if text(object, "singular").is_empty() && !kind.is_empty() {
        object.insert("singular".to_owned(), kind.to_lowercase().into());
    }
    if text(object, "listKind").is_empty() && !kind.is_empty() {
        object.insert("listKind".to_owned(), format!("{kind}List").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_tag_and_digest_is_the_latest() {
        for image in ["nginx", "nginx:latest", "host:5000/nginx", "a/b:latest@sha256:1"] {
            assert!(is_latest(image), "{image}");
        }
        for image in ["", "nginx:1", "host:5000/nginx:1", "nginx@sha256:1"] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
