//! The build of a root kustomization: what is done once all objects are gathered.
//!
//! Source: `Run`, kustomize api 0.21.1 `krusty/kustomizer.go`.

use std::collections::HashSet;

use goyaml::Value;

use crate::accumulate::{Accumulated, Builder, Place};
use crate::error::{BuildError, Problem};
use crate::kustomization::{FieldSpec, Kustomization, SortOptions};
use crate::origin::{ORIGIN, TRANSFORMATIONS, Tracker};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::transformers::labels::Labels;
use crate::tree::{Tree, resolve};
use crate::{Options, Order, hash, name_references, order};

/// Builds the kustomization in a directory.
pub(crate) fn build(
    tree: &dyn Tree,
    dir: &str,
    options: &Options,
) -> Result<Vec<Value>, BuildError> {
    let outside = |error: crate::TreeError| BuildError::Invalid {
        kustomization: dir.to_owned(),
        source: error.into(),
    };
    let dir = resolve("", dir).and_then(|dir| tree.real_path(&dir)).map_err(outside)?;
    let mut builder = Builder::new(tree, options);
    let file = builder.open(&dir)?;
    let tracker = Tracker::new(!file.content.build_metadata.is_empty(), file.name);
    let place = Place { dir, path: file.path, tracker };
    let mut accumulated = Accumulated::default();
    builder.accumulate(&place, &file.content, &mut accumulated)?;
    finish(&mut builder, &place, &file.content, options, accumulated).map_err(|error| match error {
        Failed::Field(field, source) => {
            BuildError::Field { kustomization: place.path.clone(), field: field.into(), source }
        }
        Failed::Whole(source) => BuildError::Finish { kustomization: place.path.clone(), source },
    })
}

/// What failed at the end of a build.
enum Failed {
    Field(&'static str, Problem),
    Whole(Problem),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Whole(problem)
    }
}

fn finish(
    builder: &mut Builder<'_>,
    place: &Place,
    file: &Kustomization,
    options: &Options,
    accumulated: Accumulated,
) -> Result<Vec<Value>, Failed> {
    let config = accumulated.config.get();
    let mut all = accumulated.all;
    hash::add_suffixes(&mut all)?;
    name_references::fix(&mut all, &config.name_reference)?;
    let vars = &accumulated.vars;
    vars.resolve(&mut all, &config.var_reference, builder.budget())
        .map_err(|problem| Failed::Field("vars", problem))?;
    drop_local(&mut all)?;
    sort(&mut all, file.sort_options.as_ref(), options.order)?;
    let has = |option: &str| file.build_metadata.iter().any(|own| own == option);
    if options.managed_by_label || has("managedByLabel") {
        let pairs = [("app.kubernetes.io/managed-by".to_owned(), VERSION.to_owned())].into();
        let specs = vec![FieldSpec::of_all("metadata/labels", true)];
        Labels::new(pairs, specs).run(&mut builder.scope(place), &mut all)?;
    }
    let (origins, transformations) = (has("originAnnotations"), has("transformerAnnotations"));
    let mut values = Vec::with_capacity(all.len());
    for mut item in all.into_items() {
        clean_annotations(&mut item, origins, transformations);
        values.push(item.to_value()?);
    }
    Ok(values)
}

/// The value of the label `app.kubernetes.io/managed-by`.
const VERSION: &str = "kustomize-v5.8.1";

/// Drops objects that are meant for tools on the machine where the files are. What is left has to
/// have kinds, names, and different ids.
fn drop_local(all: &mut Resources) -> Result<(), Problem> {
    const LOCAL: &str = "config.kubernetes.io/local-config";
    let is_local = |item: &Resource| item.annotation(LOCAL).is_some_and(|value| value != "false");
    for item in all.iter() {
        crate::objects::check(&item.node, &item.source)?;
    }
    if !all.iter().any(is_local) {
        return all.check_ids();
    }
    // An object of the same id that stays keeps the other one, too.
    let key = |item: &Resource| {
        let id = item.id();
        (id.gvk.to_string(), id.name.to_owned(), id.namespace.to_owned())
    };
    let kept: HashSet<_> = all.iter().filter(|item| !is_local(item)).map(key).collect();
    all.items_mut().retain(|item| !is_local(item) || kept.contains(&key(item)));
    all.check_ids()
}

fn sort(all: &mut Resources, sort: Option<&SortOptions>, order: Order) -> Result<(), Failed> {
    let invalid = |text: &str| Failed::Field("sortOptions", Problem::rule(text));
    let lists = match sort {
        None if order == Order::Fifo => return Ok(()),
        None => None,
        Some(sort) => match sort.order.as_str() {
            "legacy" => sort.legacy_sort_options.as_ref(),
            "fifo" if sort.legacy_sort_options.is_some() => {
                return Err(invalid("legacySortOptions is for the order legacy only"));
            }
            "fifo" => return Ok(()),
            _ => return Err(invalid("the order must be one of fifo and legacy")),
        },
    };
    let lists = lists.map(|lists| (lists.order_first.as_slice(), lists.order_last.as_slice()));
    order::legacy(all.items_mut(), lists);
    Ok(())
}

/// Turns annotations into text and removes those that are not asked for.
fn clean_annotations(item: &mut Resource, origins: bool, transformations: bool) {
    if item.node.get("metadata").is_none_or(|metadata| metadata.get("annotations").is_none()) {
        return;
    }
    let entries: Vec<(String, String)> = item
        .map("annotations")
        .filter(|(key, _)| {
            (origins || *key != ORIGIN) && (transformations || *key != TRANSFORMATIONS)
        })
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    item.set_map("annotations", entries.iter().map(|(key, value)| (&**key, &**value)));
}
