//! Which fields transformers write to, and where references stand.
//!
//! Source: `TransformerConfig`, kustomize api 0.21.1 `internal/plugins/builtinconfig`.

mod merged;

pub(crate) use merged::Merged;

use std::sync::OnceLock;

use crate::decode::{Mode, decode};
use crate::error::Problem;
use crate::id::Gvk;
use crate::kustomization::{FieldSpec, Name, to_yaml_error};
use crate::load::Loader;
use crate::order::gvk_order;

/// The fields of every transformer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config {
    pub name_prefix: Vec<FieldSpec>,
    pub name_suffix: Vec<FieldSpec>,
    pub namespace: Vec<FieldSpec>,
    pub common_labels: Vec<FieldSpec>,
    pub labels: Vec<FieldSpec>,
    pub template_labels: Vec<FieldSpec>,
    pub common_annotations: Vec<FieldSpec>,
    pub name_reference: Vec<NameReference>,
    pub var_reference: Vec<FieldSpec>,
    pub images: Vec<FieldSpec>,
    pub replicas: Vec<FieldSpec>,
}

decode!(Config {
    "namePrefix" => name_prefix: Vec<FieldSpec>,
    "nameSuffix" => name_suffix: Vec<FieldSpec>,
    "namespace" => namespace: Vec<FieldSpec>,
    "commonLabels" => common_labels: Vec<FieldSpec>,
    "labels" => labels: Vec<FieldSpec>,
    "templateLabels" => template_labels: Vec<FieldSpec>,
    "commonAnnotations" => common_annotations: Vec<FieldSpec>,
    "nameReference" => name_reference: Vec<NameReference>,
    "varReference" => var_reference: Vec<FieldSpec>,
    "images" => images: Vec<FieldSpec>,
    "replicas" => replicas: Vec<FieldSpec>,
});

/// What is referred to, and the fields that do it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NameReference {
    pub group: Name,
    pub version: Name,
    pub kind: Name,
    pub referrers: Vec<FieldSpec>,
}

decode!(NameReference {
    "group" -> group: Name,
    "version" -> version: Name,
    "kind" -> kind: Name,
    "fieldSpecs" => referrers: Vec<FieldSpec>,
});

impl NameReference {
    pub(crate) fn gvk(&self) -> Gvk<'_> {
        Gvk { group: &self.group, version: &self.version, kind: &self.kind }
    }
}

impl FieldSpec {
    /// Returns the kinds that have the field; empty parts stand for any.
    pub(crate) fn gvk(&self) -> Gvk<'_> {
        Gvk { group: &self.group, version: &self.version, kind: &self.kind }
    }

    /// Returns a field of every kind.
    pub(crate) fn of_all(path: &'static str, create: bool) -> Self {
        Self { path: Name::Borrowed(path), create, ..Self::default() }
    }
}

