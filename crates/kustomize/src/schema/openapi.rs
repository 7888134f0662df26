//! Schemas from the OpenAPI document that a kustomization names.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Field, Name, Noted, Schema, Shape, type_name};
use crate::error::Problem;

/// Reads an OpenAPI v2 document, JSON or YAML.
pub(super) fn read(path: &str, text: &[u8]) -> Result<Schema, Problem> {
    let yaml = |source| Problem::Yaml { path: path.to_owned(), source };
    let document = if text.starts_with(b"{") {
        serde_json::from_slice(text)
            .map_err(|error| Problem::rule(format!("{path} is no JSON: {error}")))?
    } else {
        let text = goyaml::decode(text).map_err(yaml)?;
        crate::decode::first_value(&text).map_err(yaml)?
    };
    let Value::Object(document) = document else {
        return Err(Problem::rule(format!("{path} is no OpenAPI document: it has no definitions")));
    };
    let empty = Map::new();
    let definitions = document.get("definitions").and_then(Value::as_object).unwrap_or(&empty);
    let mut reader = Reader { definitions, inline: 0, schema: Schema::default() };
    for (name, definition) in definitions {
        let shape = reader.shape(definition, 0);
        reader.schema.types.insert(type_name(name), shape);
        let kinds = definition.get(GVK).and_then(Value::as_array);
        for kind in kinds.into_iter().flatten().filter_map(kind_of) {
            reader.schema.kinds.insert(kind.into(), type_name(name));
        }
    }
    let mut schema = reader.schema;
    let paths = document.get("paths").and_then(Value::as_object).unwrap_or(&empty);
    for (path, item) in paths {
        if let Some(kind) = item.get("get").and_then(|get| get.get(GVK)).and_then(kind_of) {
            let scope = if path.contains("namespaces/{namespace}") {
                &mut schema.namespaced
            } else {
                &mut schema.cluster
            };
            scope.insert(kind);
        }
    }
    // What has a path with a namespace has one, whatever other paths there are.
    schema.cluster.retain(|kind| !schema.namespaced.contains(kind));
    Ok(schema)
}

const GVK: &str = "x-kubernetes-group-version-kind";

/// Returns `apiVersion/Kind`.
fn kind_of(gvk: &Value) -> Option<String> {
    let text = |field: &str| gvk.get(field).and_then(Value::as_str);
    let (version, kind) = (text("version")?, text("kind")?);
    match text("group") {
        Some(group) if !group.is_empty() => Some(format!("{group}/{version}/{kind}")),
        _ => Some(format!("{version}/{kind}")),
    }
}

/// How deep schemas may be nested in one definition.
const MAX_DEPTH: usize = 100;

struct Reader<'a> {
    definitions: &'a Map<String, Value>,
    /// How many types without a name there are.
    inline: usize,
    schema: Schema,
}

impl Reader<'_> {
    fn shape(&mut self, schema: &Value, depth: usize) -> Shape {
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields = properties
            .into_iter()
            .flatten()
            .map(|(name, property)| (name.clone().into(), self.field(property, depth)))
            .collect();
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let others = others.map(|others| Box::new(self.field(others, depth)));
        Shape { fields, others }
    }

    fn field(&mut self, property: &Value, depth: usize) -> Field {
        if depth > MAX_DEPTH {
            return Field::default();
        }
        let text = |field: &str| property.get(field).and_then(Value::as_str);
        if let Some(name) = text("$ref").and_then(|link| link.strip_prefix("#/definitions/")) {
            return match self.definitions.get(name).filter(|definition| is_array(definition)) {
                // A definition that is a list is as good as the list itself.
                Some(list) => self.list(list, depth),
                None => Field { of: Some(type_name(name)), ..Field::default() },
            };
        }
        if is_array(property) {
            return self.list(property, depth);
        }
        let object = property.get("properties").is_some_and(Value::is_object)
            || property.get("additionalProperties").is_some_and(Value::is_object);
        let of = object.then(|| {
            self.inline += 1;
            let name = Cow::Owned(format!("#{}", self.inline));
            let shape = self.shape(property, depth + 1);
            self.schema.types.insert(Cow::clone(&name), shape);
            name
        });
        Field { of, ..Field::default() }
    }

    fn list(&mut self, property: &Value, depth: usize) -> Field {
        let of = property.get("items").and_then(|items| self.field(items, depth + 1).of);
        Field { of, list: true, merge: merge_keys(property) }
    }
}

/// Returns the keys by which a list merges; none for a set of scalars.
fn merge_keys(schema: &Value) -> Option<Vec<Name>> {
    let text = |field: &str| schema.get(field).and_then(Value::as_str);
    let name = |key: &str| Cow::Owned(key.to_owned());
    let mut strategies = text("x-kubernetes-patch-strategy")?.split(',');
    strategies.any(|strategy| strategy == "merge").then(|| {
        match schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
            Some(keys) => keys.iter().filter_map(Value::as_str).map(name).collect(),
            None => text("x-kubernetes-patch-merge-key").map(name).into_iter().collect(),
        }
    })
}

/// Reads the schema in a comment, which takes the place of the one that is known; what it says of
/// elements and fields is not read.
pub(crate) fn of_comment(comment: &str) -> Option<Noted> {
    let schema: Value = serde_json::from_str(comment).ok()?;
    let found = schema.as_object().is_some_and(|schema| !schema.is_empty());
    found.then(|| merge_keys(&schema).map_or(Noted::Replace, Noted::Merge))
}

fn is_array(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "array",
        Some(Value::Array(kinds)) => kinds.len() == 1 && kinds[0] == "array",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;

    #[test]
    fn reads_kinds_keys_and_scopes() {
        let custom = read(
            "openapi.yaml",
            b"definitions:
  com.example.v1.Thing:
    x-kubernetes-group-version-kind: [{group: example.com, version: v1, kind: Thing}]
    properties:
      spec: {$ref: '#/definitions/spec'}
  spec:
    properties:
      parts:
        type: array
        items: {$ref: '#/definitions/spec'}
        x-kubernetes-patch-strategy: merge
        x-kubernetes-patch-merge-key: id
      pod: {$ref: '#/definitions/io.k8s.api.core.v1.PodSpec'}
      map:
        additionalProperties: {$ref: '#/definitions/spec'}
paths:
  /apis/example.com/v1/things:
    get: {x-kubernetes-group-version-kind: {group: example.com, version: v1, kind: Thing}}
",
        )
        .unwrap();
        assert!(custom.cluster.contains("example.com/v1/Thing"));
        let schemas = Schemas { custom: Some(custom), ..Schemas::new(true) };
        let spec = schemas.kind("example.com/v1", "Thing").unwrap().field("spec").unwrap();
        assert_eq!(spec.field("parts").unwrap().merge_keys().unwrap(), ["id"]);
        let part = spec.field("parts").unwrap().elements().unwrap();
        assert!(part.field("map").unwrap().field("any").unwrap().field("parts").is_some());
        let pod = part.field("pod").unwrap().field("containers").unwrap();
        assert_eq!(pod.merge_keys().unwrap(), ["name"]);
        assert!(read("x", b"[]").is_err());
    }
}
