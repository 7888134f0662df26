//! Simulated workloads become what a cluster would make of them.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::create;
use apiserver::{ApiServer, Options, workloads};
use futures::TryStreamExt;
use http::{Request, StatusCode};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    Event, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::client::Body;
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster whose workloads are simulated.
struct World {
    client: Client,
    simulation: AbortHandle,
}

impl Drop for World {
    fn drop(&mut self) {
        self.simulation.abort();
    }
}

fn world() -> World {
    let server = ApiServer::new(Options::default());
    let client = Client::new(server.service(), "default");
    let simulation = tokio::spawn(workloads::run(client.clone())).abort_handle();
    World { client, simulation }
}

impl World {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::default_namespaced(self.client.clone())
    }

    async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        create(&self.api(), object).await
    }

    /// Waits until an object, as JSON, is as described.
    async fn until<K>(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize
            + Send
            + 'static,
    {
        until(self.api::<K>(), name, is_so).await
    }
}

async fn until<K>(api: Api<K>, name: &str, is_so: impl Fn(&Value) -> bool) -> Value
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let condition = |object: Option<&K>| {
        let object = object.map_or(Value::Null, |object| serde_json::to_value(object).unwrap());
        is_so(&object)
    };
    let found = tokio::time::timeout(PATIENCE, await_condition(api, name, condition)).await;
    let found = found.unwrap_or_else(|_| unreachable!("{name} did not become as expected"));
    serde_json::to_value(found.unwrap()).unwrap()
}

fn template(image: &str, outcome: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}, "annotations": {workloads::OUTCOME: outcome}},
        "spec": {"containers": [{"name": "web", "image": image, "ports": [
            {"name": "http", "containerPort": 8080}]}]},
    })
}

fn deployment(image: &str, outcome: &str) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image, outcome),
        },
    })
}

/// Returns `True MinimumReplicasAvailable` for a condition.
fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind);
    found.map_or_else(String::new, |condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        format!("{} {}", text("status"), text("reason"))
    })
}

fn is_rolled_out(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && condition(object, "Progressing") == "True NewReplicaSetAvailable"
}

