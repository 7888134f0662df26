//! Who may do what: roles, bindings, impersonation, tokens and reviews.

use apiserver::{ApiServer, Options, UserInfo};
use k8s_openapi::api::authorization::v1::{
    SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{create, refusal};

/// Returns a client that acts as somebody.
fn client(api: &ApiServer, user: UserInfo) -> Client {
    let service =
        api.service().map_request(move |mut request: http::Request<kube::client::Body>| {
            request.extensions_mut().insert(user.clone());
            request
        });
    Client::new(service, "default")
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned());
    let groups = groups.chain(["system:authenticated".to_owned()]).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::anonymous() }
}

/// A cluster, its administrator and Jane, who may nothing.
struct Cluster {
    admin: Client,
    jane: Client,
    api: ApiServer,
}

fn cluster() -> Cluster {
    let api = ApiServer::new(Options::default());
    let admin = Client::new(api.service(), "default");
    let jane = client(&api, user("jane", &["dev"]));
    Cluster { admin, jane, api }
}

fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

impl Cluster {
    /// Gives Jane rules in the default namespace.
    async fn give(&self, name: &str, rules: &Value) {
        let api: Api<Role> = Api::default_namespaced(self.admin.clone());
        create(&api, json!({"metadata": {"name": name}, "rules": rules})).await;
        let api: Api<RoleBinding> = Api::default_namespaced(self.admin.clone());
        create(&api, binding(name, "Role", name, "jane")).await;
    }
}

fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    })
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("the literal is of the kind")
}

#[tokio::test]
async fn allows_what_a_binding_allows_and_no_more() {
    let cluster = cluster();
    let here: Api<ConfigMap> = Api::default_namespaced(cluster.jane.clone());
    let there: Api<ConfigMap> = Api::namespaced(cluster.jane.clone(), "kube-system");
    let all = ListParams::default();
    let status = refusal(here.list(&all).await);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        status.message,
        "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \
         \"\" in the namespace \"default\""
    );
    cluster.give("reader", &json!([rule(&["list"], "", &["configmaps"])])).await;
    here.list(&all).await.unwrap();
    assert_eq!(refusal(here.get("a").await).code, 403);
    assert_eq!(refusal(there.list(&all).await).code, 403);
    let bindings: Api<RoleBinding> = Api::default_namespaced(cluster.admin);
    bindings.delete("reader", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(here.list(&all).await).code, 403, "at once");
}

#[tokio::test]
async fn creating_by_an_apply_is_creating() {
    let cluster = cluster();
    cluster.give("patcher", &json!([rule(&["patch"], "", &["configmaps"])])).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.jane);
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
    let params = PatchParams::apply("test");
    let status = refusal(maps.patch("a", &params, &Patch::Apply(&config)).await);
    assert_eq!(
        status.message,
        "configmaps \"a\" is forbidden: User \"jane\" cannot create resource \"configmaps\" in API \
         group \"\" in the namespace \"default\""
    );
    let by_admin: Api<ConfigMap> = Api::default_namespaced(cluster.admin);
    create(&by_admin, json!({"metadata": {"name": "a"}})).await;
    maps.patch("a", &params, &Patch::Apply(&config)).await.unwrap();
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let cluster = cluster();
    let writes = ["create", "update", "patch"];
    let own = json!([rule(&writes, "rbac.authorization.k8s.io", &["roles", "rolebindings"])]);
    cluster.give("writer", &own).await;
    let roles: Api<Role> = Api::default_namespaced(cluster.jane.clone());
    let params = PostParams::default();
    let role = |rules: Value| object(json!({"metadata": {"name": "new"}, "rules": rules}));
    let secrets = json!([rule(&["get", "list"], "", &["secrets"])]);
    let status = refusal(roles.create(&params, &role(secrets)).await);
    assert_eq!(
        status.message,
        "roles.rbac.authorization.k8s.io \"new\" is forbidden: user \"jane\" (groups=[\"dev\" \
         \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}"
    );
    roles.create(&params, &role(own)).await.unwrap();
    let everything = json!({"rules": [rule(&["*"], "*", &["*"])]});
    let patch = Patch::Merge(&everything);
    assert_eq!(refusal(roles.patch("new", &PatchParams::default(), &patch).await).code, 403);

    let bindings: Api<RoleBinding> = Api::default_namespaced(cluster.jane.clone());
    let bind = |role: &str| object(binding(role, "ClusterRole", role, "joe"));
    assert_eq!(refusal(bindings.create(&params, &bind("view")).await).code, 403);
    let may_bind = json!([{
        "verbs": ["bind"],
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "resourceNames": ["view"],
    }]);
    cluster.give("binder", &may_bind).await;
    bindings.create(&params, &bind("view")).await.unwrap();
    assert_eq!(refusal(bindings.create(&params, &bind("edit")).await).code, 403);
    assert_eq!(refusal(bindings.create(&params, &bind("nothing")).await).code, 404);
}

