//! `replicas`.

use goyaml::{Scalar, Tag};

use crate::error::Problem;
use crate::field_spec::{Paths, set};
use crate::id::Gvk;
use crate::kustomization::{FieldSpec, Replica};
use crate::node::Create;
use crate::resources::Resources;

/// How many replicas the objects of a name get.
#[derive(Debug)]
pub(crate) struct Replicas {
    replica: Replica,
    specs: Vec<FieldSpec>,
}

impl Replicas {
    pub(crate) fn new(replica: Replica, specs: Vec<FieldSpec>) -> Self {
        Self { replica, specs }
    }

    pub(crate) fn run(&self, all: &mut Resources) -> Result<(), Problem> {
        let Replica { name, count } = &self.replica;
        let paths = Paths::new(&self.specs, Some((Create::Scalar, Tag::Int)));
        let mut found = false;
        for item in all.bodies_mut() {
            for (spec, path) in paths.iter() {
                let named = |gvk: Gvk<'_>, own: &str| own == name && gvk.is_selected(spec.gvk());
                if !item.all_ids().any(|id| named(id.gvk, id.name)) {
                    continue;
                }
                found = true;
                if !item.gvk().is_selected(spec.gvk()) {
                    continue;
                }
                let count = Scalar::tagged(count.to_string(), Tag::Int);
                path.change(&mut item.node, &mut set(count))
                    .map_err(|problem| item.blame(problem))?;
            }
            item.settle();
        }
        if found {
            return Ok(());
        }
        let kinds: Vec<_> = self.specs.iter().map(|spec| spec.gvk().to_string()).collect();
        Err(Problem::rule(format!(
            "no object of the name {name:?} has replicas; looked for {}",
            kinds.join(", ")
        )))
    }
}