#[tokio::test]
async fn a_deployment_rolls_out_and_over() {
    let world = world();
    world.create::<Deployment>(deployment("nginx:1", "ready")).await;
    let ready = world.until::<Deployment>("web", is_rolled_out).await;
    assert_eq!(ready["status"]["availableReplicas"], 2);
    assert_eq!(ready["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    let image = json!([{"name": "web", "image": "nginx:2"}]);
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": image}}}}));
    let api = world.api::<Deployment>();
    api.patch("web", &PatchParams::default(), &patch).await.unwrap();
    let two = |object: &Value| {
        is_rolled_out(object)
            && object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    };
    world.until::<Deployment>("web", two).await;
    let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let images: Vec<_> =
        pods.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref()).collect();
    assert_eq!(images, [Some("nginx:2"), Some("nginx:2")]);
    let sets = world.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(sets.len(), 2, "the old one is kept for rollbacks");
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
    for reason in ["ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Started"] {
        assert!(events.iter().any(|event| event.reason.as_deref() == Some(reason)), "{reason}");
    }
    api.delete("web", &DeleteParams::default()).await.unwrap();
    let left = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(left.len(), 0);
}

#[tokio::test]
async fn a_deployment_follows_its_replicas() {
    let world = world();
    world.create::<Deployment>(deployment("nginx:1", "ready")).await;
    world.until::<Deployment>("web", is_rolled_out).await;
    for replicas in [4, 0, 1] {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        world
            .api::<Deployment>()
            .patch_scale("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
        let scaled = |object: &Value| {
            let running = object["status"]["replicas"].as_i64().unwrap_or_default();
            is_rolled_out(object) && running == replicas
        };
        world.until::<Deployment>("web", scaled).await;
        let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        assert_eq!(i64::try_from(pods.len()).unwrap(), replicas);
    }
}

#[tokio::test]
async fn workloads_fail_when_they_are_told_to() {
    let world = world();
    world.create::<Deployment>(deployment("nginx:1", "failed")).await;
    let failed = |object: &Value| {
        condition(object, "Progressing") == "False ProgressDeadlineExceeded"
            && condition(object, "Available") == "False MinimumReplicasUnavailable"
    };
    world.until::<Deployment>("web", failed).await;
    let pod = json!({
        "metadata": {"name": "waiting", "annotations": {workloads::OUTCOME: "pending"}},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    });
    world.create::<Pod>(pod).await;
    let waiting = |object: &Value| condition(object, "PodScheduled") == "False Unschedulable";
    let waiting = world.until::<Pod>("waiting", waiting).await;
    assert_eq!(waiting["status"]["phase"], "Pending");
    let job = json!({
        "metadata": {"name": "job"},
        "spec": {"template": {
            "metadata": {"annotations": {workloads::OUTCOME: "failed"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]},
        }},
    });
    world.create::<Job>(job).await;
    let failed = |object: &Value| condition(object, "Failed") == "True BackoffLimitExceeded";
    world.until::<Job>("job", failed).await;
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_waited_for_until_the_deadline() {
    let world = world();
    let mut object = deployment("nginx:does-not-exist", "ready");
    object["spec"]["progressDeadlineSeconds"] = 2.into();
    object["spec"]["replicas"] = 1.into();
    world.create::<Deployment>(object).await;
    let progressing = |object: &Value| condition(object, "Progressing") == "True ReplicaSetUpdated";
    world.until::<Deployment>("web", progressing).await;
    let late =
        |object: &Value| condition(object, "Progressing") == "False ProgressDeadlineExceeded";
    world.until::<Deployment>("web", late).await;
    let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let status = serde_json::to_value(pods[0].status.as_ref()).unwrap();
    assert_eq!(status["phase"], "Pending");
    let state = &status["containerStatuses"][0]["state"];
    assert_eq!(state["waiting"]["reason"], "ImagePullBackOff");
}

#[tokio::test]
async fn jobs_complete_and_go_in_time() {
    let world = world();
    let job = |name: &str, ttl: Option<u8>| {
        json!({
            "metadata": {"name": name},
            "spec": {
                "completions": 2,
                "ttlSecondsAfterFinished": ttl,
                "template": {"spec": {
                    "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}},
            },
        })
    };
    world.create::<Job>(job("kept", None)).await;
    let complete = |object: &Value| condition(object, "Complete") == "True CompletionsReached";
    let done = world.until::<Job>("kept", complete).await;
    assert_eq!(done["status"]["succeeded"], 2);
    world.create::<Job>(job("fleeting", Some(1))).await;
    world.until::<Job>("fleeting", Value::is_null).await;
}

#[tokio::test]
async fn a_cron_job_runs_what_it_has_missed() {
    let world = world();
    let cron_job = json!({
        "metadata": {"name": "minutely"},
        "spec": {
            "schedule": "* * * * *",
            "suspend": true,
            "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}}},
        },
    });
    world.create::<CronJob>(cron_job).await;
    let params = PatchParams::default();
    let before = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5);
    let missed = Patch::Merge(json!({"status": {"lastScheduleTime": before.to_string()}}));
    world.api::<CronJob>().patch_status("minutely", &params, &missed).await.unwrap();
    let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
    world.api::<CronJob>().patch("minutely", &params, &resume).await.unwrap();
    let ran = |object: &Value| object["status"]["lastSuccessfulTime"].is_string();
    world.until::<CronJob>("minutely", ran).await;
    let jobs = world.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    assert!(jobs.iter().all(|job| job.name_any().starts_with("minutely-")));
    assert!((1..=2).contains(&jobs.len()), "only the last run is made up for");
}

#[tokio::test]
async fn a_stateful_set_starts_in_order_with_claims() {
    let world = world();
    let set = json!({
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("postgres:17", "ready"),
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"],
                         "resources": {"requests": {"storage": "1Gi"}}},
            }],
        },
    });
    world.create::<StatefulSet>(set).await;
    let ready = |object: &Value| {
        object["status"]["readyReplicas"] == 2
            && object["status"]["currentRevision"] == object["status"]["updateRevision"]
    };
    world.until::<StatefulSet>("db", ready).await;
    let bound = |object: &Value| object["status"]["phase"] == "Bound";
    let claim = world.until::<PersistentVolumeClaim>("data-db-1", bound).await;
    let volumes: Api<PersistentVolume> = Api::all(world.client.clone());
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    until(volumes.clone(), volume, bound).await;
    let claims = world.api::<PersistentVolumeClaim>();
    claims.delete("data-db-1", &DeleteParams::default()).await.unwrap();
    until(volumes, volume, Value::is_null).await;
}

#[tokio::test]
async fn a_daemon_set_runs_on_the_node() {
    let world = world();
    until(Api::<Node>::all(world.client.clone()), workloads::NODE, |node| {
        condition(node, "Ready").starts_with("True")
    })
    .await;
    let set = json!({
        "metadata": {"name": "agent"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template("a", "ready")},
    });
    world.create::<DaemonSet>(set).await;
    world.until::<DaemonSet>("agent", |object| object["status"]["numberAvailable"] == 1).await;
    let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(pods[0].spec.as_ref().unwrap().node_name.as_deref(), Some(workloads::NODE));
}

