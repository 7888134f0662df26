//! Who may do what, as kube-apiserver decides it with `--authorization-mode=RBAC`.
//!
//! Roles and bindings are ordinary objects. An index of them follows every write within its
//! transaction, so that a request looks only at the bindings of who asks. Members of
//! `system:masters` are not looked up at all.

mod aggregate;
mod attributes;
mod escalation;
mod impersonation;
mod index;
mod rule;

use std::sync::PoisonError;

use serde_json::Value;

use crate::object::Object;
use crate::rest::request::{Call, Received};
use crate::server::Cluster;
use crate::status::ApiError;
use crate::storage::Transaction;
use crate::user::UserInfo;

pub(crate) use attributes::Attributes;
pub(crate) use index::{Decision, Index, Missing};
pub(crate) use rule::{Rule, quoted};

const GROUP: &str = "rbac.authorization.k8s.io";
const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const ROLES: &str = "roles.rbac.authorization.k8s.io";
const CLUSTER_ROLE_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";
const ROLE_BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";

/// Members of this group may do everything.
const MASTERS: &str = "system:masters";

/// Follows up on the changes of a transaction: aggregated roles gather their rules, and the index
/// learns what is new.
pub(crate) fn follow(cluster: &Cluster, tx: &mut Transaction<'_>) {
    if !tx.changed().any(|resource| resource.ends_with(GROUP)) {
        return;
    }
    let mut index = cluster.rbac.write().unwrap_or_else(PoisonError::into_inner);
    aggregate::run(&mut index, tx);
    for resource in [ROLES, CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS] {
        for key in tx.changed_keys(resource) {
            let entry = tx.get(resource, &key);
            let value = entry.as_ref().map(|entry| &entry.value);
            match resource {
                ROLES => index.set_role(&key, value),
                _ => index.set_binding(&key, value),
            }
        }
    }
}

/// Finds out who acts, and refuses what they may not do.
///
/// Returns the user of the request: the one that the `Impersonate-` headers name, if there are
/// any.
pub(crate) fn admit(
    cluster: &Cluster,
    user: UserInfo,
    request: &Received,
) -> Result<UserInfo, ApiError> {
    let user = match impersonation::wanted(&request.headers)? {
        Some(wanted) => {
            let index = cluster.rbac.read().unwrap_or_else(PoisonError::into_inner);
            impersonation::impersonate(&index, &user, wanted, &Attributes::of(request))?
        }
        None => user,
    };
    if is_master(&user) {
        return Ok(user);
    }
    let attributes = Attributes::of(request);
    require(cluster, &user, &attributes)?;
    Ok(user)
}

/// Returns whether somebody may do something, and why.
pub(crate) fn decide(cluster: &Cluster, user: &UserInfo, attributes: &Attributes) -> Decision {
    cluster.rbac.read().unwrap_or_else(PoisonError::into_inner).decide(user, attributes)
}

/// Returns the rules that apply to a user in a namespace, and the roles that were not found.
pub(crate) fn rules_of(
    cluster: &Cluster,
    user: &UserInfo,
    namespace: &str,
) -> (Vec<Rule>, Vec<Missing>) {
    cluster.rbac.read().unwrap_or_else(PoisonError::into_inner).rules_of(user, namespace)
}

/// Refuses a write that creates an object, to a user who may only change one.
pub(crate) fn require_create(cluster: &Cluster, call: &Call) -> Result<(), ApiError> {
    if is_master(&call.user) {
        return Ok(());
    }
    require(cluster, &call.user, &Attributes::of_call(call, "create"))
}

/// Refuses a role or binding that gives more than its writer has.
pub(crate) fn check_escalation(
    cluster: &Cluster,
    call: &Call,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    if call.resource.group != GROUP || is_master(&call.user) {
        return Ok(());
    }
    if old.is_some_and(|old| only_for_collection(object, old)) {
        return Ok(());
    }
    let index = cluster.rbac.read().unwrap_or_else(PoisonError::into_inner);
    escalation::check(&index, call, object, old)
}

/// Returns whether nothing changes but what a garbage collector has to change.
fn only_for_collection(object: &Value, old: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields"] {
            object.meta_mut().shift_remove(field);
        }
        object
    };
    rest(object) == rest(old)
}

fn require(cluster: &Cluster, user: &UserInfo, attributes: &Attributes) -> Result<(), ApiError> {
    let decision = decide(cluster, user, attributes);
    if decision.is_allowed() { Ok(()) } else { Err(attributes.forbidden(user, &decision.reason())) }
}

fn is_master(user: &UserInfo) -> bool {
    user.groups.iter().any(|group| group == MASTERS)
}
