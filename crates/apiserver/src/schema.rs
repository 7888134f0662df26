//! What is known of the shape of a kind's objects.

use std::sync::OnceLock;

use serde_json::Value;
use smd::strategic::{self, StrategicError};

use crate::rest::request::Call;
use crate::rules::Rules;
use crate::status::ApiError;
use crate::{admission, defaults};

/// Shape of the objects of one version of one kind.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The `openAPIV3Schema` of a custom resource.
    openapi: Option<Value>,
    typed: smd::Schema,
    /// Compiled when they are first needed.
    rules: OnceLock<Option<Rules>>,
}

impl Schema {
    /// Returns the schema of a built-in kind.
    pub(crate) fn builtin(group: &str, version: &str, kind: &str) -> Self {
        let typed = smd::Schema::builtin(group, version, kind).unwrap_or_else(smd::Schema::untyped);
        Self { openapi: None, typed, rules: OnceLock::new() }
    }

    /// Returns the schema of a version of a CustomResourceDefinition.
    pub(crate) fn custom(openapi: Option<Value>) -> Self {
        let typed =
            openapi.as_ref().map_or_else(smd::Schema::untyped, smd::Schema::custom_unchecked);
        Self { openapi, typed, rules: OnceLock::new() }
    }

    /// Returns the `openAPIV3Schema` of a custom resource.
    pub(crate) fn openapi(&self) -> Option<&Value> {
        self.openapi.as_ref()
    }

    /// Returns the rules in CEL, if there are any.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        let compile = || self.openapi.as_ref().and_then(Rules::compile);
        self.rules.get_or_init(compile).as_ref()
    }

    /// Returns the schema as merges, patches and validation use it.
    pub(crate) fn typed(&self) -> &smd::Schema {
        &self.typed
    }
}

/// What is done about fields that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    fn of(call: &Call) -> Result<Self, ApiError> {
        match call.param("fieldValidation").unwrap_or_default() {
            "" | "Warn" => Ok(Self::Warn),
            "Ignore" => Ok(Self::Ignore),
            "Strict" => Ok(Self::Strict),
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                let cause =
                    crate::status::Cause::unsupported("fieldValidation", &other.into(), &supported);
                Err(ApiError::invalid("meta.k8s.io", options_kind(call), "", &[cause]))
            }
        }
    }
}

/// Returns the kind of the options of a write.
pub(crate) fn options_kind(call: &Call) -> &'static str {
    match call.method {
        http::Method::POST => "CreateOptions",
        http::Method::PUT => "UpdateOptions",
        _ => "PatchOptions",
    }
}

/// Gives an object that a client sent the form that it is worked on in: types are checked, fields
/// that the kind does not have go, with a refusal or warning as `fieldValidation` says, and defaults
/// come.
pub(crate) fn decode(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let validation = FieldValidation::of(call)?;
    let Some(version) = call.resource.version(&call.version) else { return Ok(()) };
    let schema = version.schema.typed();
    check_types(call, object)?;
    let sent = (validation == FieldValidation::Strict).then(|| object.clone());
    let mut unknown = smd::prune::unknown_fields(schema, object);
    if call.resource.custom {
        unknown.sort();
    }
    let duplicates =
        call.duplicates().into_iter().map(|path| format!("duplicate field \"{path}\""));
    let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\""));
    let problems: Vec<String> = duplicates.chain(unknown).collect();
    match (validation, sent) {
        (FieldValidation::Strict, Some(sent)) if !problems.is_empty() => {
            let detail = format!("strict decoding error: {}", problems.join(", "));
            return Err(decode_error(call, &sent, &detail));
        }
        (FieldValidation::Warn, _) => problems.into_iter().for_each(|problem| call.warn(problem)),
        _ => {}
    }
    if call.resource.is("", "secrets") {
        admission::secret(object);
    }
    defaults::fill(call, object);
    Ok(())
}

/// Refuses an object whose fields are not of the types of its kind.
pub(crate) fn check_types(call: &Call, object: &Value) -> Result<(), ApiError> {
    let Some(version) = call.resource.version(&call.version) else { return Ok(()) };
    match smd::validate::type_error(version.schema.typed(), object) {
        Some(problem) => Err(decode_error(call, object, &problem)),
        None => Ok(()),
    }
}

/// Returns the refusal of an object that cannot be decoded.
fn decode_error(call: &Call, sent: &Value, detail: &str) -> ApiError {
    if call.method == http::Method::PATCH {
        // A strategic merge shows the patch, and the others what came of it.
        let shown = match serde_json::from_slice::<Value>(&call.body) {
            Ok(patch) if call.content_type == "application/strategic-merge-patch+json" => {
                smd::value::go_text(&patch)
            }
            _ => sent.to_string(),
        };
        let cause = crate::status::Cause::invalid("patch", &shown.into(), detail);
        return ApiError::invalid("", "", "", &[cause]);
    }
    let kind = &call.resource.kind;
    ApiError::bad_request(format!(
        "{kind} in version {:?} cannot be handled as a {kind}: {detail}",
        call.version
    ))
}

/// Applies a strategic merge patch.
pub(crate) fn strategic_merge(
    call: &Call,
    object: &mut Value,
    patch: &Value,
) -> Result<(), ApiError> {
    let Some(version) = call.resource.version(&call.version) else { return Ok(()) };
    strategic::merge(version.schema.typed(), object, patch).map_err(|error| match error {
        StrategicError::MixedList => ApiError::unprocessable(error.to_string()),
        StrategicError::NotAnObject | StrategicError::BadList(_) | StrategicError::NotRetained => {
            ApiError::bad_request(error.to_string())
        }
        _ => ApiError::unclassified(error.to_string()),
    })
}
