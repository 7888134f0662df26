//! Repairs the fields that name objects whose names have changed.
//!
//! Source: `nameref.Filter`, kustomize api 0.21.1 `filters/nameref/nameref.go`.

use std::collections::{HashMap, HashSet};

use goyaml::{Mapping, Node, Scalar};

use crate::config::NameReference;
use crate::error::Problem;
use crate::field_spec::Path;
use crate::id::{CLUSTER, Gvk};
use crate::node::{Create, set_field, set_scalar, wrong_kind};
use crate::resource::Resource;
use crate::resources::Resources;

/// Gives references the names and namespaces that objects have by now.
pub(crate) fn fix(all: &mut Resources, references: &[NameReference]) -> Result<(), Problem> {
    for item in all.iter().filter(|item| item.kind() == "RoleBinding" && !item.cluster_scoped) {
        let first = item.original_id().gvk;
        let mut specs = references.iter().flat_map(|reference| &reference.referrers);
        if specs.any(|spec| first.is_selected(spec.gvk())) {
            check_subjects(item).map_err(|problem| item.blame(problem))?;
        }
    }
    let targets = Targets::of(all);
    let mut by_kind: HashMap<String, Vec<Reference<'_>>> =
        HashMap::from([(String::new(), Vec::new())]);
    for item in all.iter() {
        let kind = item.original_id().gvk.kind;
        if !by_kind.contains_key(kind) {
            by_kind.insert(kind.to_owned(), Vec::new());
        }
    }
    let mut number = 0;
    for reference in references {
        for spec in &reference.referrers {
            let Some(specs) = by_kind.get_mut(&*spec.kind) else { continue };
            number += 1;
            specs.push(Reference {
                number,
                target: reference.gvk(),
                referrer: spec.gvk(),
                path: Path::new(spec, None),
                is_role: spec.path.ends_with("roleRef/name"),
            });
        }
    }
    for item in all.items_mut() {
        let first = item.original_id().gvk;
        let kinds = [first.kind, ""];
        let known = kinds.into_iter().filter_map(|kind| by_kind.get(kind)).flatten();
        let mut chosen: Vec<_> = known.filter(|one| first.is_selected(one.referrer)).collect();
        if chosen.is_empty() {
            continue;
        }
        chosen.sort_by_key(|reference| reference.number);
        let finder = Finder { targets: &targets, referrer: Referrer::new(item) };
        for reference in chosen {
            let change = &mut |field: &mut Node| finder.fix(reference, field);
            reference.path.change(&mut item.node, change).map_err(|problem| item.blame(problem))?;
        }
        item.settle();
    }
    Ok(())
}

/// Makes sure that the service accounts of a role binding name their namespace, if they have one, in
/// text.
fn check_subjects(item: &Resource) -> Result<(), Problem> {
    let subjects = item.node.get("subjects").and_then(Node::as_sequence);
    for (at, subject) in subjects.unwrap_or_default().iter().enumerate() {
        let part = |problem: Problem| problem.in_part(format!("field subjects[{at}]"));
        if !matches!(subject, Node::Mapping(_)) {
            return Err(part(wrong_kind(Create::Mapping, subject)));
        }
        let is_account = subject.get("kind").is_some_and(|kind| kind.text() == "ServiceAccount");
        let Some(namespace) = subject.get("namespace").filter(|_| is_account) else { continue };
        let text = namespace.as_scalar().is_some_and(|scalar| {
            goyaml::scalar_to_value(scalar, goyaml::Dialect::Kyaml)
                .is_ok_and(|value| value.is_string())
        });
        if !text {
            return Err(part(Problem::rule(
                "the namespace is blank; remove the field, or fill it in",
            )));
        }
    }
    Ok(())
}

/// A field that refers to something.
struct Reference<'a> {
    /// Its place in the order of all of them.
    number: usize,
    target: Gvk<'a>,
    referrer: Gvk<'a>,
    path: Path,
    is_role: bool,
}

/// The objects that can be referred to by a name that they no longer have.
struct Targets {
    all: Vec<Target>,
    by_name: HashMap<String, Vec<usize>>,
    /// Where the objects are that were in a namespace at first, whatever their names.
    by_first_namespace: HashMap<String, HashSet<Place>>,
}

/// What matters of an object for those that refer to it.
struct Target {
    place: Place,
    name: String,
    group: String,
    version: String,
    kind: String,
    first_namespace: String,
    /// The kinds that it had.
    previous_kinds: Vec<String>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    description: String,
}

