//! The fields that a Kustomization leaves as they are in the cluster.

use std::sync::Arc;

use api::kustomize::{KustomizationSpec, Selector};
use apply::{IgnoreRule, IgnoreRules, Matches};
use kustomize::{ObjectSelector, PatchTarget, SelectorError};

/// A rule cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to create ignore rule selector")]
pub(crate) struct IgnoreError(#[from] SelectorError);

/// Compiles the rules of a Kustomization.
pub(crate) fn rules(spec: &KustomizationSpec) -> Result<IgnoreRules, IgnoreError> {
    let mut rules = Vec::new();
    for rule in spec.ignore.iter().flatten() {
        let selector = rule.target.clone().map(|target| ObjectSelector::new(&patch_target(target)));
        let target = selector.transpose()?.map(|selector| {
            Arc::new(move |object: &serde_json::Value| selector.matches(object)) as Matches
        });
        rules.push(IgnoreRule { paths: rule.paths.clone(), target });
    }
    let identity = serde_json::to_string(&spec.ignore).unwrap_or_default();
    Ok(IgnoreRules::new(rules, &identity))
}

/// Returns a selector as the build takes it.
pub(crate) fn patch_target(selector: Selector) -> PatchTarget {
    let Selector { group, version, kind, namespace, name, annotation_selector, label_selector } =
        selector;
    PatchTarget { group, version, kind, name, namespace, label_selector, annotation_selector }
}
