//! Who asks.

use http::HeaderMap;

/// The user behind a request: from the client certificate, a token, or impersonation headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// User name, such as `system:serviceaccount:apps:deployer`.
    pub name: String,
    /// Groups, such as `system:masters`.
    pub groups: Vec<String>,
}

impl UserInfo {
    /// Returns the administrator, which a call without a socket is made as.
    pub fn admin() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        }
    }

    /// Returns a request without credentials.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    /// Returns the user that `Impersonate-User` and `Impersonate-Group` ask for, else this one.
    pub(crate) fn impersonating(self, headers: &HeaderMap) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let Some(name) = headers.get("impersonate-user").map(text) else { return self };
        let mut groups: Vec<String> =
            headers.get_all("impersonate-group").iter().map(text).collect();
        let account = name.strip_prefix("system:serviceaccount:");
        if let (true, Some((namespace, _))) =
            (groups.is_empty(), account.and_then(|account| account.split_once(':')))
        {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        groups.push("system:authenticated".to_owned());
        Self { name, groups }
    }
}
