//! Deleting one object or all that are selected.

use http::StatusCode;
use serde_json::json;

use crate::gc::{self, Deleted, Propagation};
use crate::object::Object;
use crate::rest::request::{Call, parse_object};
use crate::rest::{Reply, write};
use crate::selector::Selectors;
use crate::server::Cluster;
use crate::status::ApiError;
use crate::storage::{Entry, Key};

/// `metav1.DeleteOptions`, from the body or the query.
struct Options {
    propagation: Propagation,
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
}

impl Options {
    fn parse(call: &Call) -> Result<Self, ApiError> {
        let body = if matches!(&*call.body, b"" | b"null") {
            json!({})
        } else {
            parse_object(&call.body, &call.content_type)?
        };
        let policy = body["propagationPolicy"].as_str().or(call.param("propagationPolicy"));
        let orphan = body["orphanDependents"].as_bool();
        let propagation = match (policy, orphan) {
            (None, None) if orphans_by_default(call) => Propagation::Orphan,
            (Some("Background") | None, None | Some(false)) => Propagation::Background,
            (Some("Foreground"), None) => Propagation::Foreground,
            (Some("Orphan"), None) | (None, Some(true)) => Propagation::Orphan,
            _ => {
                let cause = crate::status::Cause::unsupported(
                    "propagationPolicy",
                    &policy.unwrap_or_default().into(),
                    &["Foreground", "Background", "Orphan", "nil"],
                );
                return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[cause]));
            }
        };
        let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        Ok(Self {
            propagation,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            dry_run: call.dry_run() || body["dryRun"] == json!(["All"]),
        })
    }

    fn check(&self, call: &Call, entry: &Entry) -> Result<(), ApiError> {
        let value = &entry.value;
        let resource = &call.resource;
        // Here the real one names the kind, not the resource.
        let refuse =
            |why: &str| ApiError::conflict(&resource.group, &resource.kind, value.name(), why);
        if let Some(uid) = &self.uid
            && value.uid() != Some(uid)
        {
            return Err(refuse(&format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The \
                 object might have been deleted and then recreated",
                value.uid().unwrap_or_default()
            )));
        }
        if let Some(revision) = &self.resource_version
            && *revision != entry.revision.to_string()
        {
            return Err(refuse(&format!(
                "the ResourceVersion in the precondition ({revision}) does not match the \
                 ResourceVersion in record ({}). The object might have been modified",
                entry.revision
            )));
        }
        Ok(())
    }
}

/// Two old kinds leave their pods behind unless told otherwise.
fn orphans_by_default(call: &Call) -> bool {
    if call.resource.is("batch", "jobs") {
        call.warn(
            "child pods are preserved by default when jobs are deleted; set \
             propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress \
             this warning",
        );
    }
    call.resource.is("batch", "jobs") || call.resource.is("", "replicationcontrollers")
}

/// Deletes the named object.
pub(crate) fn run(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    if call.subresource.is_some() {
        return Err(ApiError::method_not_allowed());
    }
    let options = Options::parse(call)?;
    delete(cluster, call, &call.key(), &options)
}

/// Evicts a pod: deletes it as the body's options say.
pub(crate) fn evict(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let mut deletion = call.with(http::Method::DELETE, call.name.clone());
    deletion.body = call.object()?["deleteOptions"].to_string().into();
    if deletion.body.as_ref() == b"null" {
        deletion.body = bytes::Bytes::new();
    }
    let options = Options::parse(&deletion)?;
    delete(cluster, call, &call.key(), &options)?;
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(Reply::Json(StatusCode::CREATED, success))
}

fn delete(cluster: &Cluster, call: &Call, key: &Key, options: &Options) -> Result<Reply, ApiError> {
    let resource = &call.resource;
    let not_found = || ApiError::not_found(&resource.group, &resource.plural, &key.name);
    if resource.is("", "namespaces")
        && matches!(key.name.as_str(), "default" | "kube-system" | "kube-public")
    {
        return Err(ApiError::forbidden(
            "",
            "namespaces",
            &key.name,
            "this namespace may not be deleted",
        ));
    }
    let deleted = cluster.transact(|tx| {
        let entry = tx.get(&resource.storage, key).ok_or_else(not_found)?;
        options.check(call, &entry)?;
        if options.dry_run {
            return Ok(Deleted::Gone(entry));
        }
        gc::delete(tx, &resource.storage, key, options.propagation).ok_or_else(not_found)
    })?;
    Ok(match deleted {
        Deleted::Gone(entry) if !answers_with_object(call) => {
            Reply::Json(StatusCode::OK, write::success(call, &entry.value))
        }
        Deleted::Gone(entry) | Deleted::Waiting(entry) => Reply::Stored(StatusCode::OK, entry),
    })
}

/// Some built-in kinds answer a delete with the object itself.
fn answers_with_object(call: &Call) -> bool {
    matches!(
        call.resource.qualified().as_str(),
        "pods"
            | "services"
            | "persistentvolumes"
            | "persistentvolumeclaims"
            | "serviceaccounts"
            | "podtemplates"
            | "resourcequotas"
            | "limitranges"
    )
}

/// Deletes the objects that the selectors take.
pub(crate) fn run_collection(cluster: &Cluster, call: &Call) -> Result<Reply, ApiError> {
    let options = Options::parse(call)?;
    let selectors = Selectors::of(call)?;
    let namespace = (!call.namespace.is_empty()).then_some(call.namespace.as_str());
    let snapshot = cluster
        .store
        .list(&call.resource.storage, namespace, None, None, None, |value| selectors.take(value))
        .map_err(|gone| ApiError::expired(0, gone.oldest))?;
    let mut deleted = Vec::new();
    for (key, entry) in snapshot.entries {
        match delete(cluster, call, &key, &options) {
            Ok(_) => deleted.push(entry),
            Err(error) if error.reason() == "NotFound" => {}
            Err(error) => return Err(error),
        }
    }
    let metadata = json!({"resourceVersion": cluster.store.revision().to_string()});
    Ok(Reply::List(metadata, deleted))
}
