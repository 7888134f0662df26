//! Reviews: creates that store nothing and answer a question.

use http::StatusCode;
use serde_json::json;

use crate::rest::Reply;
use crate::rest::request::Call;
use crate::status::ApiError;

/// Answers a review. Everybody may do everything until authorization is enforced.
pub(crate) fn run(call: &Call) -> Result<Reply, ApiError> {
    let mut object = call.object()?;
    object["kind"] = call.resource.kind.clone().into();
    object["apiVersion"] = call.api_version().into();
    if object.get("metadata").is_none() {
        object["metadata"] = json!({"creationTimestamp": null});
    }
    object["status"] = match call.resource.kind.as_str() {
        "SelfSubjectReview" => json!({
            "userInfo": {"username": call.user.name, "groups": call.user.groups},
        }),
        "TokenReview" => json!({"authenticated": false}),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true}),
    };
    Ok(Reply::Object(StatusCode::CREATED, object))
}