impl Config {
    /// Returns what is built in, before it is merged.
    pub(crate) fn builtin() -> &'static Self {
        static CONFIG: OnceLock<Config> = OnceLock::new();
        CONFIG.get_or_init(|| Self::from_table(include_str!("config/defaults.txt")))
    }

    fn from_table(table: &'static str) -> Self {
        let mut config = Self::default();
        let mut section = "";
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                continue;
            }
            let any = |part: &&'static str| Name::Borrowed(if *part == "-" { "" } else { part });
            let parts: Vec<&'static str> = line.split_ascii_whitespace().collect();
            let [group, version, kind, rest @ ..] = parts.as_slice() else { continue };
            let (group, version, kind) = (any(group), any(version), any(kind));
            let Some(path) = rest.first() else {
                let referrers = Vec::new();
                config.name_reference.push(NameReference { group, version, kind, referrers });
                continue;
            };
            let create = rest.len() > 1;
            let spec = FieldSpec { group, version, kind, path: Name::Borrowed(path), create };
            match config.section(section) {
                Some(specs) => specs.push(spec),
                None => {
                    if let Some(reference) = config.name_reference.last_mut() {
                        reference.referrers.push(spec);
                    }
                }
            }
        }
        config
    }

    fn section(&mut self, name: &str) -> Option<&mut Vec<FieldSpec>> {
        Some(match name {
            "namePrefix" => &mut self.name_prefix,
            "nameSuffix" => &mut self.name_suffix,
            "namespace" => &mut self.namespace,
            "commonLabels" => &mut self.common_labels,
            "labels" => &mut self.labels,
            "templateLabels" => &mut self.template_labels,
            "commonAnnotations" => &mut self.common_annotations,
            "varReference" => &mut self.var_reference,
            "images" => &mut self.images,
            "replicas" => &mut self.replicas,
            _ => return None,
        })
    }

    /// Reads the files of `configurations`.
    pub(crate) fn read(loader: &Loader<'_>, paths: &[String]) -> Result<Self, Problem> {
        let mut config = Self::default();
        for path in paths {
            let text = loader.read_text(path)?;
            let yaml = |source| Problem::Yaml { path: path.clone(), source };
            let document = goyaml::parse_first(&text, goyaml::Dialect::Sigs).map_err(yaml)?;
            let Some(document) = document else { continue };
            // Here a key must not stand twice.
            goyaml::to_value(&document.node, goyaml::Dialect::Sigs).map_err(yaml)?;
            let read: Self = crate::decode::Decode::decode(&document.node, Mode::STRICT_FILE)
                .map_err(|error| yaml(to_yaml_error(error)))?;
            config.merge(read).map_err(|problem| problem.in_part(path))?;
        }
        Ok(config)
    }

    /// Adds what another config has and this one has not, and sorts the fields by kind.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Problem> {
        merge_all(&mut self.name_prefix, other.name_prefix)?;
        merge_all(&mut self.name_suffix, other.name_suffix)?;
        merge_all(&mut self.namespace, other.namespace)?;
        merge_all(&mut self.common_annotations, other.common_annotations)?;
        merge_all(&mut self.common_labels, other.common_labels)?;
        merge_all(&mut self.labels, other.labels)?;
        merge_all(&mut self.template_labels, other.template_labels)?;
        merge_all(&mut self.var_reference, other.var_reference)?;
        for reference in other.name_reference {
            self.merge_reference(reference)?;
        }
        self.name_reference.sort_by(|a, b| gvk_order(a.gvk(), b.gvk()));
        merge_all(&mut self.images, other.images)?;
        merge_all(&mut self.replicas, other.replicas)
    }

    /// Adds the fields that refer to a kind.
    pub(crate) fn merge_reference(&mut self, other: NameReference) -> Result<(), Problem> {
        let Some(own) = self.name_reference.iter_mut().find(|own| own.gvk() == other.gvk()) else {
            self.name_reference.push(other);
            return Ok(());
        };
        // These stay in the order in which they came.
        other.referrers.into_iter().try_for_each(|spec| merge_one(&mut own.referrers, spec))
    }
}

fn merge_all(specs: &mut Vec<FieldSpec>, others: Vec<FieldSpec>) -> Result<(), Problem> {
    if others.is_empty() {
        return Ok(());
    }
    others.into_iter().try_for_each(|spec| merge_one(specs, spec))?;
    specs.sort_by(|a, b| gvk_order(a.gvk(), b.gvk()));
    Ok(())
}

/// Adds a field, unless the field is there for all the kinds.
pub(crate) fn merge_one(specs: &mut Vec<FieldSpec>, spec: FieldSpec) -> Result<(), Problem> {
    let same = |own: &&FieldSpec| own.gvk().is_selected(spec.gvk()) && own.path == spec.path;
    match specs.iter().find(same) {
        Some(own) if own.create != spec.create => Err(Problem::rule(format!(
            "conflicting fieldspecs: {} is given with create: {} and with create: {}",
            spec.path, own.create, spec.create
        ))),
        Some(_) => Ok(()),
        None => {
            specs.push(spec);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        let config = Config::builtin();
        assert_eq!(config.name_reference.len(), 16);
        let referrers: usize = config.name_reference.iter().map(|one| one.referrers.len()).sum();
        assert_eq!(referrers, 167);
        assert_eq!(config.common_labels.len(), 32);
        assert_eq!(config.var_reference.len(), 72);
        assert_eq!(config.images.len(), 6);
        assert!(config.labels.is_empty());
        assert_eq!(config.replicas[0].path, "spec/replicas");
    }

    #[test]
    fn a_field_is_added_once() {
        let mut specs = vec![FieldSpec::of_all("a", true)];
        merge_one(&mut specs, FieldSpec::of_all("a", true)).unwrap();
        assert_eq!(specs.len(), 1);
        assert!(merge_one(&mut specs, FieldSpec::of_all("a", false)).is_err());
        merge_one(&mut specs, FieldSpec::of_all("b", false)).unwrap();
        assert_eq!(specs.len(), 2);
    }
}
