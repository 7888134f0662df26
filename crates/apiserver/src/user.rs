//! Who asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const ANONYMOUS: &str = "system:anonymous";
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
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
        Self::named(ANONYMOUS, &[UNAUTHENTICATED])
    }

    /// Returns a service account.
    pub(crate) fn service_account(namespace: &str, name: &str, uid: Option<&str>) -> Self {
        let [all, of_namespace] = account_groups(namespace);
        let groups = [all.as_str(), &of_namespace, AUTHENTICATED];
        let user = Self::named(format!("system:serviceaccount:{namespace}:{name}"), &groups);
        Self { uid: uid.map(str::to_owned), ..user }
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

/// Returns the groups that every service account of a namespace is in.
pub(crate) fn account_groups(namespace: &str) -> [String; 2] {
    [ACCOUNTS.to_owned(), format!("{ACCOUNTS}:{namespace}")]
}

/// Returns namespace and name of the service account behind a user name.
pub(crate) fn account_of(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let is_name = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !text.is_empty() && text.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'.'))
    };
    (is_name(namespace) && is_name(name)).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_of_service_accounts_apart() {
        assert_eq!(account_of("system:serviceaccount:apps:bot"), Some(("apps", "bot")));
        for other in ["jane", "system:serviceaccount:apps", "system:serviceaccount:apps:a:b"] {
            assert_eq!(account_of(other), None);
        }
    }
}
