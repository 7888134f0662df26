//! What is known of kinds: which have no namespace, and which lists merge by which keys.

mod openapi;

pub(crate) use openapi::of_comment;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use crate::error::Problem;
use crate::kustomization::Strings;

/// The name of a kind, type or field.
type Name = Cow<'static, str>;

/// Returns the name under which a definition is found: without `io.k8s.`, where the built-in ones are.
fn type_name(definition: &str) -> Name {
    match definition.strip_prefix("io.k8s.") {
        Some(short) => Cow::Owned(short.to_owned()),
        None => Cow::Owned(format!("={definition}")),
    }
}

/// Types of objects and how their lists merge.
#[derive(Debug, Default)]
struct Schema {
    /// The type of `apiVersion/Kind`.
    kinds: HashMap<Name, Name>,
    /// By the names of their definitions.
    types: HashMap<Name, Shape>,
    /// Kinds that have no namespace.
    cluster: HashSet<String>,
    /// Kinds that have one.
    namespaced: HashSet<String>,
}

/// An object type: its fields, and what its other fields hold when it is a map.
#[derive(Debug, Default)]
struct Shape {
    fields: HashMap<Name, Field>,
    others: Option<Box<Field>>,
}

/// What is known of a field.
#[derive(Debug, Clone, Default)]
struct Field {
    /// The type of the object, or of the elements of the list.
    of: Option<Name>,
    list: bool,
    /// The keys that elements of a merged list are told apart by; none for a set of scalars.
    merge: Option<Vec<Name>>,
}

/// What is known of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    schemas: &'a Schemas,
    field: Option<&'a Field>,
    of: Option<&'a str>,
}

/// What a comment says of a list.
#[derive(Debug)]
pub(crate) enum Noted {
    /// A patch replaces it.
    Replace,
    /// A patch merges into it by these keys.
    Merge(Vec<Name>),
}

impl<'a> Known<'a> {
    /// Returns what a field of this object holds; `None` when that is not known.
    pub(crate) fn field(self, name: &str) -> Option<Known<'a>> {
        let shape = self.schemas.shape(self.of.filter(|_| !self.is_list())?)?;
        let field = shape.fields.get(name).or(shape.others.as_deref())?;
        Some(Known { schemas: self.schemas, field: Some(field), of: field.of.as_deref() })
    }

    /// Returns what the elements of this list are.
    pub(crate) fn elements(self) -> Option<Known<'a>> {
        self.is_list().then_some(Known { field: None, ..self })
    }

    fn is_list(self) -> bool {
        self.field.is_some_and(|field| field.list)
    }

    /// Returns the keys of a list that is merged; none for a set of scalars.
    pub(crate) fn merge_keys(self) -> Option<&'a [Name]> {
        self.field?.merge.as_deref()
    }
}

impl Schema {
    fn from_table(table: &'static str) -> Self {
        let mut schema = Self::default();
        let mut current = None;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["kind", kind, of] => {
                    schema.kinds.insert(Cow::Borrowed(kind), Cow::Borrowed(of));
                }
                ["type", of] => current = Some(schema.types.entry(Cow::Borrowed(of)).or_default()),
                [field, how, of, keys @ ..] => {
                    let merge = (*how == "merge").then(|| {
                        keys.iter().flat_map(|keys| keys.split(',')).map(Cow::Borrowed).collect()
                    });
                    let list = matches!(*how, "merge" | "list");
                    let of = Some(Cow::Borrowed(*of)).filter(|of| of != "-");
                    if let Some(shape) = &mut current {
                        shape.fields.insert(Cow::Borrowed(field), Field { of, list, merge });
                    }
                }
                _ => {}
            }
        }
        schema
    }
}

const TABLE: &str = include_str!("schema/builtin.txt");

/// Returns the schema of the built-in kinds.
fn builtin() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::from_table(TABLE))
}

/// Returns the built-in kinds without namespace, and those with one; both are sorted.
fn scopes() -> &'static [Vec<&'static str>; 2] {
    static SCOPES: OnceLock<[Vec<&str>; 2]> = OnceLock::new();
    SCOPES.get_or_init(|| {
        let lines = TABLE.lines().take_while(|line| !line.starts_with("type "));
        let words = lines.filter_map(|line| line.split_once(' '));
        let (mut cluster, mut kinds) = (Vec::new(), Vec::new());
        for (word, rest) in words {
            match word {
                "cluster" => cluster.push(rest),
                "kind" => kinds.extend(rest.split(' ').next()),
                _ => {}
            }
        }
        cluster.sort_unstable();
        kinds.sort_unstable();
        [cluster, kinds]
    })
}

/// The schemas of a build. Which ones there are depends on when `openapi` comes up, because kustomize
/// keeps them in the process, and reads them only when the first question is asked.
///
/// Source: `SetSchema`, `initSchema`, kyaml 0.21.1 `openapi/openapi.go`.
#[derive(Debug)]
pub(crate) struct Schemas {
    /// The text of `openapi.path`, until it is read.
    unread: Option<(String, Vec<u8>)>,
    custom: Option<Schema>,
    /// Whether one was chosen, after which others are passed over.
    chosen: bool,
    builtin: Builtin,
    /// Whether the text that was chosen has been read.
    read: bool,
}

