//! `namePrefix` and `nameSuffix`.

use goyaml::{Node, Scalar, Tag};

use crate::accumulate::Scope;
use crate::error::Problem;
use crate::field_spec::Paths;
use crate::id::Gvk;
use crate::kustomization::FieldSpec;
use crate::node::{Create, set_scalar};
use crate::resources::Resources;

/// What names get before or behind them.
#[derive(Debug)]
pub(crate) struct Affix {
    text: String,
    specs: Vec<FieldSpec>,
}

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Prefix,
    Suffix,
}

/// What is called after something else, or by its name from outside.
const SKIPPED: [Gvk<'static>; 3] = [
    Gvk { group: "", version: "", kind: "CustomResourceDefinition" },
    Gvk { group: "apiregistration.k8s.io", version: "", kind: "APIService" },
    Gvk { group: "", version: "", kind: "Namespace" },
];

impl Affix {
    pub(crate) fn new(text: &str, specs: Vec<FieldSpec>) -> Self {
        Self { text: text.to_owned(), specs }
    }

    pub(crate) fn run(
        &self,
        scope: &mut Scope<'_>,
        all: &mut Resources,
        side: Side,
    ) -> Result<(), Problem> {
        let paths = Paths::new(&self.specs, Some((Create::Scalar, Tag::Str)));
        for item in all.items_mut() {
            let first = item.original_id().gvk;
            if SKIPPED.iter().any(|skipped| first.is_selected(*skipped)) {
                continue;
            }
            // The kind at first decides which fields there are.
            let chosen: Vec<_> =
                paths.iter().filter(|(spec, _)| first.is_selected(spec.gvk())).collect();
            scope.spend(self.text.len() * chosen.len())?;
            for (spec, path) in chosen {
                if spec.path == "metadata/name" && !self.text.is_empty() {
                    let affixes = match side {
                        Side::Prefix => &mut item.memory.prefixes,
                        Side::Suffix => &mut item.memory.suffixes,
                    };
                    affixes.push(self.text.clone());
                    item.remember_id();
                }
                if !item.gvk().is_selected(spec.gvk()) {
                    continue;
                }
                let changed = path.change(&mut item.node, &mut |node: &mut Node| {
                    let value = match side {
                        Side::Prefix => format!("{}{}", self.text, node.text()),
                        Side::Suffix => format!("{}{}", node.text(), self.text),
                    };
                    set_scalar(node, Scalar::plain(value))
                });
                changed.map_err(|problem| item.blame(problem))?;
            }
            item.settle();
        }
        Ok(())
    }
}
