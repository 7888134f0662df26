//! `x-kubernetes-validations`: rules in CEL that the schema of a custom resource holds.

use kube_cel::cel::Program;
use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema, validate_compiled};
use serde_json::{Value, json};
use smd::validate::type_name;

use crate::status::Cause;

const KEYWORD: &str = "x-kubernetes-validations";

/// The rules of one schema.
#[derive(Debug)]
pub(crate) struct Rules(CompiledSchema);

impl Rules {
    /// Returns the rules of an `openAPIV3Schema`, `None` if it has none.
    pub(crate) fn compile(openapi: &Value) -> Option<Self> {
        has_rules(openapi).then(|| Self(compile_schema(openapi)))
    }

    /// Returns the rules that an object breaks; `old` is what it replaces.
    ///
    /// What did not change may go on breaking rules that do not look at the change.
    pub(crate) fn check(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let Err(errors) = validate_compiled(&self.0, object, old) else { return Vec::new() };
        let is_news = |error: &ValidationError| {
            let Some(old) = old.filter(|_| !error.rule.contains("oldSelf")) else { return true };
            let (before, now) = (at(old, &error.field_path), at(object, &error.field_path));
            now.is_none() || before != now
        };
        let mut news: Vec<_> = errors.iter().filter(|error| is_news(error)).collect();
        news.sort_by(|a, b| a.field_path.cmp(&b.field_path));
        news.into_iter().filter_map(|error| cause(error, object)).collect()
    }
}

/// Returns the rules of a schema that are not CEL; types are not looked at.
pub(crate) fn malformed(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Value::Object(map) = schema else { return };
    for (index, rule) in
        map.get(KEYWORD).and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let text = rule["rule"].as_str().unwrap_or_default();
        let Err(error) = Program::compile(text) else { continue };
        // As the internal type of the API server is written.
        let shown = json!({
            "Rule": text,
            "Message": rule["message"].as_str().unwrap_or_default(),
            "MessageExpression": rule["messageExpression"].as_str().unwrap_or_default(),
            "Reason": rule["reason"],
            "FieldPath": rule["fieldPath"].as_str().unwrap_or_default(),
            "OptionalOldSelf": rule["optionalOldSelf"],
        });
        let field = format!("{path}.{KEYWORD}[{index}].rule");
        causes.push(Cause::invalid(field, &shown, &format!("compilation failed: {error}")));
    }
    for (name, field) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        malformed(field, &format!("{path}.properties[{name}]"), causes);
    }
    for name in ["additionalProperties", "items"] {
        if let Some(below) = map.get(name) {
            malformed(below, &format!("{path}.{name}"), causes);
        }
    }
}

