//! Deletion: finalizers, preconditions, owners, namespaces, collections.

use std::fmt::Debug;

use crate::support::{client, create, refusal, until};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

fn owned(name: &str, owner: &impl Resource<DynamicType = ()>, blocks: bool) -> Value {
    let mut reference = json!(owner.controller_owner_ref(&()).unwrap());
    reference["blockOwnerDeletion"] = blocks.into();
    json!({"metadata": {"name": name, "ownerReferences": [reference]}})
}

async fn set_finalizers(api: &Api<ConfigMap>, name: &str, finalizers: &[&str]) {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    api.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn exists(api: &Api<ConfigMap>, name: &str) -> bool {
    api.get_opt(name).await.unwrap().is_some()
}

/// Waits until an object does not exist any more.
async fn gone<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    until(api, name, |object| object.is_none()).await;
}

#[tokio::test]
async fn an_object_waits_for_its_finalizers() {
    let api = maps(&client().await);
    create(&api, json!({"metadata": {"name": "a", "finalizers": ["example.com/x"]}})).await;
    let deleted = api.delete("a", &DeleteParams::default()).await.unwrap();
    let terminating = deleted.left().expect("it is not gone yet");
    assert!(terminating.metadata.deletion_timestamp.is_some());
    let add = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/x", "example.com/y"]}}));
    let status = refusal(api.patch("a", &PatchParams::default(), &add).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    set_finalizers(&api, "a", &[]).await;
    assert!(!exists(&api, "a").await);
    let status = refusal(api.delete("a", &DeleteParams::default()).await);
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
}

#[tokio::test]
async fn deletes_only_what_is_meant() {
    let api = maps(&client().await);
    let object = create(&api, json!({"metadata": {"name": "a"}})).await;
    let params = |uid: Option<&str>, version: Option<&str>| DeleteParams {
        preconditions: Some(Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: version.map(str::to_owned),
        }),
        ..DeleteParams::default()
    };
    for wrong in [params(Some("other"), None), params(None, Some("1"))] {
        let status = refusal(api.delete("a", &wrong).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    }
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    api.delete("a", &dry).await.unwrap();
    assert!(exists(&api, "a").await);
    let right = params(object.uid().as_deref(), object.resource_version().as_deref());
    let deleted = api.delete("a", &right).await.unwrap().right().expect("it is gone");
    assert_eq!(deleted.details.unwrap().name, "a");
}

#[tokio::test]
async fn dependents_go_with_their_last_owner() {
    let api = maps(&client().await);
    let owner = create(&api, json!({"metadata": {"name": "owner"}})).await;
    let other = create(&api, json!({"metadata": {"name": "other"}})).await;
    let child = create(&api, owned("child", &owner, false)).await;
    create(&api, owned("grandchild", &child, false)).await;
    let mut shared = owned("shared", &owner, false);
    let references = shared["metadata"]["ownerReferences"].as_array_mut().unwrap();
    references.push(json!(other.owner_ref(&()).unwrap()));
    create(&api, shared).await;
    api.delete("owner", &DeleteParams::background()).await.unwrap();
    gone(&api, "grandchild").await;
    assert!(!exists(&api, "child").await && exists(&api, "shared").await);
    api.delete("other", &DeleteParams::default()).await.unwrap();
    gone(&api, "shared").await;
    // Its owner was gone before.
    create(&api, owned("late", &owner, false)).await;
    gone(&api, "late").await;
}

#[tokio::test]
async fn an_owner_waits_in_the_foreground_for_those_that_block_it() {
    let api = maps(&client().await);
    let owner = create(&api, json!({"metadata": {"name": "owner"}})).await;
    let mut child = owned("child", &owner, true);
    child["metadata"]["finalizers"] = json!(["example.com/x"]);
    create(&api, child).await;
    create(&api, owned("free", &owner, false)).await;
    api.delete("owner", &DeleteParams::foreground()).await.unwrap();
    let waiting = api.get("owner").await.unwrap();
    assert_eq!(waiting.finalizers(), ["foregroundDeletion"]);
    until(&api, "child", |child| child.is_some_and(|it| it.meta().deletion_timestamp.is_some()))
        .await;
    gone(&api, "free").await;
    assert!(exists(&api, "owner").await);
    set_finalizers(&api, "child", &[]).await;
    gone(&api, "owner").await;
    assert!(!exists(&api, "child").await);
}

#[tokio::test]
async fn orphans_are_left_without_their_owner() {
    let api = maps(&client().await);
    let owner = create(&api, json!({"metadata": {"name": "owner"}})).await;
    create(&api, owned("child", &owner, true)).await;
    api.delete("owner", &DeleteParams::orphan()).await.unwrap();
    gone(&api, "owner").await;
    assert_eq!(api.get("child").await.unwrap().owner_references(), []);
}

#[tokio::test]
async fn jobs_leave_their_pods_unless_told_otherwise() {
    let client = client().await;
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let template = json!({"spec": {
        "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}});
    for (name, params, left) in
        [("kept", DeleteParams::default(), true), ("dropped", DeleteParams::background(), false)]
    {
        let job =
            create(&jobs, json!({"metadata": {"name": name}, "spec": {"template": template}}))
                .await;
        let mut pod = owned(name, &job, false);
        pod["spec"] = template["spec"].clone();
        create(&pods, pod).await;
        jobs.delete(name, &params).await.unwrap();
        if left {
            assert!(pods.get_opt(name).await.unwrap().is_some());
        } else {
            gone(&pods, name).await;
        }
    }
}

#[tokio::test]
async fn a_deployment_takes_its_replica_sets_along() {
    let client = client().await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let sets: Api<ReplicaSet> = Api::default_namespaced(client);
    let spec = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}},
                     "spec": {"containers": [{"name": "a", "image": "a"}]}},
    });
    let object = json!({"metadata": {"name": "web"}, "spec": spec});
    let deployment = create(&deployments, object).await;
    let mut set = owned("web-1", &deployment, true);
    // Without them it is not the deployment's, which lets go of it.
    set["metadata"]["labels"] = json!({"app": "web"});
    set["spec"] = spec;
    create(&sets, set).await;
    deployments.delete("web", &DeleteParams::default()).await.unwrap();
    gone(&sets, "web-1").await;
}

