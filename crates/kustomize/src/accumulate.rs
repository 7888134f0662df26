//! Gathers the objects of a kustomization and of those that it builds on.
//!
//! Source: `accumulateTarget`, kustomize api 0.21.1 `internal/target/kusttarget.go`.

use std::sync::Arc;

use crate::budget::Budget;
use crate::config::{Config, Merged};
use crate::error::{BuildError, Problem};
use crate::field_spec::Path;
use crate::generators::{Generator, with_global_options};
use crate::kustomization::{FieldSpec, Kustomization};
use crate::load::{File, Loader, kustomization};
use crate::origin::{ORIGIN, Origin, Tracker};
use crate::resource::{Resource, Source};
use crate::resources::Resources;
use crate::schema::Schemas;
use crate::transformers::{self, CREATE_MAP, Step, set_entry};
use crate::tree::{FileKind, Tree, is_in};
use crate::vars::Vars;
use crate::{Options, crds, objects, plugins, remote};

/// How deep kustomizations may build on each other.
const MAX_DEPTH: usize = 100;

/// What a kustomization comes to.
#[derive(Debug, Default)]
pub(crate) struct Accumulated {
    pub all: Resources,
    /// Where transformers write and references stand.
    pub config: Merged,
    pub vars: Vars,
}

impl Accumulated {
    fn merge(&mut self, other: Self) -> Result<(), Problem> {
        self.all.append_all(other.all)?;
        self.config.merge(other.config)?;
        self.vars.merge(other.vars)
    }
}

/// What generators and transformers of one kustomization have at hand.
pub(crate) struct Scope<'a> {
    pub loader: Loader<'a>,
    pub schemas: &'a mut Schemas,
    pub tracker: Tracker,
    identities: &'a mut u32,
}

impl Scope<'_> {
    /// Returns a number for a scalar that stands at several places.
    pub(crate) fn new_identity(&mut self) -> u32 {
        *self.identities = self.identities.wrapping_add(1).max(1);
        *self.identities
    }

    /// Brings up to date what is known of the kind of an object.
    pub(crate) fn refresh(&mut self, item: &mut Resource) -> Result<(), Problem> {
        item.cluster_scoped = self.schemas.is_cluster_scoped(item.api_version(), item.kind())?;
        Ok(())
    }

    /// Accounts for bytes that are copied.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), Problem> {
        self.loader.budget.spend(bytes)
    }
}

/// Where a kustomization is.
pub(crate) struct Place {
    /// Its directory, without links in its path.
    pub dir: String,
    /// The path of the file.
    pub path: String,
    pub tracker: Tracker,
}

impl Place {
    fn error(&self, field: impl Into<String>, source: Problem) -> BuildError {
        BuildError::Field { kustomization: self.path.clone(), field: field.into(), source }
    }
}

