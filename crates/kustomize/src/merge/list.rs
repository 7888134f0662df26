//! Lists whose elements are told apart by keys, or that are sets.
//!
//! The order of the steps matters: elements that lack a key make others disappear, and elements that
//! a patch replaces come back. That is what kustomize does, so it is kept.
//!
//! Source: `walkAssociativeSequence`, `appendListNode`, kyaml 0.21.1
//! `yaml/walk/associative_sequence.go`; `ElementSetter`, `yaml/fns.go`.

use std::borrow::Cow;

use goyaml::{Mapping, Node, Scalar};

use super::{Directive, Merger, Outcome};
use crate::error::Problem;
use crate::node::{Create, set_field, set_scalar, wrong_kind};
use crate::schema::Known;

/// Nodes that lists refer to by number, so that a list can hold an element of another.
struct Arena {
    nodes: Vec<Node>,
}

impl Arena {
    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn get(&self, at: usize) -> &Node {
        &self.nodes[at]
    }
}

impl Merger<'_> {
    /// Merges a list of a patch, if there is one, into one that is there.
    pub(super) fn merge_list(
        &self,
        own: &mut Vec<Node>,
        patch: Option<&[Node]>,
        keys: &[Cow<'static, str>],
        elements: Option<Known<'_>>,
    ) -> Result<Outcome, Problem> {
        let patch = match patch.map(Directive::of_list).transpose()? {
            Some((Directive::Delete, _)) => return Ok(Outcome::Gone),
            Some((Directive::Replace, mut items)) => {
                self.list_with_itself(&mut items, keys, elements)?;
                return Ok(Outcome::New(goyaml::Sequence::new(items).into()));
            }
            Some((Directive::Merge, items)) => Some(items),
            None => None,
        };
        let patch = patch.as_deref().map_or(Patch::None, Patch::Other);
        let lists = Lists::new(std::mem::take(own), patch);
        *own = self.put_together(lists, keys, elements)?;
        Ok(Outcome::Kept)
    }

    /// Merges a list with itself.
    pub(super) fn list_with_itself(
        &self,
        items: &mut Vec<Node>,
        keys: &[Cow<'static, str>],
        elements: Option<Known<'_>>,
    ) -> Result<(), Problem> {
        let own = std::mem::take(items);
        let lists = Lists::new(own, Patch::Same);
        *items = self.put_together(lists, keys, elements)?;
        Ok(())
    }

    fn put_together(
        &self,
        mut lists: Lists<'_>,
        keys: &[Cow<'static, str>],
        elements: Option<Known<'_>>,
    ) -> Result<Vec<Node>, Problem> {
        let set = [Cow::Borrowed("")];
        let (keys, mut values) = if keys.is_empty() {
            (set.as_slice(), lists.texts())
        } else {
            (keys, lists.values(keys))
        };
        if values.is_empty() {
            return Ok(lists.into_nodes(None));
        }
        if keys.len() > 1 {
            unify(&mut values);
        }
        let mut merged = Vec::new();
        let mut valid_keys = Vec::new();
        for at in 0..values.len() {
            let valid_values;
            (valid_keys, valid_values) = present(&values, &values[at], keys);
            let element = self.element(&mut lists, &valid_keys, &valid_values, elements)?;
            let Some(element) = element else {
                lists.set_element(None, &valid_keys, &valid_values)?;
                continue;
            };
            for (key, value) in valid_keys.iter().zip(&valid_values) {
                complete(&mut lists.arena.nodes[element], key, value)?;
            }
            set_element(&lists.arena, &mut merged, Some(element), &valid_keys, &valid_values)?;
        }
        append(&lists.arena, &mut merged, &lists.own, &valid_keys)?;
        Ok(lists.into_nodes(Some(merged)))
    }

    /// Merges the elements of both lists that have these keys. `None` when nothing is left of them.
    fn element(
        &self,
        lists: &mut Lists<'_>,
        keys: &[&str],
        values: &[&str],
        known: Option<Known<'_>>,
    ) -> Result<Option<usize>, Problem> {
        let owned: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let (keys, values) = present(std::slice::from_ref(&owned), &owned, keys);
        let own = find(lists.own.iter().map(|&at| (at, lists.arena.get(at))), &keys, &values);
        let outcome = match lists.patch {
            Patch::Same => {
                let Some(own) = own else { return Ok(None) };
                match self.value_with_itself(lists.arena.get(own), known)? {
                    Some(node) => {
                        lists.arena.nodes[own] = node;
                        Outcome::Kept
                    }
                    None => Outcome::Gone,
                }
            }
            Patch::None => {
                let own = own.map(|own| &mut lists.arena.nodes[own]);
                self.walk(own, None, known)?
            }
            Patch::Other(patch) => {
                let other = find(patch.iter().map(|item| (item, item)), &keys, &values);
                let own = own.map(|own| &mut lists.arena.nodes[own]);
                self.walk(own, other, known)?
            }
        };
        let element = match outcome {
            Outcome::Kept => own,
            Outcome::New(node) => Some(lists.arena.add(node)),
            Outcome::Gone => None,
        };
        Ok(element.filter(|&at| {
            let node = lists.arena.get(at);
            !node.is_null() && !node.as_mapping().is_some_and(Mapping::is_empty)
        }))
    }
}

/// A list and what is merged into it.
struct Lists<'a> {
    arena: Arena,
    own: Vec<usize>,
    patch: Patch<'a>,
}

#[derive(Clone, Copy)]
enum Patch<'a> {
    None,
    Other(&'a [Node]),
    /// The list itself.
    Same,
}

impl<'a> Lists<'a> {
    fn new(own: Vec<Node>, patch: Patch<'a>) -> Self {
        let numbers = (0..own.len()).collect();
        Self { arena: Arena { nodes: own }, own: numbers, patch }
    }

    /// Returns the nodes of a list, or of the own one.
    fn into_nodes(self, list: Option<Vec<usize>>) -> Vec<Node> {
        let list = list.unwrap_or(self.own);
        let mut nodes: Vec<Option<Node>> = self.arena.nodes.into_iter().map(Some).collect();
        let mut taken: Vec<Node> = Vec::with_capacity(list.len());
        for (place, &at) in list.iter().enumerate() {
            let node = match nodes[at].take() {
                Some(node) => node,
                None => match list[..place].iter().position(|&before| before == at) {
                    Some(before) => taken[before].clone(),
                    None => continue,
                },
            };
            taken.push(node);
        }
        taken
    }

    /// All elements, those of the patch first.
    fn items(&self) -> impl Iterator<Item = &Node> {
        let patch: &[Node] = match self.patch {
            Patch::Other(patch) => patch,
            Patch::None | Patch::Same => &[],
        };
        patch.iter().chain(self.own.iter().map(|&at| self.arena.get(at)))
    }

    /// Returns the values that the elements have for the keys, each once.
    fn values(&self, keys: &[Cow<'static, str>]) -> Vec<Vec<String>> {
        let values = self.items().map(|item| {
            let value = |key: &Cow<'_, str>| {
                let field = item.get(key).filter(|field| !field.is_empty());
                field.map_or("", Node::text).to_owned()
            };
            keys.iter().map(value).collect()
        });
        unique(values)
    }

    /// Returns the texts of the elements, each once.
    fn texts(&self) -> Vec<Vec<String>> {
        unique(self.items().map(|item| vec![item.text().to_owned()]))
    }

    fn set_element(
        &mut self,
        element: Option<usize>,
        keys: &[&str],
        values: &[&str],
    ) -> Result<(), Problem> {
        set_element(&self.arena, &mut self.own, element, keys, values)
    }
}

fn unique(values: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut known = std::collections::HashSet::new();
    values.filter(|value| known.insert(value.clone())).collect()
}

/// Makes values equal that agree where both are given.
fn unify(values: &mut [Vec<String>]) {
    for i in 0..values.len() {
        for j in 0..values.len() {
            if let Some(both) = agreement(&values[i], &values[j]) {
                values[j].clone_from(&both);
                values[i] = both;
            }
        }
    }
}

fn agreement(a: &[String], b: &[String]) -> Option<Vec<String>> {
    let mut common = false;
    let mut both = Vec::with_capacity(a.len());
    for (a, b) in a.iter().zip(b) {
        if a == b {
            common = true;
        } else if !a.is_empty() && !b.is_empty() {
            return None;
        }
        both.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    common.then_some(both)
}

/// Leaves out the keys that no element has.
fn present<'a, K: AsRef<str>>(
    all: &[Vec<String>],
    values: &'a [String],
    keys: &'a [K],
) -> (Vec<&'a str>, Vec<&'a str>) {
    let has =
        |at: usize| all.iter().any(|values| values.get(at).is_some_and(|value| !value.is_empty()));
    let none = !(0..keys.len()).any(has);
    let kept = |at: &usize| none || has(*at);
    let keys = keys.iter().enumerate().filter(|(at, _)| kept(at)).map(|(_, key)| key.as_ref());
    let values = values.iter().enumerate().filter(|(at, _)| kept(at)).map(|(_, value)| &**value);
    (keys.collect(), values.collect())
}

/// Finds the first element that has these values for the keys.
fn find<'a, T>(
    mut items: impl Iterator<Item = (T, &'a Node)>,
    keys: &[&str],
    values: &[&str],
) -> Option<T> {
    let matches = |item: &Node| {
        if keys.first().is_none_or(|key| key.is_empty()) {
            return values.first().is_some_and(|value| item.text() == *value);
        }
        let Node::Mapping(mapping) = item else { return false };
        keys.len() == values.len()
            && keys
                .iter()
                .zip(values)
                .all(|(key, value)| mapping.get(key).is_some_and(|field| field.text() == *value))
    };
    items.find(|(_, item)| matches(item)).map(|(found, _)| found)
}

/// Gives an element a key that it lacks.
fn complete(element: &mut Node, key: &str, value: &str) -> Result<(), Problem> {
    if value.is_empty() {
        return Ok(());
    }
    if key.is_empty() {
        return set_scalar(element, Scalar::plain(value));
    }
    match element {
        Node::Mapping(mapping) if mapping.get(key).is_none() => {
            set_field(mapping, key, Scalar::plain(value));
            Ok(())
        }
        Node::Mapping(_) => Ok(()),
        other => Err(wrong_kind(Create::Mapping, other)),
    }
}

/// Puts an element in the place of those that have these values for the keys, or behind all others.
/// Without an element they are removed.
fn set_element(
    arena: &Arena,
    list: &mut Vec<usize>,
    element: Option<usize>,
    keys: &[&str],
    values: &[&str],
) -> Result<(), Problem> {
    let keyed = keys.first().is_some_and(|key| !key.is_empty())
        && values.first().is_some_and(|value| !value.is_empty());
    let mut kept = Vec::with_capacity(list.len() + 1);
    let mut found_any = false;
    for &at in &*list {
        let node = arena.get(at);
        if node.is_null() || node.as_mapping().is_some_and(Mapping::is_empty) {
            continue;
        }
        if keyed && !matches!(node, Node::Mapping(_)) {
            kept.push(at);
            continue;
        }
        if has_values(node, keys, values)? {
            found_any = true;
            kept.extend(element);
        } else if !values.is_empty() {
            kept.push(at);
        }
    }
    *list = kept;
    if let Some(element) = element.filter(|_| !found_any)
        && !arena.get(element).is_null()
    {
        list.push(element);
    }
    Ok(())
}

/// Says whether an element has these values. A key without value is not looked at once another one
/// was found; an empty value stands for any.
fn has_values(node: &Node, keys: &[&str], values: &[&str]) -> Result<bool, Problem> {
    let mut found = false;
    for (at, key) in keys.iter().enumerate() {
        if let Some(value) = values.get(at) {
            found = match (key.is_empty(), node) {
                (true, Node::Scalar(scalar)) => scalar.value == *value,
                (true, other) => return Err(wrong_kind(Create::Scalar, other)),
                (false, Node::Mapping(mapping)) => {
                    mapping.get(key).is_some_and(|field| value.is_empty() || field.text() == *value)
                }
                (false, other) => return Err(wrong_kind(Create::Mapping, other)),
            };
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds the elements of a list to another, where those with the same keys are replaced.
fn append(
    arena: &Arena,
    list: &mut Vec<usize>,
    others: &[usize],
    keys: &[&str],
) -> Result<(), Problem> {
    for &other in others {
        let node = arena.get(other);
        if keys.first().is_none_or(|key| key.is_empty()) {
            set_element(arena, list, Some(other), &[""], &[node.text()])?;
            continue;
        }
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            match crate::node::get(node, key)? {
                Some(field) => values.push(field.text()),
                None => list.push(other),
            }
        }
        if keys.len() > 1 {
            set_element(arena, list, None, keys, &values)?;
        }
        set_element(arena, list, Some(other), keys, &values)?;
    }
    Ok(())
}
