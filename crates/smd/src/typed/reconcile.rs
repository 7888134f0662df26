//! Bringing recorded field sets in line with a schema that has changed since.

use crate::fields::FieldSet;
use crate::path::{Path, PathElement};
use crate::schema::{List, Type};

/// Returns the set as the schema has it now: what has become atomic is owned as a whole.
pub(crate) fn reconcile(root: Type<'_>, set: &FieldSet) -> FieldSet {
    let mut atomic = Vec::new();
    visit(root, Some(set), false, &mut Path::new(), &mut atomic);
    if atomic.is_empty() {
        return set.clone();
    }
    let roots = FieldSet::of(atomic);
    set.recursive_difference(&roots).union(&roots)
}

fn visit(
    kind: Type<'_>,
    set: Option<&FieldSet>,
    is_leaf: bool,
    path: &mut Path,
    atomic: &mut Vec<Path>,
) {
    let atom = kind.atom();
    if let Some(map) = atom.map {
        if map.is_free() {
            return;
        }
        if !is_leaf && map.atomic {
            if set.is_some_and(|set| !set.is_empty()) {
                atomic.push(path.clone());
            }
            return;
        }
        for (element, below, is_leaf) in elements(set) {
            let name = if let PathElement::Field(name) = element { name.as_str() } else { "" };
            if let Some(kind) = map.field(name) {
                path.push(element.clone());
                visit(kind, below, is_leaf, path, atomic);
                path.pop();
            }
        }
    } else if atom.scalar.is_some() {
    } else if let Some(list) = atom.list {
        if !is_leaf && *list.list == List::Atomic {
            atomic.push(path.clone());
            return;
        }
        for (element, below, is_leaf) in elements(set) {
            path.push(element.clone());
            visit(list.items, below, is_leaf, path, atomic);
            path.pop();
        }
    }
}

/// Returns each element with what is below it, and whether it is a member without content.
fn elements(set: Option<&FieldSet>) -> Vec<(&PathElement, Option<&FieldSet>, bool)> {
    let Some(set) = set else { return Vec::new() };
    let children = set
        .children
        .iter()
        .filter(|(element, _)| !set.members.contains(element))
        .map(|(element, below)| (element, Some(below), false));
    let members = set.members.iter().map(|element| {
        let below = set.children.get(element);
        (element, below, below.is_none())
    });
    children.chain(members).collect()
}
