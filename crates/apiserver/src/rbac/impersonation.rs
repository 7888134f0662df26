//! Acting as somebody else: the `Impersonate-` headers, and who may send them.
//!
//! Kubernetes 1.36 asks in two ways. The constrained one wants two permissions, to impersonate that
//! user in a mode (`impersonate:user-info`) and to do there what the request does
//! (`impersonate-on:user-info:list`); the older one wants `impersonate` alone.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{Attributes, Index, MASTERS};
use crate::status::ApiError;
use crate::user::{self, UserInfo};

const AUTHENTICATION: &str = "authentication.k8s.io";

/// From this many on, constrained impersonation asks first for all groups or extras at once.
const MANY: usize = 4;

/// A way to be allowed to act as somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Node,
    Account,
    UserInfo,
    Legacy,
}

const MODES: [Mode; 4] = [Mode::Node, Mode::Account, Mode::UserInfo, Mode::Legacy];

/// Returns the user that headers ask for, as they say and without what follows from it.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, ApiError> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    let mut wanted = UserInfo {
        name: first("impersonate-user"),
        groups: headers.get_all("impersonate-group").iter().map(text).collect(),
        uid: Some(first("impersonate-uid")).filter(|uid| !uid.is_empty()),
        extra: BTreeMap::new(),
    };
    for (header, value) in headers {
        if let Some(key) = header.as_str().strip_prefix("impersonate-extra-") {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            wanted.extra.entry(key).or_default().push(text(value));
        }
    }
    if !wanted.name.is_empty() {
        return Ok(Some(wanted));
    }
    if wanted.groups.is_empty() && wanted.uid.is_none() && wanted.extra.is_empty() {
        return Ok(None);
    }
    Err(ApiError::bad_request(format!(
        "requested {} without impersonating a user name",
        go_text(&wanted)
    )))
}

/// Returns a user as Go prints the structure.
fn go_text(user: &UserInfo) -> String {
    let list = |list: &[String]| {
        let quoted: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
        quoted.join(", ")
    };
    let groups = if user.groups.is_empty() {
        "[]string(nil)".to_owned()
    } else {
        format!("[]string{{{}}}", list(&user.groups))
    };
    let extra = if user.extra.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        let pairs = user.extra.iter();
        let pairs: Vec<String> =
            pairs.map(|(key, values)| format!("{key:?}:[]string{{{}}}", list(values))).collect();
        format!("map[string][]string{{{}}}", pairs.join(", "))
    };
    format!(
        "&user.DefaultInfo{{Name:{:?}, UID:{:?}, Groups:{groups}, Extra:{extra}}}",
        user.name,
        user.uid.as_deref().unwrap_or_default()
    )
}

