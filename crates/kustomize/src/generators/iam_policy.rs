//! The IAMPolicyGenerator: a service account that stands for one of a cloud.
//!
//! Source: `iampolicygenerator.Filter`, kustomize api 0.21.1 `filters/iampolicygenerator`.

use crate::accumulate::Scope;
use crate::decode::decode;
use crate::error::Problem;
use crate::resource::{Resource, Source};

/// The accounts, here and in the cloud.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct IamPolicy {
    cloud: String,
    kubernetes_service: KubernetesService,
    service_account: ServiceAccount,
}

decode!(IamPolicy {
    "cloud" -> cloud: String,
    "kubernetesService" -> kubernetes_service: KubernetesService,
    "serviceAccount" -> service_account: ServiceAccount,
});

/// The service account of the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
struct KubernetesService {
    name: String,
    namespace: String,
}

decode!(KubernetesService { "name" => name: String, "namespace" => namespace: String });

/// The service account of the cloud.
#[derive(Debug, Clone, Default, PartialEq)]
struct ServiceAccount {
    name: String,
    project_id: String,
}

decode!(ServiceAccount { "name" => name: String, "projectId" => project_id: String });

impl IamPolicy {
    pub(super) fn make(&self, scope: &mut Scope<'_>, source: Source) -> Result<Resource, Problem> {
        if self.cloud != "gke" {
            return Err(Problem::rule(format!("cloud {:?} is not supported; use gke", self.cloud)));
        }
        let ServiceAccount { name, project_id } = &self.service_account;
        let KubernetesService { name: own, namespace } = &self.kubernetes_service;
        let mut text = format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    \
             iam.gke.io/gcp-service-account: {name}@{project_id}.iam.gserviceaccount.com\n  \
             name: {own}\n"
        );
        if !namespace.is_empty() {
            text.extend(["  namespace: ", namespace, "\n"]);
        }
        let made = crate::objects::read(text.as_bytes(), "the generated object", scope.schemas)?;
        match <[Resource; 1]>::try_from(made) {
            Ok([mut made]) => {
                made.source = source;
                Ok(made)
            }
            Err(_) => Err(Problem::rule("the names make more than one object")),
        }
    }
}
