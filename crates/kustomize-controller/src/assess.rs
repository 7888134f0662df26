//! The health of objects by the expressions of a Kustomization.
//!
//! Source: fluxcd/pkg `runtime/cel/status_evaluator.go` and `status_reader.go`.

use api::kustomize::{HealthCheckExpression, Kustomization};
use apply::kstatus::{Health, Status};
use apply::{Assess, Subject};
use common::expression::{Expression, ExpressionError};
use serde_json::Value;

/// The health of kinds by expressions.
#[derive(Debug)]
pub(crate) struct Assessment {
    rules: Vec<Rule>,
    /// Whether Jobs are judged by expressions too. For the controller's own identity Flux asks its
    /// reader of Jobs first.
    includes_jobs: bool,
}

#[derive(Debug)]
struct Rule {
    group: String,
    /// The kind; empty for all of the group.
    kind: String,
    /// What an object is when an expression is true, in the order in which they are asked.
    cases: Vec<(Status, Expression)>,
}

/// Why expressions cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssessmentError {
    #[error("duplicate custom health check for GroupKind {kind} at healthchecks[{index}]")]
    Duplicate { kind: String, index: usize },
    #[error(
        "failed to create custom status evaluator for healthchecks[{index}]: expression Current \
         not specified"
    )]
    NoCurrent { index: usize },
    #[error(
        "failed to create custom status evaluator for healthchecks[{index}]: failed to parse the \
         expression {name}"
    )]
    Parse {
        index: usize,
        name: &'static str,
        #[source]
        source: ExpressionError,
    },
}

impl Assessment {
    /// Reads the expressions of a Kustomization; `None` when it has none.
    pub(crate) fn compile(
        obj: &Kustomization,
        includes_jobs: bool,
    ) -> Result<Option<Self>, AssessmentError> {
        let mut rules: Vec<Rule> = Vec::new();
        for (index, check) in obj.spec.health_check_exprs.iter().flatten().enumerate() {
            let (group, _) = check.api_version.rsplit_once('/').unwrap_or(("", ""));
            let kind = check.kind.as_deref().unwrap_or_default();
            if rules.iter().any(|rule| rule.group == group && rule.kind == kind) {
                let dot = if group.is_empty() { "" } else { "." };
                let kind = format!("{kind}{dot}{group}");
                return Err(AssessmentError::Duplicate { kind, index });
            }
            let cases = cases(check, index)?;
            rules.push(Rule { group: group.to_owned(), kind: kind.to_owned(), cases });
        }
        Ok((!rules.is_empty()).then_some(Self { rules, includes_jobs }))
    }
}

impl Assessment {
    /// Returns the rule for a kind; one of its own goes before that of its group.
    fn rule(&self, group: &str, kind: &str) -> Option<&Rule> {
        if (group, kind) == ("batch", "Job") && !self.includes_jobs {
            return None;
        }
        let find = |kind| self.rules.iter().find(|rule| rule.group == group && rule.kind == kind);
        find(kind).or_else(|| find(""))
    }
}

/// Reads the expressions of a kind: current, failed, in progress. They are asked the other way
/// round.
fn cases(
    check: &HealthCheckExpression,
    index: usize,
) -> Result<Vec<(Status, Expression)>, AssessmentError> {
    if check.current.is_empty() {
        return Err(AssessmentError::NoCurrent { index });
    }
    let mut cases = Vec::new();
    for (name, status, text) in [
        ("Current", Status::Current, Some(&check.current)),
        ("Failed", Status::Failed, check.failed.as_ref()),
        ("InProgress", Status::InProgress, check.in_progress.as_ref()),
    ] {
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        let expression = Expression::parse(text).map_err(|source| AssessmentError::Parse {
            index,
            name,
            source,
        })?;
        cases.push((status, expression));
    }
    cases.reverse();
    Ok(cases)
}

impl Assess for Assessment {
    fn concerns(&self, group: &str, kind: &str) -> bool {
        self.rule(group, kind).is_some()
    }

    fn assess(&self, object: &Value) -> Option<Result<Health, String>> {
        let subject = Subject::of(object);
        let rule = self.rule(subject.group(), &subject.kind)?;
        Some(rule.evaluate(object).map_err(|error| error.to_string()))
    }
}

