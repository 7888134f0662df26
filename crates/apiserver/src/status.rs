//! Refusals, as the `metav1.Status` bodies that clients decode.

use http::StatusCode;
use serde_json::{Value, json};
use smd::validate::FieldError;

/// A refused request: becomes the HTTP status and the `Status` body of the answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

/// One field that made an object invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable kind of problem, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// What is wrong, such as `Required value`.
    pub message: String,
    /// Path of the field, such as `spec.template.spec.containers[0].image`.
    pub field: String,
}

impl Cause {
    /// Returns a cause for a field that has to be given.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// Returns a cause for a field whose value breaks a rule.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: {detail}", shown(value)),
            field: field.into(),
        }
    }

    /// Returns a cause for a field that may not be set here.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {detail}"),
            field: field.into(),
        }
    }

    /// Returns a cause for a value outside of the supported ones.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        Self {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                list.join(", ")
            ),
            field: field.into(),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// Returns a value as Go's field errors print it: quoted strings, compact JSON otherwise.
fn shown(value: &Value) -> String {
    value.to_string()
}

impl From<FieldError> for Cause {
    fn from(error: FieldError) -> Self {
        let FieldError { reason, field, message } = error;
        Self { reason, message, field }
    }
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn on(mut self, group: &str, kind: &str, name: &str) -> Self {
        let mut details = serde_json::Map::new();
        for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(field.into(), value.into());
            }
        }
        self.details = Some(Value::Object(details));
        self
    }

    /// Returns 404 for an object that does not exist; `resource` is the plural.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(resource, group));
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).on(group, resource, name)
    }

    /// Returns 404 for a path that names no known resource.
    pub fn no_such_path() -> Self {
        let mut error = Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        );
        error.details = Some(json!({}));
        error
    }

    /// Returns 409 for a name that is taken.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(resource, group));
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).on(group, resource, name)
    }

    /// Returns 409 for an update of something that changed meanwhile.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(resource, group)
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).on(group, resource, name)
    }

    /// Returns the 409 of a server-side apply whose fields belong to other managers.
    pub fn apply_conflict(message: String, causes: Vec<(String, String)>) -> Self {
        let causes: Vec<Value> = causes
            .into_iter()
            .map(|(message, field)| {
                json!({"reason": "FieldManagerConflict", "message": message, "field": field})
            })
            .collect();
        let mut error = Self::new(StatusCode::CONFLICT, "Conflict", message);
        error.details = Some(json!({"causes": causes}));
        error
    }

    /// Returns 422 with one cause per broken field.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(Cause::text).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {list}", qualified(kind, group));
        let mut error =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).on(group, kind, name);
        if let Some(details) = &mut error.details {
            details["causes"] = causes
                .iter()
                .map(|cause| {
                    json!({
                        "reason": cause.reason,
                        "message": cause.message,
                        "field": cause.field,
                    })
                })
                .collect();
        }
        error
    }

    /// Returns 422 for a patch that cannot be used.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// Returns 422 for a patch that does not fit the object.
    pub fn rejected() -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut error = Self::unprocessable(message);
        error.details = Some(json!({}));
        error
    }

    /// Returns 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// Returns 401.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// Returns 403 on an object; `why` follows the name.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", qualified(resource, group));
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).on(group, resource, name)
    }

    /// Returns the 403 of a request that nothing allows; `why` is a whole sentence. Without a
    /// resource the request is for a path.
    pub fn not_permitted(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{} is forbidden: {why}", qualified(resource, group)),
            _ => format!("{} \"{name}\" is forbidden: {why}", qualified(resource, group)),
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).on(group, resource, name)
    }

    /// Returns the 403 of a create in a namespace that is being deleted.
    pub fn namespace_terminating(group: &str, resource: &str, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut error = Self::forbidden(group, resource, name, &why);
        if let Some(details) = &mut error.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        error
    }

    /// Returns 405.
    pub fn method_not_allowed() -> Self {
        let mut error = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        error.details = Some(json!({}));
        error
    }

    /// Returns 406 with the media types that would do.
    pub fn not_acceptable(accepted: &str) -> Self {
        let message = format!("only the following media types are accepted: {accepted}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// Returns 415 with the media types that would do.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {accepted}"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// Returns 413 for a body beyond the limit.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// Returns the 410 of a watch or list at a revision that is gone.
    pub fn expired(requested: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {requested} ({oldest})");
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// Returns the 410 of a page whose snapshot is gone.
    pub fn continue_expired() -> Self {
        Self::new(
            StatusCode::GONE,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You \
             can start a new list without the continue parameter.",
        )
    }

    /// Returns the 504 of a list or watch at a revision that does not exist yet.
    pub fn too_large_resource_version(requested: u64, current: u64) -> Self {
        let message =
            format!("Timeout: Too large resource version: {requested}, current: {current}");
        let mut error = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        error.details = Some(json!({
            "causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version",
            }],
            "retryAfterSeconds": 1,
        }));
        error
    }

    /// Returns 500.
    pub fn internal(message: impl Into<String>) -> Self {
        let message = format!("Internal error occurred: {}", message.into());
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// Returns 500 with nothing but a message, as the real one answers where it did not foresee an
    /// error.
    pub fn unclassified(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// Returns the HTTP status of the answer.
    pub fn code(&self) -> StatusCode {
        self.code
    }

    /// Returns the machine-readable reason, such as `NotFound`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Returns the `metav1.Status` body.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status["code"] = self.code.as_u16().into();
        status
    }
}

/// Returns `deployments.apps`, or `pods` in the core group.
pub(crate) fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_a_missing_object_as_the_real_one_does() {
        let body = ApiError::not_found("apps", "deployments", "web").to_value();
        assert_eq!(body["message"], "deployments.apps \"web\" not found");
        assert_eq!(body["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
        assert_eq!(body["code"], 404);
    }

    #[test]
    fn lists_several_causes_in_brackets() {
        let causes = [Cause::required("spec.a", ""), Cause::invalid("spec.b", &json!("x"), "no")];
        let error = ApiError::invalid("apps", "Deployment", "web", &causes);
        assert_eq!(
            error.to_string(),
            "Deployment.apps \"web\" is invalid: [spec.a: Required value, \
             spec.b: Invalid value: \"x\": no]"
        );
    }
}
