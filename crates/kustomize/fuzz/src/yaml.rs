//! The reader and the writer of YAML: nothing panics, and what is written reads as what it was.

use goyaml::{
    Dialect, Node, Scalar, Style, Tag, Value, parse, parse_first, parse_values, to_stream, to_value,
};

/// Reads bytes as both dialects do.
pub fn check(data: &[u8]) {
    let Ok(text) = goyaml::decode(data) else { return };
    for dialect in [Dialect::Sigs, Dialect::Kyaml] {
        check_values(&text, dialect);
    }
    check_nodes(&text);
}

/// Values stay what they are when they are written and read.
fn check_values(text: &str, dialect: Dialect) {
    let Ok(values) = parse_values(text, dialect) else { return };
    if values.iter().any(has_merge_key) {
        return;
    }
    let written = to_stream(&values);
    let read = parse_values(&written, dialect);
    assert_eq!(read.as_ref(), Ok(&values), "{dialect:?} wrote {written:?} for {text:?}");
    assert_eq!(to_stream(&values), written);
}

/// Says whether a key is the text `<<`, which go-yaml writes as if it were a merge.
fn has_merge_key(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_merge_key),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key == "<<" || has_merge_key(value))
        }
        _ => false,
    }
}

/// Nodes mean the same after they were written as they stand, which kyaml alone does.
fn check_nodes(text: &str) {
    let Ok(documents) = parse(text, Dialect::Kyaml) else { return };
    for document in documents.iter().filter(|document| is_kept(&document.node)) {
        let Ok(value) = to_value(&document.node, Dialect::Kyaml) else { continue };
        let written = goyaml::node_to_string(&document.node);
        let read = parse_first(&written, Dialect::Kyaml);
        // What is nothing is written as no document.
        let read = read.map(|first| {
            first.map_or(Ok(Value::Null), |document| to_value(&document.node, Dialect::Kyaml))
        });
        assert_eq!(read, Ok(Ok(value)), "wrote {written:?} for {text:?}");
    }
}

/// Says whether the writer keeps all that a node is. Tags that YAML does not know are lost, and folded
/// lines gain breaks before those that are indented: go-yaml does no better.
fn is_kept(node: &Node) -> bool {
    let is_known = |scalar: &Scalar| {
        (!scalar.tagged || scalar.tag != Tag::Other) && scalar.style != Style::Folded
    };
    match node {
        Node::Scalar(scalar) => is_known(scalar),
        Node::Sequence(list) => list.items.iter().all(is_kept),
        Node::Mapping(mapping) => {
            mapping.entries.iter().all(|(key, value)| is_known(key) && is_kept(value))
        }
    }
}
