//! Events: `v1`, in which they are stored, and `events.k8s.io/v1`.

use serde_json::Value;

/// Fields that have another name in the other group: core first.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Renames the fields of a `v1` Event.
pub(super) fn to_new(event: &mut Value) {
    for (core, new) in RENAMED {
        rename(event, core, new);
    }
}

/// Renames the fields of an `events.k8s.io/v1` Event.
pub(super) fn to_core(event: &mut Value) {
    for (core, new) in RENAMED {
        rename(event, new, core);
    }
}

fn rename(object: &mut Value, from: &str, to: &str) {
    if let Some(fields) = object.as_object_mut()
        && let Some(value) = fields.shift_remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_fields_as_the_group_does() {
        let new = json!({"regarding": {"kind": "Pod"}, "note": "hello", "reason": "Started"});
        let mut event = new.clone();
        to_core(&mut event);
        assert_eq!(
            event,
            json!({"involvedObject": {"kind": "Pod"}, "message": "hello", "reason": "Started"})
        );
        to_new(&mut event);
        assert_eq!(event, new);
    }
}
