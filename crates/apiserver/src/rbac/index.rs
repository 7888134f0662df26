//! Roles and bindings, found by who is bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::{Attributes, Rule, is_master};
use crate::object::Object;
use crate::storage::Key;
use crate::user::UserInfo;

/// What authorization knows of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Rules of roles; those of cluster roles have no namespace.
    roles: HashMap<Key, Arc<[Rule]>>,
    bindings: HashMap<Key, Arc<Binding>>,
    users: HashMap<String, Scopes>,
    groups: HashMap<String, Scopes>,
    pub(super) aggregation: super::aggregate::Sources,
}

/// Bindings by namespace and name; those for the whole cluster are in the namespace "".
type Scopes = HashMap<String, BTreeMap<String, Arc<Binding>>>;

#[derive(Debug)]
pub(crate) struct Binding {
    key: Key,
    role_kind: String,
    role: String,
    subjects: Vec<Subject>,
}

#[derive(Debug)]
enum Subject {
    User(String),
    Group(String),
    Account { namespace: String, name: String, user: String },
}

/// A role that a binding refers to and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A role or cluster role of that name.
    Role {
        /// `Role` or `ClusterRole`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A binding refers to something that is no role.
    Kind(String),
}

/// The answer to whether somebody may do something.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A member of `system:masters` may do everything.
    Master,
    /// A binding allows it; the text says which and to whom.
    Bound(Arc<Binding>, usize),
    /// Nothing allows it; some roles that might have were not found.
    Denied(Vec<Missing>),
}

impl Decision {
    pub(crate) fn is_allowed(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }

    /// Returns the reason as reviews and refusals give it, often empty.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Master => String::new(),
            Self::Bound(binding, subject) => {
                format!("RBAC: allowed by {}", binding.describe(*subject))
            }
            Self::Denied(missing) if missing.is_empty() => String::new(),
            Self::Denied(missing) => format!("RBAC: {}", Missing::all(missing, None)),
        }
    }
}

impl Missing {
    /// Returns what Go says of one or several errors. The roles are named after `resource` where
    /// it is given: the API server has them looked up by the storage of the request.
    pub(crate) fn all(missing: &[Self], resource: Option<&str>) -> String {
        let mut texts: Vec<String> = Vec::new();
        for one in missing {
            let text = one.text(resource);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        }
    }

    fn text(&self, resource: Option<&str>) -> String {
        match self {
            Self::Role { kind, name } => {
                let resource = resource.map_or_else(|| kind.to_lowercase(), str::to_owned);
                format!("{resource}.{} {name:?} not found", super::GROUP)
            }
            Self::Kind(kind) => format!("unsupported role reference kind: {kind:?}"),
        }
    }
}

impl Subject {
    /// Returns a subject of a binding, none if it is of a kind that nobody is.
    fn parse(value: &Value, namespace: &str) -> Option<Self> {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        match value["kind"].as_str()? {
            "User" => Some(Self::User(name)),
            "Group" => Some(Self::Group(name)),
            "ServiceAccount" => {
                let given = text("namespace");
                let namespace = if given.is_empty() { namespace.to_owned() } else { given };
                let user = format!("system:serviceaccount:{namespace}:{name}");
                (!namespace.is_empty()).then_some(Self::Account { namespace, name, user })
            }
            _ => None,
        }
    }

    fn is(&self, user: &UserInfo) -> bool {
        match self {
            Self::User(name) | Self::Account { user: name, .. } => *name == user.name,
            Self::Group(name) => user.groups.contains(name),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::User(name) => format!("User {name:?}"),
            Self::Group(name) => format!("Group {name:?}"),
            Self::Account { namespace, name, .. } => {
                format!("ServiceAccount {:?}", format!("{name}/{namespace}"))
            }
        }
    }
}

impl Binding {
    fn parse(key: &Key, value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subjects = value["subjects"].as_array().into_iter().flatten();
        Self {
            role_kind: text(&value["roleRef"]["kind"]),
            role: text(&value["roleRef"]["name"]),
            subjects: subjects
                .filter_map(|subject| Subject::parse(subject, &key.namespace))
                .collect(),
            key: key.clone(),
        }
    }

