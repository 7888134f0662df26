//! Reviews: creates that store nothing and answer a question.

use http::StatusCode;
use serde_json::{Value, json};

use crate::clock;
use crate::object::Object;
use crate::rbac::{self, Attributes, Missing};
use crate::rest::request::Call;
use crate::rest::{Reply, token, write};
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::user::UserInfo;
use crate::{managed, schema};

/// Answers a review.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let mut object = call.object()?;
    write::check_identity(call, &mut object)?;
    managed::check_options(call)?;
    schema::decode(call, &mut object)?;
    let answer = match call.resource.kind.as_str() {
        "SelfSubjectReview" => json!({
            "kind": object["kind"],
            "apiVersion": object["apiVersion"],
            "metadata": {"creationTimestamp": clock::now()},
            "status": {"userInfo": call.user.to_value()},
        }),
        "SelfSubjectRulesReview" => rules(cluster, call, &object)?,
        "TokenReview" => {
            managed::updated(call, &mut object, None);
            token::review(cluster, &mut object)?;
            object
        }
        _ => {
            managed::updated(call, &mut object, None);
            object["status"] = access(cluster, call, &object)?;
            object
        }
    };
    Ok(Reply::Json(StatusCode::CREATED, answer))
}

/// Answers one of the three access reviews.
fn access(cluster: &Cluster, call: &Call, review: &Value) -> Result<Value, ApiError> {
    check(call, review)?;
    let spec = &review["spec"];
    let decision = if call.resource.kind == "SelfSubjectAccessReview" {
        rbac::decide(cluster, &call.user, &attributes(spec))
    } else {
        rbac::decide(cluster, &subject(spec), &attributes(spec))
    };
    let mut status = json!({"allowed": decision.is_allowed()});
    let reason = decision.reason();
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    Ok(status)
}

/// Refuses a review that asks nothing, or two things.
fn check(call: &Call, review: &Value) -> Result<(), ApiError> {
    let kind = call.resource.kind.as_str();
    let spec = &review["spec"];
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    // As the internal type of the API server is written.
    let shown = json!({"Path": path["path"].as_str().unwrap_or_default(), "Verb": path["verb"].as_str().unwrap_or_default()});
    let mut causes = Vec::new();
    if resource.is_object() && path.is_object() {
        let what = "cannot be specified in combination with resourceAttributes";
        causes.push(Cause::invalid("spec.nonResourceAttributes", &shown, what));
    }
    if !resource.is_object() && !path.is_object() {
        let what = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        causes.push(Cause::invalid("spec.resourceAttributes", &Value::Null, what));
    }
    if kind != "SelfSubjectAccessReview" {
        let has_group = spec["groups"].as_array().is_some_and(|groups| !groups.is_empty());
        if spec["user"].as_str().is_none_or(str::is_empty) && !has_group {
            let what = "at least one of user or group must be specified";
            causes.push(Cause::invalid("spec.user", &"".into(), what));
        }
    }
    let is_local = kind == "LocalSubjectAccessReview";
    let fields = review.meta().into_iter().flatten().map(|(field, _)| field.as_str());
    let mut fields = fields.filter(|field| *field != "managedFields");
    if fields.any(|field| !(is_local && field == "namespace")) {
        let what = if is_local { "must be empty except for namespace" } else { "must be empty" };
        causes.push(Cause::invalid("metadata", &review["metadata"], what));
    }
    if is_local {
        let namespace = resource["namespace"].as_str().unwrap_or_default();
        if resource.is_object() && namespace != call.namespace {
            let what = "must match metadata.namespace";
            let field = "spec.resourceAttributes.namespace";
            causes.push(Cause::invalid(field, &namespace.into(), what));
        }
        if path.is_object() {
            let what = "disallowed on this kind of request";
            causes.push(Cause::invalid("spec.nonResourceAttributes", &shown, what));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    // The real one forgets the kind here.
    Err(ApiError::invalid(&call.resource.group, "", "", &causes))
}

/// Returns what a review asks about.
fn attributes(spec: &Value) -> Attributes {
    let resource = &spec["resourceAttributes"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !resource.is_object() {
        let path = &spec["nonResourceAttributes"];
        return Attributes {
            verb: text(&path["verb"]),
            path: Some(text(&path["path"])),
            ..Attributes::default()
        };
    }
    Attributes {
        verb: text(&resource["verb"]),
        group: text(&resource["group"]),
        namespace: text(&resource["namespace"]),
        resource: text(&resource["resource"]),
        subresource: text(&resource["subresource"]),
        name: text(&resource["name"]),
        path: None,
    }
}

/// Returns whom a review asks about.
fn subject(spec: &Value) -> UserInfo {
    let groups = spec["groups"].as_array().into_iter().flatten();
    UserInfo {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        groups: groups.filter_map(Value::as_str).map(str::to_owned).collect(),
        ..UserInfo::anonymous()
    }
}

fn rules(cluster: &Cluster, call: &Call, review: &Value) -> Result<Value, ApiError> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let (rules, missing) = rbac::rules_of(cluster, &call.user, namespace);
    let (mut of_resources, mut of_urls) = (Vec::new(), Vec::new());
    for rule in &rules {
        let (resources, urls) = rule.shown();
        of_resources.extend(resources);
        of_urls.extend(urls);
    }
    let mut status = json!({
        "resourceRules": of_resources,
        "nonResourceRules": of_urls,
        "incomplete": false,
    });
    if !missing.is_empty() {
        status["evaluationError"] = Missing::all(&missing, None).into();
    }
    Ok(json!({
        "kind": review["kind"],
        "apiVersion": review["apiVersion"],
        "metadata": {},
        "spec": {},
        "status": status,
    }))
}
