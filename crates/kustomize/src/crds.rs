//! `crds`: which fields of custom objects hold names, labels or references.
//!
//! Source: `LoadConfigFromCRDs`, kustomize api 0.21.1 `internal/accumulator/loadconfigfromcrds.go`.

use serde_json::{Map, Value};

use crate::config::{Config, NameReference, merge_one};
use crate::decode::first_value;
use crate::error::Problem;
use crate::kustomization::FieldSpec;
use crate::load::Loader;

/// Reads the definitions in the files that `crds` names.
pub(crate) fn read(loader: &Loader<'_>, paths: &[String]) -> Result<Config, Problem> {
    let mut config = Config::default();
    for path in paths {
        let text = loader.read_text(path)?;
        let yaml = |source| Problem::Yaml { path: path.clone(), source };
        let definitions = match first_value(&text).map_err(yaml)? {
            Value::Null => continue,
            Value::Object(definitions) => definitions,
            _ => {
                return Err(Problem::rule(format!(
                    "{path} holds no OpenAPI definitions; expected a mapping of type names"
                )));
            }
        };
        for name in definitions.keys() {
            let fields = properties(&definitions, name);
            let is_object = ["kind", "apiVersion", "metadata"];
            if is_object.into_iter().all(|field| fields.is_some_and(|all| all.contains_key(field)))
            {
                let kind = name.rsplit('.').next().unwrap_or(name);
                let mut own = Config::default();
                let mut reader = Reader { definitions: &definitions, kind, config: &mut own };
                reader.definition(name, &mut Vec::new(), &mut Vec::new())?;
                config.merge(own)?;
            }
        }
    }
    Ok(config)
}

/// Returns the properties of a type.
fn properties<'a>(
    definitions: &'a Map<String, Value>,
    name: &str,
) -> Option<&'a Map<String, Value>> {
    let fields = definitions.get(name)?.as_object()?;
    let schema = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case("schema"));
    schema?.1.get("properties")?.as_object()
}

struct Reader<'a> {
    definitions: &'a Map<String, Value>,
    kind: &'a str,
    config: &'a mut Config,
}

impl<'a> Reader<'a> {
    /// Reads a type. `types` are those that it is in, so that recursive ones come to an end.
    fn definition(
        &mut self,
        name: &'a str,
        path: &mut Vec<&'a str>,
        types: &mut Vec<&'a str>,
    ) -> Result<(), Problem> {
        if types.contains(&name) {
            return Ok(());
        }
        types.push(name);
        for (field, property) in properties(self.definitions, name).into_iter().flatten() {
            path.push(field);
            self.property(path, property)?;
            if let Some(name) = property.get("$ref").and_then(Value::as_str) {
                self.definition(name, path, types)?;
            }
            path.pop();
        }
        types.pop();
        Ok(())
    }

    fn property(&mut self, path: &[&str], property: &Value) -> Result<(), Problem> {
        let text = |name: &str| {
            let fields = property.as_object().into_iter().flatten();
            fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()
        };
        let spec = FieldSpec {
            kind: self.kind.to_owned().into(),
            path: path.join("/").into(),
            ..FieldSpec::default()
        };
        if text("x-kubernetes-annotation").is_some() {
            merge_one(&mut self.config.common_annotations, spec.clone())?;
        }
        if text("x-kubernetes-label-selector").is_some() {
            merge_one(&mut self.config.common_labels, spec.clone())?;
        }
        if text("x-kubernetes-identity").is_some() {
            merge_one(&mut self.config.name_prefix, spec.clone())?;
        }
        if let Some(version) = text("x-kubernetes-object-ref-api-version")
            && let Some(kind) = text("x-kubernetes-object-ref-kind")
        {
            let key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let referrer = FieldSpec { path: format!("{}/{key}", spec.path).into(), ..spec };
            self.config.merge_reference(NameReference {
                version: version.to_owned().into(),
                kind: kind.to_owned().into(),
                referrers: vec![referrer],
                ..NameReference::default()
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadRestrictor, MemoryTree};

    fn config(text: &str) -> Result<Config, Problem> {
        let tree = MemoryTree::from_iter([("crd.json", text)]);
        let budget = crate::budget::Budget::default();
        let restrictor = LoadRestrictor::None;
        let loader = Loader { tree: &tree, restrictor, dir: "", budget: &budget };
        read(&loader, &["crd.json".to_owned()])
    }

    #[test]
    fn finds_references_in_nested_types() {
        let config = config(
            r#"{
  "github.com/example/v1.Bee": {"Schema": {"properties": {
    "kind": {}, "apiVersion": {}, "metadata": {},
    "spec": {"$ref": "example/v1.BeeSpec"}
  }}},
  "example/v1.BeeSpec": {"Schema": {"properties": {
    "again": {"$ref": "example/v1.BeeSpec"},
    "labels": {"x-kubernetes-label-selector": ""},
    "secret": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Secret"}
  }}}
}"#,
        )
        .unwrap();
        assert_eq!(config.common_labels[0].path, "spec/labels");
        assert_eq!(config.name_reference[0].kind, "Secret");
        let referrer = &config.name_reference[0].referrers[0];
        assert_eq!((&*referrer.kind, &*referrer.path), ("Bee", "spec/secret/name"));
    }

    #[test]
    fn refuses_what_is_no_mapping() {
        assert!(config("[]").is_err());
        assert!(config("").unwrap().common_labels.is_empty());
    }
}
