//! Checks of whole objects before they are stored.

use serde_json::Value;
use smd::validate::FieldError;

use crate::crd;
use crate::names;
use crate::object::Object;
use crate::rest::request::Call;
use crate::rest::write::invalid;
use crate::status::{ApiError, Cause};

/// Refuses an object that is not as its kind has to be; `old` is what it replaces.
pub(crate) fn validate(call: &Call, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    if old.is_none() {
        check_name(call, object, &mut causes);
    }
    if let Some(version) = call.resource.version(&call.version)
        && call.resource.custom
    {
        let errors = smd::validate::custom(version.schema.typed(), object, old);
        causes.extend(errors.into_iter().map(Cause::from));
    }
    if call.resource.storage.as_ref() == crd::CRDS {
        causes.extend(schema_errors(object).into_iter().map(Cause::from));
    }
    if causes.is_empty() { Ok(()) } else { Err(invalid(call, object, &causes)) }
}

/// Returns what keeps the schemas of a CustomResourceDefinition from being structural.
fn schema_errors(definition: &Value) -> Vec<FieldError> {
    let versions = definition["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    // Where all versions have the same schema, the API server speaks of the definition's own.
    let (checked, is_shared) = match versions {
        [first, rest @ ..] if rest.iter().all(|other| schema(other) == schema(first)) => {
            (&versions[..1], true)
        }
        _ => (versions, false),
    };
    let mut errors = Vec::new();
    for (index, version) in checked.iter().enumerate() {
        let path = if is_shared {
            "spec.validation.openAPIV3Schema".to_owned()
        } else {
            format!("spec.versions[{index}].schema.openAPIV3Schema")
        };
        let problems = smd::Schema::custom(&schema(version)).err().unwrap_or_default();
        errors.extend(problems.into_iter().map(|problem| problem.below(&path)));
    }
    errors
}

fn check_name(call: &Call, object: &Value, causes: &mut Vec<Cause>) {
    let name = object.name();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    let resource = &call.resource;
    let shown = Value::from(name);
    let (good, rule) = match (resource.group.as_str(), resource.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => {
            (names::is_path_segment(name), "may not contain '/' or '%'")
        }
        ("", "Namespace" | "Service") => (names::is_label(name), names::LABEL_RULE),
        _ => (names::is_subdomain(name), names::SUBDOMAIN_RULE),
    };
    if !good {
        causes.push(Cause::invalid("metadata.name", &shown, rule));
    }
}