    fn describe(&self, subject: usize) -> String {
        let Key { namespace, name } = &self.key;
        let binding = if namespace.is_empty() {
            format!("ClusterRoleBinding {name:?}")
        } else {
            format!("RoleBinding {:?}", format!("{name}/{namespace}"))
        };
        let subject = self.subjects.get(subject).map(Subject::describe).unwrap_or_default();
        format!("{binding} of {} {:?} to {subject}", self.role_kind, self.role)
    }
}

impl Index {
    /// Learns of a role that was written or, if there is no value, removed.
    pub(super) fn set_role(&mut self, key: &Key, value: Option<&Value>) {
        match value {
            Some(value) => self.roles.insert(key.clone(), Rule::all_of(value).into()),
            None => self.roles.remove(key),
        };
    }

    /// Learns of a binding that was written or, if there is no value, removed.
    pub(super) fn set_binding(&mut self, key: &Key, value: Option<&Value>) {
        if let Some(old) = self.bindings.remove(key) {
            for subject in &old.subjects {
                let (subjects, name) = self.subjects(subject);
                let Some(scopes) = subjects.get_mut(name) else { continue };
                if let Some(scope) = scopes.get_mut(&key.namespace) {
                    scope.remove(&key.name);
                    if scope.is_empty() {
                        scopes.remove(&key.namespace);
                    }
                }
                if scopes.is_empty() {
                    subjects.remove(name);
                }
            }
        }
        let Some(value) = value.filter(|value| !value.name().is_empty()) else { return };
        let binding = Arc::new(Binding::parse(key, value));
        for subject in &binding.subjects {
            let (subjects, name) = self.subjects(subject);
            let scopes = subjects.entry(name.to_owned()).or_default();
            let scope = scopes.entry(key.namespace.clone()).or_default();
            scope.insert(key.name.clone(), binding.clone());
        }
        self.bindings.insert(key.clone(), binding);
    }

