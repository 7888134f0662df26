//! The same requests to a real server and to the embedded one have the same answers.
//!
//! Skipped without `TIDEGATE_KUBECONFIG`, the kubeconfig of a real one. `TIDEGATE_SEQUENCES` says how
//! many random sequences are sent, `make differential` sends many. What may differ stands in
//! `docs/embedded-api.md`.

use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Random sequences unless told otherwise.
const SEQUENCES: u64 = 20;

/// Requests of one random sequence.
const LENGTH: usize = 15;

/// One of the two servers, and a namespace there.
struct Side {
    client: Client,
    namespace: String,
}

/// A request; `{ns}` stands for the namespace.
struct Request {
    method: &'static str,
    path: String,
    content_type: &'static str,
    body: Value,
}

impl Side {
    async fn new(client: Client) -> Self {
        let api: Api<Namespace> = Api::all(client.clone());
        let object = serde_json::from_value(json!({"metadata": {"generateName": "differential-"}}));
        let made = api.create(&PostParams::default(), &object.expect("it is a namespace")).await;
        Self { namespace: made.expect("the cluster is empty").name_any(), client }
    }

    /// Returns the code and the body of the answer, without what is never the same.
    async fn send(&self, request: &Request) -> (u16, Value) {
        let fill = |text: &str| text.replace("{ns}", &self.namespace);
        let built = http::Request::builder()
            .method(request.method)
            .uri(fill(&request.path))
            .header("content-type", request.content_type)
            .header("user-agent", "differential/1")
            .body(kube::client::Body::from(fill(&request.body.to_string()).into_bytes()));
        let answer = self.client.send(built.expect("the request is valid")).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).replace(&self.namespace, "{ns}");
        let text = without_uids(&text);
        let mut value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        forget(&mut value);
        (code, value)
    }

    async fn remove(self) {
        let api: Api<Namespace> = Api::all(self.client);
        api.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }
}

/// Returns a text without the uids in it.
fn without_uids(text: &str) -> String {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uid = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        parts.iter().map(|part| part.len()).eq(LENGTHS)
            && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut rest = text;
    let mut clean = String::new();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        clean.push_str(if is_uid(word) { "…" } else { word });
        let next = after.find(is_part).unwrap_or(after.len());
        clean.push_str(&after[..next]);
        rest = &after[next..];
    }
    clean
}

/// Takes out what no two servers have in common.
fn forget(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                let is_own = matches!(
                    name.as_str(),
                    "uid" | "resourceVersion" | "creationTimestamp" | "deletionTimestamp" | "time"
                );
                if is_own && value.is_string() {
                    *value = "…".into();
                } else {
                    forget(value);
                }
                // Causes come in the order of a map, managers in that of their time in seconds.
                if let ("causes" | "managedFields", Value::Array(list)) = (name.as_str(), value) {
                    list.sort_by_key(Value::to_string);
                }
            }
            map.sort_keys();
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// Returns both servers, or `None` after saying that the test is skipped.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what they leave out")]
async fn sides() -> Option<[Side; 2]> {
    let Some(path) = std::env::var_os("TIDEGATE_KUBECONFIG") else {
        eprintln!("skipped: TIDEGATE_KUBECONFIG does not name the kubeconfig of a real API server");
        return None;
    };
    let kubeconfig = Kubeconfig::read_from(path).expect("TIDEGATE_KUBECONFIG can be read");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let real = Client::try_from(config.expect("it names a cluster")).expect("it has a certificate");
    let embedded = apiserver::ApiServer::new(apiserver::Options::default()).service();
    Some([Side::new(real).await, Side::new(Client::new(embedded, "default")).await])
}

/// Sends requests to both, one after the other; returns what differs.
async fn differences(sides: &[Side; 2], requests: &[Request]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let [real, embedded] = sides;
        let (real, embedded) = (real.send(request).await, embedded.send(request).await);
        if real != embedded {
            let Request { method, path, body, .. } = request;
            found.push(format!(
                "request {number}: {method} {path} {body}\n  real     {} {}\n  embedded {} {}",
                real.0, real.1, embedded.0, embedded.1
            ));
        }
    }
    found
}

fn request(method: &'static str, path: &str, content_type: &'static str, body: Value) -> Request {
    let maps = "/api/v1/namespaces/{ns}/configmaps";
    let sets = "/apis/apps/v1/namespaces/{ns}/deployments";
    let path = path.replace("{maps}", maps).replace("{sets}", sets);
    Request { method, path, content_type, body }
}

