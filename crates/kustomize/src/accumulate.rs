//! Gathers the objects of a kustomization and of those it builds on.

use serde_json::{Value, json};

use crate::error::{BuildError, Problem};
use crate::kustomization::Kustomization;
use crate::resource::Resources;
use crate::tree::{FileKind, Tree, is_in, resolve};
use crate::{Options, Order, generators, hash, load, order, references, transform};

/// Builds the kustomization in a directory.
pub(crate) fn build(
    tree: &dyn Tree,
    dir: &str,
    options: &Options,
) -> Result<Vec<Value>, BuildError> {
    let start = |source: Problem| BuildError::Invalid { kustomization: dir.to_owned(), source };
    let dir = resolve("", dir).map_err(|error| start(error.into()))?;
    let (path, file) = load::kustomization(tree, &dir)?;
    let mut builder = Builder { tree, options, visited: Vec::new() };
    let mut resources = Resources::default();
    builder.accumulate(&dir, &path, &file, &mut resources)?;
    for item in resources.items_mut().iter_mut().filter(|item| item.needs_hash) {
        hash::add_suffix(item);
    }
    references::fix(&mut resources)
        .map_err(|source| BuildError::Finish { kustomization: path.clone(), source })?;
    let mut items = resources.into_items();
    items.retain(|item| {
        let local =
            item.map("annotations").and_then(|map| map.get("config.kubernetes.io/local-config"));
        local.is_none_or(|value| value == "false")
    });
    match &file.sort_options {
        None if options.order == Order::Legacy => order::legacy(&mut items, None),
        Some(sort) if sort.order == "legacy" => {
            let lists = sort.legacy_sort_options.as_ref();
            order::legacy(&mut items, lists.map(|l| (&l.order_first[..], &l.order_last[..])));
        }
        None => {}
        Some(sort) if sort.order == "fifo" => {}
        Some(_) => {
            let source = Problem::rule("the order must be one of fifo and legacy");
            return Err(BuildError::Field {
                kustomization: path,
                field: "sortOptions".into(),
                source,
            });
        }
    }
    let managed =
        options.managed_by_label || file.build_metadata.iter().any(|item| item == "managedByLabel");
    for item in &mut items {
        if managed && let Some(labels) = item.map_mut("labels") {
            labels.insert("app.kubernetes.io/managed-by".into(), json!("kustomize-v5.8.1"));
        }
        strip(&mut item.value);
    }
    Ok(items.into_iter().map(|item| item.value).collect())
}

/// Removes the annotations that only the build understands.
fn strip(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    let before = annotations.len();
    annotations.retain(|key, _| !key.starts_with("internal.config.kubernetes.io/"));
    if before > 0 && annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
}

struct Builder<'a> {
    tree: &'a dyn Tree,
    options: &'a Options,
    /// The directories that are being built, outermost first.
    visited: Vec<String>,
}

impl Builder<'_> {
    fn accumulate(
        &mut self,
        dir: &str,
        path: &str,
        file: &Kustomization,
        all: &mut Resources,
    ) -> Result<(), BuildError> {
        let at = |field: &'static str| {
            move |source: Problem| BuildError::Field {
                kustomization: path.to_owned(),
                field: field.to_owned(),
                source,
            }
        };
        refuse(path, file)?;
        self.visited.push(dir.to_owned());
        for entry in file.resources.iter().chain(&file.bases) {
            self.resource(dir, entry, all).map_err(at("resources"))?;
        }
        let context = generators::Context { tree: self.tree, dir, options: self.options };
        let global = file.generator_options.as_ref();
        for args in &file.config_map_generator {
            let made = generators::config_map(&context, args, global);
            made.and_then(|made| all.absorb(made)).map_err(at("configMapGenerator"))?;
        }
        for args in &file.secret_generator {
            let made = generators::secret(&context, args, global);
            made.and_then(|made| all.absorb(made)).map_err(at("secretGenerator"))?;
        }
        for entry in &file.components {
            self.component(dir, entry, all).map_err(at("components"))?;
        }
        transform::run(&context, file, all).map_err(|(field, source)| at(field)(source))?;
        self.visited.pop();
        Ok(())
    }

    fn resource(&mut self, dir: &str, entry: &str, all: &mut Resources) -> Result<(), Problem> {
        if load::is_remote(entry) {
            return Err(Problem::Remote { url: entry.to_owned() });
        }
        let target = resolve(dir, entry)?;
        if self.tree.kind(&target) != Some(FileKind::Directory) {
            let bytes = load::file(self.tree, dir, entry, self.options)?;
            let objects = load::objects(&String::from_utf8_lossy(&bytes), &target)?;
            return objects.into_iter().try_for_each(|object| all.append(object));
        }
        let mut own = Resources::default();
        self.directory(&target, "Kustomization", &mut own)?;
        all.append_all(own)
    }

    fn component(&mut self, dir: &str, entry: &str, all: &mut Resources) -> Result<(), Problem> {
        if load::is_remote(entry) {
            return Err(Problem::Remote { url: entry.to_owned() });
        }
        self.directory(&resolve(dir, entry)?, "Component", all)
    }

    fn directory(&mut self, dir: &str, kind: &str, all: &mut Resources) -> Result<(), Problem> {
        if let Some(visited) = self.visited.iter().find(|visited| is_in(visited, dir)) {
            return Err(Problem::rule(format!("cycle: {dir:?} contains {visited:?}")));
        }
        let base = |error| Problem::Base(Box::new(error));
        let (path, file) = load::kustomization(self.tree, dir).map_err(base)?;
        if (file.kind == "Component") != (kind == "Component") {
            return Err(Problem::rule(format!("{path} must be of kind {kind}")));
        }
        self.accumulate(dir, &path, &file, all).map_err(base)
    }
}

/// Refuses what is never or not yet supported, so that nothing is ignored silently.
fn refuse(path: &str, file: &Kustomization) -> Result<(), BuildError> {
    let helm = !file.helm_charts.is_empty() || !file.helm_chart_inflation_generator.is_empty();
    let unsupported = [
        ("helmCharts", helm || file.helm_globals.is_some()),
        ("openapi", !file.openapi.is_empty()),
        ("crds", !file.crds.is_empty()),
        ("configurations", !file.configurations.is_empty()),
        ("generators", !file.generators.is_empty()),
        ("transformers", !file.transformers.is_empty()),
        ("validators", !file.validators.is_empty()),
        ("replacements", !file.replacements.is_empty()),
        ("vars", !file.vars.is_empty()),
    ];
    match unsupported.into_iter().find(|(_, used)| *used) {
        None => Ok(()),
        Some((field, _)) => Err(BuildError::Field {
            kustomization: path.to_owned(),
            field: field.to_owned(),
            source: Problem::Refused {
                what: field.to_owned(),
                instead: if field == "helmCharts" { "use a HelmRelease" } else { "use patches" },
            },
        }),
    }
}
