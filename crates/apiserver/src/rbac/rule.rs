//! Rules of roles.

use serde_json::{Value, json};

use super::Attributes;

/// A `PolicyRule`: verbs on resources, or on paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    urls: Vec<String>,
}

impl Rule {
    /// Returns the rules of a role.
    pub(super) fn all_of(role: &Value) -> Vec<Self> {
        role["rules"].as_array().into_iter().flatten().map(Self::parse).collect()
    }

    fn parse(value: &Value) -> Self {
        let list = |field: &str| -> Vec<String> {
            let list = value[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
        }
    }

    /// Returns the rules that together allow everything.
    pub(super) fn everything() -> [Self; 2] {
        let all = || vec!["*".to_owned()];
        [
            Self { verbs: all(), groups: all(), resources: all(), ..Self::default() },
            Self { verbs: all(), urls: all(), ..Self::default() },
        ]
    }

    /// Returns whether the rule allows a request.
    pub(super) fn allows(&self, attributes: &Attributes) -> bool {
        if !has(&self.verbs, &attributes.verb) {
            return false;
        }
        match &attributes.path {
            Some(path) => self.urls.iter().any(|url| url_covers(url, path)),
            None => {
                has(&self.groups, &attributes.group)
                    && self.has_resource(&attributes.resource, &attributes.subresource)
                    && (self.names.is_empty() || self.names.contains(&attributes.name))
            }
        }
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|own| {
            own == "*"
                || if subresource.is_empty() {
                    own == resource
                } else {
                    own.split_once('/').is_some_and(|(of, name)| {
                        name == subresource && (of == "*" || of == resource)
                    })
                }
        })
    }

    /// Returns the rule cut into rules of one verb on one thing.
    fn parts(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut parts = Vec::new();
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let part = Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        parts.push(part);
                    } else {
                        let named =
                            self.names.iter().map(|name| Self { names: one(name), ..part.clone() });
                        parts.extend(named);
                    }
                }
            }
        }
        for url in &self.urls {
            for verb in &self.verbs {
                parts.push(Self { verbs: one(verb), urls: one(url), ..Self::default() });
            }
        }
        parts
    }

    /// Returns whether the rule allows all that a part allows.
    fn covers(&self, part: &Self) -> bool {
        let all = |own: &[String], other: &[String]| other.iter().all(|text| has(own, text));
        let covers_resource = |resource: &String| {
            has(&self.resources, resource)
                || resource
                    .split_once('/')
                    .is_some_and(|(_, name)| self.resources.contains(&format!("*/{name}")))
        };
        let covers_url = |url: &String| self.urls.iter().any(|own| url_covers(own, url));
        let names = self.names.is_empty()
            || (!part.names.is_empty() && part.names.iter().all(|name| self.names.contains(name)));
        all(&self.verbs, &part.verbs)
            && all(&self.groups, &part.groups)
            && part.resources.iter().all(covers_resource)
            && part.urls.iter().all(covers_url)
            && names
    }

    /// Returns the rule as Go prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    fn text(&self) -> String {
        let fields = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let fields = fields.iter().filter(|(_, list)| !list.is_empty());
        let fields: Vec<String> =
            fields.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
        format!("{{{}}}", fields.join(", "))
    }

    /// Returns the rule as reviews show it: for resources and for paths.
    pub(crate) fn shown(&self) -> (Option<Value>, Option<Value>) {
        let of_resources = (!self.resources.is_empty()).then(|| {
            let mut shown = json!({
                "verbs": self.verbs,
                "apiGroups": self.groups,
                "resources": self.resources,
            });
            if !self.names.is_empty() {
                shown["resourceNames"] = json!(self.names);
            }
            shown
        });
        let of_urls = (!self.urls.is_empty())
            .then(|| json!({"verbs": self.verbs, "nonResourceURLs": self.urls}));
        (of_resources, of_urls)
    }
}

/// Returns what is in `wanted` and not in `owned`, one line for each resource, in order.
pub(super) fn uncovered(owned: &[Rule], wanted: &[Rule]) -> Vec<String> {
    let mut missing: Vec<Rule> = Vec::new();
    for part in wanted.iter().flat_map(Rule::parts) {
        if owned.iter().any(|rule| rule.covers(&part)) {
            continue;
        }
        // Verbs on the same resource are told together, those on paths are not.
        let same = missing.iter_mut().find(|known| {
            part.urls.is_empty()
                && known.groups == part.groups
                && known.resources == part.resources
                && known.names == part.names
        });
        match same {
            Some(known) => known.verbs.extend(part.verbs),
            None => missing.push(part),
        }
    }
    let mut lines: Vec<String> = missing.iter().map(Rule::text).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Returns texts as Go prints a list of them: `["a" "b"]`.
pub(crate) fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == "*" || one == wanted)
}

fn url_covers(own: &str, path: &str) -> bool {
    own == path || own == "*" || (own.ends_with('*') && path.starts_with(own.trim_end_matches('*')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(value: &Value) -> Rule {
        Rule::parse(value)
    }

    fn to(verb: &str, resource: &str, name: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Attributes {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        }
    }

    #[test]
    fn subresources_are_resources_of_their_own() {
        let pods = rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}));
        assert!(pods.allows(&to("get", "pods", "a")));
        assert!(!pods.allows(&to("get", "pods/log", "a")));
        let logs = rule(&json!({"verbs": ["*"], "apiGroups": [""], "resources": ["*/log"]}));
        assert!(logs.allows(&to("get", "pods/log", "a")));
        assert!(!logs.allows(&to("get", "pods", "a")));
        assert!(!logs.allows(&to("get", "pods/status", "a")));
    }

    #[test]
    fn names_restrict_what_has_a_name() {
        let one = json!({
            "verbs": ["get", "list"],
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["a"],
        });
        let one = rule(&one);
        assert!(one.allows(&to("get", "configmaps", "a")));
        assert!(!one.allows(&to("get", "configmaps", "b")));
        assert!(!one.allows(&to("list", "configmaps", "")));
    }

    #[test]
    fn paths_may_end_in_a_star() {
        let rule = rule(&json!({"verbs": ["get"], "nonResourceURLs": ["/healthz/*", "/version"]}));
        let get = |path: &str| Attributes {
            verb: "get".to_owned(),
            path: Some(path.to_owned()),
            ..Attributes::default()
        };
        assert!(rule.allows(&get("/healthz/etcd")));
        assert!(rule.allows(&get("/version")));
        assert!(!rule.allows(&get("/versions")));
        assert!(!rule.allows(&to("get", "pods", "")));
    }

    #[test]
    fn tells_what_is_not_covered() {
        let owned = [
            rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["*"]})),
            rule(&json!({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"]})),
        ];
        let wanted = [
            rule(
                &json!({"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]}),
            ),
            rule(&json!({
                "verbs": ["get", "update"],
                "apiGroups": ["apps"],
                "resources": ["deployments", "deployments/scale"],
                "resourceNames": ["a"],
            })),
            rule(&json!({"verbs": ["get", "post"], "nonResourceURLs": ["/foo"]})),
        ];
        assert_eq!(
            uncovered(&owned, &wanted),
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}"#,
                r#"{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["a"], Verbs:["get" "update"]}"#,
                r#"{NonResourceURLs:["/foo"], Verbs:["get"]}"#,
                r#"{NonResourceURLs:["/foo"], Verbs:["post"]}"#,
            ]
        );
        assert!(uncovered(&Rule::everything(), &wanted).is_empty());
        assert!(uncovered(&Rule::everything(), &Rule::everything()).is_empty());
    }
}
