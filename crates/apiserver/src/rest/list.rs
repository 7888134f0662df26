//! Lists, whole or in pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::rest::Reply;
use crate::rest::request::Call;
use crate::selector::Selectors;
use crate::server::Cluster;
use crate::status::{ApiError, Cause};
use crate::storage::Key;

/// Returns the objects of a resource that the selectors take.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let selectors = Selectors::of(call)?;
    let limit = match call.param("limit").unwrap_or_default() {
        "" => None,
        text => Some(text.parse::<usize>().map_err(|_| {
            ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })?),
    }
    .filter(|&limit| limit > 0);
    let token = match call.param("continue").unwrap_or_default() {
        "" => None,
        token => Some(Token::parse(token)?),
    };
    let at = match &token {
        Some(token) => Some(token.revision),
        None => exact_revision(cluster, call)?,
    };
    let namespace = (!call.namespace.is_empty()).then_some(call.namespace.as_str());
    let after = token.as_ref().map(|token| &token.after);
    let snapshot = cluster
        .store
        .list(&call.resource.storage, namespace, at, after, limit, |value| selectors.take(value))
        .map_err(|_| match token {
            Some(_) => ApiError::continue_expired(),
            None => ApiError::expired(at.unwrap_or_default(), cluster.store.revision()),
        })?;
    let mut metadata = json!({"resourceVersion": snapshot.revision.to_string()});
    if let (true, Some((last, _))) = (snapshot.remaining > 0, snapshot.entries.last()) {
        let token = Token { revision: snapshot.revision, after: Key::clone(last) };
        metadata["continue"] = token.to_string().into();
        if selectors.is_empty() {
            metadata["remainingItemCount"] = snapshot.remaining.into();
        }
    }
    if call.resource.custom && metadata.get("continue").is_none() {
        metadata["continue"] = "".into();
    }
    let entries = snapshot.entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(Reply::List(metadata, entries))
}

/// Returns the revision that `resourceVersionMatch=Exact` asks for, after checking the parameters.
fn exact_revision(cluster: &Cluster, call: &Call) -> Result<Option<u64>, ApiError> {
    let given = call.param("resourceVersion").unwrap_or_default();
    let matching = call.param("resourceVersionMatch").unwrap_or_default();
    check_options(call, given, matching)?;
    if given.is_empty() {
        return Ok(None);
    }
    let revision = parse_revision(given)?;
    let current = cluster.store.revision();
    if revision > current {
        return Err(ApiError::too_large_resource_version(revision, current));
    }
    Ok((matching == "Exact" && revision > 0).then_some(revision))
}

/// Refuses options of a list that make no sense.
fn check_options(call: &Call, revision: &str, matching: &str) -> Result<(), ApiError> {
    const MATCH: &str = "resourceVersionMatch";
    let mut causes = Vec::new();
    if call.param("sendInitialEvents").is_some() {
        let what = "sendInitialEvents is forbidden for list";
        causes.push(Cause::forbidden("sendInitialEvents", what));
    }
    if !matching.is_empty() {
        if revision.is_empty() {
            let what = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(Cause::forbidden(MATCH, what));
        }
        if !call.param("continue").unwrap_or_default().is_empty() {
            let what = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(Cause::forbidden(MATCH, what));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            let supported = ["Exact", "NotOlderThan", ""];
            causes.push(Cause::unsupported(MATCH, &matching.into(), &supported));
        }
        if matching == "Exact" && revision == "0" {
            let what = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden(MATCH, what));
        }
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &causes))
    }
}

/// Parses a `resourceVersion` parameter.
pub(crate) fn parse_revision(text: &str) -> Result<u64, ApiError> {
    let wrong = |problem| ApiError::bad_request(format!("invalid resource version: {problem}"));
    text.parse().map_err(|_| wrong(no_revision(text)))
}

/// Says that a text is no revision.
pub(crate) fn no_revision(text: &str) -> String {
    format!(
        "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid \
         syntax"
    )
}

/// Where the next page begins.
struct Token {
    revision: u64,
    after: Key,
}

impl Token {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let parse = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let value: Value = serde_json::from_slice(&bytes).ok()?;
            let (namespace, name) = value["start"].as_str()?.split_once('/')?;
            Some(Self { revision: value["rv"].as_u64()?, after: Key::new(namespace, name) })
        };
        parse().ok_or_else(|| {
            ApiError::bad_request("invalid continue token: continue key is not valid")
        })
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = format!("{}/{}", self.after.namespace, self.after.name);
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": start});
        f.write_str(&URL_SAFE_NO_PAD.encode(token.to_string()))
    }
}
