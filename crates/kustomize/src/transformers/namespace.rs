//! `namespace`.
//!
//! Source: `namespace.Filter`, kustomize api 0.21.1 `filters/namespace/namespace.go`.

use goyaml::{Node, Scalar, Tag};

use crate::error::Problem;
use crate::field_spec::{Path, Paths};
use crate::kustomization::FieldSpec;
use crate::node::{Create, elements, set_scalar, wrong_kind};
use crate::resource::Resource;
use crate::resources::Resources;

/// The namespace that objects get.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    specs: Vec<FieldSpec>,
    subjects: Subjects,
    unset_only: bool,
}

/// Which subjects of role bindings get the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subjects {
    /// Those of the name `default`.
    Default,
    /// All service accounts.
    ServiceAccounts,
    None,
}

impl Namespace {
    pub(crate) fn new(
        namespace: &str,
        specs: Vec<FieldSpec>,
        subjects: &str,
        unset_only: bool,
    ) -> Result<Self, Problem> {
        let subjects = match subjects {
            "" | "defaultOnly" => Subjects::Default,
            "allServiceAccounts" => Subjects::ServiceAccounts,
            "none" => Subjects::None,
            other => {
                return Err(Problem::rule(format!(
                    "invalid value {other:?} for setRoleBindingSubjects; use defaultOnly, \
                     allServiceAccounts or none"
                )));
            }
        };
        // The metadata is done apart from the fields.
        let specs = specs.into_iter().filter(|spec| spec.path != "metadata/namespace").collect();
        Ok(Self { name: namespace.to_owned(), specs, subjects, unset_only })
    }

    pub(crate) fn run(&self, all: &mut Resources) -> Result<(), Problem> {
        if self.name.is_empty() {
            return Ok(());
        }
        let metadata = Path::new(&FieldSpec::of_all("metadata/namespace", true), CREATE);
        let paths = Paths::new(&self.specs, CREATE);
        for item in all.items_mut() {
            item.remember_id();
            self.set(item, &metadata, &paths).map_err(|problem| item.blame(problem))?;
            item.settle();
        }
        all.check_ids()
            .map_err(|problem| problem.in_part("the namespace makes the ids of two objects equal"))
    }

    /// Sets the namespace of one object, as the ValueAddTransformer does it.
    pub(super) fn set_one(namespace: &str, item: &mut Resource) -> Result<(), Problem> {
        let this = Self::new(namespace, Vec::new(), "", false)?;
        let metadata = Path::new(&FieldSpec::of_all("metadata/namespace", true), CREATE);
        this.set(item, &metadata, &Paths::new(&[], None))
    }

    fn set(&self, item: &mut Resource, metadata: &Path, paths: &Paths<'_>) -> Result<(), Problem> {
        let mut change = |node: &mut Node| self.change(node);
        if !item.cluster_scoped {
            metadata.change(&mut item.node, &mut change)?;
        }
        let is_binding = matches!(item.kind(), "RoleBinding" | "ClusterRoleBinding");
        if is_binding {
            self.set_subjects(&mut item.node)?;
        }
        let core = item.api_version() == "v1";
        for (spec, path) in paths.iter() {
            let for_subjects = matches!(&*spec.kind, "RoleBinding" | "ClusterRoleBinding")
                && spec.path == "subjects/namespace";
            // Only a Namespace of the core group is named after the namespace.
            let for_name = spec.path == "metadata/name" && !core;
            if item.gvk().is_selected(spec.gvk()) && !for_name && !(is_binding && for_subjects) {
                path.change(&mut item.node, &mut change)?;
            }
        }
        Ok(())
    }

    fn change(&self, node: &mut Node) -> Result<(), Problem> {
        if self.unset_only {
            let has_value = match &*node {
                Node::Scalar(scalar) => !node.is_null() && !scalar.value.is_empty(),
                _ => false,
            };
            if has_value {
                return Ok(());
            }
        }
        set_scalar(node, Scalar::tagged(self.name.clone(), Tag::Str))
    }

    fn set_subjects(&self, object: &mut Node) -> Result<(), Problem> {
        let (field, value) = match self.subjects {
            Subjects::None => return Ok(()),
            Subjects::Default => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
        };
        let Some(subjects) = object.get_mut("subjects") else { return Ok(()) };
        for subject in elements(subjects).map_err(|problem| problem.in_part("field subjects"))? {
            let mapping = match subject {
                _ if subject.is_null() => continue,
                Node::Mapping(mapping) => mapping,
                other => {
                    return Err(wrong_kind(Create::Mapping, other).in_part("field subjects"));
                }
            };
            if mapping.get(field).is_some_and(|own| own.text() == value) {
                if mapping.get("namespace").is_none() {
                    mapping.push("namespace", Scalar::default());
                }
                if let Some(namespace) = mapping.get_mut("namespace") {
                    self.change(namespace)?;
                }
            }
        }
        Ok(())
    }
}

const CREATE: Option<(Create, Tag)> = Some((Create::Scalar, Tag::Str));
