//! `labels` and `commonLabels`.

use super::{CREATE_MAP, set_entry};
use crate::accumulate::Scope;
use crate::config::{Config, merge_one};
use crate::error::Problem;
use crate::field_spec::Paths;
use crate::kustomization::{FieldSpec, Label, Strings};
use crate::resources::Resources;

/// Labels and the fields that get them.
#[derive(Debug)]
pub(crate) struct Labels {
    pairs: Strings,
    specs: Vec<FieldSpec>,
}

impl Labels {
    pub(crate) fn new(pairs: Strings, specs: Vec<FieldSpec>) -> Self {
        Self { pairs, specs }
    }

    /// Returns what an entry of `labels` asks for.
    pub(crate) fn of_entry(label: &Label, config: &Config) -> Result<Self, Problem> {
        let mut specs = label.fields.clone();
        let mut add = |others: &[FieldSpec]| {
            others.iter().try_for_each(|spec| merge_one(&mut specs, spec.clone()))
        };
        add(&config.labels)?;
        if label.include_selectors {
            add(&config.common_labels)?;
        } else {
            if label.include_templates {
                add(&config.template_labels)?;
            }
            add(&[FieldSpec::of_all("metadata/labels", true)])?;
        }
        Ok(Self { pairs: label.pairs.clone(), specs })
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        set_entries(scope, all, &self.pairs, &self.specs)
    }
}

/// Sets entries in the maps of all objects.
pub(super) fn set_entries(
    scope: &mut Scope<'_>,
    all: &mut Resources,
    pairs: &Strings,
    specs: &[FieldSpec],
) -> Result<(), Problem> {
    if pairs.is_empty() {
        return Ok(());
    }
    let paths = Paths::new(specs, CREATE_MAP);
    let size: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    for item in all.bodies_mut() {
        let paths = paths.of(item);
        scope.spend(size * paths.len())?;
        for (key, value) in pairs {
            set_entry(scope, item, &paths, key, value).map_err(|problem| item.blame(problem))?;
        }
    }
    Ok(())
}
