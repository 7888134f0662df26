//! Replaces variables in built objects by values from the spec, ConfigMaps and Secrets.

pub mod envsubst;
mod glob;

use std::collections::BTreeMap;
use std::fmt::Debug;

use api::kustomize::{
    Kustomization, PostBuild, SubstituteKind, SubstituteReference, SubstituteStrategy,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt as _};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use envsubst::EnvsubstError;

/// The label or annotation of objects that are left as they are, with the value `disabled`.
const MARKER: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// Values of variables. They may be secret.
#[derive(Debug, Default)]
pub struct Variables {
    values: BTreeMap<String, SecretString>,
    strict: bool,
}

/// Why values could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VariablesError {
    /// An object could not be read.
    #[error("substitute from '{kind}/{name}' error")]
    Read {
        /// The kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API said.
        #[source]
        source: kube::Error,
    },
    /// A name could not be used in a text.
    #[error(
        "envsubst error: '{0}' var name is invalid, must match \
         '^[_[:alpha:]][_[:alpha:][:digit:]]*$'"
    )]
    Name(String),
}

/// Why variables could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum SubstituteError {
    /// An expression is wrong, or a variable has no value.
    #[error("envsubst error: variable substitution failed: {0}")]
    Expand(#[from] EnvsubstError),
    /// The text is no object any more. What it says may be secret.
    #[error(
        "envsubst error: with the values it is not valid YAML at line {line}, column {column} of \
         the object; quote the variable there"
    )]
    Yaml {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// The text is something else now.
    #[error("envsubst error: with the values it is not an object")]
    NoObject,
}

impl Variables {
    /// Reads the values that a Kustomization names; without a client, only those in its spec.
    /// Returns `None` if nothing is to be replaced.
    ///
    /// # Errors
    ///
    /// When an object cannot be read, unless it is optional and missing.
    pub async fn load(
        client: Option<&Client>,
        obj: &Kustomization,
        strict: bool,
    ) -> Result<Option<Self>, VariablesError> {
        let Some(PostBuild { substitute, substitute_from, substitute_strategy }) =
            &obj.spec.post_build
        else {
            return Ok(None);
        };
        let mut values = BTreeMap::new();
        if let Some(client) = client {
            let namespace = obj.namespace().unwrap_or_default();
            for reference in substitute_from.iter().flatten() {
                read(client, &namespace, reference, &mut values).await?;
            }
        }
        for (name, value) in substitute.iter().flatten() {
            set(&mut values, name.clone(), value);
        }
        if let Some(name) = values.keys().find(|name| !is_name(name)) {
            return Err(VariablesError::Name(name.clone()));
        }
        if values.is_empty() && *substitute_strategy != Some(SubstituteStrategy::Always) {
            return Ok(None);
        }
        Ok(Some(Self { values, strict }))
    }

    /// Adds the values to a digest.
    pub(crate) fn hash(&self, hasher: &mut Sha256) {
        hasher.update([u8::from(self.strict)]);
        for (name, value) in &self.values {
            for text in [name.as_str(), value.expose_secret()] {
                hasher.update(text.len().to_le_bytes());
                hasher.update(text);
            }
        }
    }

    /// Replaces the variables in an object, unless it asks to be left as it is.
    pub(crate) fn substitute(&self, object: &mut Value) -> Result<(), SubstituteError> {
        if !has_dollar(object) || is_disabled(object) {
            return Ok(());
        }
        let text = envsubst::expand(&goyaml::to_string(object), |name| {
            let value = self.values.get(name).map(ExposeSecret::expose_secret);
            if self.strict { value } else { Some(value.unwrap_or_default()) }
        })?;
        let first = goyaml::parse_documents(&text).map_err(|error| {
            let goyaml::Error { line, column, .. } = error;
            SubstituteError::Yaml { line, column }
        })?;
        match first.into_iter().next() {
            Some(changed @ Value::Object(_)) => *object = changed,
            _ => return Err(SubstituteError::NoObject),
        }
        Ok(())
    }
}

async fn read(
    client: &Client,
    namespace: &str,
    SubstituteReference { kind, name, optional }: &SubstituteReference,
    values: &mut BTreeMap<String, SecretString>,
) -> Result<(), VariablesError> {
    let failed = |kind| move |source| VariablesError::Read { kind, name: name.clone(), source };
    let is_optional = optional.unwrap_or_default();
    match kind {
        SubstituteKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            let found = get(api, name, is_optional).await.map_err(failed("ConfigMap"))?;
            for (name, value) in found.and_then(|it| it.data).into_iter().flatten() {
                set(values, name, &value);
            }
        }
        SubstituteKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            let found = get(api, name, is_optional).await.map_err(failed("Secret"))?;
            for (name, value) in found.and_then(|it| it.data).into_iter().flatten() {
                set(values, name, &String::from_utf8_lossy(&value.0));
            }
        }
    }
    Ok(())
}

async fn get<K>(api: Api<K>, name: &str, is_optional: bool) -> Result<Option<K>, kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    if is_optional { api.get_opt(name).await } else { api.get(name).await.map(Some) }
}

/// Files that end with a line break would break the line that a value is put into.
fn set(values: &mut BTreeMap<String, SecretString>, name: String, value: &str) {
    values.insert(name, value.replace('\n', "").into());
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(is_letter) && bytes.all(|it| is_letter(it) || it.is_ascii_digit())
}

/// Says whether there is anything to replace: most objects have no variables.
fn has_dollar(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('$'),
        Value::Array(items) => items.iter().any(has_dollar),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains('$') || has_dollar(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_disabled(object: &Value) -> bool {
    ["labels", "annotations"].iter().any(|field| object["metadata"][field][MARKER] == "disabled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variables(strict: bool) -> Variables {
        let values = [("name", "web"), ("count", "3"), ("broken", "a: b: c"), ("list", "[1]")];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        Variables { values: values.collect(), strict }
    }

    fn substituted(mut object: Value) -> Result<Value, SubstituteError> {
        variables(true).substitute(&mut object)?;
        Ok(object)
    }

    #[test]
    fn values_take_the_type_that_they_look_like() {
        let object =
            json!({"kind": "A", "spec": {"n": "${count}", "s": "x${count}", "l": "${list}"}});
        let expected = json!({"kind": "A", "spec": {"l": [1], "n": 3, "s": "x3"}});
        assert_eq!(substituted(object).unwrap(), expected);
    }

    #[test]
    fn marked_objects_stay_as_they_are() {
        for field in ["labels", "annotations"] {
            let object = json!({"metadata": {field: {MARKER: "disabled"}}, "data": {"a": "${x}"}});
            assert_eq!(substituted(object.clone()).unwrap(), object);
        }
    }

    #[test]
    fn says_what_is_wrong_without_the_value() {
        let object = json!({"data": {"a": "${broken}"}});
        let error = substituted(object).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("b: c"), "{error}");
        let error = substituted(json!({"data": {"a": "${missing}"}})).unwrap_err().to_string();
        assert!(error.ends_with("variable not set (strict mode): \"missing\""), "{error}");
        let mut object = json!({"data": {"a": "x${missing}"}});
        variables(false).substitute(&mut object).unwrap();
        assert_eq!(object["data"]["a"], "x");
    }

    #[test]
    fn takes_names_that_can_be_written() {
        assert!(is_name("_a1") && is_name("A"));
        assert!(!is_name("") && !is_name("1a") && !is_name("a-b") && !is_name("ä"));
    }
}
