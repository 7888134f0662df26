//! `commonAnnotations`.

use super::labels::set_entries;
use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::{FieldSpec, Strings};
use crate::resources::Resources;

/// Annotations and the fields that get them.
#[derive(Debug)]
pub(crate) struct Annotations {
    pairs: Strings,
    specs: Vec<FieldSpec>,
}

impl Annotations {
    pub(crate) fn new(pairs: Strings, specs: Vec<FieldSpec>) -> Self {
        Self { pairs, specs }
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        set_entries(scope, all, &self.pairs, &self.specs)
    }
}
