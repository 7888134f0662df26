//! The real kubectl works, and prints what it prints for a real cluster.
//!
//! Skipped where there is no kubectl of version 1.33 or later in `PATH` and `TIDEGATE_KUBECTL` does
//! not name one.

use std::process::Stdio;

use crate::support::kubectl::{Kubectl, kubectl};
use tokio::io::{AsyncBufReadExt, BufReader};

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: nginx, image: "nginx:1.27", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}], type: LoadBalancer}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
"#;

const WORKLOADS: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "postgres:17"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: migrate, image: migrate}]}}}
"#;

const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets, shortNames: [wd], categories: [all]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Color, type: string, jsonPath: .spec.color, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What the widget is like.
            properties:
              size: {type: integer, description: How large the widget is.}
              color: {type: string}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
"#;

async fn with_web() -> Option<Kubectl> {
    let kubectl = kubectl().await?;
    kubectl.file("web.yaml", WEB);
    kubectl.ok("apply -f web.yaml").await;
    kubectl.ok("rollout status deployment/web --timeout 30s").await;
    Some(kubectl)
}

/// Returns the words of each line.
fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gets_and_describes_what_was_applied() {
    let Some(kubectl) = with_web().await else { return };
    let unchanged = kubectl.ok("apply -f web.yaml").await;
    assert_eq!(
        unchanged,
        "deployment.apps/web unchanged\nservice/web unchanged\nconfigmap/settings unchanged\n"
    );
    let all = kubectl.ok("get all").await;
    assert_contains(
        &all,
        &["pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/web-", "2/2"],
    );
    let deployments = kubectl.ok("get deployments").await;
    let rows = table(&deployments);
    assert_eq!(rows[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(rows[1][..4], ["web", "2/2", "2", "2"]);
    let pods = kubectl.ok("get pods -o wide -l app=web").await;
    let rows = table(&pods);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1][1..4], ["1/1", "Running", "0"]);
    assert!(rows[1][5].starts_with("10.244."), "{pods}");
    assert_eq!(rows[1][6], "tidegate");
    let services = kubectl.ok("get service web").await;
    let columns = &table(&services)[1];
    assert_eq!((columns[1], columns[3]), ("LoadBalancer", "192.0.2.1"));
    let yaml = kubectl.ok("get configmap settings -o yaml").await;
    assert_contains(&yaml, &["apiVersion: v1\n", "kind: ConfigMap\n", "color: blue\n"]);
    let described = kubectl.ok("describe deployment web").await;
    assert_contains(
        &described,
        &[
            "2 desired | 2 updated | 2 total | 2 available",
            "NewReplicaSetAvailable",
            "ScalingReplicaSet",
            "Scaled up replica set",
        ],
    );
    let described = kubectl.ok(&format!("describe pod {}", rows[1][0])).await;
    assert_contains(
        &described,
        &["Controlled By:", "ReplicaSet/web-", "Successfully assigned default/web-", "Started"],
    );
    let described = kubectl.ok("describe service web").await;
    assert_contains(&described, &["LoadBalancer Ingress:", "192.0.2.1", "10.244."]);
    let events = kubectl.ok("events --for deployment/web").await;
    assert_contains(&events, &["ScalingReplicaSet", "Deployment/web"]);
    let nodes = kubectl.ok("get nodes").await;
    assert_eq!(table(&nodes)[1][..3], ["tidegate", "Ready", "control-plane"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_objects_in_every_way() {
    let Some(kubectl) = with_web().await else { return };
    kubectl.ok("label configmap settings tier=front").await;
    kubectl.ok("annotate configmap settings note=hello").await;
    kubectl.ok("patch configmap settings --type merge -p {\"data\":{\"size\":\"xl\"}}").await;
    kubectl.ok("patch configmap settings -p {\"data\":{\"shape\":\"round\"}}").await;
    let operations = r#"[{"op":"replace","path":"/data/color","value":"red"}]"#;
    kubectl.ok(&format!("patch configmap settings --type json -p {operations}")).await;
    let edit = [("KUBE_EDITOR", "sed -i s/round/square/")];
    let edited = kubectl.run_with("edit configmap settings", &edit).await;
    assert!(edited.success, "{edited:#?}");
    let found = kubectl
        .ok("get configmap settings -o jsonpath={.metadata.labels.tier}/{.metadata.annotations.note}/{.data.size}/{.data.shape}/{.data.color}")
        .await;
    assert_eq!(found, "front/hello/xl/square/red");

    kubectl.ok("scale deployment web --replicas 3").await;
    kubectl.ok("set image deployment/web nginx=nginx:1.28").await;
    kubectl.ok("rollout status deployment/web --timeout 30s").await;
    let history = kubectl.ok("rollout history deployment/web").await;
    assert_eq!(table(&history).iter().filter(|row| row.len() == 2).count(), 2 + 1, "{history}");
    kubectl.ok("rollout undo deployment/web").await;
    kubectl.ok("rollout restart deployment/web").await;
    kubectl.ok("rollout status deployment/web --timeout 30s").await;
    let found = kubectl
        .ok("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}/{.status.readyReplicas}")
        .await;
    assert_eq!(found, "nginx:1.27/3");
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_workloads_of_all_kinds() {
    let Some(kubectl) = kubectl().await else { return };
    kubectl.file("workloads.yaml", WORKLOADS);
    kubectl.ok("apply --server-side -f workloads.yaml").await;
    kubectl.ok("rollout status statefulset/db --timeout 30s").await;
    kubectl.ok("rollout status daemonset/agent --timeout 30s").await;
    kubectl.ok("wait --for=condition=complete job/migrate --timeout 30s").await;
    kubectl.ok("wait --for=jsonpath={.status.phase}=Bound pvc/data-db-0 --timeout 30s").await;
    let sets = kubectl.ok("get statefulset,daemonset --no-headers").await;
    let rows = table(&sets);
    assert_eq!(rows[0][..2], ["statefulset.apps/db", "2/2"]);
    assert_eq!(rows[1][..6], ["daemonset.apps/agent", "1", "1", "1", "1", "1"]);
    let claims = kubectl.ok("get pvc --no-headers").await;
    let claim = &table(&claims)[0];
    assert_eq!((claim[1], claim[3], claim[4], claim[5]), ("Bound", "1Gi", "RWO", "standard"));
    let jobs = kubectl.ok("get jobs --no-headers").await;
    assert_eq!(table(&jobs)[0][..3], ["migrate", "Complete", "1/1"]);
    kubectl.ok("delete -f workloads.yaml --timeout 30s").await;
    kubectl.ok("wait --for=delete pod --all --timeout 30s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diffs_and_applies_on_the_server() {
    let Some(kubectl) = with_web().await else { return };
    kubectl.file("green.yaml", &WEB.replace("blue", "green"));
    let diff = kubectl.run("diff -f green.yaml").await;
    assert!(!diff.success, "a difference is exit code 1");
    assert_contains(&diff.stdout, &["-  color: blue", "+  color: green"]);
    let dry =
        kubectl.ok("apply --server-side --force-conflicts --dry-run=server -f green.yaml").await;
    assert_contains(&dry, &["configmap/settings serverside-applied (server dry run)"]);
    assert_eq!(kubectl.ok("get configmap settings -o jsonpath={.data.color}").await, "blue");
    kubectl.ok("apply --server-side --force-conflicts -f green.yaml").await;
    assert_eq!(kubectl.ok("get configmap settings -o jsonpath={.data.color}").await, "green");
    assert_eq!(kubectl.run("diff --server-side --force-conflicts -f green.yaml").await.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_kinds_from_flags() {
    let Some(kubectl) = kubectl().await else { return };
    for (arguments, created) in [
        ("namespace apps", "namespace/apps"),
        ("configmap c --from-literal=a=b", "configmap/c"),
        ("secret generic s --from-literal=a=b", "secret/s"),
        ("serviceaccount sa", "serviceaccount/sa"),
        ("service clusterip web --tcp=80:8080", "service/web"),
        ("deployment web --image=nginx --replicas=2", "deployment.apps/web"),
        ("job once --image=busybox", "job.batch/once"),
        ("cronjob daily --image=busybox --schedule=@daily", "cronjob.batch/daily"),
        ("role reader --verb=get --resource=pods", "role.rbac.authorization.k8s.io/reader"),
        (
            "rolebinding reader --role=reader --serviceaccount=default:sa",
            "rolebinding.rbac.authorization.k8s.io/reader",
        ),
        (
            "clusterrole reader --verb=get,list --resource=pods",
            "clusterrole.rbac.authorization.k8s.io/reader",
        ),
        ("ingress web --rule=web.example.com/=web:80", "ingress.networking.k8s.io/web"),
        (
            "poddisruptionbudget web --selector=app=web --min-available=1",
            "poddisruptionbudget.policy/web",
        ),
        ("priorityclass high --value=1000", "priorityclass.scheduling.k8s.io/high"),
        ("quota small --hard=pods=10", "resourcequota/small"),
    ] {
        let output = kubectl.ok(&format!("create {arguments}")).await;
        assert_eq!(output, format!("{created} created\n"));
    }
    kubectl.ok("wait --for=condition=complete job/once --timeout 30s").await;
    kubectl.ok("wait --for=condition=Available deployment/web --timeout 30s").await;
    let found = kubectl
        .ok("get secret,ingress,quota -o jsonpath={.items[0].data.a}/{.items[1].spec.rules[0].host}/{.items[2].spec.hard.pods}")
        .await;
    assert_eq!(found, "Yg==/web.example.com/10");
    kubectl.ok("create job again --from=cronjob/daily").await;
    kubectl.ok("wait --for=condition=complete job/again --timeout 30s").await;
    kubectl.ok("run probe --image=busybox --restart=Never").await;
    kubectl.ok("expose deployment web --port=81 --name=other").await;
    kubectl.ok("autoscale deployment web --min=2 --max=5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_a_namespace_with_its_content() {
    let Some(kubectl) = kubectl().await else { return };
    kubectl.file("web.yaml", WEB);
    kubectl.ok("create namespace apps").await;
    kubectl.ok("apply -n apps -f web.yaml").await;
    kubectl.ok("wait -n apps --for=condition=Available deployment/web --timeout 30s").await;
    kubectl.ok("delete configmap settings -n apps").await;
    kubectl.ok("delete namespace apps --timeout 30s").await;
    let gone = kubectl.run("get namespace apps").await;
    assert_eq!(gone.stderr, "Error from server (NotFound): namespaces \"apps\" not found\n");
    let left = kubectl.ok("get all,configmap -n apps -o name").await;
    assert_eq!(left, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn knows_custom_kinds() {
    let Some(kubectl) = kubectl().await else { return };
    kubectl.file("widgets.yaml", WIDGETS);
    kubectl.ok("apply -f widgets.yaml").await;
    kubectl.ok("wait --for=condition=Established crd/widgets.example.com --timeout 30s").await;
    kubectl.file(
        "widget.yaml",
        "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 3, color: red}\n",
    );
    kubectl.ok("apply -f widget.yaml").await;
    let status = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    kubectl.ok(&format!("patch wd w --subresource=status --type=merge -p {status}")).await;
    let found = kubectl.ok("get widgets").await;
    assert_eq!(table(&found), [["NAME", "SIZE", "READY"], ["w", "3", "True"]]);
    let wide = kubectl.ok("get wd -o wide").await;
    assert_eq!(table(&wide)[1], ["w", "3", "True", "red"]);
    assert_contains(&kubectl.ok("get all").await, &["widget.example.com/w"]);
    let described = kubectl.ok("describe widget w").await;
    assert_contains(&described, &["API Version:  example.com/v1", "Size:   3"]);
    let explained = kubectl.ok("explain widget.spec").await;
    assert_contains(&explained, &["GROUP:      example.com", "What the widget is like.", "size"]);
    kubectl.ok("delete -f widgets.yaml --timeout 30s").await;
    let gone = kubectl.run("get widgets").await;
    assert_contains(&gone.stderr, &["the server could not find the requested resource"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovers_and_explains_kinds() {
    let Some(kubectl) = kubectl().await else { return };
    let listed = kubectl.ok("api-resources -o wide --sort-by=name").await;
    let rows = table(&listed);
    let deployments = rows.iter().find(|row| row[0] == "deployments").expect("built in");
    assert_eq!(
        deployments[1..],
        [
            "deploy",
            "apps/v1",
            "true",
            "Deployment",
            "create,delete,deletecollection,get,list,patch,update,watch",
            "all"
        ]
    );
    assert_contains(&kubectl.ok("api-versions").await, &["apps/v1\n", "\nv1\n"]);
    let explained = kubectl.ok("explain deployment.spec.replicas").await;
    assert_contains(&explained, &["FIELD: replicas <integer>", "Number of desired pods"]);
    let version = kubectl.ok("version").await;
    assert_contains(&version, &["Server Version: v1."]);
    assert_contains(&kubectl.ok("cluster-info").await, &["is running at"]);
    assert_eq!(kubectl.ok("get --raw /readyz").await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_users_do_wrong() {
    let Some(kubectl) = kubectl().await else { return };
    for (arguments, error) in [
        ("get configmap none", "Error from server (NotFound): configmaps \"none\" not found\n"),
        (
            "create configmap c -n nowhere",
            "error: failed to create configmap: namespaces \"nowhere\" not found\n",
        ),
        (
            "create namespace default",
            "Error from server (AlreadyExists): namespaces \"default\" already exists\n",
        ),
        ("get gadgets", "error: the server doesn't have a resource type \"gadgets\"\n"),
        (
            "delete namespace default",
            "Error from server (Forbidden): namespaces \"default\" is forbidden: this namespace may not \
          be deleted\n",
        ),
    ] {
        let output = kubectl.run(arguments).await;
        assert!(!output.success);
        assert_eq!(output.stderr, error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn knows_who_asks() {
    let Some(kubectl) = kubectl().await else { return };
    assert_eq!(kubectl.ok("auth can-i create deployments").await, "yes\n");
    let me = kubectl.ok("auth whoami -o jsonpath={.status.userInfo.username}").await;
    assert_eq!(me, "kubernetes-admin");
    kubectl.ok("create serviceaccount deployer").await;
    let token = kubectl.ok("create token deployer").await;
    let arguments =
        format!("auth whoami -o jsonpath={{.status.userInfo.username}} --token={token}");
    // A token on the command line does not replace the one of the kubeconfig's user.
    let server = format!("https://{}", kubectl.served.addr);
    let ca = kubectl.file("ca.pem", &kubectl.served.ca);
    let config = kubectl.file("empty", "");
    let arguments = format!(
        "{arguments} --server={server} --certificate-authority={} --kubeconfig={}",
        ca.display(),
        config.display()
    );
    assert_eq!(kubectl.ok(&arguments).await, "system:serviceaccount:default:deployer");
    let impersonated = kubectl
        .ok("auth whoami --as=jane --as-group=dev -o jsonpath={.status.userInfo.username}/{.status.userInfo.groups[0]}")
        .await;
    assert_eq!(impersonated, "jane/dev");
    let refused = kubectl.run(&arguments.replace(&token, "guess")).await;
    assert_contains(&refused.stderr, &["Unauthorized"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_a_table() {
    let Some(kubectl) = kubectl().await else { return };
    kubectl.ok("create configmap first --from-literal=a=b").await;
    let mut watch = kubectl
        .command("get configmaps --watch --output-watch-events")
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut rows = Vec::new();
    while rows.len() < 4 {
        let line = tokio::time::timeout(std::time::Duration::from_secs(30), lines.next_line());
        let line = line.await.expect("kubectl prints").expect("is text").expect("goes on");
        rows.push(line.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
        if rows.len() == 2 {
            kubectl.ok("create configmap second").await;
            kubectl.ok("delete configmap first").await;
        }
    }
    assert_eq!(rows, ["EVENT NAME DATA", "ADDED first 1", "ADDED second 0", "DELETED first 1"]);
}