/// A build under way.
pub(crate) struct Builder<'a> {
    tree: &'a dyn Tree,
    options: &'a Options,
    budget: Budget,
    pub schemas: Schemas,
    identities: u32,
    /// The directories that are being built, outermost first.
    visited: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(tree: &'a dyn Tree, options: &'a Options) -> Self {
        Self {
            tree,
            options,
            budget: Budget::default(),
            schemas: Schemas::new(!options.openapi_replaces),
            identities: 0,
            visited: Vec::new(),
        }
    }

    /// Returns what may still be read and copied.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    fn loader<'b>(&'b self, dir: &'b str) -> Loader<'b> {
        let restrictor = self.options.load_restrictor;
        Loader { tree: self.tree, restrictor, dir, budget: &self.budget }
    }

    pub(crate) fn scope<'b>(&'b mut self, place: &'b Place) -> Scope<'b> {
        let restrictor = self.options.load_restrictor;
        let loader = Loader { tree: self.tree, restrictor, dir: &place.dir, budget: &self.budget };
        Scope {
            loader,
            schemas: &mut self.schemas,
            tracker: place.tracker.clone(),
            identities: &mut self.identities,
        }
    }

    /// Finds and reads the kustomization of a directory, and takes its schema.
    pub(crate) fn open(&mut self, dir: &str) -> Result<File, BuildError> {
        let restrictor = self.options.load_restrictor;
        let loader = Loader { tree: self.tree, restrictor, dir, budget: &self.budget };
        let file = kustomization(&loader)?;
        self.schemas.choose(&file.content.openapi, |path| loader.read(path)).map_err(|source| {
            BuildError::Field { kustomization: file.path.clone(), field: "openapi".into(), source }
        })?;
        Ok(file)
    }

    /// Gathers and transforms the objects of a kustomization.
    pub(crate) fn accumulate(
        &mut self,
        place: &Place,
        file: &Kustomization,
        into: &mut Accumulated,
    ) -> Result<(), BuildError> {
        self.visited.push(place.dir.clone());
        for (at, entry) in file.resources.iter().enumerate() {
            self.resource(place, entry, into)
                .map_err(|problem| place.error(format!("resources[{at}]"), problem))?;
        }
        self.configure(place, file, into)?;
        self.generate(place, file, into)?;
        for (at, entry) in file.components.iter().enumerate() {
            self.component(place, entry, into)
                .map_err(|problem| place.error(format!("components[{at}]"), problem))?;
        }
        self.transform(place, file, into)?;
        self.validate(place, file, into)?;
        into.vars.add(&file.vars, &mut into.all).map_err(|problem| place.error("vars", problem))?;
        self.visited.pop();
        Ok(())
    }

    /// Gathers what `configurations` and `crds` say.
    fn configure(
        &mut self,
        place: &Place,
        file: &Kustomization,
        into: &mut Accumulated,
    ) -> Result<(), BuildError> {
        let loader = self.loader(&place.dir);
        let configurations = match file.configurations.as_slice() {
            [] => Ok(None),
            paths => Config::read(&loader, paths).map(Some),
        };
        configurations
            .and_then(|configurations| into.config.add_builtin(configurations))
            .map_err(|problem| place.error("configurations", problem))?;
        if !file.crds.is_empty() {
            crds::read(&loader, &file.crds)
                .and_then(|config| into.config.add(config))
                .map_err(|problem| place.error("crds", problem))?;
        }
        Ok(())
    }

    fn generate(
        &mut self,
        place: &Place,
        file: &Kustomization,
        into: &mut Accumulated,
    ) -> Result<(), BuildError> {
        let global = file.generator_options.as_ref();
        let fields = [
            ("configMapGenerator", &file.config_map_generator),
            ("secretGenerator", &file.secret_generator),
        ];
        for (field, entries) in fields {
            for (at, args) in entries.iter().enumerate() {
                let args = with_global_options(args, global);
                let generator = match field {
                    "secretGenerator" => Generator::Secret(args),
                    _ => Generator::ConfigMap(args),
                };
                let field = format!("{field}[{at}]");
                let source = source(format!("{} {field}", place.path));
                let origin = place.tracker.builtin(generator.name());
                self.run_generator(place, &generator, source, origin, into)
                    .map_err(|problem| place.error(field, problem))?;
            }
        }
        if !file.helm_charts.is_empty() {
            return Err(place.error("helmCharts", plugins::helm()));
        }
        for config in self.plugins(place, "generators", &file.generators)? {
            let error = |problem| place.error("generators", problem);
            let generator = plugins::generator(&config).map_err(error)?;
            let origin = Origin::of_plugin(&config).map_err(error)?;
            self.run_generator(place, &generator, config.source, origin, into).map_err(error)?;
        }
        Ok(())
    }

    fn run_generator(
        &mut self,
        place: &Place,
        generator: &Generator,
        source: Source,
        origin: Option<Origin>,
        into: &mut Accumulated,
    ) -> Result<(), Problem> {
        let mut scope = self.scope(place);
        let mut made = generator.run(&mut scope, source)?;
        scope.refresh(&mut made)?;
        if let Some(origin) = origin {
            origin.record_generated(&mut made)?;
        }
        into.all.absorb(made)
    }

    fn transform(
        &mut self,
        place: &Place,
        file: &Kustomization,
        into: &mut Accumulated,
    ) -> Result<(), BuildError> {
        let error = |(field, problem): (String, Problem)| place.error(field, problem);
        let steps = transformers::of_fields(&mut self.scope(place), file, into.config.get());
        let mut steps = steps.map_err(error)?;
        steps.extend(self.plugin_steps(place, "transformers", &file.transformers)?);
        transformers::run(&mut self.scope(place), &steps, &mut into.all).map_err(error)
    }

    /// Runs validators, which are transformers that change nothing but a label.
    fn validate(
        &mut self,
        place: &Place,
        file: &Kustomization,
        into: &mut Accumulated,
    ) -> Result<(), BuildError> {
        for step in self.plugin_steps(place, "validators", &file.validators)? {
            let error = |problem| place.error("validators", problem);
            let before = into.all.values().map_err(error)?;
            let run = step.transformer.run(&mut self.scope(place), &mut into.all);
            run.map_err(error)?;
            if into.all.values().map_err(error)? != before {
                return Err(error(Problem::rule(format!(
                    "validator {} changes objects; make it a transformer",
                    step.transformer.name()
                ))));
            }
        }
        Ok(())
    }

    fn plugin_steps(
        &mut self,
        place: &Place,
        field: &str,
        entries: &[String],
    ) -> Result<Vec<Step>, BuildError> {
        let configs = self.plugins(place, field, entries)?;
        let mut scope = self.scope(place);
        let step = |config: Resource| {
            let transformer = plugins::transformer(&mut scope, &config)?;
            let origin = Origin::of_plugin(&config)?;
            Ok(Step { transformer, field: format!("{field} ({})", config.source), origin })
        };
        let steps: Result<_, Problem> = configs.into_iter().map(step).collect();
        steps.map_err(|problem| place.error(field, problem))
    }

    /// Reads the objects that configure plugins: those in the kustomization itself, then those in
    /// files and directories.
    fn plugins(
        &mut self,
        place: &Place,
        field: &str,
        entries: &[String],
    ) -> Result<Vec<Resource>, BuildError> {
        let mut configs = Accumulated::default();
        let mut paths = Vec::new();
        let inline = place.tracker.inline();
        for (at, entry) in entries.iter().enumerate() {
            let field = format!("{field}[{at}]");
            let shown = format!("{} {field}", place.path);
            let appended = match objects::read(entry.as_bytes(), &shown, &mut self.schemas) {
                Ok(objects) => objects.into_iter().try_for_each(|mut object| {
                    if let Some(origin) = &inline {
                        object.set_annotation(ORIGIN, Some(&origin.to_text()));
                    }
                    configs.all.append(object)
                }),
                // What has several lines is no path.
                Err(problem) if entry.trim().contains('\n') => Err(problem),
                Err(_) => {
                    paths.push((field, entry));
                    continue;
                }
            };
            appended.map_err(|problem| place.error(field, problem))?;
        }
        for (field, entry) in paths {
            self.resource(place, entry, &mut configs)
                .map_err(|problem| place.error(field, problem))?;
        }
        Ok(configs.all.into_items())
    }

    /// Adds the objects of a file, or of a kustomization that this one builds on.
    fn resource(
        &mut self,
        place: &Place,
        entry: &str,
        into: &mut Accumulated,
    ) -> Result<(), Problem> {
        if entry.is_empty() {
            return Err(Problem::rule("the entry is empty; name a file or directory"));
        }
        if remote::is_http(entry) || remote::is_repository(entry) {
            return Err(Problem::Remote { url: entry.to_owned() });
        }
        let resolved = self.loader(&place.dir).resolve(entry)?;
        if self.tree.kind(&resolved) == Some(FileKind::Directory) {
            let mut own = Accumulated::default();
            self.directory(place, entry, false, &mut own)?;
            return into.merge(own);
        }
        let bytes = self.loader(&place.dir).read(entry)?;
        let objects = objects::read(&bytes, &resolved, &mut self.schemas)?;
        let origin = place.tracker.of_file(entry).map(|origin| origin.to_text());
        let annotations = Path::new(&FieldSpec::of_all("metadata/annotations", true), CREATE_MAP);
        let mut scope = self.scope(place);
        objects.into_iter().try_for_each(|mut object| {
            if let Some(origin) = &origin {
                set_entry(&mut scope, &mut object, &[&annotations], ORIGIN, origin)?;
            }
            into.all.append(object)
        })
    }

    /// Carries out a component on the objects that are there.
    fn component(
        &mut self,
        place: &Place,
        entry: &str,
        into: &mut Accumulated,
    ) -> Result<(), Problem> {
        if entry.is_empty() {
            return Err(Problem::rule("the entry is empty; name a directory"));
        }
        if remote::is_http(entry) || remote::is_repository(entry) {
            return Err(Problem::Remote { url: entry.to_owned() });
        }
        self.directory(place, entry, true, into)?;
        let config = std::mem::take(&mut into.config);
        into.config.merge(config)?;
        into.all.check_ids()
    }

    fn directory(
        &mut self,
        place: &Place,
        entry: &str,
        is_component: bool,
        into: &mut Accumulated,
    ) -> Result<(), Problem> {
        if entry.starts_with('/') {
            return Err(Problem::rule(format!(
                "directory {entry} has to be given relative to here"
            )));
        }
        let resolved = self.loader(&place.dir).resolve(entry)?;
        match self.tree.kind(&resolved) {
            Some(FileKind::Directory) => {}
            Some(FileKind::File) => {
                return Err(Problem::rule(format!(
                    "{entry} is a file, expected a directory with a kustomization"
                )));
            }
            None => return Err(crate::TreeError::NotFound(resolved).into()),
        }
        let dir = self.tree.real_path(&resolved)?;
        if let Some(visited) = self.visited.iter().find(|visited| is_in(visited, &dir)) {
            return Err(Problem::rule(format!(
                "cycle detected: {entry} leads to {dir:?}, which contains {visited:?} that is being \
                 built"
            )));
        }
        if self.visited.len() >= MAX_DEPTH {
            return Err(Problem::rule(format!(
                "more than {MAX_DEPTH} kustomizations build on each other"
            )));
        }
        let base = |error| Problem::Base(Box::new(error));
        let file = self.open(&dir).map_err(base)?;
        match (file.content.kind.as_str(), is_component) {
            ("Component", false) => {
                return Err(Problem::rule(format!(
                    "expected kind != 'Component' in {}; list it under components",
                    file.path
                )));
            }
            (kind, true) if kind != "Component" => {
                return Err(Problem::rule(format!(
                    "expected kind 'Component' in {} but got '{kind}'; list it under resources",
                    file.path
                )));
            }
            _ => {}
        }
        let tracker = place.tracker.below(entry, file.name);
        let place = Place { dir, path: file.path, tracker };
        self.accumulate(&place, &file.content, into).map_err(base)
    }
}

/// Returns what to call something that is in no file of its own.
fn source(shown: String) -> Source {
    Source { file: Arc::from(shown), line: 0 }
}
