//! Roles and their bindings.

use serde_json::{Value, json};

use super::{Found, items, text};
use crate::validate::names;
use crate::value::equal;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role(object: &Value, namespaced: bool, found: &mut Found) {
    for (index, rule) in items(&object["rules"]).iter().enumerate() {
        let path = format!("rules[{index}]");
        if items(&rule["verbs"]).is_empty() {
            found.required(&format!("{path}.verbs"), "verbs must contain at least one value");
        }
        let urls = &rule["nonResourceURLs"];
        let of_resources = ["apiGroups", "resources", "resourceNames"];
        if !items(urls).is_empty() {
            let path = format!("{path}.nonResourceURLs");
            if namespaced {
                found.invalid(&path, urls, "namespaced rules cannot apply to non-resource URLs");
            }
            if of_resources.iter().any(|field| !items(&rule[*field]).is_empty()) {
                let what = "rules cannot apply to both regular resources and non-resource URLs";
                found.invalid(&path, urls, what);
            }
            continue;
        }
        if items(&rule["apiGroups"]).is_empty() {
            let what = "resource rules must supply at least one api group";
            found.required(&format!("{path}.apiGroups"), what);
        }
        if items(&rule["resources"]).is_empty() {
            let what = "resource rules must supply at least one resource";
            found.required(&format!("{path}.resources"), what);
        }
    }
}

pub(super) fn binding(object: &Value, old: Option<&Value>, kinds: &[&str], found: &mut Found) {
    let role = &object["roleRef"];
    found.choice("roleRef.apiGroup", &role["apiGroup"], &[GROUP]);
    // A kind that is missing is not supported either.
    if text(&role["kind"]).is_empty() {
        let kinds: Vec<Value> = kinds.iter().map(|&kind| kind.into()).collect();
        found.add(super::FieldError::unsupported("roleRef.kind", &"".into(), &kinds));
    } else {
        found.choice("roleRef.kind", &role["kind"], kinds);
    }
    if text(&role["name"]).is_empty() {
        found.required("roleRef.name", "");
    } else {
        found.names("roleRef.name", &role["name"], names::path_segment);
    }
    for (index, subject) in items(&object["subjects"]).iter().enumerate() {
        let path = format!("subjects[{index}]");
        if text(&subject["name"]).is_empty() {
            found.required(&format!("{path}.name"), "");
        }
        let group = &subject["apiGroup"];
        match text(&subject["kind"]) {
            "ServiceAccount" => {
                if !text(&subject["name"]).is_empty() {
                    found.names(&format!("{path}.name"), &subject["name"], names::subdomain);
                }
                if !text(group).is_empty() {
                    let error = super::FieldError::unsupported(
                        &format!("{path}.apiGroup"),
                        group,
                        &["".into()],
                    );
                    found.add(error);
                }
                if text(&subject["namespace"]).is_empty() {
                    found.required(&format!("{path}.namespace"), "");
                }
            }
            "User" | "Group" => found.choice(&format!("{path}.apiGroup"), group, &[GROUP]),
            _ => {
                let kinds = ["ServiceAccount", "User", "Group"].map(Value::from);
                let path = format!("{path}.kind");
                found.add(super::FieldError::unsupported(
                    &path,
                    &text(&subject["kind"]).into(),
                    &kinds,
                ));
            }
        }
    }
    if let Some(old) = old
        && !equal(role, &old["roleRef"])
    {
        // As the internal type of the API server is written.
        let shown =
            json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        found.invalid("roleRef", &shown, "cannot change roleRef");
    }
}
