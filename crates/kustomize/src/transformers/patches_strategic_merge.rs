//! `patchesStrategicMerge`.

use super::patches::apply_to_chosen;
use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::PatchOptions;
use crate::objects;
use crate::resource::Resource;
use crate::resources::Resources;

/// Patches, each for the object that it names.
#[derive(Debug)]
pub(crate) struct Patches {
    patches: Vec<Resource>,
}

impl Patches {
    /// Reads entries that are patches or the paths of files with patches, and a text of patches.
    pub(crate) fn new(
        scope: &mut Scope<'_>,
        entries: &[String],
        inline: &str,
    ) -> Result<Self, Problem> {
        let mut patches = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let shown = format!("patchesStrategicMerge[{at}]");
            let read = match objects::read(entry.as_bytes(), &shown, scope.schemas) {
                Ok(read) => read,
                // What has several lines is no path.
                Err(problem) if entry.trim().contains('\n') => return Err(problem),
                Err(_) => {
                    let text = scope.loader.read(entry)?;
                    objects::read(&text, entry, scope.schemas)?
                }
            };
            patches.extend(read);
        }
        if !inline.is_empty() {
            patches.extend(objects::read(inline.as_bytes(), "patches", scope.schemas)?);
        }
        if patches.is_empty() {
            return Err(Problem::rule("there is no patch in it"));
        }
        Ok(Self { patches })
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        for patch in &self.patches {
            let at = all.with_id(&patch.original_id()).map_err(|problem| {
                problem.in_part(format!("no object to patch for the patch at {}", patch.source))
            })?;
            apply_to_chosen(scope, all, &[at], patch, PatchOptions::default())?;
        }
        Ok(())
    }
}