fn map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn set(replicas: i32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

#[tokio::test]
async fn ordinary_requests_have_the_same_answers() {
    let Some(sides) = sides().await else { return };
    let object = map("a", &json!({"x": "1"}));
    let requests = [
        request("POST", "{maps}", JSON, object.clone()),
        request("POST", "{maps}", JSON, object.clone()),
        request("POST", "{maps}", JSON, json!([])),
        request("POST", "{maps}", JSON, json!({"metadata": 1})),
        request("POST", "{maps}", JSON, map("A_b", &json!({}))),
        request("POST", "{maps}?dryRun=All", JSON, map("b", &json!({}))),
        request("POST", "{maps}?dryRun=Some", JSON, map("b", &json!({}))),
        request("POST", "{maps}", JSON, map("b", &json!({"x": 1}))),
        request("POST", "{maps}?fieldValidation=Strict", JSON, json!({"more": 1})),
        request("PUT", "{maps}/a", JSON, map("b", &json!({}))),
        request("PUT", "{maps}/b", JSON, map("b", &json!({}))),
        request("PATCH", "{maps}/a", MERGE, json!({"data": {"x": null, "y": "2"}})),
        request("PATCH", "{maps}/a", MERGE, json!([])),
        request("PATCH", "{maps}/a", OPERATIONS, json!([{"op": "remove", "path": "/data/z"}])),
        request("PATCH", "{maps}/a?fieldManager=one", APPLY, map("a", &json!({"y": "3"}))),
        request(
            "PATCH",
            "{maps}/a?fieldManager=one&force=true",
            APPLY,
            map("a", &json!({"y": "3"})),
        ),
        request("PATCH", "{maps}/new?fieldManager=one", APPLY, map("new", &json!({"y": "3"}))),
        request("POST", "{sets}", JSON, set(1, "a")),
        request(
            "PATCH",
            "{sets}/web",
            STRATEGIC,
            json!({"spec": {"template": {"spec": {
                "containers": [{"name": "web", "image": "b"}, {"name": "side", "image": "c"}],
            }}}}),
        ),
        request("PATCH", "{sets}/web", MERGE, json!({"spec": {"replicas": -1}})),
        request("PATCH", "{sets}/web", MERGE, json!({"spec": {"selector": {"matchLabels": null}}})),
        request(
            "PUT",
            "{sets}/web/scale",
            JSON,
            json!({
                "metadata": {"name": "web", "namespace": "{ns}"},
                "spec": {"replicas": -1},
            }),
        ),
        request("GET", "{sets}?fieldSelector=spec.x=y", JSON, Value::Null),
        request("GET", "{sets}?limit=x", JSON, Value::Null),
        request("GET", "{sets}?resourceVersionMatch=Exact", JSON, Value::Null),
        request("GET", "/apis/apps/v9/deployments", JSON, Value::Null),
        request("GET", "/apis/apps/v1/nothing", JSON, Value::Null),
        request("DELETE", "{maps}/a", JSON, json!({"preconditions": {"uid": "x"}})),
        request("DELETE", "{maps}/a", JSON, json!({"propagationPolicy": "Never"})),
        request("DELETE", "{maps}/nothing", JSON, Value::Null),
    ];
    let found = differences(&sides, &requests).await;
    for side in sides {
        side.remove().await;
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A generator of numbers that are the same in every run: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let at = self.below(list.len() as u64);
        list[usize::try_from(at).expect("it is an index")]
    }
}

/// Returns writes of several managers to one ConfigMap and one Deployment.
fn sequence(random: &mut Random, name: &str) -> Vec<Request> {
    let make = |random: &mut Random| {
        let manager = random.pick(&["one", "two", "three"]);
        let force = random.pick(&["", "&force=true"]);
        let mut data = json!({});
        for key in ["x", "y", "z"] {
            if random.below(2) == 0 {
                data[key] = random.pick(&["1", "2"]).into();
            }
        }
        let path = format!("{{maps}}/{name}?fieldManager={manager}");
        match random.below(8) {
            0 => {
                let mut object = map(name, &data);
                object["data"][random.pick(&["x", "y", "z"])] = Value::Null;
                request("PATCH", &path, MERGE, object)
            }
            1 => request("PUT", &path, JSON, map(name, &data)),
            2 => {
                let value = random.pick(&["1", "2"]);
                let operations = json!([{"op": "add", "path": "/data/x", "value": value}]);
                request("PATCH", &path, OPERATIONS, operations)
            }
            3 => request("DELETE", &format!("{{maps}}/{name}"), JSON, Value::Null),
            4 => {
                let mut object = map(name, &data);
                object["metadata"]["labels"] = json!({manager: random.pick(&["a", "b"])});
                request("PATCH", &format!("{path}{force}"), APPLY, object)
            }
            _ => request("PATCH", &format!("{path}{force}"), APPLY, map(name, &data)),
        }
    };
    (0..LENGTH).map(|_| make(random)).collect()
}

#[tokio::test]
async fn random_writes_have_the_same_answers() {
    let Some(sides) = sides().await else { return };
    let given = std::env::var("TIDEGATE_SEQUENCES").ok();
    let count = given.map_or(SEQUENCES, |count| count.parse().expect("it is a number"));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut found = Vec::new();
    for number in 0..count {
        let requests = sequence(&mut random, &format!("map-{number}"));
        for difference in differences(&sides, &requests).await {
            found.push(format!("sequence {number}, {difference}"));
        }
        if found.len() > 5 {
            break;
        }
    }
    for side in sides {
        side.remove().await;
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
