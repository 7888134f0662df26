//! Chooses objects by regular expressions on their ids and by labels and annotations.

mod labels;
mod object;

use crate::error::Problem;
use crate::id::Id;
use crate::kustomization::Selector;
use crate::pattern::Pattern;
use crate::resource::Resource;
use labels::LabelSelector;
pub use object::{ObjectSelector, SelectorError};

/// A selector with its expressions compiled.
#[derive(Debug)]
pub(crate) struct Matcher {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: LabelSelector,
    annotations: LabelSelector,
}

impl Matcher {
    pub(crate) fn new(selector: &Selector) -> Result<Self, Problem> {
        Ok(Self {
            group: anchored("group", &selector.group)?,
            version: anchored("version", &selector.version)?,
            kind: anchored("kind", &selector.kind)?,
            name: anchored("name", &selector.name)?,
            namespace: anchored("namespace", &selector.namespace)?,
            labels: LabelSelector::parse(&selector.label_selector)
                .map_err(|error| error.in_part("labelSelector"))?,
            annotations: LabelSelector::parse(&selector.annotation_selector)
                .map_err(|error| error.in_part("annotationSelector"))?,
        })
    }

    /// Says whether a patch with this target applies to an object: by its kind now, and by the name
    /// and the namespace that it has now or had at first.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        let now = resource.id();
        if !self.selects_kind(&now) {
            return false;
        }
        let first = resource.original_id();
        (is(self.namespace.as_ref(), first.effective_namespace())
            || is(self.namespace.as_ref(), now.effective_namespace()))
            && (is(self.name.as_ref(), first.name) || is(self.name.as_ref(), now.name))
            && self.selects_metadata(resource)
    }

    /// Says whether an id is as asked for, its namespace as it is written.
    pub(crate) fn selects_id(&self, id: &Id<'_>) -> bool {
        self.selects_kind(id)
            && is(self.name.as_ref(), id.name)
            && is(self.namespace.as_ref(), id.namespace)
    }

    fn selects_kind(&self, id: &Id<'_>) -> bool {
        is(self.group.as_ref(), id.gvk.group)
            && is(self.version.as_ref(), id.gvk.version)
            && is(self.kind.as_ref(), id.gvk.kind)
    }

    /// Says whether labels and annotations are as asked for.
    pub(crate) fn selects_metadata(&self, resource: &Resource) -> bool {
        self.labels.matches(|key| value(resource, "labels", key))
            && self.annotations.matches(|key| value(resource, "annotations", key))
    }
}

fn value<'a>(resource: &'a Resource, field: &str, key: &str) -> Option<&'a str> {
    resource.map(field).find(|(own, _)| *own == key).map(|(_, value)| value)
}

fn anchored(field: &str, pattern: &str) -> Result<Option<Pattern>, Problem> {
    if pattern.is_empty() {
        return Ok(None);
    }
    Pattern::new(pattern)
        .map(Some)
        .map_err(|_| Problem::rule(format!("{field} {pattern:?} is no valid regular expression")))
}

fn is(pattern: Option<&Pattern>, text: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.is_match(text))
}
