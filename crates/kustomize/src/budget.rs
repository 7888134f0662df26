//! A limit on what a build may read and copy, so that a few files that name each other cannot make
//! endless work.

use std::cell::Cell;

use goyaml::{Node, Value};

use crate::error::Problem;

/// How many bytes may be read and copied in one build.
const BYTES: usize = 1 << 28;
/// How deep a value may be that is copied into another.
const DEPTH: usize = 256;

/// What is left for a build.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(BYTES)
    }
}

impl Budget {
    /// Returns a budget of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: Cell::new(bytes) }
    }

    /// Accounts for bytes that are read or copied.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), Problem> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(Problem::rule(format!(
                "the build reads and copies more than {} MiB; files that name each other may \
                 multiply",
                BYTES >> 20
            ))),
        }
    }

    /// Accounts for a value that is copied.
    pub(crate) fn spend_on(&self, node: &Node) -> Result<(), Problem> {
        self.spend(size(node, 0).ok_or_else(too_deep)?)
    }

    /// Accounts for a JSON value that is put so many levels deep.
    pub(crate) fn spend_on_value(&self, value: &Value, depth: usize) -> Result<(), Problem> {
        self.spend(value_size(value, depth).ok_or_else(too_deep)?)
    }
}

fn too_deep() -> Problem {
    Problem::rule(format!("a value that is copied would be nested deeper than {DEPTH} levels"))
}

/// Returns about how many bytes a JSON value takes; `None` if it is too deep.
fn value_size(value: &Value, depth: usize) -> Option<usize> {
    const VALUE: usize = 32;
    if depth > DEPTH {
        return None;
    }
    let mut bytes = VALUE;
    match value {
        Value::String(text) => bytes += text.len(),
        Value::Array(items) => {
            for item in items {
                bytes += value_size(item, depth + 1)?;
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                bytes += key.len() + value_size(value, depth + 1)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Some(bytes)
}

/// Returns about how many bytes a value takes; `None` if it is too deep.
fn size(node: &Node, depth: usize) -> Option<usize> {
    const NODE: usize = 16;
    if depth > DEPTH {
        return None;
    }
    let mut bytes = NODE;
    match node {
        Node::Scalar(scalar) => bytes += scalar.value.len(),
        Node::Sequence(list) => {
            for item in &list.items {
                bytes += size(item, depth + 1)?;
            }
        }
        Node::Mapping(mapping) => {
            for (key, value) in &mapping.entries {
                bytes += NODE + key.value.len() + size(value, depth + 1)?;
            }
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use goyaml::{Scalar, Sequence};

    use super::*;

    #[test]
    fn runs_out() {
        let budget = Budget::default();
        budget.spend(BYTES).unwrap();
        budget.spend_on(&Scalar::plain("").into()).unwrap_err();
    }

    #[test]
    fn deep_values_are_refused() {
        let mut node = Node::from(Scalar::plain("a"));
        for _ in 0..=DEPTH {
            node = Sequence::new(vec![node]).into();
        }
        assert!(Budget::default().spend_on(&node).unwrap_err().to_string().contains("deeper"));
    }
}
