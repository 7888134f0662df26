//! What is known of the shape of a kind's objects.

use serde_json::Value;

/// Shape of the objects of one version of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    /// The `openAPIV3Schema` of a custom resource.
    openapi: Option<Value>,
}

impl Schema {
    /// Returns the schema of a built-in kind.
    pub(crate) fn builtin(_group: &str, _version: &str, _kind: &str) -> Self {
        Self { openapi: None }
    }

    /// Returns the `openAPIV3Schema` of a custom resource.
    pub(crate) fn openapi(&self) -> Option<&Value> {
        self.openapi.as_ref()
    }

    /// Returns the schema of a version of a CustomResourceDefinition.
    pub(crate) fn custom(openapi: Option<Value>) -> Self {
        Self { openapi }
    }
}

/// Refuses or drops fields that the kind does not have.
pub(crate) fn check_fields(
    _call: &crate::rest::request::Call,
    _object: &mut Value,
) -> Result<(), crate::status::ApiError> {
    Ok(())
}

/// Applies a strategic merge patch.
pub(crate) fn strategic_merge(
    _call: &crate::rest::request::Call,
    object: &mut Value,
    patch: &Value,
) -> Result<(), crate::status::ApiError> {
    json_patch::merge(object, patch);
    Ok(())
}
