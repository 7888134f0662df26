//! `patchesJson6902`.

use super::patches::{apply_json, read_operations};
use crate::accumulate::Scope;
use crate::error::Problem;
use crate::json6902::Operation;
use crate::kustomization::Selector;
use crate::resources::Resources;
use crate::selector::Matcher;

/// A JSON patch and what it applies to. References do not follow names that it changes.
#[derive(Debug)]
pub(crate) struct JsonPatch {
    operations: Vec<Operation>,
    target: Matcher,
}

impl JsonPatch {
    pub(crate) fn new(
        scope: &mut Scope<'_>,
        target: Option<&Selector>,
        path: &str,
        inline: &str,
    ) -> Result<Self, Problem> {
        let target = target.filter(|target| !target.name.is_empty()).ok_or_else(|| {
            Problem::rule("give a target with the name of the object that the patch is for")
        })?;
        let (text, shown) = match (path.is_empty(), inline.is_empty()) {
            (true, true) => return Err(Problem::rule("give one of path and patch")),
            (false, false) => return Err(Problem::rule("give path or patch, not both")),
            (true, false) => (inline.as_bytes().to_vec(), "the patch"),
            (false, true) => (scope.loader.read(path)?, path),
        };
        let operations = read_operations(&text, shown)?;
        if operations.is_empty() {
            return Err(Problem::rule(format!("{shown} has no operations")));
        }
        Ok(Self { operations, target: Matcher::new(target)? })
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        for item in all.items_mut().iter_mut().filter(|item| self.target.selects(item)) {
            apply_json(scope, item, &self.operations)?;
        }
        Ok(())
    }
}