/// Where an object is.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    cluster_scoped: bool,
    /// The namespace as it is written.
    namespace: String,
    effective_namespace: String,
}

impl Place {
    fn of(item: &Resource) -> Self {
        let id = item.id();
        Self {
            cluster_scoped: id.cluster_scoped,
            namespace: id.namespace.to_owned(),
            effective_namespace: id.effective_namespace().to_owned(),
        }
    }
}

impl Targets {
    fn of(all: &Resources) -> Self {
        let mut found = Vec::new();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_first_namespace: HashMap<String, HashSet<Place>> = HashMap::new();
        for item in all.iter() {
            let first_namespace = item.original_id().effective_namespace();
            if first_namespace != CLUSTER {
                let place = Place::of(item);
                if let Some(places) = by_first_namespace.get_mut(first_namespace) {
                    places.insert(place);
                } else {
                    by_first_namespace.insert(first_namespace.to_owned(), HashSet::from([place]));
                }
            }
            let names: HashSet<&str> = item.previous_names().collect();
            for name in &names {
                by_name.entry((*name).to_owned()).or_default().push(found.len());
            }
            if !names.is_empty() {
                found.push(Target::of(item));
            }
        }
        Self { all: found, by_name, by_first_namespace }
    }
}

impl Target {
    fn of(item: &Resource) -> Self {
        let gvk = item.gvk();
        Self {
            place: Place::of(item),
            name: item.name().to_owned(),
            group: gvk.group.to_owned(),
            version: gvk.version.to_owned(),
            kind: gvk.kind.to_owned(),
            first_namespace: item.original_id().effective_namespace().to_owned(),
            previous_kinds: item.previous_ids().map(|id| id.gvk.kind.to_owned()).collect(),
            prefixes: item.memory.prefixes.clone(),
            suffixes: item.memory.suffixes.clone(),
            description: item.describe(),
        }
    }

    /// Says whether it was of a kind.
    fn was(&self, gvk: Gvk<'_>) -> bool {
        self.previous_kinds
            .iter()
            .any(|kind| Gvk { group: &self.group, version: &self.version, kind }.is_selected(gvk))
    }
}

/// What matters of the object that refers to others.
struct Referrer {
    place: Place,
    /// The namespaces that the service accounts of a role binding are in.
    subject_namespaces: HashSet<String>,
    /// The group and the kind of the role that a binding is for.
    role: Option<(String, String)>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Referrer {
    fn new(item: &Resource) -> Self {
        let mut subject_namespaces = HashSet::new();
        if item.kind() == "RoleBinding" {
            let subjects = item.node.get("subjects").and_then(Node::as_sequence);
            for subject in subjects.unwrap_or_default() {
                if subject.get("kind").is_some_and(|kind| kind.text() == "ServiceAccount")
                    && let Some(namespace) = subject.get("namespace")
                {
                    subject_namespaces.insert(namespace.text().to_owned());
                }
            }
        }
        let role = item.node.get("roleRef").and_then(|role| {
            Some((role.get("apiGroup")?.text().to_owned(), role.get("kind")?.text().to_owned()))
        });
        Self {
            place: Place::of(item),
            subject_namespaces,
            role,
            prefixes: item.memory.prefixes.clone(),
            suffixes: item.memory.suffixes.clone(),
        }
    }

    /// Says whether this and what is at a place are in one namespace, or one of them in none.
    fn is_near(&self, place: &Place) -> bool {
        self.place.cluster_scoped
            || place.cluster_scoped
            || self.place.effective_namespace == place.effective_namespace
    }

    /// Says whether this could refer to what is at a place.
    fn reaches(&self, place: &Place) -> bool {
        self.is_near(place) || self.subject_namespaces.contains(&place.namespace)
    }
}

struct Finder<'a> {
    targets: &'a Targets,
    referrer: Referrer,
}

impl<'a> Finder<'a> {
    fn fix(&self, reference: &Reference<'_>, node: &mut Node) -> Result<(), Problem> {
        match node {
            _ if node.is_null() => Ok(()),
            Node::Scalar(_) => self.fix_scalar(reference, node),
            Node::Mapping(mapping) => self.fix_mapping(reference, mapping),
            Node::Sequence(list) => list.items.iter_mut().try_for_each(|item| match item {
                _ if item.is_null() => Ok(()),
                Node::Scalar(_) => self.fix_scalar(reference, item),
                Node::Mapping(mapping) => self.fix_mapping(reference, mapping),
                Node::Sequence(_) => Err(wrong_kind(Create::Scalar, item)),
            }),
        }
    }