    fn subjects<'a>(&mut self, subject: &'a Subject) -> (&mut HashMap<String, Scopes>, &'a str) {
        match subject {
            Subject::Group(name) => (&mut self.groups, name),
            Subject::User(name) | Subject::Account { user: name, .. } => (&mut self.users, name),
        }
    }

    /// Returns whether a user may do something.
    pub(super) fn decide(&self, user: &UserInfo, attributes: &Attributes) -> Decision {
        if is_master(user) {
            return Decision::Master;
        }
        let mut missing = Vec::new();
        for binding in self.bindings_of(user, &attributes.namespace) {
            match self.rules(binding) {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attributes)) => {
                    let subject = binding.subjects.iter().position(|subject| subject.is(user));
                    return Decision::Bound(binding.clone(), subject.unwrap_or_default());
                }
                Ok(_) => {}
                Err(why) => missing.push(why),
            }
        }
        Decision::Denied(missing)
    }

    /// Returns the rules that apply to a user in a namespace, and the roles that were not found.
    pub(super) fn rules_of(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<Missing>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for binding in self.bindings_of(user, namespace) {
            match self.rules(binding) {
                Ok(rules) => found.extend(rules.iter().cloned()),
                Err(why) => missing.push(why),
            }
        }
        (found, missing)
    }

    /// Returns the rules of the role that a binding in a namespace refers to.
    pub(super) fn referred(
        &self,
        kind: &str,
        name: &str,
        namespace: &str,
    ) -> Result<&Arc<[Rule]>, Missing> {
        let namespace = match kind {
            "Role" => namespace,
            "ClusterRole" => "",
            other => return Err(Missing::Kind(other.to_owned())),
        };
        self.roles
            .get(&Key::new(namespace, name))
            .ok_or_else(|| Missing::Role { kind: kind.to_owned(), name: name.to_owned() })
    }

    fn rules(&self, binding: &Binding) -> Result<&Arc<[Rule]>, Missing> {
        self.referred(&binding.role_kind, &binding.role, &binding.key.namespace)
    }

    /// Returns the bindings of a user, those for the whole cluster first, in the order of their
    /// names.
    fn bindings_of(&self, user: &UserInfo, namespace: &str) -> Vec<&Arc<Binding>> {
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        let of_user: Vec<&Scopes> = self.users.get(&user.name).into_iter().chain(groups).collect();
        let mut found = Vec::new();
        let scopes: &[&str] = if namespace.is_empty() { &[""] } else { &["", namespace] };
        for scope in scopes {
            let start = found.len();
            found.extend(
                of_user.iter().filter_map(|scopes| scopes.get(*scope)).flat_map(BTreeMap::values),
            );
            found[start..].sort_by(|a, b| a.key.name.cmp(&b.key.name));
        }
        found.dedup_by(|a, b| Arc::ptr_eq(a, b));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user(name: &str, groups: &[&str]) -> UserInfo {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        UserInfo { name: name.to_owned(), groups, ..UserInfo::anonymous() }
    }

    fn pods(namespace: &str) -> Attributes {
        Attributes {
            verb: "list".to_owned(),
            resource: "pods".to_owned(),
            namespace: namespace.to_owned(),
            ..Attributes::default()
        }
    }

    fn binding(name: &str, subjects: &Value) -> Value {
        json!({
            "metadata": {"name": name},
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": subjects,
        })
    }

    fn index() -> Index {
        let mut index = Index::default();
        let rules =
            json!({"rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}]});
        index.set_role(&Key::new("", "reader"), Some(&rules));
        index
    }

    #[test]
    fn a_binding_in_a_namespace_reaches_no_further() {
        let mut index = index();
        let key = Key::new("apps", "read");
        let bot =
            json!([{"kind": "ServiceAccount", "name": "bot"}, {"kind": "Group", "name": "dev"}]);
        index.set_binding(&key, Some(&binding("read", &bot)));
        let bot = user("system:serviceaccount:apps:bot", &["dev"]);
        let decision = index.decide(&bot, &pods("apps"));
        assert_eq!(
            decision.reason(),
            "RBAC: allowed by RoleBinding \"read/apps\" of ClusterRole \"reader\" to ServiceAccount \"bot/apps\""
        );
        assert!(!index.decide(&bot, &pods("other")).is_allowed());
        assert!(!index.decide(&bot, &pods("")).is_allowed());
        assert!(index.decide(&user("jane", &["dev"]), &pods("apps")).is_allowed());
        index.set_binding(&key, None);
        assert!(!index.decide(&bot, &pods("apps")).is_allowed());
        assert!(index.users.is_empty() && index.groups.is_empty());
    }

    #[test]
    fn a_changed_binding_forgets_whom_it_bound() {
        let mut index = index();
        let key = Key::new("", "read");
        index.set_binding(&key, Some(&binding("read", &json!([{"kind": "User", "name": "jane"}]))));
        assert!(index.decide(&user("jane", &[]), &pods("")).is_allowed());
        index.set_binding(&key, Some(&binding("read", &json!([{"kind": "User", "name": "joe"}]))));
        assert!(!index.decide(&user("jane", &[]), &pods("")).is_allowed());
        assert!(index.decide(&user("joe", &[]), &pods("x")).is_allowed());
    }

    #[test]
    fn says_which_roles_are_missing() {
        let mut index = index();
        let everybody = json!([{"kind": "User", "name": "jane"}, {"kind": "Group", "name": "dev"}]);
        index.set_binding(&Key::new("", "read"), Some(&binding("read", &everybody)));
        index.set_role(&Key::new("", "reader"), None);
        let decision = index.decide(&user("jane", &["dev"]), &pods(""));
        assert_eq!(
            decision.reason(),
            "RBAC: clusterrole.rbac.authorization.k8s.io \"reader\" not found"
        );
        assert!(!decision.is_allowed());
    }
}
