//! The table of built-in kinds.

use std::sync::Arc;

use super::{Resource, Scale, Subresources, Version};
use crate::schema::Schema;
use crate::status::qualified;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of a kind, by itself")]
struct Row {
    group: &'static str,
    versions: &'static [&'static str],
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    all: bool,
    namespaced: bool,
    generation: bool,
    review: bool,
    status: bool,
    scale: bool,
    other: &'static [&'static str],
}

const fn row(
    group: &'static str,
    versions: &'static [&'static str],
    kind: &'static str,
    plural: &'static str,
) -> Row {
    Row {
        group,
        versions,
        kind,
        plural,
        short: &[],
        all: false,
        namespaced: true,
        generation: false,
        review: false,
        status: false,
        scale: false,
        other: &[],
    }
}

const fn core(kind: &'static str, plural: &'static str) -> Row {
    row("", V1, kind, plural)
}

impl Row {
    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short = names;
        self
    }
    /// In the category `all`.
    const fn all(mut self) -> Self {
        self.all = true;
        self
    }
    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }
    const fn generation(mut self) -> Self {
        self.generation = true;
        self
    }
    const fn status(mut self) -> Self {
        self.status = true;
        self
    }
    const fn scale(mut self) -> Self {
        self.scale = true;
        self
    }
    const fn review(mut self) -> Self {
        self.review = true;
        self
    }
    const fn other(mut self, names: &'static [&'static str]) -> Self {
        self.other = names;
        self
    }
}

const V1: &[&str] = &["v1"];
const APPS: &str = "apps";
const BATCH: &str = "batch";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const RESOURCE: &str = "resource.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