#[tokio::test]
async fn services_have_addresses_and_endpoints() {
    let world = world();
    let service = json!({
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"},
                 "ports": [{"port": 80, "targetPort": "http"}]},
    });
    world.create::<Service>(service).await;
    world.create::<Deployment>(deployment("nginx:1", "ready")).await;
    let addressed = |object: &Value| !object["status"]["loadBalancer"]["ingress"].is_null();
    world.until::<Service>("web", addressed).await;
    let config = watcher::Config::default().labels("kubernetes.io/service-name=web");
    let slices = watcher(world.api::<EndpointSlice>(), config).applied_objects();
    let ready = slices.map_ok(|slice| serde_json::to_value(slice).unwrap()).try_filter(|slice| {
        let endpoints = slice["endpoints"].as_array().into_iter().flatten();
        let ready = endpoints.filter(|one| one["conditions"]["ready"] == true).count();
        std::future::ready(ready == 2)
    });
    let slice = tokio::time::timeout(PATIENCE, std::pin::pin!(ready).try_next()).await;
    let slice = slice.expect("both pods become endpoints").unwrap().unwrap();
    assert_eq!(slice["ports"][0]["port"], 8080);
    let ingress = json!({"metadata": {"name": "web"}, "spec": {
        "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    world.create::<Ingress>(ingress).await;
    world.until::<Ingress>("web", addressed).await;
}

#[tokio::test]
async fn autoscalers_and_budgets_follow_their_pods() {
    let world = world();
    world.create::<Deployment>(deployment("nginx:1", "ready")).await;
    let autoscaler = json!({
        "metadata": {"name": "web"},
        "spec": {
            "minReplicas": 3, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        },
    });
    world.create::<HorizontalPodAutoscaler>(autoscaler).await;
    let budget = json!({
        "metadata": {"name": "web"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    });
    world.create::<PodDisruptionBudget>(budget).await;
    let scaled = |object: &Value| object["status"]["currentReplicas"] == 3;
    world.until::<HorizontalPodAutoscaler>("web", scaled).await;
    let counted = |object: &Value| {
        let status = &object["status"];
        status["expectedPods"] == 3
            && status["currentHealthy"] == 3
            && status["desiredHealthy"] == 2
    };
    world.until::<PodDisruptionBudget>("web", counted).await;
}

#[tokio::test]
async fn the_simulation_recovers_from_an_api_that_fails() {
    const FAILURES: usize = 20;
    let server = ApiServer::new(Options::default());
    let count = Arc::new(AtomicUsize::new(0));
    // The first requests are refused, lists, watches and writes alike.
    let (counter, service) = (count.clone(), server.service());
    let flaky = tower::service_fn(move |request: Request<Body>| {
        let (service, fails) =
            (service.clone(), counter.fetch_add(1, Ordering::Relaxed) < FAILURES);
        async move {
            let mut response = service.oneshot(request).await?;
            if fails {
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let simulation = workloads::run(Client::new(flaky, "default"));
    let simulation = tokio::spawn(simulation).abort_handle();
    let world = World { client: Client::new(server.service(), "default"), simulation };
    world.create::<Deployment>(deployment("nginx:1", "ready")).await;
    world.until::<Deployment>("web", is_rolled_out).await;
    assert!(count.load(Ordering::Relaxed) > FAILURES);
}

#[tokio::test]
async fn a_set_remembers_the_templates_it_had() {
    let world = world();
    let set = json!({
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("postgres:17", "ready"),
        },
    });
    world.create::<StatefulSet>(set).await;
    let settled = |generation: i64| {
        move |object: &Value| {
            let status = &object["status"];
            status["observedGeneration"] == generation
                && status["currentRevision"] == status["updateRevision"]
                && status["readyReplicas"] == 1
        }
    };
    let first = world.until::<StatefulSet>("db", settled(1)).await;
    let sets = world.api::<StatefulSet>();
    for (generation, image) in [(2, "postgres:18"), (3, "postgres:17")] {
        let template = template(image, "ready");
        let patch = Patch::Merge(json!({"spec": {"template": template}}));
        sets.patch("db", &PatchParams::default(), &patch).await.unwrap();
        world.until::<StatefulSet>("db", settled(generation)).await;
    }
    let mut revisions =
        world.api::<ControllerRevision>().list(&ListParams::default()).await.unwrap().items;
    revisions.sort_by_key(|revision| revision.revision);
    let images: Vec<_> = revisions
        .iter()
        .map(|revision| {
            let data = serde_json::to_value(&revision.data).unwrap();
            let template = &data["spec"]["template"];
            assert_eq!(template["$patch"], "replace");
            (revision.revision, template["spec"]["containers"][0]["image"].clone())
        })
        .collect();
    assert_eq!(images, [(2, json!("postgres:18")), (3, json!("postgres:17"))]);
    let latest = revisions.pop().expect("there are two");
    assert_eq!(first["status"]["currentRevision"], latest.name_any(), "it is the first again");
}
