//! Label selectors.

use serde_json::Value;

use super::{Found, items, text};
use crate::validate::{meta, names};

/// Checks a label selector.
pub(super) fn check(selector: &Value, path: &str, found: &mut Found) {
    meta::labels(&selector["matchLabels"], &format!("{path}.matchLabels"), &mut found.errors);
    for (index, term) in items(&selector["matchExpressions"]).iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let has_values = !items(&term["values"]).is_empty();
        match text(&term["operator"]) {
            "In" | "NotIn" if !has_values => {
                let what = "must be specified when `operator` is 'In' or 'NotIn'";
                found.required(&format!("{path}.values"), what);
            }
            "Exists" | "DoesNotExist" if has_values => {
                let what = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                found.forbidden(&format!("{path}.values"), what);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => {
                let what = "not a valid selector operator";
                found.invalid(&format!("{path}.operator"), &term["operator"], what);
            }
        }
        found.names(&format!("{path}.key"), &term["key"], names::label_key);
    }
}

/// Returns whether a selector without content, which selects everything.
pub(super) fn is_empty(selector: &Value) -> bool {
    super::is_empty(&selector["matchLabels"]) && super::is_empty(&selector["matchExpressions"])
}

/// Returns whether a selector takes these labels.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
    wanted.all(|(key, value)| labels[key] == *value)
        && items(&selector["matchExpressions"]).iter().all(|term| {
            let label = labels.get(text(&term["key"]));
            let is_listed = || label.is_some_and(|label| items(&term["values"]).contains(label));
            match text(&term["operator"]) {
                "In" => is_listed(),
                "NotIn" => !is_listed(),
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
}
