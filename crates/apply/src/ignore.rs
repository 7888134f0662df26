//! Fields that are left as they are in the cluster.
//!
//! Source: fluxcd/pkg `ssa/manager_apply.go` and `ssa/jsondiff/unstructured.go`.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::object::text;

/// Says whether an object is meant.
pub type Matches = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// Fields to leave as they are in the cluster.
#[derive(Clone)]
pub struct IgnoreRule {
    /// The fields, as JSON pointers: `/spec/replicas`.
    pub paths: Vec<String>,
    /// The objects that the rule is about; every one when `None`.
    pub target: Option<Matches>,
}

impl fmt::Debug for IgnoreRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IgnoreRule").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// What is ignored.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<IgnoreRule>,
    fingerprint: u64,
}

impl IgnoreRules {
    /// Returns rules that differ from others if their `identity` does. Of those about every object
    /// the last one counts alone, as with Flux.
    pub fn new(mut rules: Vec<IgnoreRule>, identity: &impl Hash) -> Self {
        let last = rules.iter().rposition(|rule| rule.target.is_none());
        let mut index = 0;
        rules.retain(|rule| {
            index += 1;
            rule.target.is_some() || Some(index - 1) == last
        });
        let mut hasher = DefaultHasher::new();
        if !rules.is_empty() {
            identity.hash(&mut hasher);
        }
        Self { rules, fingerprint: hasher.finish() }
    }

    /// Returns what stands for the rules.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the paths that are ignored in an object.
    pub(crate) fn paths(&self, object: &Value) -> Vec<&str> {
        let about = |rule: &&IgnoreRule| rule.target.as_ref().is_none_or(|it| it(object));
        self.rules.iter().filter(about).flat_map(|rule| &rule.paths).map(String::as_str).collect()
    }
}

/// Returns an object without some fields.
pub(crate) fn without(object: &Value, paths: &[&str]) -> Value {
    let mut object = object.clone();
    for path in paths {
        remove(&mut object, path);
    }
    object
}

/// Returns the object to apply where others are to keep what they have set, `None` when that is the
/// declared one.
///
/// What another manager has applied is left out, so that it stays theirs. Anything else takes the
/// value that it has: left out, it would be removed, because it is ours.
pub(crate) fn payload(
    declared: &Value,
    live: &Value,
    answer: &Value,
    paths: &[&str],
    (entries, manager): (&[Value], &str),
) -> Option<Value> {
    let differ = |path: &&&str| !path.is_empty() && live.pointer(path) != answer.pointer(path);
    let differing: Vec<&str> = paths.iter().filter(differ).copied().collect();
    if differing.is_empty() {
        return None;
    }
    let applied: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["operation"] == "Apply" && text(entry, "/subresource").is_empty())
        .collect();
    let others: Vec<&Value> =
        applied.iter().filter(|entry| entry["manager"] != manager).copied().collect();
    let is_theirs = |path: &str| {
        let Some(segments) = segments(live, path, &applied) else { return false };
        others.iter().any(|entry| find(&entry["fieldsV1"], &segments).is_some())
    };
    let mut payload = declared.clone();
    let (theirs, ours): (Vec<&str>, Vec<&str>) =
        differing.into_iter().partition(|path| is_theirs(path));
    for path in theirs {
        remove(&mut payload, path);
    }
    for path in ours {
        match live.pointer(path) {
            Some(value) => set(&mut payload, path, value.clone()),
            None => remove(&mut payload, path),
        }
    }
    Some(payload)
}

