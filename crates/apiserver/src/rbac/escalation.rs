//! Nobody gives what they do not have: checks of roles and bindings before they are written.
//!
//! Source: `pkg/registry/rbac/*/policybased`, Kubernetes 1.36.

use serde_json::Value;

use super::rule::{quoted, uncovered};
use super::{Attributes, GROUP, Index, Missing, Rule};
use crate::object::Object;
use crate::rest::request::Call;
use crate::status::ApiError;

/// Refuses a role or binding that gives its subjects more than its writer has, unless the writer
/// may `escalate` roles or `bind` that role.
pub(super) fn check(
    index: &Index,
    call: &Call,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    match call.resource.plural.as_str() {
        "roles" | "clusterroles" => role(index, call, object, old),
        "rolebindings" | "clusterrolebindings" => binding(index, call, object),
        _ => Ok(()),
    }
}

fn role(index: &Index, call: &Call, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    if index.decide(&call.user, &Attributes::of_call(call, "escalate")).is_allowed() {
        return Ok(());
    }
    confirm(index, call, object, &Rule::all_of(object))?;
    let gathers = |role: &Value| {
        let selectors = &role["aggregationRule"]["clusterRoleSelectors"];
        selectors.as_array().is_some_and(|selectors| !selectors.is_empty())
    };
    if (gathers(object) || old.is_some_and(gathers))
        && confirm(index, call, object, &Rule::everything()).is_err()
    {
        let why = "must have cluster-admin privileges to use the aggregationRule";
        return Err(ApiError::forbidden(GROUP, &call.resource.plural, object.name(), why));
    }
    Ok(())
}

fn binding(index: &Index, call: &Call, object: &Value) -> Result<(), ApiError> {
    let text = |field: &str| object["roleRef"][field].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let resource = match kind {
        "ClusterRole" => "clusterroles",
        "Role" => "roles",
        _ => "",
    };
    let attributes = Attributes {
        verb: "bind".to_owned(),
        group: text("apiGroup").to_owned(),
        namespace: call.namespace.clone(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    if !resource.is_empty() && index.decide(&call.user, &attributes).is_allowed() {
        return Ok(());
    }
    let rules = index.referred(kind, name, &call.namespace).map_err(|missing| match missing {
        Missing::Role { name, .. } => ApiError::not_found(GROUP, &call.resource.plural, &name),
        Missing::Kind(_) => ApiError::unclassified(Missing::all(&[missing], None)),
    })?;
    confirm(index, call, object, rules)
}

/// Refuses rules that the user does not have where the object is.
fn confirm(index: &Index, call: &Call, object: &Value, wanted: &[Rule]) -> Result<(), ApiError> {
    let (owned, missing) = index.rules_of(&call.user, &call.namespace);
    let lines = uncovered(&owned, wanted);
    if lines.is_empty() {
        return Ok(());
    }
    let mut why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        call.user.name,
        quoted(&call.user.groups),
        lines.join("\n")
    );
    if !missing.is_empty() {
        let errors = Missing::all(&missing, Some(&call.resource.plural));
        why = format!("{why}; resolution errors: [{errors}]");
    }
    Err(ApiError::forbidden(GROUP, &call.resource.plural, object.name(), &why))
}