const TABLE: &[Row] = &[
    core("ConfigMap", "configmaps").short(&["cm"]),
    core("Endpoints", "endpoints").short(&["ep"]),
    core("Event", "events").short(&["ev"]),
    core("LimitRange", "limitranges").short(&["limits"]),
    core("Namespace", "namespaces").short(&["ns"]).cluster().status().other(&["finalize"]),
    core("Node", "nodes").short(&["no"]).cluster().status(),
    core("PersistentVolume", "persistentvolumes").short(&["pv"]).cluster().status(),
    core("PersistentVolumeClaim", "persistentvolumeclaims").short(&["pvc"]).status(),
    core("Pod", "pods")
        .short(&["po"])
        .all()
        .generation()
        .status()
        .other(&["binding", "eviction", "log"]),
    core("PodTemplate", "podtemplates").generation(),
    core("ReplicationController", "replicationcontrollers")
        .short(&["rc"])
        .all()
        .generation()
        .status()
        .scale(),
    core("ResourceQuota", "resourcequotas").short(&["quota"]).status(),
    core("Secret", "secrets"),
    core("Service", "services").short(&["svc"]).all().status(),
    core("ServiceAccount", "serviceaccounts").short(&["sa"]).other(&["token"]),
    row(APPS, V1, "ControllerRevision", "controllerrevisions"),
    row(APPS, V1, "DaemonSet", "daemonsets").short(&["ds"]).all().generation().status(),
    row(APPS, V1, "Deployment", "deployments")
        .short(&["deploy"])
        .all()
        .generation()
        .status()
        .scale(),
    row(APPS, V1, "ReplicaSet", "replicasets").short(&["rs"]).all().generation().status().scale(),
    row(APPS, V1, "StatefulSet", "statefulsets")
        .short(&["sts"])
        .all()
        .generation()
        .status()
        .scale(),
    row(BATCH, V1, "CronJob", "cronjobs").short(&["cj"]).all().generation().status(),
    row(BATCH, V1, "Job", "jobs").all().generation().status(),
    row("autoscaling", &["v2", "v1"], "HorizontalPodAutoscaler", "horizontalpodautoscalers")
        .short(&["hpa"])
        .all()
        .status(),
    row("policy", V1, "PodDisruptionBudget", "poddisruptionbudgets")
        .short(&["pdb"])
        .generation()
        .status(),
    row(NETWORKING, V1, "Ingress", "ingresses").short(&["ing"]).generation().status(),
    row(NETWORKING, V1, "IngressClass", "ingressclasses").cluster().generation(),
    row(NETWORKING, V1, "NetworkPolicy", "networkpolicies").short(&["netpol"]).generation(),
    row(NETWORKING, V1, "IPAddress", "ipaddresses").short(&["ip"]).cluster(),
    row(NETWORKING, V1, "ServiceCIDR", "servicecidrs").cluster().status(),
    row(RBAC, V1, "ClusterRole", "clusterroles").cluster(),
    row(RBAC, V1, "ClusterRoleBinding", "clusterrolebindings").cluster(),
    row(RBAC, V1, "Role", "roles"),
    row(RBAC, V1, "RoleBinding", "rolebindings"),
    row(STORAGE, V1, "CSIDriver", "csidrivers").cluster(),
    row(STORAGE, V1, "CSINode", "csinodes").cluster(),
    row(STORAGE, V1, "CSIStorageCapacity", "csistoragecapacities"),
    row(STORAGE, V1, "StorageClass", "storageclasses").short(&["sc"]).cluster(),
    row(STORAGE, V1, "VolumeAttachment", "volumeattachments").cluster().status(),
    row(STORAGE, V1, "VolumeAttributesClass", "volumeattributesclasses").short(&["vac"]).cluster(),
    row(RESOURCE, V1, "DeviceClass", "deviceclasses").cluster().generation(),
    row(RESOURCE, V1, "ResourceClaim", "resourceclaims").status(),
    row(RESOURCE, V1, "ResourceClaimTemplate", "resourceclaimtemplates"),
    row(RESOURCE, V1, "ResourceSlice", "resourceslices").cluster().generation(),
    row(ADMISSION, V1, "MutatingAdmissionPolicy", "mutatingadmissionpolicies")
        .cluster()
        .generation(),
    row(ADMISSION, V1, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")
        .cluster()
        .generation(),
    row(ADMISSION, V1, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
        .cluster()
        .generation(),
    row(ADMISSION, V1, "ValidatingAdmissionPolicy", "validatingadmissionpolicies")
        .cluster()
        .generation()
        .status(),
    row(ADMISSION, V1, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")
        .cluster()
        .generation(),
    row(ADMISSION, V1, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
        .cluster()
        .generation(),
    row("coordination.k8s.io", V1, "Lease", "leases"),
    row("discovery.k8s.io", V1, "EndpointSlice", "endpointslices").generation(),
    row("events.k8s.io", V1, "Event", "events").short(&["ev"]),
    row("scheduling.k8s.io", V1, "PriorityClass", "priorityclasses")
        .short(&["pc"])
        .cluster()
        .generation(),
    row("node.k8s.io", V1, "RuntimeClass", "runtimeclasses").cluster(),
    row("certificates.k8s.io", V1, "CertificateSigningRequest", "certificatesigningrequests")
        .short(&["csr"])
        .cluster()
        .status()
        .other(&["approval"]),
    row("flowcontrol.apiserver.k8s.io", V1, "FlowSchema", "flowschemas")
        .cluster()
        .generation()
        .status(),
    row(
        "flowcontrol.apiserver.k8s.io",
        V1,
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
    )
    .cluster()
    .generation()
    .status(),
    row(AUTHENTICATION, V1, "SelfSubjectReview", "selfsubjectreviews").cluster().review(),
    row(AUTHENTICATION, V1, "TokenReview", "tokenreviews").cluster().review(),
    row(AUTHORIZATION, V1, "LocalSubjectAccessReview", "localsubjectaccessreviews").review(),
    row(AUTHORIZATION, V1, "SelfSubjectAccessReview", "selfsubjectaccessreviews")
        .cluster()
        .review(),
    row(AUTHORIZATION, V1, "SelfSubjectRulesReview", "selfsubjectrulesreviews").cluster().review(),
    row(AUTHORIZATION, V1, "SubjectAccessReview", "subjectaccessreviews").cluster().review(),
    row("apiextensions.k8s.io", V1, "CustomResourceDefinition", "customresourcedefinitions")
        .short(&["crd", "crds"])
        .cluster()
        .generation()
        .status(),
    row("apiregistration.k8s.io", V1, "APIService", "apiservices").cluster().status(),
];

/// Kinds that extend the API, besides those of admission.
const EXTENSIONS: [&str; 2] = ["APIService", "CustomResourceDefinition"];

/// Returns the built-in kinds.
pub(crate) fn resources() -> impl Iterator<Item = Resource> {
    TABLE.iter().map(Row::resource)
}

impl Row {
    fn resource(&self) -> Resource {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut categories = Vec::new();
        if self.all {
            categories.push("all".to_owned());
        }
        if self.group == ADMISSION || EXTENSIONS.contains(&self.kind) {
            categories.push("api-extensions".to_owned());
        }
        // Events of both groups are the same objects, kept in the core group's shape.
        let shown_elsewhere = self.group == "events.k8s.io";
        let storage =
            if shown_elsewhere { "events".to_owned() } else { qualified(self.plural, self.group) };
        let storage_version = if self.group.is_empty() || shown_elsewhere {
            "v1".to_owned()
        } else {
            format!("{}/{}", self.group, self.versions[0])
        };
        Resource {
            group: self.group.to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: owned(self.short),
            categories,
            namespaced: self.namespaced,
            versions: self.versions.iter().map(|version| self.version(version)).collect(),
            generation: self.generation,
            review: self.review,
            custom: false,
            storage: storage.into(),
            storage_version,
        }
    }

    fn version(&self, name: &str) -> Version {
        let scale = self.scale.then(|| Scale {
            spec_replicas: ".spec.replicas".to_owned(),
            status_replicas: ".status.replicas".to_owned(),
            selector: None,
        });
        Version {
            name: name.to_owned(),
            subresources: Subresources { status: self.status, scale, other: self.other.to_vec() },
            columns: Vec::new(),
            schema: Arc::new(Schema::builtin(self.group, name, self.kind)),
            deprecation: (self.kind == "Endpoints").then(|| {
                "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
                    .to_owned()
            }),
            selectable: Vec::new(),
        }
    }
}