impl Rule {
    fn evaluate(&self, object: &Value) -> Result<Health, ExpressionError> {
        let generation = object["metadata"]["generation"].as_i64();
        let observed = object["status"]["observedGeneration"].as_i64();
        if let (Some(generation), Some(observed)) = (generation, observed)
            && generation != observed
        {
            return Ok(Health::new(Status::InProgress, ""));
        }
        let fields = || object.as_object().into_iter().flatten();
        for (status, expression) in &self.cases {
            if expression.is_true(fields().map(|(name, value)| (name.as_str(), value)))? {
                return Ok(Health::new(*status, ""));
            }
        }
        Ok(Health::new(Status::InProgress, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::stop::chain;
    use serde_json::json;

    fn compile(checks: &Value) -> Result<Option<Assessment>, String> {
        let obj = json!({
            "metadata": {"name": "x"},
            "spec": {
                "interval": "1m", "prune": true, "healthCheckExprs": checks,
                "sourceRef": {"kind": "GitRepository", "name": "x"},
            },
        });
        let obj = serde_json::from_value(obj).unwrap();
        Assessment::compile(&obj, false).map_err(|error| chain(&error))
    }

    fn object(status: &Value) -> Value {
        json!({
            "apiVersion": "example.com/v1", "kind": "Widget",
            "metadata": {"name": "a", "generation": 2}, "status": status,
        })
    }

    #[test]
    fn asks_in_progress_then_failed_then_current() {
        let checks = json!([{
            "apiVersion": "example.com/v9", "kind": "Widget", "current": "status.n < 30",
            "failed": "status.n < 20", "inProgress": "status.n < 10",
        }]);
        let assessment = compile(&checks).unwrap().unwrap();
        for (status, expected) in [
            (json!({"n": 1}), Status::InProgress),
            (json!({"n": 11}), Status::Failed),
            (json!({"n": 21}), Status::Current),
            (json!({"n": 31}), Status::InProgress),
            (json!({"n": 21, "observedGeneration": 1}), Status::InProgress),
            (json!({"n": 21, "observedGeneration": 2}), Status::Current),
            (json!({"n": 21, "observedGeneration": "1"}), Status::Current),
        ] {
            let health = assessment.assess(&object(&status)).unwrap().unwrap();
            assert_eq!(health.status, expected, "{status}");
        }
        let error = assessment.assess(&object(&json!({}))).unwrap().unwrap_err();
        assert_eq!(error, "failed to evaluate the CEL expression 'status.n < 10': no such key: n");
    }

    #[test]
    fn prefers_the_kind_to_its_group_and_leaves_others_alone() {
        let checks = json!([
            {"apiVersion": "example.com/v1", "current": "false"},
            {"apiVersion": "example.com/v1", "kind": "Widget", "current": "true"},
            {"apiVersion": "batch/v1", "kind": "Job", "current": "true"},
        ]);
        let assessment = compile(&checks).unwrap().unwrap();
        let health = |object: &Value| assessment.assess(object).map(|it| it.unwrap().status);
        let mut object = object(&json!({}));
        assert_eq!(health(&object), Some(Status::Current));
        object["kind"] = json!("Gadget");
        assert_eq!(health(&object), Some(Status::InProgress));
        object["apiVersion"] = json!("v1");
        assert_eq!(health(&object), None);
        assert_eq!(health(&json!({"apiVersion": "batch/v1", "kind": "Job"})), None);
    }

    #[test]
    fn names_the_check_and_the_expression_that_is_wrong() {
        assert!(compile(&json!([])).unwrap().is_none());
        let check = |fields: Value| {
            let mut check = json!({"apiVersion": "a/v1", "kind": "K", "current": "true"});
            check.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            check
        };
        let start = "failed to create custom status evaluator for healthchecks[0]: ";
        let error = compile(&json!([check(json!({"inProgress": "status."}))])).unwrap_err();
        let middle = "failed to parse the expression InProgress: failed to parse the CEL expression 'status.': ";
        assert!(error.starts_with(&format!("{start}{middle}")), "{error}");
        let error = compile(&json!([check(json!({"current": ""}))])).unwrap_err();
        assert_eq!(error, format!("{start}expression Current not specified"));
        let twice = json!([check(json!({})), check(json!({"apiVersion": "a/v2"}))]);
        assert_eq!(
            compile(&twice).unwrap_err(),
            "duplicate custom health check for GroupKind K.a at healthchecks[1]"
        );
    }
}
