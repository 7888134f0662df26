//! Who asks.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::status::ApiError;

const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ACCOUNTS: &str = "system:serviceaccounts";

/// The user behind a request: from the client certificate, a token, or impersonation headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// User name, such as `system:serviceaccount:apps:deployer`.
    pub name: String,
    /// Groups, such as `system:masters`.
    pub groups: Vec<String>,
    /// Identity that outlives a name, if there is one.
    pub uid: Option<String>,
    /// Whatever else the authenticator knows, such as scopes.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    fn named(name: impl Into<String>, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Self { name: name.into(), groups, uid: None, extra: BTreeMap::new() }
    }

    /// Returns the administrator, which a call without a socket is made as.
    pub fn admin() -> Self {
        Self::named("kubernetes-admin", &["system:masters", AUTHENTICATED])
    }

    /// Returns a request without credentials.
    pub fn anonymous() -> Self {
        Self::named("system:anonymous", &["system:unauthenticated"])
    }

    /// Returns a service account.
    pub(crate) fn service_account(namespace: &str, name: &str, uid: Option<&str>) -> Self {
        let of_namespace = format!("{ACCOUNTS}:{namespace}");
        let groups = [ACCOUNTS, &of_namespace, AUTHENTICATED];
        let user = Self::named(format!("system:serviceaccount:{namespace}:{name}"), &groups);
        Self { uid: uid.map(str::to_owned), ..user }
    }

    /// Returns the user that the `Impersonate-` headers ask for, else this one.
    pub(crate) fn impersonating(self, headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let Some(name) = headers.get("impersonate-user").map(text) else {
            if headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
                return Err(ApiError::bad_request(
                    "requested groups, uid or extra without impersonating a user",
                ));
            }
            return Ok(self);
        };
        let mut groups: Vec<String> =
            headers.get_all("impersonate-group").iter().map(text).collect();
        let account = name.strip_prefix("system:serviceaccount:");
        if let (true, Some((namespace, _))) =
            (groups.is_empty(), account.and_then(|account| account.split_once(':')))
        {
            groups.extend([ACCOUNTS.to_owned(), format!("{ACCOUNTS}:{namespace}")]);
        }
        let known = |group: &String| matches!(group.as_str(), AUTHENTICATED | UNAUTHENTICATED);
        if name != "system:anonymous" && !groups.iter().any(known) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (header, value) in headers {
            if let Some(key) = header.as_str().strip_prefix("impersonate-extra-") {
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                extra.entry(key).or_default().push(text(value));
            }
        }
        Ok(Self { name, groups, uid: headers.get("impersonate-uid").map(text), extra })
    }

    /// Returns the user as `authentication.k8s.io/v1` writes it.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({"username": self.name, "groups": self.groups});
        if let Some(uid) = &self.uid {
            value["uid"] = uid.clone().into();
        }
        if !self.extra.is_empty() {
            value["extra"] = json!(self.extra);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impersonate(headers: &[(&'static str, &str)]) -> Result<UserInfo, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        UserInfo::admin().impersonating(&map)
    }

    #[test]
    fn gives_an_impersonated_service_account_its_groups() {
        let user = impersonate(&[("impersonate-user", "system:serviceaccount:apps:deployer")]);
        assert_eq!(
            user.unwrap().groups,
            ["system:serviceaccounts", "system:serviceaccounts:apps", "system:authenticated"]
        );
    }

    #[test]
    fn takes_groups_and_extra_only_with_a_user() {
        let user = impersonate(&[
            ("impersonate-user", "jane"),
            ("impersonate-group", "dev"),
            ("impersonate-extra-acme.com%2fproject", "one"),
        ])
        .unwrap();
        assert_eq!(user.groups, ["dev", "system:authenticated"]);
        assert_eq!(user.extra["acme.com/project"], ["one"]);
        assert!(impersonate(&[("impersonate-group", "dev")]).is_err());
        assert_eq!(impersonate(&[]).unwrap(), UserInfo::admin());
    }
}
