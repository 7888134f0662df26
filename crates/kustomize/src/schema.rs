//! What is known of kinds: which have no namespace, and which lists merge by which keys.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

/// Types of objects and how their lists merge.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    kinds: HashMap<String, usize>,
    types: Vec<HashMap<String, Field>>,
    cluster: HashSet<String>,
}

/// A type in a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type<'a> {
    schema: &'a Schema,
    at: usize,
}

/// What is known of a field.
#[derive(Debug, Clone)]
struct Field {
    of: Option<usize>,
    /// The keys that elements of a merged list are told apart by; none for a set of scalars.
    merge: Option<Vec<String>>,
}

/// A list as strategic merge sees it.
#[derive(Debug)]
pub(crate) struct List<'a> {
    /// The type of the elements.
    pub items: Option<Type<'a>>,
    /// The keys, when the list is merged.
    pub merge: Option<&'a [String]>,
}

impl<'a> Type<'a> {
    /// Returns what a field that is an object or a map holds.
    pub(crate) fn object(self, field: &str) -> Option<Type<'a>> {
        let at = self.schema.types[self.at].get(field)?.of?;
        Some(Type { schema: self.schema, at })
    }

    /// Returns how a field that is a list merges.
    pub(crate) fn list(self, field: &str) -> Option<List<'a>> {
        let field = self.schema.types[self.at].get(field)?;
        let items = field.of.map(|at| Type { schema: self.schema, at });
        Some(List { items, merge: field.merge.as_deref() })
    }
}

impl Schema {
    /// Returns the type of an object of a kind.
    pub(crate) fn kind(&self, api_version: &str, kind: &str) -> Option<Type<'_>> {
        let at = *self.kinds.get(&format!("{api_version}/{kind}"))?;
        Some(Type { schema: self, at })
    }

    fn from_table(table: &str) -> Self {
        let mut schema = Self::default();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["cluster", kind] => {
                    schema.cluster.insert((*kind).to_owned());
                }
                ["kind", kind, at] => {
                    schema.kinds.insert((*kind).to_owned(), at.parse().unwrap_or_default());
                }
                ["type", _] => schema.types.push(HashMap::new()),
                [field, how, of, keys @ ..] => {
                    let merge = (*how == "merge").then(|| {
                        keys.iter().flat_map(|keys| keys.split(',')).map(str::to_owned).collect()
                    });
                    if let Some(fields) = schema.types.last_mut() {
                        fields.insert((*field).to_owned(), Field { of: of.parse().ok(), merge });
                    }
                }
                _ => {}
            }
        }
        schema
    }
}

/// Returns the schema of the built-in kinds.
pub(crate) fn builtin() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::from_table(include_str!("schema/builtin.txt")))
}

/// Says whether objects of a kind have no namespace; unknown kinds have one.
pub(crate) fn is_cluster_scoped(group: &str, version: &str, kind: &str) -> bool {
    let slash = if group.is_empty() { "" } else { "/" };
    builtin().cluster.contains(&format!("{group}{slash}{version}/{kind}"))
}