#[tokio::test]
async fn aggregated_roles_follow_the_roles_they_gather() {
    let cluster = cluster();
    let roles: Api<ClusterRole> = Api::all(cluster.admin.clone());
    let bindings: Api<RoleBinding> = Api::default_namespaced(cluster.admin.clone());
    create(&bindings, binding("admin", "ClusterRole", "admin", "jane")).await;
    // The role `admin` gathers from `edit`, which gathers from `view` and others.
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.jane.clone());
    create(&maps, json!({"metadata": {"name": "a"}})).await;
    let review = |verb: &str| {
        let attributes = json!({
            "namespace": "default",
            "verb": verb,
            "group": "acme.com",
            "resource": "widgets",
        });
        object::<SelfSubjectAccessReview>(json!({"spec": {"resourceAttributes": attributes}}))
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.jane.clone());
    let may = async |verb: &str| {
        let answer = reviews.create(&PostParams::default(), &review(verb)).await.unwrap();
        answer.status.unwrap().allowed
    };
    assert!(!may("list").await);
    let labels = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    let viewer = json!({
        "metadata": {"name": "widget-viewer", "labels": labels},
        "rules": [rule(&["list"], "acme.com", &["widgets"])],
    });
    create(&roles, viewer).await;
    assert!(may("list").await && !may("delete").await);
    let view = roles.get("view").await.unwrap();
    let managers: Vec<_> = view
        .metadata
        .managed_fields
        .unwrap()
        .into_iter()
        .filter_map(|entry| entry.manager)
        .collect();
    assert_eq!(managers, ["clusterrole-aggregation-controller", "kube-apiserver"]);
    roles.delete("widget-viewer", &DeleteParams::default()).await.unwrap();
    assert!(!may("list").await);
}

#[tokio::test]
async fn reviews_say_who_may_what_and_why() {
    let cluster = cluster();
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.admin.clone());
    create(&bindings, binding("jane-views", "ClusterRole", "view", "jane")).await;
    let reviews: Api<SubjectAccessReview> = Api::all(cluster.admin.clone());
    let ask = async |resource: &str| {
        let attributes = json!({"verb": "get", "resource": resource, "namespace": "default"});
        let spec = json!({"user": "jane", "resourceAttributes": attributes});
        let review = object::<SubjectAccessReview>(json!({"spec": spec}));
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap()
    };
    let pods = ask("pods").await;
    assert!(pods.allowed);
    assert_eq!(
        pods.reason.unwrap(),
        "RBAC: allowed by ClusterRoleBinding \"jane-views\" of ClusterRole \"view\" to User \"jane\""
    );
    assert!(!ask("secrets").await.allowed);

    let reviews: Api<SelfSubjectRulesReview> = Api::all(cluster.jane);
    let review = object(json!({"spec": {"namespace": "default"}}));
    let review = reviews.create(&PostParams::default(), &review).await.unwrap();
    let rules = review.status.unwrap().resource_rules;
    let on_pods = rules.iter().any(|rule| {
        rule.resources.as_ref().is_some_and(|resources| resources.contains(&"pods".to_owned()))
    });
    assert!(on_pods, "{rules:?}");
}