/// Returns the user that a request is made as, if the one who makes it may do that.
pub(super) fn impersonate(
    index: &Index,
    requestor: &UserInfo,
    wanted: UserInfo,
    request: &Attributes,
) -> Result<UserInfo, ApiError> {
    let mut refused = None;
    for mode in MODES.into_iter().filter(|mode| mode.applies(&wanted)) {
        match mode.check(index, requestor, &wanted, request) {
            Ok(()) => return Ok(mode.complete(wanted)),
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    Err(refused.unwrap_or_else(|| ApiError::internal("all impersonation modes failed")))
}

fn node_of(name: &str) -> Option<&str> {
    name.strip_prefix("system:node:").filter(|node| !node.is_empty())
}

impl Mode {
    /// Returns whether somebody is of the sort that the mode is for.
    fn applies(self, wanted: &UserInfo) -> bool {
        let only_name = wanted.groups.is_empty() && wanted.uid.is_none() && wanted.extra.is_empty();
        let (is_node, is_account) =
            (node_of(&wanted.name).is_some(), user::account_of(&wanted.name).is_some());
        match self {
            Self::Node => only_name && is_node,
            Self::Account => only_name && is_account,
            Self::UserInfo => !is_node && !is_account,
            Self::Legacy => true,
        }
    }

    /// Returns the name of a constrained mode, none for the older way.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Node => Some("arbitrary-node"),
            Self::Account => Some("serviceaccount"),
            Self::UserInfo => Some("user-info"),
            Self::Legacy => None,
        }
    }

    fn check(
        self,
        index: &Index,
        requestor: &UserInfo,
        wanted: &UserInfo,
        request: &Attributes,
    ) -> Result<(), ApiError> {
        let ask = |attributes: &Attributes| {
            let decision = index.decide(requestor, attributes);
            if decision.is_allowed() {
                Ok(())
            } else {
                Err(attributes.forbidden(requestor, &decision.reason()))
            }
        };
        if let Some(name) = self.name() {
            let verb = format!("impersonate-on:{name}:{}", request.verb);
            ask(&Attributes { verb, ..request.clone() })?;
        }
        ask(&self.of_name(&wanted.name))?;
        if let Some(uid) = &wanted.uid {
            ask(&self.attributes(AUTHENTICATION, "uids", uid))?;
        }
        self.check_groups(requestor, wanted, &ask)?;
        self.check_extra(wanted, &ask)
    }

    fn check_groups(
        self,
        requestor: &UserInfo,
        wanted: &UserInfo,
        ask: &dyn Fn(&Attributes) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let api_group = if self == Self::Legacy { "" } else { AUTHENTICATION };
        let of = |name: &str| self.attributes(api_group, "groups", name);
        if self != Self::Legacy {
            for (group, what) in [("", "the empty string"), (MASTERS, "the system:masters")] {
                if wanted.groups.iter().any(|one| one == group) {
                    let why = format!("impersonating {what} group is not allowed");
                    return Err(of(group).forbidden(requestor, &why));
                }
            }
            if wanted.groups.len() >= MANY && ask(&of("*")).is_ok() {
                return Ok(());
            }
        }
        wanted.groups.iter().try_for_each(|group| ask(&of(group)))
    }

    fn check_extra(
        self,
        wanted: &UserInfo,
        ask: &dyn Fn(&Attributes) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let of = |key: &str, value: &str| {
            let attributes = self.attributes(AUTHENTICATION, "userextras", value);
            Attributes { subresource: key.to_owned(), ..attributes }
        };
        let count: usize = wanted.extra.values().map(Vec::len).sum();
        if self != Self::Legacy && count >= MANY && ask(&of("*", "*")).is_ok() {
            return Ok(());
        }
        let pairs = wanted.extra.iter();
        let mut pairs =
            pairs.flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        pairs.try_for_each(|(key, value)| ask(&of(key, value)))
    }

    fn attributes(self, group: &str, resource: &str, name: &str) -> Attributes {
        Attributes {
            verb: self
                .name()
                .map_or_else(|| "impersonate".to_owned(), |name| format!("impersonate:{name}")),
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        }
    }

    fn of_name(self, name: &str) -> Attributes {
        let group = if self == Self::Legacy { "" } else { AUTHENTICATION };
        if let Some((namespace, name)) = user::account_of(name) {
            let attributes = self.attributes(group, "serviceaccounts", name);
            return Attributes { namespace: namespace.to_owned(), ..attributes };
        }
        match node_of(name).filter(|_| self == Self::Node) {
            Some(node) => self.attributes(group, "nodes", node),
            None => self.attributes(group, "users", name),
        }
    }

    /// Gives a user the groups that follow from the name.
    fn complete(self, mut wanted: UserInfo) -> UserInfo {
        if self == Self::Node {
            wanted.groups = vec!["system:nodes".to_owned()];
        }
        if wanted.groups.is_empty()
            && let Some((namespace, _)) = user::account_of(&wanted.name)
        {
            wanted.groups = user::account_groups(namespace).to_vec();
        }
        let has = |group: &str| wanted.groups.iter().any(|one| one == group);
        if wanted.name == user::ANONYMOUS {
            if !has(user::UNAUTHENTICATED) {
                wanted.groups.push(user::UNAUTHENTICATED.to_owned());
            }
        } else if !has(user::UNAUTHENTICATED) && !has(user::AUTHENTICATED) {
            wanted.groups.push(user::AUTHENTICATED.to_owned());
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impersonate(
        requestor: &UserInfo,
        headers: &[(&'static str, &str)],
    ) -> Result<UserInfo, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let index = Index::default();
        match wanted(&map)? {
            Some(wanted) => {
                let request = Attributes {
                    verb: "list".to_owned(),
                    resource: "pods".to_owned(),
                    ..Attributes::default()
                };
                super::impersonate(&index, requestor, wanted, &request)
            }
            None => Ok(requestor.clone()),
        }
    }

    #[test]
    fn gives_an_impersonated_service_account_its_groups() {
        let headers = [("impersonate-user", "system:serviceaccount:apps:deployer")];
        assert_eq!(
            impersonate(&UserInfo::admin(), &headers).unwrap().groups,
            ["system:serviceaccounts", "system:serviceaccounts:apps", "system:authenticated"]
        );
    }

    #[test]
    fn takes_groups_and_extra_only_with_a_user() {
        let admin = UserInfo::admin();
        let headers = [
            ("impersonate-user", "jane"),
            ("impersonate-group", "system:masters"),
            ("impersonate-extra-acme.com%2fproject", "one"),
        ];
        let user = impersonate(&admin, &headers).unwrap();
        assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
        assert_eq!(user.extra["acme.com/project"], ["one"]);
        assert_eq!(impersonate(&admin, &[]).unwrap(), admin);
        let refused = impersonate(&admin, &[("impersonate-group", "c")]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"c\"}, \
             Extra:map[string][]string(nil)} without impersonating a user name"
        );
    }

    #[test]
    fn refuses_with_the_first_way_that_applies() {
        let nobody = UserInfo::anonymous();
        let refused = |headers: &[(&'static str, &str)]| {
            impersonate(&nobody, headers).unwrap_err().to_string()
        };
        let account = ("impersonate-user", "system:serviceaccount:a:b");
        assert_eq!(
            refused(&[account]),
            "pods is forbidden: User \"system:anonymous\" cannot impersonate-on:serviceaccount:list \
             resource \"pods\" in API group \"\" at the cluster scope"
        );
        assert_eq!(
            refused(&[account, ("impersonate-group", "c")]),
            "serviceaccounts \"b\" is forbidden: User \"system:anonymous\" cannot impersonate \
             resource \"serviceaccounts\" in API group \"\" in the namespace \"a\""
        );
    }
}