#[tokio::test]
async fn a_namespace_goes_with_its_content() {
    let client = client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let apps = &format!("{}-apps", client.default_namespace());
    create(&namespaces, json!({"metadata": {"name": apps}})).await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), apps);
    create(&api, json!({"metadata": {"name": "free"}})).await;
    create(&api, json!({"metadata": {"name": "held", "finalizers": ["example.com/x"]}})).await;
    namespaces.delete(apps, &DeleteParams::default()).await.unwrap();
    gone(&api, "free").await;
    until(&namespaces, apps, |namespace| {
        let status = namespace.and_then(|it| it.status.clone()).unwrap_or_default();
        status.phase.as_deref() == Some("Terminating")
            && status.conditions.into_iter().flatten().any(|condition| {
                let message = condition.message.unwrap_or_default();
                condition.type_ == "NamespaceFinalizersRemaining"
                    && message.contains("example.com/x in 1 resource instances")
            })
    })
    .await;
    let late: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "late"}})).unwrap();
    let status = refusal(api.create(&PostParams::default(), &late).await);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert!(status.message.contains("because it is being terminated"), "{}", status.message);
    set_finalizers(&api, "held", &[]).await;
    gone(&namespaces, apps).await;
}

#[tokio::test]
async fn deletes_the_selected_of_a_collection() {
    let client = client().await;
    let api = maps(&client);
    for (name, app) in [("a", "web"), ("b", "web"), ("c", "api")] {
        create(&api, json!({"metadata": {"name": name, "labels": {"app": app}}})).await;
    }
    let name = client.default_namespace();
    let system: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    create(&system, json!({"metadata": {"name": name, "labels": {"app": "web"}}})).await;
    let web = ListParams::default().labels("app=web");
    let deleted = api.delete_collection(&DeleteParams::default(), &web).await.unwrap();
    assert_eq!(deleted.left().expect("objects are returned").items.len(), 2);
    assert!(exists(&api, "c").await && exists(&system, name).await);
    assert!(!exists(&api, "a").await && !exists(&api, "b").await);
}