/// Whether the built-in kinds are known to strategic merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builtin {
    /// Not yet; if there is a custom schema, never.
    Unread,
    /// Not yet; but somebody asked for a kind that was not known, so they will be.
    Wanted,
    /// Yes, and a custom schema that is read later goes before them.
    First,
    /// Yes, and they go before the custom schema that was read earlier.
    Last,
}

impl Schemas {
    /// Begins a build. The controllers know the built-in kinds from the start, so that `openapi` adds
    /// to them; on the command line it takes their place.
    pub(crate) fn new(builtin: bool) -> Self {
        Self {
            unread: None,
            custom: None,
            chosen: false,
            builtin: if builtin { Builtin::First } else { Builtin::Unread },
            read: false,
        }
    }

    /// Takes the field `openapi` of a kustomization. The first one of a build counts.
    pub(crate) fn choose(
        &mut self,
        openapi: &Strings,
        load: impl FnOnce(&str) -> Result<Vec<u8>, Problem>,
    ) -> Result<(), Problem> {
        let path = openapi.get("path");
        let text = path.map(|path| load(path)).transpose()?;
        if self.chosen {
            return Ok(());
        }
        let version = openapi.get("version");
        match (path.zip(text), version) {
            (Some(_), Some(_)) => Err(Problem::rule("give a path or a version, not both")),
            (Some((path, text)), None) => {
                self.unread = Some((path.clone(), text));
                self.chosen = true;
                self.read = false;
                Ok(())
            }
            (None, None) => Ok(()),
            (None, Some(version)) if version.is_empty() => Ok(()),
            (None, Some(version)) if version == VERSION => {
                self.chosen = true;
                self.read = false;
                Ok(())
            }
            (None, Some(version)) => Err(Problem::rule(format!(
                "the OpenAPI version {version} is not built in; use {VERSION}, or a path"
            ))),
        }
    }

    /// Says whether objects of a kind have no namespace; kinds that are not known have one.
    pub(crate) fn is_cluster_scoped(
        &mut self,
        api_version: &str,
        kind: &str,
    ) -> Result<bool, Problem> {
        let key = format!("{api_version}/{kind}");
        let [cluster, kinds] = scopes();
        if cluster.binary_search(&&*key).is_ok() {
            return Ok(true);
        }
        if kinds.binary_search(&&*key).is_ok() {
            return Ok(false);
        }
        if !self.read {
            if self.unread.is_some() {
                self.read()?;
            } else if self.builtin == Builtin::Unread {
                self.builtin = Builtin::Wanted;
            }
        }
        Ok(self.custom.as_ref().is_some_and(|custom| custom.cluster.contains(&key)))
    }

    /// Makes sure that [`Schemas::kind`] knows what there is to know.
    pub(crate) fn read(&mut self) -> Result<(), Problem> {
        if self.read {
            return Ok(());
        }
        self.read = true;
        if let Some((path, text)) = self.unread.take() {
            self.custom = Some(openapi::read(&path, &text)?);
        }
        self.builtin = match self.builtin {
            Builtin::Wanted if self.custom.is_some() => Builtin::Last,
            Builtin::Unread if self.custom.is_some() => Builtin::Unread,
            Builtin::Unread | Builtin::Wanted | Builtin::First => Builtin::First,
            Builtin::Last => Builtin::Last,
        };
        Ok(())
    }

    /// Returns what is known of objects of a kind.
    pub(crate) fn kind(&self, api_version: &str, kind: &str) -> Option<Known<'_>> {
        let key = format!("{api_version}/{kind}");
        let of = self.layers().find_map(|schema| schema.kinds.get(&*key))?;
        Some(Known { schemas: self, field: None, of: Some(of) })
    }

    fn shape(&self, name: &str) -> Option<&Shape> {
        self.layers().find_map(|schema| schema.types.get(name))
    }

    /// Returns the schemas there are, that which counts first.
    fn layers(&self) -> impl Iterator<Item = &Schema> {
        let custom = self.custom.as_ref();
        let (first, second) = match self.builtin {
            Builtin::Unread | Builtin::Wanted => (custom, None),
            Builtin::First => (custom, Some(builtin())),
            Builtin::Last => (Some(builtin()), custom),
        };
        first.into_iter().chain(second)
    }
}

/// The version of the schema that is built in.
const VERSION: &str = "v1.21.2";

/// Says whether objects of a kind have no namespace, as far as is built in.
pub(crate) fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    scopes()[0].binary_search(&&*format!("{api_version}/{kind}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_how_lists_merge() {
        let schemas = Schemas::new(true);
        let deployment = schemas.kind("apps/v1", "Deployment").unwrap();
        let spec = deployment.field("spec").unwrap().field("template").unwrap();
        let containers = spec.field("spec").unwrap().field("containers").unwrap();
        assert_eq!(containers.merge_keys().unwrap(), ["name"]);
        let ports = containers.elements().unwrap().field("ports").unwrap();
        assert_eq!(ports.merge_keys().unwrap(), ["containerPort", "protocol"]);
        let metadata = deployment.field("metadata").unwrap();
        assert!(metadata.field("finalizers").unwrap().merge_keys().unwrap().is_empty());
        assert!(deployment.field("spec").unwrap().field("nothing").is_none());
    }

    #[test]
    fn knows_what_has_no_namespace() {
        assert!(is_cluster_scoped("rbac.authorization.k8s.io/v1", "ClusterRole"));
        assert!(!is_cluster_scoped("example.com/v1", "ClusterThing"));
    }
}
