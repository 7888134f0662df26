//! What is served: discovery, OpenAPI, version and health.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::body::Body;
use crate::openapi;
use crate::registry::{Registry, Resource, Version};
use crate::rest::output;
use crate::rest::request::Received;
use crate::server::Cluster;
use crate::status::ApiError;

const MAIN_VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Answers requests that are not for a resource.
pub(crate) fn answer(
    cluster: &Cluster,
    registry: &Registry,
    request: &Received,
) -> Result<Response<Body>, ApiError> {
    let ok = |value: &Value| Ok(output::json(StatusCode::OK, value, &[]));
    let accept = request.header(http::header::ACCEPT);
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["version"] => ok(&version()),
        ["metrics"] => Ok(output::text(cluster.requests.text(&cluster.store))),
        ["healthz" | "livez" | "readyz", ..] => Ok(output::text("ok".to_owned())),
        ["api"] if wants_aggregated(accept) => Ok(aggregated(registry, true)),
        ["apis"] if wants_aggregated(accept) => Ok(aggregated(registry, false)),
        ["api"] => ok(&json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        })),
        ["apis"] => ok(&groups(registry)),
        ["apis", group] => match registry.groups().get(*group) {
            Some(versions) if !group.is_empty() => {
                let mut value = group_of(group, versions);
                value["kind"] = "APIGroup".into();
                value["apiVersion"] = "v1".into();
                ok(&value)
            }
            _ => Ok(output::no_page()),
        },
        ["api", version] => resources(registry, "", version),
        ["apis", group, version] => resources(registry, group, version),
        ["openapi", "v2"] if !accepts_json(accept) => {
            Err(ApiError::not_acceptable("application/json"))
        }
        ["openapi", "v2"] => ok(&openapi::v2::all(registry)),
        ["openapi", "v3"] => ok(&openapi::index(registry)),
        ["openapi", "v3", "api", version] => {
            ok(&openapi::document(registry, "", version).ok_or_else(ApiError::no_such_path)?)
        }
        ["openapi", "v3", "apis", group, version] => {
            ok(&openapi::document(registry, group, version).ok_or_else(ApiError::no_such_path)?)
        }
        [] => ok(&json!({"paths": paths(registry)})),
        _ => Ok(output::no_page()),
    }
}

/// Returns the paths that lead to everything else.
fn paths(registry: &Registry) -> Vec<String> {
    let others = [
        "api",
        "apis",
        "healthz",
        "livez",
        "metrics",
        "openapi/v2",
        "openapi/v3",
        "readyz",
        "version",
    ];
    let mut paths: Vec<String> = others.map(|path| format!("/{path}")).into();
    for (group, versions) in registry.groups() {
        if group.is_empty() {
            paths.extend(versions.iter().map(|version| format!("/api/{version}")));
        } else {
            paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
            paths.push(format!("/apis/{group}"));
        }
    }
    paths.sort();
    paths
}

fn version() -> Value {
    // As Go calls them.
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.0+tidegate.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{arch}", std::env::consts::OS),
    })
}

fn accepts_json(accept: &str) -> bool {
    let media = |range: &str| range.split(';').next().unwrap_or_default().trim().to_owned();
    let is_json =
        |media: String| matches!(media.as_str(), "" | "*/*" | "application/*" | "application/json");
    accept.split(',').map(media).any(is_json)
}

fn wants_aggregated(accept: &str) -> bool {
    accept
        .split(',')
        .next()
        .is_some_and(|first| first.contains("g=apidiscovery.k8s.io") && first.contains("v=v2"))
        || accept.split(',').any(|range| {
            range.contains("application/json")
                && range.contains("g=apidiscovery.k8s.io")
                && range.contains("v=v2;")
        })
}

fn group_of(group: &str, versions: &[String]) -> Value {
    let entry = |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(entry).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(entry),
    })
}

fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = registry
        .groups()
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| group_of(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn resources(registry: &Registry, group: &str, version: &str) -> Result<Response<Body>, ApiError> {
    let found = registry.in_version(group, version);
    if found.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let mut list = Vec::new();
    for resource in &found {
        let Some(one) = resource.version(version) else { continue };
        let mut main = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(resource),
        });
        if !resource.short_names.is_empty() {
            main["shortNames"] = resource.short_names.clone().into();
        }
        if !resource.categories.is_empty() {
            main["categories"] = resource.categories.clone().into();
        }
        list.push(main);
        for (name, (group, version, kind), verbs) in subresources(resource, one) {
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind,
                "verbs": verbs,
            });
            if let (false, Some(version)) = (group.is_empty(), version) {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            list.push(entry);
        }
    }
    let group_version = found[0].api_version(version);
    let mut value = json!({
        "kind": "APIResourceList",
        "groupVersion": group_version,
        "resources": list,
    });
    if !group.is_empty() {
        value["apiVersion"] = "v1".into();
    }
    Ok(output::json(StatusCode::OK, &value, &[]))
}

fn verbs(resource: &Resource) -> &'static [&'static str] {
    if resource.review {
        &["create"]
    } else if resource.is("", "namespaces") {
        &["create", "delete", "get", "list", "patch", "update", "watch"]
    } else {
        &MAIN_VERBS
    }
}

type SubresourceKind<'a> = (&'a str, Option<&'a str>, &'a str);

/// Returns name, kind and verbs of each subresource.
fn subresources<'a>(
    resource: &'a Resource,
    version: &'a Version,
) -> Vec<(&'a str, SubresourceKind<'a>, &'static [&'static str])> {
    let own = ("", None, resource.kind.as_str());
    let mut list: Vec<(&str, SubresourceKind<'_>, &'static [&'static str])> = Vec::new();
    for name in &version.subresources.other {
        list.push(match *name {
            "eviction" => (name, ("policy", Some("v1"), "Eviction"), &["create"]),
            "token" => (name, ("authentication.k8s.io", Some("v1"), "TokenRequest"), &["create"]),
            "binding" => (name, ("", None, "Binding"), &["create"]),
            "finalize" => (name, own, &["update"]),
            "log" => (name, own, &["get"]),
            _ => (name, own, &["get", "patch", "update"]),
        });
    }
    if version.subresources.scale.is_some() {
        list.push(("scale", ("autoscaling", Some("v1"), "Scale"), &["get", "patch", "update"]));
    }
    if version.subresources.status {
        list.push(("status", own, &["get", "patch", "update"]));
    }
    list
}

fn aggregated(registry: &Registry, core: bool) -> Response<Body> {
    let mut items = Vec::new();
    for (group, versions) in registry.groups() {
        if group.is_empty() != core {
            continue;
        }
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                let resources: Vec<Value> = registry
                    .in_version(&group, version)
                    .into_iter()
                    .filter_map(|resource| aggregated_resource(resource, version))
                    .collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if core { json!({}) } else { json!({"name": group}) };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    let value = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    let mut response = output::json(StatusCode::OK, &value, &[]);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        ),
    );
    response
}

fn aggregated_resource(resource: &Resource, version: &str) -> Option<Value> {
    let one = resource.version(version)?;
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    // Built-in kinds do not repeat where they are.
    let own = |name: &str| {
        let (group, version) = if resource.custom { (&*resource.group, version) } else { ("", "") };
        kind(group, version, name)
    };
    let subresources: Vec<Value> = subresources(resource, one)
        .into_iter()
        .map(|(name, (group, other, kind_name), verbs)| {
            let responded = match other {
                Some(other) => kind(group, other, kind_name),
                None => own(kind_name),
            };
            json!({"subresource": name, "responseKind": responded, "verbs": verbs})
        })
        .collect();
    let mut value = json!({
        "resource": resource.plural,
        "responseKind": own(&resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    if !resource.short_names.is_empty() {
        value["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        value["categories"] = resource.categories.clone().into();
    }
    if !subresources.is_empty() {
        value["subresources"] = subresources.into();
    }
    Some(value)
}
