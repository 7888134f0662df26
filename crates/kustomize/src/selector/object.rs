//! Chooses objects as they are in a cluster.

use serde_json::Value;

use super::labels::LabelSelector;
use crate::flux::PatchTarget;
use crate::pattern::Pattern;

/// Chooses objects of a cluster as the target of a patch chooses those of a build.
///
/// Source: `SelectorRegex`, fluxcd/pkg `ssa/jsondiff/selector.go`.
#[derive(Debug)]
pub struct ObjectSelector {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: LabelSelector,
    annotations: LabelSelector,
}

/// A part of a selector cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("invalid {part}: {message}")]
pub struct SelectorError {
    part: &'static str,
    message: String,
}

impl ObjectSelector {
    /// Compiles a selector.
    ///
    /// # Errors
    ///
    /// With the part that is no regular expression, or no label selector.
    pub fn new(target: &PatchTarget) -> Result<Self, SelectorError> {
        let pattern = |part: &'static str, text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            let pattern = text.map(Pattern::new).transpose();
            pattern.map_err(|error| SelectorError { part, message: error.to_string() })
        };
        let labels = |part: &'static str, text: &Option<String>| {
            LabelSelector::parse(text.as_deref().unwrap_or_default())
                .map_err(|error| SelectorError { part, message: error.to_string() })
        };
        Ok(Self {
            group: pattern("group regex", &target.group)?,
            version: pattern("version regex", &target.version)?,
            kind: pattern("kind regex", &target.kind)?,
            name: pattern("name regex", &target.name)?,
            namespace: pattern("namespace regex", &target.namespace)?,
            labels: labels("label selector", &target.label_selector)?,
            annotations: labels("annotation selector", &target.annotation_selector)?,
        })
    }

    /// Says whether an object is chosen.
    pub fn matches(&self, object: &Value) -> bool {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let api_version = text("/apiVersion");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let entry = |field: &str, key: &str| object["metadata"][field].get(key)?.as_str();
        [
            (&self.group, group),
            (&self.version, version),
            (&self.kind, text("/kind")),
            (&self.name, text("/metadata/name")),
            (&self.namespace, text("/metadata/namespace")),
        ]
        .iter()
        .all(|(pattern, text)| super::is(pattern.as_ref(), text))
            && self.labels.matches(|key| entry("labels", key))
            && self.annotations.matches(|key| entry("annotations", key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn chooses_by_every_part() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web-1", "namespace": "shop",
                "labels": {"tier": "front"}, "annotations": {"scaled": "yes"},
            },
        });
        let some = |text: &str| Some(text.to_owned());
        let empty = PatchTarget::default;
        for (target, expected) in [
            (empty(), true),
            (PatchTarget { kind: some("Deployment|StatefulSet"), ..empty() }, true),
            (PatchTarget { kind: some("Deploy"), ..empty() }, false),
            (PatchTarget { group: some("apps"), version: some("v1"), ..empty() }, true),
            (PatchTarget { name: some("web-.*"), namespace: some("shop"), ..empty() }, true),
            (PatchTarget { namespace: some("other"), ..empty() }, false),
            (PatchTarget { label_selector: some("tier in (front,back)"), ..empty() }, true),
            (PatchTarget { label_selector: some("tier=back"), ..empty() }, false),
            (PatchTarget { annotation_selector: some("scaled"), ..empty() }, true),
            (PatchTarget { annotation_selector: some("!scaled"), ..empty() }, false),
        ] {
            let selector = ObjectSelector::new(&target).unwrap();
            assert_eq!(selector.matches(&object), expected, "{target:?}");
        }
    }

    #[test]
    fn names_the_part_that_is_wrong() {
        let some = |text: &str| Some(text.to_owned());
        let target = PatchTarget { kind: some("("), ..PatchTarget::default() };
        let error = ObjectSelector::new(&target).unwrap_err().to_string();
        assert!(error.starts_with("invalid kind regex: "), "{error}");
        let target = PatchTarget { label_selector: some("a in"), ..PatchTarget::default() };
        let error = ObjectSelector::new(&target).unwrap_err().to_string();
        assert!(error.starts_with("invalid label selector: "), "{error}");
    }
}
