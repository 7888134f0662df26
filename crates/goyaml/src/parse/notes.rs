//! Comments that may hold a schema, as in `containers: # {"x-kubernetes-patch-merge-key": "name"}`.

use crate::node::Node;

/// Gives comments to the collections whose keys are on their lines; the outermost one gets it.
pub(super) fn attach(node: &mut Node, notes: Vec<(u32, &str)>) {
    if !notes.is_empty() {
        let mut notes = notes;
        walk(node, &mut notes);
    }
}

fn walk(node: &mut Node, notes: &mut Vec<(u32, &str)>) {
    match node {
        Node::Scalar(_) => {}
        Node::Sequence(list) => list.items.iter_mut().for_each(|item| walk(item, notes)),
        Node::Mapping(mapping) => {
            for (key, value) in &mut mapping.entries {
                let slot = match value {
                    Node::Scalar(_) => continue,
                    Node::Sequence(list) => &mut list.note,
                    Node::Mapping(mapping) => &mut mapping.note,
                };
                // They are in the order of their lines.
                let at = notes.binary_search_by_key(&key.mark.line, |(line, _)| *line);
                if let Ok(at) = at
                    && let text = std::mem::take(&mut notes[at].1)
                    && !text.is_empty()
                {
                    *slot = Some(text.into());
                }
                walk(value, notes);
            }
        }
    }
}
