//! What a request is about, as far as authorization is concerned.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::rest::request::{Call, Received};
use crate::status::ApiError;
use crate::user::UserInfo;

/// What somebody wants to do to which resource, or to which path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `list`, or the HTTP method in lower case for a path.
    pub(crate) verb: String,
    pub(crate) group: String,
    /// Empty for cluster-scoped resources and for all namespaces.
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// Path of a request that is not for a resource.
    pub(crate) path: Option<String>,
}

impl Attributes {
    /// Returns what a request is about. The kinds that are served do not matter: who may not look
    /// does not learn what there is.
    ///
    /// Source: `RequestInfoFactory.NewRequestInfo`, kube-apiserver 1.36.
    pub(crate) fn of(request: &Received) -> Self {
        let path = percent_decode_str(&request.path).decode_utf8_lossy();
        let parts: Vec<&str> = match path.trim_matches('/') {
            "" => Vec::new(),
            trimmed => trimmed.split('/').collect(),
        };
        let (group, rest) = match parts.as_slice() {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => {
                let verb = request.method.as_str().to_lowercase();
                return Self { verb, path: Some(path.into_owned()), ..Self::default() };
            }
        };
        let (verb, rest) = match rest {
            [special @ ("watch" | "proxy"), rest @ ..] if !rest.is_empty() => (*special, rest),
            rest => (verb_of(&request.method), rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", name] | ["namespaces", name, "status" | "finalize", ..] => (*name, rest),
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default().to_owned();
        let subresource = if verb == "watch" { String::new() } else { part(2) };
        let mut attributes = Self {
            verb: verb.to_owned(),
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            resource: part(0),
            subresource,
            name: part(1),
            path: None,
        };
        if attributes.name.is_empty() {
            attributes.of_collection(request);
        }
        attributes
    }

    /// A request without a name is for many objects, unless its field selector names one.
    fn of_collection(&mut self, request: &Received) {
        match self.verb.as_str() {
            "delete" => "deletecollection".clone_into(&mut self.verb),
            "get" => {
                let param = |name: &str| {
                    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value)
                };
                let watches =
                    param("watch").is_some_and(|value| !matches!(value.as_str(), "false" | "0"));
                let verb = if watches { "watch" } else { "list" };
                verb.clone_into(&mut self.verb);
                let terms = param("fieldSelector").map_or("", String::as_str).split(',');
                let mut named = terms.filter_map(|term| {
                    let value = term.trim().strip_prefix("metadata.name=")?;
                    Some(value.strip_prefix('=').unwrap_or(value))
                });
                if let Some(name) = named.next_back().filter(|name| is_path_segment(name)) {
                    name.clone_into(&mut self.name);
                }
            }
            _ => {}
        }
    }

    /// Returns another verb on the resource of a call.
    pub(crate) fn of_call(call: &Call, verb: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            group: call.resource.group.clone(),
            namespace: call.namespace.clone(),
            resource: call.resource.plural.clone(),
            subresource: call.subresource.clone().unwrap_or_default(),
            name: call.name.clone().unwrap_or_default(),
            path: None,
        }
    }

    /// Returns 403 for a user; `reason` may be empty.
    pub(crate) fn forbidden(&self, user: &UserInfo, reason: &str) -> ApiError {
        let mut message = self.sentence(user);
        if !reason.is_empty() {
            message = format!("{message}: {reason}");
        }
        ApiError::not_permitted(&self.group, &self.resource, &self.name, &message)
    }

    fn sentence(&self, user: &UserInfo) -> String {
        let (name, verb) = (&user.name, &self.verb);
        if let Some(path) = &self.path {
            return harmless(&format!("User {name:?} cannot {verb} path {path:?}"));
        }
        let resource = if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        };
        let scope = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", self.namespace)
        };
        harmless(&format!(
            "User {name:?} cannot {verb} resource {resource:?} in API group {:?} {scope}",
            self.group
        ))
    }
}

/// Answers should not look like HTML, whatever was asked for.
fn harmless(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn is_path_segment(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '%'])
}

fn verb_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::rest::request::parse_query;

    fn attributes(method: &Method, target: &str) -> Attributes {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Attributes::of(&Received {
            method: method.clone(),
            path: path.to_owned(),
            query: parse_query(query),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            user: UserInfo::anonymous(),
        })
    }

    fn sentence(method: &Method, target: &str) -> String {
        let error = attributes(method, target).forbidden(&UserInfo::anonymous(), "");
        error.to_string().replace("User \"system:anonymous\" cannot ", "")
    }

    #[test]
    fn words_refusals_as_the_real_one_does() {
        let get = &Method::GET;
        for (method, target, expected) in [
            (
                get,
                "/api/v1/pods",
                "pods is forbidden: list resource \"pods\" in API group \"\" at the cluster scope",
            ),
            (get, "/nope", "forbidden: get path \"/nope\""),
            (get, "/api/v1", "forbidden: get path \"/api/v1\""),
            (
                get,
                "/api/v1/namespaces/y/pods/x/log",
                "pods \"x\" is forbidden: get resource \"pods/log\" in API group \"\" in the namespace \"y\"",
            ),
            (
                get,
                "/apis/apps/v1/namespaces/y/deployments?watch=1",
                "deployments.apps is forbidden: watch resource \"deployments\" in API group \"apps\" in the namespace \"y\"",
            ),
            (
                get,
                "/api/v1/namespaces/y/pods?fieldSelector=metadata.name%3Dfoo",
                "pods \"foo\" is forbidden: list resource \"pods\" in API group \"\" in the namespace \"y\"",
            ),
            (
                get,
                "/api/v1/namespaces/foo",
                "namespaces \"foo\" is forbidden: get resource \"namespaces\" in API group \"\" in the namespace \"foo\"",
            ),
            (
                &Method::DELETE,
                "/api/v1/namespaces/y/pods",
                "pods is forbidden: deletecollection resource \"pods\" in API group \"\" in the namespace \"y\"",
            ),
            (
                &Method::PUT,
                "/api/v1/namespaces/foo/finalize",
                "namespaces \"foo\" is forbidden: update resource \"namespaces/finalize\" in API group \"\" in the namespace \"foo\"",
            ),
            (
                get,
                "/api/v1/watch/namespaces/y/pods/x",
                "pods \"x\" is forbidden: watch resource \"pods\" in API group \"\" in the namespace \"y\"",
            ),
        ] {
            assert_eq!(sentence(method, target), expected);
        }
    }

    #[test]
    fn keeps_markup_out_of_answers() {
        assert_eq!(sentence(&Method::GET, "/%3Cb%3E"), "forbidden: get path \"/&lt;b&gt;\"");
    }
}