/// Returns a client of the served API with a token, acting as somebody else if there is a name.
fn remote(served: &apiserver::Served, token: &str, acting_as: Option<&str>) -> Client {
    let mut config = Config::new(format!("https://{}", served.addr).parse().unwrap());
    let authority = rustls_pki_types::pem::PemObject::from_pem_slice(served.ca.as_bytes());
    let authority: rustls_pki_types::CertificateDer<'_> = authority.unwrap();
    config.root_cert = Some(vec![authority.to_vec()]);
    config.auth_info.token = Some(token.to_owned().into());
    config.auth_info.impersonate = acting_as.map(str::to_owned);
    Client::try_from(config).unwrap()
}

/// Creates a service account and returns a token of it.
async fn account_token(admin: &Client, name: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
    create(&accounts, json!({"metadata": {"name": name}})).await;
    let request = object(json!({"spec": {"audiences": []}}));
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
    answer.unwrap().status.unwrap().token
}

#[tokio::test]
async fn service_accounts_have_tokens_that_die_with_them() {
    let cluster = cluster();
    let served = cluster.api.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let token = account_token(&cluster.admin, "bot").await;
    let bindings: Api<RoleBinding> = Api::default_namespaced(cluster.admin.clone());
    let mut bound = binding("bot", "ClusterRole", "view", "");
    bound["subjects"] = json!([{"kind": "Group", "name": "system:serviceaccounts:default"}]);
    create(&bindings, bound).await;
    let bot = remote(&served, &token, None);
    let maps: Api<ConfigMap> = Api::default_namespaced(bot);
    maps.list(&ListParams::default()).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(cluster.admin.clone());
    accounts.delete("bot", &DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(maps.list(&ListParams::default()).await).code, 401);
}

#[tokio::test]
async fn acts_as_somebody_else_only_with_permission() {
    let cluster = cluster();
    let served = cluster.api.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let token = account_token(&cluster.admin, "proxy").await;
    cluster.give("reader", &json!([rule(&["list"], "", &["configmaps"])])).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(remote(&served, &token, Some("jane")));
    let status = refusal(maps.list(&ListParams::default()).await);
    assert_eq!(
        status.message,
        "configmaps is forbidden: User \"system:serviceaccount:default:proxy\" cannot \
         impersonate-on:user-info:list resource \"configmaps\" in API group \"\" in the namespace \
         \"default\""
    );
    let roles: Api<ClusterRole> = Api::all(cluster.admin.clone());
    let allowed = json!([{
        "verbs": ["impersonate"],
        "apiGroups": [""],
        "resources": ["users"],
        "resourceNames": ["jane"],
    }]);
    create(&roles, json!({"metadata": {"name": "impersonator"}, "rules": allowed})).await;
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.admin.clone());
    let proxy = "system:serviceaccount:default:proxy";
    create(&bindings, binding("impersonator", "ClusterRole", "impersonator", proxy)).await;
    maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(refusal(maps.get("a").await).code, 403, "Jane may only list");
    let joe: Api<ConfigMap> = Api::default_namespaced(remote(&served, &token, Some("joe")));
    assert_eq!(refusal(joe.list(&ListParams::default()).await).code, 403);
}

#[tokio::test]
async fn strangers_see_version_and_health_alone() {
    let cluster = cluster();
    let stranger = client(&cluster.api, UserInfo::anonymous());
    let get = async |path: &str| {
        let request = http::Request::get(path).body(Vec::new()).expect("the path is valid");
        stranger.request_text(request).await
    };
    for path in ["/version", "/healthz", "/readyz", "/livez"] {
        get(path).await.unwrap();
    }
    let status = refusal(get("/apis").await);
    assert_eq!(status.message, "forbidden: User \"system:anonymous\" cannot get path \"/apis\"");
}