/// Removes the value at a JSON pointer, if there is one.
fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        *object = Value::Null;
        return;
    };
    match object.pointer_mut(parent) {
        Some(Value::Object(map)) => _ = map.shift_remove(&unescape(key)),
        Some(Value::Array(items)) => {
            if let Some(index) = key.parse().ok().filter(|index: &usize| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// Sets the value at a JSON pointer, if there is a place for it.
fn set(object: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = object.pointer_mut(pointer) {
        *place = value;
    } else if let Some((parent, key)) = pointer.rsplit_once('/')
        && let Some(Value::Object(map)) = object.pointer_mut(parent)
    {
        map.insert(unescape(key), value);
    }
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// Returns the way through a field set to the value at a JSON pointer, `None` when its place in a
/// list has no key.
fn segments(live: &Value, pointer: &str, entries: &[&Value]) -> Option<Vec<String>> {
    let mut segments: Vec<String> = Vec::new();
    let mut value = Some(live);
    for key in pointer.split('/').skip(1).map(unescape) {
        let next = match value {
            Some(Value::Array(items)) => {
                let item = items.get(key.parse::<usize>().ok()?)?;
                let key = entries.iter().find_map(|entry| {
                    let mut keys = find(&entry["fieldsV1"], &segments)?.keys();
                    keys.find(|key| is_key_of(key, item)).cloned()
                });
                segments.push(key?);
                Some(item)
            }
            other => {
                segments.push(format!("f:{key}"));
                other.and_then(|value| value.get(&key))
            }
        };
        value = next;
    }
    if segments.is_empty() { None } else { Some(segments) }
}

/// Says whether an item of a list has the key that a field set knows it by: `k:{"name":"web"}`.
fn is_key_of(key: &str, item: &Value) -> bool {
    let Some(key) = key.strip_prefix("k:") else { return false };
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(key) else { return false };
    fields.iter().all(|(name, value)| item.get(name) == Some(value))
}

fn find<'a>(fields: &'a Value, segments: &[String]) -> Option<&'a Map<String, Value>> {
    segments.iter().try_fold(fields.as_object()?, |fields, key| fields.get(key)?.as_object())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "the callers write literals")]
    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "fieldsV1": fields})
    }

    fn rule(path: &str, target: Option<Matches>) -> IgnoreRule {
        IgnoreRule { paths: vec![path.to_owned()], target }
    }

    #[test]
    fn only_the_last_rule_about_everything_counts() {
        let config: Matches = Arc::new(|object| object["kind"] == "ConfigMap");
        let rules = vec![
            rule("/a", None),
            rule("/b", Some(config.clone())),
            rule("/c", None),
            rule("/d", Some(config)),
        ];
        let rules = IgnoreRules::new(rules, &"");
        assert_eq!(rules.paths(&json!({"kind": "ConfigMap"})), ["/b", "/c", "/d"]);
        assert_eq!(rules.paths(&json!({"kind": "Secret"})), ["/c"]);
    }

    #[test]
    fn removes_what_is_there() {
        let object = json!({"a": {"b/c": 1, "d": [1, 2, 3]}});
        let paths = ["/a/b~1c", "/a/d/1", "/a/d/7", "/x/y", "/a/d/x"];
        assert_eq!(without(&object, &paths), json!({"a": {"d": [1, 3]}}));
        assert_eq!(without(&object, &[""]), Value::Null);
    }

    #[test]
    fn takes_the_live_value_of_what_nobody_else_has_applied() {
        let declared = json!({"spec": {"replicas": 1, "other": "new"}});
        let live = json!({"spec": {"replicas": 5, "other": "old"}});
        let answer = json!({"spec": {"replicas": 1, "other": "new"}});
        let entries = [
            entry("controller", "Apply", json!({"f:spec": {"f:replicas": {}}})),
            entry("scaler", "Update", json!({"f:spec": {"f:replicas": {}}})),
        ];
        let by = (&entries[..], "controller");
        let payload = payload(&declared, &live, &answer, &["/spec/replicas"], by).unwrap();
        assert_eq!(payload, json!({"spec": {"replicas": 5, "other": "new"}}));
    }

    #[test]
    fn leaves_out_what_another_manager_has_applied() {
        let declared = json!({"spec": {"replicas": 1, "other": "new"}});
        let live = json!({"spec": {"replicas": 5}});
        let entries = [
            entry("controller", "Apply", json!({"f:spec": {"f:other": {}}})),
            entry("scaler", "Apply", json!({"f:spec": {"f:replicas": {}}})),
        ];
        let by = (&entries[..], "controller");
        let payload = payload(&declared, &live, &declared, &["/spec/replicas"], by).unwrap();
        assert_eq!(payload, json!({"spec": {"other": "new"}}));
    }

    #[test]
    fn finds_items_of_lists_by_their_keys() {
        let containers = |image: &str| json!({"spec": {"containers": [{"name": "web", "image": "a"}, {"name": "proxy", "image": image}]}});
        let key = "k:{\"name\":\"proxy\"}";
        let theirs = json!({"f:spec": {"f:containers": {key: {"f:image": {}}}}});
        let ours = json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}});
        let entries = [entry("controller", "Apply", ours), entry("injector", "Apply", theirs)];
        let (declared, live) = (containers("1"), containers("2"));
        let paths = ["/spec/containers/1/image"];
        let by = (&entries[..], "controller");
        let left = payload(&declared, &live, &declared, &paths, by).unwrap();
        assert_eq!(left["spec"]["containers"][1], json!({"name": "proxy"}));
        // Without the key the live value is taken.
        let by = (&entries[..1], "controller");
        assert_eq!(payload(&declared, &live, &declared, &paths, by), Some(live.clone()));
        assert_eq!(payload(&declared, &declared, &declared, &paths, by), None);
    }

    #[test]
    fn keeps_away_what_is_gone_from_the_cluster() {
        let declared = json!({"metadata": {"labels": {"a": "1"}}});
        let live = json!({"metadata": {"labels": {}}});
        let by: (&[Value], &str) = (&[], "controller");
        let paths = ["/metadata/labels/a"];
        let left = payload(&declared, &live, &declared, &paths, by);
        assert_eq!(left, Some(live));
    }
}
