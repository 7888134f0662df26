//! Objects in the order in which they came.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use goyaml::{Node, Scalar};

use crate::error::Problem;
use crate::id::{Id, Key};
use crate::node::set_field;
use crate::resource::{Behavior, Resource};

/// The objects of a kustomization.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    items: Vec<Resource>,
    /// Where items of an id are, by its hash; absent after ids could have changed.
    current: Option<Index>,
    /// Where items are that have or had a name; absent after ids could have changed.
    named: Option<HashMap<String, Vec<usize>>>,
}

/// Positions by hash.
type Index = HashMap<u64, Vec<usize>>;

fn hash(key: Key<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Resources {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.items.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Lends the objects for changes, their ids included.
    pub(crate) fn items_mut(&mut self) -> &mut Vec<Resource> {
        self.current = None;
        self.named = None;
        &mut self.items
    }

    /// Lends the objects for changes that leave the ids alone.
    pub(crate) fn bodies_mut(&mut self) -> &mut [Resource] {
        &mut self.items
    }

    /// Returns the objects as they would be written, without the label of validators.
    pub(crate) fn values(&self) -> Result<Vec<goyaml::Value>, Problem> {
        self.items.iter().map(without_validated_by).collect()
    }

    pub(crate) fn get(&self, at: usize) -> &Resource {
        &self.items[at]
    }

    pub(crate) fn into_items(self) -> Vec<Resource> {
        self.items
    }

    /// Adds an object of a new id.
    pub(crate) fn append(&mut self, resource: Resource) -> Result<(), Problem> {
        let items = &self.items;
        let current = self.current.get_or_insert_with(|| {
            let mut index = Index::with_capacity(items.len() + 1);
            for (at, item) in items.iter().enumerate() {
                index.entry(hash(item.id().key())).or_default().push(at);
            }
            index
        });
        let same = current.entry(hash(resource.id().key())).or_default();
        if let Some(first) = same.iter().find(|&&at| items[at].id() == resource.id()) {
            return Err(Problem::Duplicate {
                id: resource.id().to_string(),
                first: items[*first].source.to_string(),
                second: resource.source.to_string(),
            });
        }
        same.push(items.len());
        if let Some(named) = &mut self.named {
            index_names(named, items.len(), &resource);
        }
        self.items.push(resource);
        Ok(())
    }

    pub(crate) fn append_all(&mut self, others: Self) -> Result<(), Problem> {
        others.items.into_iter().try_for_each(|item| self.append(item))
    }

    /// Makes sure that no two objects have the same id.
    pub(crate) fn check_ids(&mut self) -> Result<(), Problem> {
        let items = std::mem::take(self.items_mut());
        *self = Self { items: Vec::with_capacity(items.len()), ..Self::default() };
        items.into_iter().try_for_each(|item| self.append(item))
    }

    /// Returns where the objects are that have or had an id.
    pub(crate) fn with_any_id(&mut self, id: &Id<'_>) -> Vec<usize> {
        let items = &self.items;
        let named = self.named.get_or_insert_with(|| {
            let mut named = HashMap::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                index_names(&mut named, at, item);
            }
            named
        });
        let found = named.get(id.name).into_iter().flatten().copied();
        found.filter(|&at| items[at].all_ids().any(|own| own == *id)).collect()
    }

    /// Returns where the one object is that has or had an id.
    pub(crate) fn with_id(&mut self, id: &Id<'_>) -> Result<usize, Problem> {
        match self.with_any_id(id).as_slice() {
            [at] => Ok(*at),
            [] => Err(Problem::rule(format!("no matches for Id {id}{}", self.hint(id)))),
            several => {
                let list: Vec<_> = several.iter().map(|&at| self.items[at].describe()).collect();
                Err(Problem::rule(format!("multiple matches for Id {id}: {}", list.join(", "))))
            }
        }
    }

    /// Says what is there that one may have meant.
    fn hint(&self, id: &Id<'_>) -> String {
        let mut close = self.items.iter().filter(|item| {
            item.all_ids().any(|own| {
                own.name == id.name
                    && (own.gvk.kind == id.gvk.kind || own.gvk.group == id.gvk.group)
            })
        });
        match close.next() {
            Some(item) => format!("; there is {}", item.describe()),
            None => String::new(),
        }
    }

    /// Adds a generated object, or merges it into the one that it names.
    pub(crate) fn absorb(&mut self, mut new: Resource) -> Result<(), Problem> {
        let matches = self.with_any_id(&new.id());
        let behavior = new.memory.behavior.unwrap_or(Behavior::Create);
        let id = new.id().to_string();
        match (matches.as_slice(), behavior) {
            ([], Behavior::Create) => self.append(new),
            ([], _) => Err(Problem::rule(format!(
                "{id} does not exist, so there is nothing to merge or replace; use behavior: create"
            ))),
            ([at], Behavior::Create) => Err(Problem::rule(format!(
                "{id} exists already ({}); use behavior: merge or replace",
                self.items[*at].source
            ))),
            (&[at], behavior) => {
                let old = &self.items[at];
                let origin = old.annotation(crate::origin::ORIGIN).map(str::to_owned);
                merge_metadata(&mut new, old);
                if behavior == Behavior::Merge {
                    overlay_data(&mut new, old, "data");
                    overlay_data(&mut new, old, "binaryData");
                    if origin.is_some() {
                        new.set_annotation(crate::origin::ORIGIN, origin.as_deref());
                    }
                }
                self.items_mut()[at] = new;
                Ok(())
            }
            (several, _) => {
                let list: Vec<_> = several.iter().map(|&at| self.items[at].describe()).collect();
                Err(Problem::rule(format!("{id} matches several objects: {}", list.join(", "))))
            }
        }
    }
}

