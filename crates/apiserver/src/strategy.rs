//! Checks of whole objects before they are stored.

use serde_json::Value;
use smd::validate::NameRule;

use crate::crd;
use crate::registry::Resource;
use crate::rest::request::Call;
use crate::rest::write::invalid;
use crate::rules;
use crate::status::{ApiError, Cause};

/// Errors over which rules are not looked at.
const BLOCKING: [&str; 5] = [
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// Refuses an object that is not as its kind has to be; `old` is what it replaces.
pub(crate) fn validate(call: &Call, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let resource = &call.resource;
    let mut errors = smd::validate::metadata(object, old, name_rule(resource));
    if let Some(version) = resource.version(&call.version).filter(|_| resource.custom) {
        errors.extend(smd::validate::custom(version.schema.typed(), object, old));
    } else if !resource.custom && matches!(call.subresource.as_deref(), None | Some("scale")) {
        errors.extend(smd::validate::builtin(&resource.group, &resource.kind, object, old));
    }
    let is_blocked = errors.iter().any(|error| BLOCKING.contains(&error.reason));
    let mut causes: Vec<Cause> = errors.into_iter().map(Cause::from).collect();
    if resource.storage.as_ref() == crd::CRDS {
        check_schemas(object, &mut causes);
    }
    if let Some(rules) = resource.version(&call.version).and_then(|version| version.schema.rules())
    {
        if is_blocked {
            causes.push(rules::not_checked());
        } else {
            causes.extend(rules.check(object, old));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(invalid(call, object, &causes)) }
}

/// Finds what keeps the schemas of a CustomResourceDefinition from being structural.
fn check_schemas(definition: &Value, causes: &mut Vec<Cause>) {
    let versions = definition["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    // Where all versions have the same schema, the API server speaks of the definition's own.
    let (checked, is_shared) = match versions {
        [first, rest @ ..] if rest.iter().all(|other| schema(other) == schema(first)) => {
            (&versions[..1], true)
        }
        _ => (versions, false),
    };
    for (index, version) in checked.iter().enumerate() {
        let path = if is_shared {
            "spec.validation.openAPIV3Schema".to_owned()
        } else {
            format!("spec.versions[{index}].schema.openAPIV3Schema")
        };
        let problems = smd::Schema::custom(&schema(version)).err().unwrap_or_default();
        causes.extend(problems.into_iter().map(|problem| problem.below(&path).into()));
        rules::malformed(&schema(version), &path, causes);
    }
}

/// Returns what a kind asks of the names of its objects.
fn name_rule(resource: &Resource) -> NameRule {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => NameRule::PathSegment,
        ("", "Namespace" | "Service") => NameRule::Label,
        _ => NameRule::Subdomain,
    }
}
