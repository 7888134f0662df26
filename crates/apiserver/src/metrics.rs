//! Numbers for whoever watches the API: requests by kind and outcome, and objects by resource, under
//! the names that the real one gives them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};

use crate::registry::Resource;
use crate::rest::request::Call;
use crate::storage::Store;

/// Counts requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    counts: Mutex<BTreeMap<Kind, u64>>,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    group: String,
    version: String,
    resource: String,
    subresource: String,
    verb: &'static str,
    scope: &'static str,
    dry_run: bool,
    code: u16,
}

impl Requests {
    /// Counts a request that was answered; a watch is counted when it begins.
    pub(crate) fn count(&self, call: &Call, code: StatusCode) {
        let Resource { group, plural, .. } = &*call.resource;
        let kind = Kind {
            group: group.clone(),
            version: call.version.clone(),
            resource: plural.clone(),
            subresource: call.subresource.clone().unwrap_or_default(),
            verb: verb(call),
            scope: scope(call),
            dry_run: call.dry_run(),
            code: code.as_u16(),
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(kind).or_default() += 1;
    }

    /// Returns the numbers in the text form of Prometheus.
    pub(crate) fn text(&self, store: &Arc<Store>) -> String {
        let mut text = String::from(
            "# HELP apiserver_request_total [STABLE] Counter of apiserver requests broken out for \
             each verb, dry run value, group, version, resource, scope, component, and HTTP response \
             code.\n# TYPE apiserver_request_total counter\n",
        );
        for (kind, count) in self.counts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Kind { group, version, resource, subresource, verb, scope, dry_run, code } = kind;
            let dry_run = if *dry_run { "All" } else { "" };
            let _ = writeln!(
                text,
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\
                 \"{dry_run}\",group=\"{group}\",resource=\"{resource}\",scope=\"{scope}\",\
                 subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\"}} {count}"
            );
        }
        text.push_str(
            "# HELP apiserver_resource_objects [ALPHA] Number of stored objects at the time of last \
             check split by kind.\n# TYPE apiserver_resource_objects gauge\n",
        );
        for (resource, count) in store.counts() {
            let (resource, group) = resource.split_once('.').unwrap_or((&resource, ""));
            let _ = writeln!(
                text,
                "apiserver_resource_objects{{group=\"{group}\",resource=\"{resource}\"}} {count}"
            );
        }
        text
    }
}

fn verb(call: &Call) -> &'static str {
    match (&call.method, call.name.is_some()) {
        (&Method::GET, _) if call.watching() => "WATCH",
        (&Method::GET | &Method::HEAD, true) => "GET",
        (&Method::GET | &Method::HEAD, false) => "LIST",
        (&Method::POST, _) => "POST",
        (&Method::PUT, _) => "PUT",
        (&Method::PATCH, _) if call.content_type == "application/apply-patch+yaml" => "APPLY",
        (&Method::PATCH, _) => "PATCH",
        (&Method::DELETE, _) => "DELETE",
        _ => "other",
    }
}

fn scope(call: &Call) -> &'static str {
    if call.name.is_some() || call.method == Method::POST {
        "resource"
    } else if call.namespace.is_empty() {
        "cluster"
    } else {
        "namespace"
    }
}