fn without_validated_by(item: &Resource) -> Result<goyaml::Value, Problem> {
    let mut value = item.to_value()?;
    if let Some(metadata) = value.get_mut("metadata").and_then(goyaml::Value::as_object_mut)
        && let Some(labels) = metadata.get_mut("labels").and_then(goyaml::Value::as_object_mut)
        && labels.remove("validated-by").is_some()
        && labels.is_empty()
    {
        metadata.remove("labels");
    }
    Ok(value)
}

fn index_names(named: &mut HashMap<String, Vec<usize>>, at: usize, item: &Resource) {
    for name in item.previous_names().chain([item.name()]) {
        match named.get_mut(name) {
            Some(places) if places.last() == Some(&at) => {}
            Some(places) => places.push(at),
            None => _ = named.insert(name.to_owned(), vec![at]),
        }
    }
}

/// Puts labels and annotations of an old object under those of a new one, and gives it the old name.
pub(crate) fn merge_metadata(new: &mut Resource, old: &Resource) {
    for field in ["labels", "annotations"] {
        let merged: Vec<(String, String)> = old
            .map(field)
            .chain(new.map(field))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        new.set_map(field, merged.iter().map(|(key, value)| (&**key, &**value)));
    }
    new.set_name(old.name());
    new.set_namespace(old.namespace());
    new.inherit(old);
}

/// Puts the entries of old data under those of the new.
fn overlay_data(new: &mut Resource, old: &Resource, field: &str) {
    let entries = |node: &Node| -> Vec<(String, String)> {
        let map = node.get(field).and_then(Node::as_mapping);
        let entries = map.into_iter().flat_map(|map| &map.entries);
        entries.map(|(key, value)| (key.value.clone(), value_text(value))).collect()
    };
    let merged: std::collections::BTreeMap<String, String> =
        entries(&old.node).into_iter().chain(entries(&new.node)).collect();
    let Some(fields) = new.node.as_mapping_mut() else { return };
    fields.remove(field);
    if merged.is_empty() {
        return;
    }
    let mut map = goyaml::Mapping::new();
    for (key, value) in merged {
        set_field(&mut map, &key, Scalar::string(value));
    }
    fields.push(field, map);
}

/// Returns the text of a value; null has none.
fn value_text(node: &Node) -> String {
    if node.is_null() { String::new() } else { node.text().to_owned() }
}
