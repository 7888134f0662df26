//! Schemas of the built-in kinds, from the types of `k8s-openapi`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling::v2 as autoscaling, batch::v1 as batch,
    certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

/// Definitions by name, and the name of each kind's.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) schemas: Map<String, Value>,
    pub(crate) kinds: HashMap<String, String>,
}

type Cache = Mutex<HashMap<(String, String), Arc<Definitions>>>;

/// Returns the definitions of one group and version; made once, when first asked for.
pub(crate) fn definitions(group: &str, version: &str) -> Arc<Definitions> {
    static CACHE: LazyLock<Cache> = LazyLock::new(Mutex::default);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (group.to_owned(), version.to_owned());
    cache.entry(key).or_insert_with(|| Arc::new(generate(group, version))).clone()
}

macro_rules! kinds {
    ($generator:expr, $kinds:expr, $($module:ident: $($kind:ident)*;)*) => {
        |module: &str| match module {
            $(stringify!($module) => {
                $({
                    let schema = $generator.subschema_for::<$module::$kind>();
                    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
                        let name = name.rsplit('/').next().unwrap_or(name);
                        $kinds.insert(stringify!($kind).to_owned(), name.to_owned());
                    }
                })*
            })*
            _ => {}
        }
    };
}

fn generate(group: &str, version: &str) -> Definitions {
    let mut generator = SchemaGenerator::new(SchemaSettings::openapi3());
    let mut kinds = HashMap::new();
    let module = match (group, version) {
        ("", "v1") => "core",
        ("apps", "v1") => "apps",
        ("batch", "v1") => "batch",
        ("autoscaling", "v2") => "autoscaling",
        ("policy", "v1") => "policy",
        ("networking.k8s.io", "v1") => "networking",
        ("rbac.authorization.k8s.io", "v1") => "rbac",
        ("storage.k8s.io", "v1") => "storage",
        ("admissionregistration.k8s.io", "v1") => "admission",
        ("coordination.k8s.io", "v1") => "coordination",
        ("discovery.k8s.io", "v1") => "discovery",
        ("events.k8s.io", "v1") => "events",
        ("scheduling.k8s.io", "v1") => "scheduling",
        ("node.k8s.io", "v1") => "node",
        ("certificates.k8s.io", "v1") => "certificates",
        ("flowcontrol.apiserver.k8s.io", "v1") => "flowcontrol",
        ("authentication.k8s.io", "v1") => "authentication",
        ("authorization.k8s.io", "v1") => "authorization",
        ("apiextensions.k8s.io", "v1") => "apiextensions",
        ("apiregistration.k8s.io", "v1") => "apiregistration",
        _ => "",
    };
    let mut add = kinds!(generator, kinds,
        core: ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume
            PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret
            Service ServiceAccount;
        apps: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet;
        batch: CronJob Job;
        autoscaling: HorizontalPodAutoscaler;
        policy: PodDisruptionBudget;
        networking: Ingress IngressClass NetworkPolicy;
        rbac: ClusterRole ClusterRoleBinding Role RoleBinding;
        storage: CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment;
        admission: MutatingWebhookConfiguration ValidatingAdmissionPolicy
            ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration;
        coordination: Lease;
        discovery: EndpointSlice;
        events: Event;
        scheduling: PriorityClass;
        node: RuntimeClass;
        certificates: CertificateSigningRequest;
        flowcontrol: FlowSchema PriorityLevelConfiguration;
        authentication: SelfSubjectReview TokenReview;
        authorization: LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview
            SubjectAccessReview;
        apiextensions: CustomResourceDefinition;
        apiregistration: APIService;
    );
    add(module);
    Definitions { schemas: generator.take_definitions(true), kinds }
}
