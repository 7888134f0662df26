//! Errors of fields, in the words of the API server.

use std::fmt;

use serde_json::Value;

use crate::value::quote;

/// What is wrong with one field of an object.
///
/// Shown as `spec.replicas: Invalid value: -1: must be greater than or equal to 0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Machine-readable kind of problem, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// Path of the field, such as `spec.template.spec.containers[0].image`.
    pub field: String,
    /// What is wrong, such as `Required value`.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(reason: &'static str, field: &str, head: String, detail: &str) -> Self {
        let message = if detail.is_empty() { head } else { format!("{head}: {detail}") };
        Self { reason, field: field.to_owned(), message }
    }

    /// Returns the same error of a field below another one.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        self.field =
            if self.field.is_empty() { path.to_owned() } else { format!("{path}.{}", self.field) };
        self
    }

    /// Returns an error for a field that has to be given.
    pub fn required(field: &str, detail: &str) -> Self {
        Self::new("FieldValueRequired", field, "Required value".to_owned(), detail)
    }

    /// Returns an error for a value that breaks a rule.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {}", shown(value)), detail)
    }

    /// Returns an error for a value of the wrong type.
    pub fn of_type(field: &str, value: &Value, detail: &str) -> Self {
        let head = format!("Invalid value: {}", shown(value));
        Self::new("FieldValueTypeInvalid", field, head, detail)
    }

    /// Returns an error for a field that may not be set here.
    pub fn forbidden(field: &str, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, "Forbidden".to_owned(), detail)
    }

    /// Returns an error for a value outside of the supported ones.
    pub fn unsupported(field: &str, value: &Value, supported: &[Value]) -> Self {
        let list: Vec<String> = supported
            .iter()
            .map(|value| match value {
                Value::String(text) => quote(text),
                other => quote(&other.to_string()),
            })
            .collect();
        let detail = if list.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", list.join(", "))
        };
        let head = format!("Unsupported value: {}", shown(value));
        Self::new("FieldValueNotSupported", field, head, &detail)
    }

    /// Returns an error for a value that may be there once.
    pub fn duplicate(field: &str, value: &Value) -> Self {
        Self::new("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(value)), "")
    }

    /// Returns an error for a reference to something that is not there.
    pub fn not_found(field: &str, value: &Value) -> Self {
        Self::new("FieldValueNotFound", field, format!("Not found: {}", shown(value)), "")
    }

    /// Returns an error for text with too many bytes.
    pub fn too_long(field: &str, limit: u64) -> Self {
        let unit = if limit == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {limit} {unit}");
        Self::new("FieldValueTooLong", field, "Too long".to_owned(), &detail)
    }

    /// Returns an error for a list or map with too many elements.
    pub fn too_many(field: &str, actual: usize, limit: u64) -> Self {
        let unit = if limit == 1 { "item" } else { "items" };
        let detail = format!("must have at most {limit} {unit}");
        Self::new("FieldValueTooMany", field, format!("Too many: {actual}"), &detail)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for FieldError {}

/// Returns a value as field errors print it: strings quoted, all else as JSON with sorted keys.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        other => sorted(other).to_string(),
    }
}

/// Go's maps have no order, and its JSON sorts them.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_like_the_real_one() {
        let cases = [
            (FieldError::required("spec.a", ""), "spec.a: Required value"),
            (FieldError::required("spec.a", "why"), "spec.a: Required value: why"),
            (
                FieldError::invalid("spec.a", &json!({"b": 1, "a": "x"}), "no"),
                r#"spec.a: Invalid value: {"a":"x","b":1}: no"#,
            ),
            (
                FieldError::unsupported("spec.a", &json!("x"), &[json!("b"), json!(1)]),
                r#"spec.a: Unsupported value: "x": supported values: "b", "1""#,
            ),
            (FieldError::duplicate("spec.a[1]", &json!(80)), "spec.a[1]: Duplicate value: 80"),
            (FieldError::too_long("spec.a", 1), "spec.a: Too long: may not be more than 1 byte"),
            (
                FieldError::too_many("spec.a", 3, 2),
                "spec.a: Too many: 3: must have at most 2 items",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
