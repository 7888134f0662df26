//! What anchors name, and how much aliases may make of it.

use std::collections::HashMap;

use crate::error::{Error, Mark};
use crate::node::Node;

/// The anchors of a document.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    /// Nodes by name; absent while they are being read.
    named: HashMap<String, Option<Named>>,
    work: Work,
}

/// A node that has a name.
#[derive(Debug)]
struct Named {
    node: Node,
    /// How many nodes are in it.
    size: usize,
    /// How deep it is.
    height: usize,
}

/// An anchor whose node is being read.
pub(super) struct Open {
    name: String,
    nodes_before: usize,
}

impl Anchors {
    /// Counts a node that was read.
    pub(super) fn count(&mut self, mark: Mark) -> Result<(), Error> {
        /// What a document may hold, which takes about a gigabyte.
        const MAX_NODES: usize = 10_000_000;
        self.work.nodes += 1;
        if self.work.nodes > MAX_NODES {
            return Err(Error::at(mark, format!("the document has more than {MAX_NODES} values")));
        }
        Ok(())
    }

    /// Begins a node that has a name.
    pub(super) fn open(&mut self, name: String) -> Open {
        self.named.insert(name.clone(), None);
        Open { name, nodes_before: self.work.nodes }
    }

    /// Ends a node that has a name.
    pub(super) fn close(&mut self, open: Open, node: &Node) {
        let size = self.work.nodes - open.nodes_before;
        let named = Named { node: node.clone(), size, height: height(node) };
        self.named.insert(open.name, Some(named));
    }

    /// Returns a copy of the node that an alias names, which may be so deep.
    pub(super) fn resolve(&mut self, name: &str, room: usize, mark: Mark) -> Result<Node, Error> {
        match self.named.get(name) {
            None => Err(Error::at(mark, format!("unknown anchor '{name}' referenced"))),
            Some(None) => Err(Error::at(mark, format!("anchor '{name}' value contains itself"))),
            Some(Some(named)) => {
                // Counted before it is copied, so that a bomb is refused rather than built.
                self.work.nodes += named.size;
                self.work.aliased += named.size;
                if self.work.is_excessive() {
                    return Err(Error::at(mark, "document contains excessive aliasing"));
                }
                if named.height > room {
                    return Err(Error::at(mark, "aliases nest deeper than a document may"));
                }
                Ok(named.node.clone())
            }
        }
    }
}

fn height(node: &Node) -> usize {
    let below = match node {
        Node::Scalar(_) => None,
        Node::Sequence(sequence) => sequence.items.iter().map(height).max(),
        Node::Mapping(mapping) => mapping.entries.iter().map(|(_, value)| height(value)).max(),
    };
    below.map_or(0, |below| below + 1)
}

/// How much has been made of a document, and how much of that through aliases.
///
/// Source: `decoder.unmarshal`, go-yaml v3 `decode.go`.
#[derive(Debug, Default)]
struct Work {
    nodes: usize,
    aliased: usize,
}

impl Work {
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52")]
    fn is_excessive(&self) -> bool {
        const FEW: f64 = 400_000.0;
        const MANY: f64 = 4_000_000.0;
        let nodes = self.nodes as f64;
        let allowed = if nodes <= FEW {
            0.99
        } else if nodes >= MANY {
            0.10
        } else {
            0.99 - 0.89 * (nodes - FEW) / (MANY - FEW)
        };
        self.aliased > 100 && self.nodes > 1000 && self.aliased as f64 / nodes > allowed
    }
}
