//! Autoscalers: nothing is ever busy, so a target is kept between its bounds and left alone there.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch};
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::event::Recorder;
use super::{condition, status_of, write_status, written_by};
use crate::clock;

/// How often targets are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<HorizontalPodAutoscaler>(&client);
    super::drive(client, controller, reconcile)
}

async fn reconcile(
    obj: Arc<HorizontalPodAutoscaler>,
    client: Arc<Client>,
) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let target = &spec.scale_target_ref;
    let version = target.api_version.as_deref().unwrap_or("apps/v1");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &target.kind));
    let namespace = obj.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with((*client).clone(), &namespace, &kind);
    let old = status_of(&*obj);
    let Some(found) = api.get_opt(&target.name).await? else {
        let message = format!(
            "the HPA controller was unable to get the target's current scale: \
                               {} {:?} not found",
            target.kind, target.name
        );
        let able = condition(&old, "AbleToScale", false, "FailedGetScale", &message);
        let status = json!({"currentReplicas": 0, "desiredReplicas": 0, "conditions": [able]});
        write_status(&client, &*obj, &status).await?;
        return Ok(Action::requeue(INTERVAL));
    };
    let replicas = found.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let bounds = (i64::from(spec.min_replicas.unwrap_or(1)), i64::from(spec.max_replicas));
    // A target that was scaled to zero is switched off.
    let desired = if replicas == 0 { 0 } else { replicas.max(bounds.0).min(bounds.1) };
    let mut scaled = old["lastScaleTime"].clone();
    if desired != replicas {
        let patch = Patch::Merge(json!({"spec": {"replicas": desired}}));
        api.patch(&target.name, &written_by(), &patch).await?;
        scaled = clock::now().into();
        let message = format!(
            "New size: {desired}; reason: Current number of replicas {} Spec.{}",
            if replicas < desired { "below" } else { "above" },
            if replicas < desired { "MinReplicas" } else { "MaxReplicas" },
        );
        Recorder::new(&client, "horizontal-pod-autoscaler", &*obj)
            .normal("SuccessfulRescale", &message)
            .await;
    }
    let current = found.data["status"]["replicas"].as_i64().unwrap_or_default();
    let status = json!({
        "observedGeneration": obj.metadata.generation,
        "currentReplicas": current,
        "desiredReplicas": desired,
        "lastScaleTime": scaled,
        "conditions": [
            condition(&old, "AbleToScale", true, "ReadyForNewScale",
                "recommended size matches current size"),
            condition(&old, "ScalingActive", desired > 0,
                if desired > 0 { "ValidMetricFound" } else { "ScalingDisabled" },
                if desired > 0 { "the HPA was able to successfully calculate a replica count" }
                else { "scaling is disabled since the replica count of the target is zero" }),
            condition(&old, "ScalingLimited", false, "DesiredWithinRange",
                "the desired count is within the acceptable range"),
        ],
    });
    write_status(&client, &*obj, &status).await?;
    Ok(Action::requeue(INTERVAL))
}