    fn fix_scalar(&self, reference: &Reference<'_>, node: &mut Node) -> Result<(), Problem> {
        let candidates = self.candidates(reference, node.text());
        let found = self.choose(&candidates, node.text(), |a, b| a.name == b.name)?;
        match found {
            Some(found) if found.name != node.text() => {
                set_scalar(node, Scalar::plain(&*found.name))
            }
            _ => Ok(()),
        }
    }

    fn fix_mapping(&self, reference: &Reference<'_>, mapping: &mut Mapping) -> Result<(), Problem> {
        let Some(name) = mapping.get("name") else {
            return Err(Problem::rule("a reference needs the field name"));
        };
        let name = name.text().to_owned();
        let mut candidates = self.candidates(reference, &name);
        if let Some(namespace) = mapping.get("namespace") {
            self.keep_namespace(&mut candidates, namespace.text());
        }
        let same =
            |a: &Target, b: &Target| a.name == b.name && a.place.namespace == b.place.namespace;
        let Some(found) = self.choose(&candidates, &name, same)? else { return Ok(()) };
        let namespace = &found.place.namespace;
        if found.name == name && namespace.is_empty() {
            return Ok(());
        }
        set_field(mapping, "name", Scalar::plain(&*found.name));
        if !namespace.is_empty() {
            set_field(mapping, "namespace", Scalar::plain(&**namespace));
        }
        Ok(())
    }

    /// Returns the objects that a name could mean.
    fn candidates(&self, reference: &Reference<'_>, name: &str) -> Vec<&'a Target> {
        let places = self.targets.by_name.get(name).into_iter().flatten();
        let targets = places.map(|&at| &self.targets.all[at]);
        targets.filter(|target| self.is_candidate(reference, target)).collect()
    }

    fn is_candidate(&self, reference: &Reference<'_>, target: &Target) -> bool {
        let is_role = || match &self.referrer.role {
            Some((group, kind)) if reference.is_role => {
                target.was(Gvk { group, version: "", kind })
            }
            _ => true,
        };
        // The service accounts of a role binding may be anywhere.
        let near = self.referrer.is_near(&target.place)
            || (target.kind == "ServiceAccount" && self.referrer.reaches(&target.place));
        near && target.was(reference.target) && is_role()
    }

    /// Keeps those that were in a namespace at first or, where nothing was, that are in it now.
    fn keep_namespace(&self, candidates: &mut Vec<&Target>, namespace: &str) {
        let places = self.targets.by_first_namespace.get(namespace);
        let was_used =
            places.is_some_and(|places| places.iter().any(|place| self.referrer.reaches(place)));
        candidates.retain(|target| {
            if was_used {
                target.first_namespace == namespace
            } else {
                !target.place.cluster_scoped && target.place.effective_namespace == namespace
            }
        });
    }

    /// Chooses one of several by the prefixes and suffixes that they got.
    fn choose(
        &self,
        candidates: &[&'a Target],
        name: &str,
        same: impl Fn(&Target, &Target) -> bool,
    ) -> Result<Option<&'a Target>, Problem> {
        if let [only] = candidates {
            return Ok(Some(only));
        }
        let mut chosen = candidates.to_vec();
        chosen.retain(|target| self.is_alike(target, true));
        if chosen.len() > 1 {
            chosen.retain(|target| self.is_alike(target, false));
        }
        let Some((first, others)) = chosen.split_first() else { return Ok(None) };
        if others.iter().all(|other| same(first, other)) {
            return Ok(Some(first));
        }
        let list: Vec<_> = chosen.iter().map(|target| target.description.as_str()).collect();
        Err(Problem::rule(format!(
            "found multiple possible referrals of {name:?}: {}",
            list.join(", ")
        )))
    }

    /// Says whether target and referrer got the same prefixes and suffixes last.
    fn is_alike(&self, target: &Target, allow_none: bool) -> bool {
        let same = |a: &[String], b: &[String]| {
            if a.is_empty() || b.is_empty() {
                return allow_none || a.len() == b.len();
            }
            a.ends_with(b) || b.ends_with(a)
        };
        same(&target.prefixes, &self.referrer.prefixes)
            && same(&target.suffixes, &self.referrer.suffixes)
    }
}