/// Returns the answer to an object that is invalid before its rules are looked at.
pub(crate) fn not_checked() -> Cause {
    let detail = "some validation rules were not checked because the object was invalid; correct the \
                  existing errors to complete validation";
    Cause::invalid("<nil>", &Value::Null, detail)
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key(KEYWORD) || map.values().any(has_rules),
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

fn cause(error: &ValidationError, object: &Value) -> Option<Cause> {
    let value = at(object, &error.field_path);
    let field = if error.field_path.is_empty() { "<nil>" } else { &error.field_path };
    match error.kind {
        ErrorKind::ValidationFailure => {}
        // A rule that this build cannot evaluate keeps nobody from writing objects here.
        ErrorKind::UnsupportedReference
        | ErrorKind::CompilationFailure
        | ErrorKind::InvalidRule
        | ErrorKind::SchemaTooDeep => {
            tracing::debug!(rule = error.rule, %error, "skipped a validation rule");
            return None;
        }
        _ => {
            let kind = type_name(value.unwrap_or(&Value::Null));
            let message = error.message.trim_start_matches("rule evaluation error: ");
            let detail = format!("{message} evaluating rule: {}", error.rule);
            return Some(Cause::invalid(field, &kind.into(), &detail));
        }
    }
    let message = &error.message;
    Some(match error.reason.as_deref() {
        Some("FieldValueForbidden") => Cause::forbidden(field, message),
        Some("FieldValueRequired") => Cause::required(field, message),
        reason => {
            let is_duplicate = reason == Some("FieldValueDuplicate");
            let head = if is_duplicate { "Duplicate value" } else { "Invalid value" };
            // Objects and lists are not shown.
            let shown = match value {
                Some(value) if !value.is_object() && !value.is_array() => {
                    format!("{head}: {value}")
                }
                _ => head.to_owned(),
            };
            Cause {
                reason: if is_duplicate { "FieldValueDuplicate" } else { "FieldValueInvalid" },
                message: format!("{shown}: {message}"),
                field: field.to_owned(),
            }
        }
    })
}

/// Returns the value at a path such as `spec.hosts[0].name`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).try_fold(
        object,
        |value, part| match part.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?),
            None => value.get(part),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(properties: &Value, rules: &Value) -> Rules {
        let spec = json!({"type": "object", "properties": properties, KEYWORD: rules});
        Rules::compile(&json!({"type": "object", "properties": {"spec": spec}})).unwrap()
    }

    fn texts(rules: &Rules, spec: &Value, old: Option<&Value>) -> Vec<String> {
        let old = old.map(|old| json!({"spec": old}));
        let causes = rules.check(&json!({"spec": spec}), old.as_ref());
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn words_broken_rules_as_the_api_server_does() {
        let properties = json!({
            "a": {"type": "string"}, "b": {"type": "string"}, "n": {"type": "integer"},
            "url": {"type": "string", KEYWORD: [{"rule": "self.startsWith('http')"}]},
        });
        let rules = rules(
            &properties,
            &json!([
                {"rule": "!has(self.a) || has(self.b)", "message": "b goes with a"},
                {"rule": "!has(self.n) || self.n < 10", "fieldPath": ".n", "message": "too much",
                 "reason": "FieldValueForbidden"},
            ]),
        );
        assert_eq!(
            texts(&rules, &json!({"a": "1", "n": 20, "url": "ftp"}), None),
            [
                "spec: Invalid value: b goes with a",
                "spec.n: Forbidden: too much",
                "spec.url: Invalid value: \"ftp\": failed rule: self.startsWith('http')",
            ]
        );
        assert_eq!(texts(&rules, &json!({"n": 1, "url": "http"}), None), Vec::<String>::new());
    }

    #[test]
    fn rules_of_changes_look_at_what_was_there() {
        let fixed = json!({"id": {"type": "string", KEYWORD: [
            {"rule": "self == oldSelf", "message": "cannot change"},
        ]}});
        let rules = rules(&fixed, &json!([]));
        let (old, new) = (json!({"id": "a"}), json!({"id": "b"}));
        assert_eq!(texts(&rules, &new, None), Vec::<String>::new());
        assert_eq!(texts(&rules, &new, Some(&new)), Vec::<String>::new());
        assert_eq!(
            texts(&rules, &new, Some(&old)),
            ["spec.id: Invalid value: \"b\": cannot change"]
        );
        assert_eq!(texts(&rules, &new, Some(&json!({}))), Vec::<String>::new());
    }

    #[test]
    fn unchanged_values_may_go_on_breaking_rules() {
        let properties = json!({
            "n": {"type": "integer", KEYWORD: [{"rule": "self < 10"}]}, "m": {"type": "integer"},
        });
        let rules = rules(&properties, &json!([]));
        let old = json!({"n": 20, "m": 1});
        assert_eq!(texts(&rules, &json!({"n": 20, "m": 2}), Some(&old)), Vec::<String>::new());
        assert_eq!(texts(&rules, &json!({"n": 21, "m": 1}), Some(&old)).len(), 1);
    }

    #[test]
    fn finds_rules_that_are_not_cel() {
        let field = json!({"type": "string", KEYWORD: [{"rule": "self =="}]});
        let schema = json!({"type": "object", "properties": {"a": field}});
        let mut causes = Vec::new();
        malformed(&schema, "spec", &mut causes);
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].field, "spec.properties[a].x-kubernetes-validations[0].rule");
        assert!(causes[0].message.contains("compilation failed: "), "{causes:?}");
    }

    #[test]
    fn a_schema_without_rules_has_none() {
        assert!(
            Rules::compile(&json!({"type": "object", "properties": {"a": {"enum": ["x"]}}}))
                .is_none()
        );
    }
}
