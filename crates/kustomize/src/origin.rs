//! Where objects came from and what changed them, for `buildMetadata`.
//!
//! Source: `Origin`, kustomize api 0.21.1 `resource/origin.go`.

use goyaml::{Dialect, Mapping, Node, Scalar, Sequence};

use crate::decode::{Decode, Mode, decode};
use crate::error::Problem;
use crate::kustomization::to_yaml_error;
use crate::resource::Resource;
use crate::resources::Resources;

/// The annotation that says where an object came from.
pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
/// The annotation that lists what changed an object.
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// Where an object, or what made or changed it, came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Origin {
    path: String,
    repository: String,
    reference: String,
    configured_in: String,
    configured_by: Identifier,
}

decode!(Origin {
    "path" => path: String,
    "repo" => repository: String,
    "ref" => reference: String,
    "configuredIn" => configured_in: String,
    "configuredBy" => configured_by: Identifier,
});

/// The object that configures a plugin.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Identifier {
    api_version: String,
    kind: String,
    name: String,
    namespace: String,
}

decode!(Identifier {
    "apiVersion" => api_version: String,
    "kind" => kind: String,
    "name" => name: String,
    "namespace" => namespace: String,
});

/// Knows where in the tree of kustomizations the build is, if that is to be recorded.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    /// The directory, as seen from the root kustomization; `None` if nothing is recorded.
    dir: Option<String>,
    /// The name of the kustomization file.
    file: &'static str,
}

impl Tracker {
    /// Returns the tracker of a root kustomization.
    pub(crate) fn new(enabled: bool, file: &'static str) -> Self {
        Self { dir: enabled.then(String::new), file }
    }

    /// Returns the tracker of a kustomization that this one names.
    pub(crate) fn below(&self, path: &str, file: &'static str) -> Self {
        Self { dir: self.dir.as_deref().map(|dir| join(dir, path)), file }
    }

    /// Returns the origin of a file that the kustomization names.
    pub(crate) fn of_file(&self, path: &str) -> Option<Origin> {
        Some(Origin { path: join(self.dir.as_deref()?, path), ..Origin::default() })
    }

    /// Returns the origin of what stands in the kustomization file.
    pub(crate) fn inline(&self) -> Option<Origin> {
        self.of_file(self.file)
    }

    /// Returns the origin of what a field of the kustomization makes or changes.
    pub(crate) fn builtin(&self, name: &str) -> Option<Origin> {
        let configured_by = Identifier {
            api_version: "builtin".into(),
            kind: name.into(),
            ..Identifier::default()
        };
        let configured_in = join(self.dir.as_deref()?, self.file);
        Some(Origin { configured_in, configured_by, ..Origin::default() })
    }
}

/// Joins paths without reading links.
fn join(dir: &str, path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in dir.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.join("/")
}

impl Origin {
    /// Returns the origin of what a plugin makes or changes.
    pub(crate) fn of_plugin(config: &Resource) -> Result<Option<Self>, Problem> {
        let Some(origin) = read::<Self>(config, ORIGIN)? else { return Ok(None) };
        let configured_by = Identifier {
            api_version: config.api_version().to_owned(),
            kind: config.kind().to_owned(),
            name: config.name().to_owned(),
            namespace: config.namespace().to_owned(),
        };
        Ok(Some(Self {
            repository: origin.repository,
            reference: origin.reference,
            configured_in: origin.path,
            configured_by,
            path: String::new(),
        }))
    }

    fn to_node(&self) -> Node {
        let Identifier { api_version, kind, name, namespace } = &self.configured_by;
        let by =
            [("apiVersion", api_version), ("kind", kind), ("name", name), ("namespace", namespace)];
        let mut node = fields([
            ("path", &self.path),
            ("repo", &self.repository),
            ("ref", &self.reference),
            ("configuredIn", &self.configured_in),
        ]);
        let by = fields(by);
        if !by.is_empty() {
            node.push("configuredBy", by);
        }
        node.into()
    }

    /// Returns the text of the annotation.
    pub(crate) fn to_text(&self) -> String {
        goyaml::node_to_string(&self.to_node())
    }

    /// Records that something with this origin made an object, unless it came from elsewhere.
    pub(crate) fn record_generated(&self, item: &mut Resource) -> Result<(), Problem> {
        if read::<Self>(item, ORIGIN)?.is_none() {
            item.set_annotation(ORIGIN, Some(&self.to_text()));
        }
        Ok(())
    }

    /// Records that something with this origin changed objects.
    pub(crate) fn record_change(&self, all: &mut Resources) -> Result<(), Problem> {
        let (text, node) = (self.to_text(), self.to_node());
        for item in all.bodies_mut() {
            if read::<Self>(item, ORIGIN)?.is_none() {
                item.set_annotation(ORIGIN, Some(&text));
                continue;
            }
            let before: Vec<Self> = read(item, TRANSFORMATIONS)?.unwrap_or_default();
            let items = before.iter().map(Self::to_node).chain([node.clone()]).collect();
            let list = goyaml::node_to_string(&Sequence::new(items).into());
            item.set_annotation(TRANSFORMATIONS, Some(&list));
        }
        Ok(())
    }
}

fn fields<const N: usize>(entries: [(&str, &String); N]) -> Mapping {
    let mut mapping = Mapping::new();
    for (name, value) in entries.into_iter().filter(|(_, value)| !value.is_empty()) {
        mapping.push(name, Scalar::written(value));
    }
    mapping
}

/// Reads an annotation.
fn read<T: Decode>(item: &Resource, name: &str) -> Result<Option<T>, Problem> {
    let Some(text) = item.annotation(name) else { return Ok(None) };
    let yaml = |source| item.blame(Problem::Yaml { path: format!("annotation {name}"), source });
    match goyaml::parse_first(text, Dialect::Kyaml).map_err(yaml)? {
        None => Ok(Some(T::default())),
        Some(document) => {
            let read = T::decode(&document.node, Mode::PLUGIN);
            read.map(Some).map_err(|error| yaml(to_yaml_error(error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_it_is() {
        let root = Tracker::new(true, "kustomization.yaml");
        let base = root.below("../base", "Kustomization");
        assert_eq!(root.inline().unwrap().to_text(), "path: kustomization.yaml\n");
        assert_eq!(base.of_file("./a/b.yaml").unwrap().to_text(), "path: ../base/a/b.yaml\n");
        assert_eq!(
            base.below("../..", "kustomization.yaml")
                .builtin("PrefixTransformer")
                .unwrap()
                .to_text(),
            "configuredIn: ../../kustomization.yaml\nconfiguredBy:\n  apiVersion: builtin\n  kind: PrefixTransformer\n"
        );
        assert_eq!(Tracker::new(false, "kustomization.yaml").below("a", "b").inline(), None);
    }
}
