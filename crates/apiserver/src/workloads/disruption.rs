//! Disruption budgets: how many of their pods are healthy.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::{beside, condition, is_ready, selected_by, status_of, write_status};

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<PodDisruptionBudget>(&client);
    let budgets = controller.store();
    let pods = Api::<Pod>::all(client.clone());
    let controller = controller.watches(pods, watcher::Config::default(), move |pod| {
        let namespace = pod.namespace();
        let beside = budgets.state().into_iter().filter(move |one| one.namespace() == namespace);
        beside.map(|budget| ObjectRef::from_obj(&*budget)).collect::<Vec<_>>()
    });
    super::drive(client, controller, reconcile)
}

async fn reconcile(
    obj: Arc<PodDisruptionBudget>,
    client: Arc<Client>,
) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let api: Api<Pod> = beside(&client, &*obj);
    let pods = match &spec.selector {
        Some(selector) => api.list(&selected_by(selector)).await?.items,
        None => Vec::new(),
    };
    let expected = pods.len();
    let healthy = pods.iter().filter(|pod| is_ready(pod)).count();
    let desired = match (&spec.min_available, &spec.max_unavailable) {
        (Some(least), _) => portion(least, expected),
        (None, Some(most)) => expected.saturating_sub(portion(most, expected)),
        (None, None) => expected.saturating_sub(1),
    };
    let allowed = healthy.saturating_sub(desired);
    let old = status_of(&*obj);
    let (is_allowed, reason) =
        if allowed > 0 { (true, "SufficientPods") } else { (false, "InsufficientPods") };
    let mut condition = condition(&old, "DisruptionAllowed", is_allowed, reason, "");
    condition["observedGeneration"] = json!(obj.metadata.generation);
    let status = json!({
        "observedGeneration": obj.metadata.generation,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "conditions": [condition],
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::await_change())
}

/// Returns a number of pods that is given as such or in percent, rounded up.
fn portion(given: &IntOrString, of: usize) -> usize {
    match given {
        IntOrString::Int(number) => usize::try_from(*number).unwrap_or_default(),
        IntOrString::String(text) => {
            let percent: usize = text.trim_end_matches('%').parse().unwrap_or_default();
            (of * percent).div_ceil(100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_percentages_up() {
        assert_eq!(portion(&IntOrString::String("50%".to_owned()), 3), 2);
        assert_eq!(portion(&IntOrString::Int(1), 3), 1);
        assert_eq!(portion(&IntOrString::String("junk".to_owned()), 3), 0);
    }
}
