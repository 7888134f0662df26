//! OpenAPI documents, as kubectl reads them for `explain` and to learn of field validation.

pub(crate) mod builtin;
pub(crate) mod v2;

use serde_json::{Map, Value, json};

use crate::registry::{Registry, Resource};

/// Version of the API that documents show.
const VERSION: &str = "1.36";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Returns the list of documents: one per group and version.
pub(crate) fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, versions) in registry.groups() {
        for version in versions {
            let path = if group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{group}/{version}")
            };
            let url = format!("/openapi/v3/{path}?hash={:x}", registry.serial);
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// Returns the document of one group and version.
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let resources = registry.in_version(group, version);
    if resources.is_empty() {
        return None;
    }
    let builtin = builtin::definitions(group, version);
    let mut schemas = builtin.schemas.clone();
    let mut paths = Map::new();
    for resource in resources {
        let kind = json!({"group": group, "version": version, "kind": resource.kind});
        let name = match builtin.kinds.get(&resource.kind) {
            Some(name) if !resource.custom => name.clone(),
            _ => {
                let reversed: Vec<&str> = group.rsplit('.').collect();
                let name = format!("{}.{version}.{}", reversed.join("."), resource.kind);
                schemas.insert(name.clone(), custom_schema(resource, version));
                if !schemas.contains_key(META) {
                    let core = builtin::definitions("apps", "v1");
                    for (name, schema) in &core.schemas {
                        if name.contains(".apis.meta.v1.") {
                            schemas.insert(name.clone(), schema.clone());
                        }
                    }
                }
                name
            }
        };
        if let (true, Some(Value::Object(schema))) = (resource.custom, schemas.get_mut(&name)) {
            schema.insert("x-kubernetes-group-version-kind".into(), json!([kind]));
        }
        add_paths(&mut paths, resource, version, &kind, &name);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

fn custom_schema(resource: &Resource, version: &str) -> Value {
    let declared = resource
        .version(version)
        .and_then(|version| version.schema.openapi().cloned())
        .unwrap_or_else(|| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    let mut schema = declared;
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    spell_out(&mut schema);
    let described = |text: &str| json!({"type": "string", "description": text});
    schema["properties"]["apiVersion"] = described(builtin::API_VERSION);
    schema["properties"]["kind"] = described(builtin::KIND);
    schema["properties"]["metadata"] = json!({
        "description": builtin::METADATA,
        "allOf": [{"$ref": format!("#/components/schemas/{META}")}],
    });
    schema
}

/// Says in the words of OpenAPI what a schema says in those of Kubernetes.
fn spell_out(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        map.entry("anyOf").or_insert_with(|| json!([{"type": "integer"}, {"type": "string"}]));
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(below) = map.get_mut(keyword) {
            spell_out(below);
        }
    }
    for (_, below) in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        spell_out(below);
    }
}

fn add_paths(
    paths: &mut Map<String, Value>,
    resource: &Resource,
    version: &str,
    kind: &Value,
    schema: &str,
) {
    let root = if resource.group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{}/{version}", resource.group)
    };
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{scope}/{}", resource.plural);
    let content = json!({
        "application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}},
    });
    let parameter = |name: &str, kind: &str| json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}});
    let operation = |action: &str, writes: bool| {
        let mut operation = json!({
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
            "responses": {"200": {"description": "OK", "content": content}},
        });
        if writes {
            let mut parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
                .iter()
                .map(|name| parameter(name, "string"))
                .collect();
            if action == "patch" {
                parameters.push(parameter("force", "boolean"));
            }
            operation["parameters"] = parameters.into();
        }
        operation
    };
    if resource.review {
        paths.insert(collection, json!({"post": operation("post", true)}));
        return;
    }
    paths.insert(
        format!("{collection}/{{name}}"),
        json!({
            "get": operation("get", false),
            "put": operation("put", true),
            "patch": operation("patch", true),
            "delete": operation("delete", false),
        }),
    );
    paths.insert(
        collection,
        json!({
            "get": operation("list", false),
            "post": operation("post", true),
            "delete": operation("deletecollection", false),
        }),
    );
}
