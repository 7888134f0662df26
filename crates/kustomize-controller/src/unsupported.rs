//! Fields that are accepted and have no effect yet. Ignoring them would apply something other than
//! what was declared, so the object is stalled instead.

use api::kustomize::KustomizationSpec;

/// A field that is set and that nothing acts on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "spec.{0} is not supported by this version, and nothing was applied because leaving it out \
     would change what is declared; remove the field, or let another controller reconcile the object"
)]
pub(crate) struct UnsupportedField(&'static str);

/// Finds the first field that nothing acts on.
pub(crate) fn check(spec: &KustomizationSpec) -> Result<(), UnsupportedField> {
    let fields = [("kubeConfig", spec.kube_config.is_some())];
    match fields.into_iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err(UnsupportedField(field)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(field: &str, value: Value) -> Result<(), UnsupportedField> {
        let mut spec = json!({
            "interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "x"},
        });
        spec[field] = value;
        check(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn names_the_field_that_has_no_effect() {
        let value = json!({"secretRef": {"name": "x"}});
        assert_eq!(checked("kubeConfig", value), Err(UnsupportedField("kubeConfig")));
        assert_eq!(checked("dependsOn", json!([{"name": "x"}])), Ok(()));
    }
}
