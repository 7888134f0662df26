//! Reads the objects of a file.
//!
//! Source: `ByteReader.Read`, kyaml 0.21.1 `kio/byteio_reader.go`; `RNodesFromBytes`, kustomize api
//! 0.21.1 `resource/factory.go`.

use std::collections::VecDeque;
use std::sync::Arc;

use goyaml::{Dialect, Node};

use crate::error::Problem;
use crate::resource::{Resource, Source};
use crate::schema::Schemas;

/// Reads the objects of a text. `file` is what to call it in messages.
pub(crate) fn read(
    bytes: &[u8],
    file: &str,
    schemas: &mut Schemas,
) -> Result<Vec<Resource>, Problem> {
    let yaml = |source| Problem::Yaml { path: file.to_owned(), source };
    let text = goyaml::decode(bytes).map_err(yaml)?;
    let text = if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text };
    let parts = split(&text).map_err(yaml)?;
    let mut queue = VecDeque::new();
    let only = parts.len() == 1;
    for (first_line, part) in parts {
        let document = goyaml::parse_first(part, Dialect::Kyaml).map_err(|mut source| {
            source.line += first_line;
            yaml(source)
        })?;
        let Some(document) = document else { continue };
        let line = first_line + document.line;
        match document.node {
            node if node.is_null() => {}
            Node::Mapping(mut list)
                if only
                    && matches!(kind(&list), "List" | "ResourceList")
                    && (list.get("items").is_some() || list.get("functionConfig").is_some()) =>
            {
                if let Some(Node::Sequence(items)) = list.remove("items") {
                    let items = items.items.into_iter();
                    queue.extend(items.map(|item| (item.mark().line() + first_line, item)));
                }
            }
            node => queue.push_back((line, node)),
        }
    }
    let file: Arc<str> = file.into();
    let mut objects = Vec::with_capacity(queue.len());
    while let Some((line, node)) = queue.pop_front() {
        if node.is_empty() {
            continue;
        }
        let source = Source { file: Arc::clone(&file), line };
        let kind = check(&node, &source)?;
        if kind.ends_with("List")
            && let Some(items) = node.get("items")
        {
            queue.extend(embedded(items, &kind, &source)?);
            continue;
        }
        let mut object = Resource::new(node, source);
        object.cluster_scoped = schemas.is_cluster_scoped(object.api_version(), object.kind())?;
        objects.push(object);
    }
    Ok(objects)
}

fn kind(mapping: &goyaml::Mapping) -> &str {
    mapping.get("kind").map_or("", Node::text)
}

/// Splits a text at the lines that begin with `---`; with each part, how many lines are before it.
fn split(text: &str) -> Result<Vec<(usize, &str)>, goyaml::Error> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut line) = (0, 0, 0);
    let mut from = 0;
    // The first line is no separator, and one without line break is part of the last document.
    while let Some(end) = text[from..].find('\n').map(|at| from + at) {
        let next = end + 1;
        line += 1;
        from = next;
        let rest = &text[next..];
        let Some(length) = rest.find('\n').filter(|_| rest.starts_with("---")) else { continue };
        let after = rest[3..length].trim();
        if !after.is_empty() && !after.starts_with('#') {
            return Err(goyaml::Error {
                line: line + 1,
                column: 4,
                message: format!(
                    "invalid document separator: {}; put what follows --- on a line of its own",
                    rest[..length].trim()
                ),
            });
        }
        parts.push((start_line, &text[start..next]));
        // Of two separators in a row the second is the first line of its document.
        start = next + length + 1;
        start_line = line + 1;
        line += 1;
        from = start;
    }
    if !text.is_empty() {
        parts.push((start_line, &text[start..]));
    }
    Ok(parts)
}

/// Makes sure that an object says what it is, and returns its kind.
pub(crate) fn check(node: &Node, source: &Source) -> Result<String, Problem> {
    let Node::Mapping(mapping) = node else {
        return Err(Problem::rule(format!(
            "{source}: expected an object with apiVersion, kind and metadata, found {}",
            crate::node::shape(node)
        )));
    };
    let text = |node: Option<&Node>| {
        node.filter(|node| !node.is_empty()).map_or("", Node::text).to_owned()
    };
    let kind = text(mapping.get("kind"));
    let name = text(mapping.get("metadata").and_then(|metadata| metadata.get("name")));
    if kind.is_empty() {
        let name = if name.is_empty() { "an object" } else { &name };
        return Err(Problem::rule(format!("{source}: missing kind in {name}")));
    }
    if name.is_empty() && !kind.ends_with("List") {
        return Err(Problem::rule(format!("{source}: missing metadata.name in a {kind}")));
    }
    Ok(kind)
}

/// Returns the items of a list, which take its place behind the other objects of the file.
fn embedded(items: &Node, kind: &str, source: &Source) -> Result<Vec<(usize, Node)>, Problem> {
    let items = match items {
        _ if items.is_null() => return Ok(Vec::new()),
        Node::Sequence(sequence) => &sequence.items,
        other => {
            return Err(Problem::rule(format!(
                "{source}: expected a list in items of {kind}, found {}",
                crate::node::shape(other)
            )));
        }
    };
    // They go through JSON, which is where a key that stands twice comes out.
    let convert = |item: &Node| {
        let value = goyaml::to_value(item, Dialect::Kyaml)
            .map_err(|error| Problem::Yaml { path: source.file.to_string(), source: error })?;
        Ok((item.mark().line(), from_json(value)))
    };
    items.iter().map(convert).collect()
}

/// Returns a value as it is read from JSON text, where all text stands in quotes.
fn from_json(value: serde_json::Value) -> Node {
    use goyaml::{Mapping, Scalar, Sequence, Style, Tag};
    let quoted = |value: String| Scalar {
        tag: Tag::Str,
        style: Style::DoubleQuoted,
        ..Scalar::plain(value)
    };
    match value {
        serde_json::Value::String(text) => quoted(text).into(),
        serde_json::Value::Array(items) => {
            let items = items.into_iter().map(from_json).collect();
            Sequence { flow: true, ..Sequence::new(items) }.into()
        }
        serde_json::Value::Object(fields) => {
            let entries =
                fields.into_iter().map(|(key, value)| (quoted(key), from_json(value))).collect();
            Mapping { entries, flow: true, ..Mapping::new() }.into()
        }
        serde_json::Value::Number(number) => {
            let tag = if number.is_f64() { Tag::Float } else { Tag::Int };
            Scalar::tagged(number.to_string(), tag).into()
        }
        serde_json::Value::Bool(value) => Scalar::tagged(value.to_string(), Tag::Bool).into(),
        serde_json::Value::Null => Node::null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let objects = read(text.as_bytes(), "a.yaml", &mut Schemas::new(true));
        let objects = objects.map_err(|error| match error {
            Problem::Yaml { path, source } => format!("{path}: {source}"),
            other => other.to_string(),
        })?;
        Ok(objects.iter().map(|object| format!("{} {}", object.name(), object.source)).collect())
    }

    #[test]
    fn splits_documents() {
        let a = "kind: A\nmetadata: {name: a}\n";
        let text = format!("---\n{a}---\n---\n# nothing\n--- # comment\n{a}");
        assert_eq!(names(&text).unwrap(), ["a a.yaml:2", "a a.yaml:8"]);
        assert_eq!(names(&format!("{a}---")).unwrap(), ["a a.yaml:1"]);
        assert_eq!(names(&a.replace('\n', "\r\n")).unwrap(), ["a a.yaml:1"]);
        assert_eq!(names("").unwrap(), [""; 0]);
        let error = names(&format!("{a}--- x\n")).unwrap_err();
        assert!(error.contains("line 3, column 4: invalid document separator: --- x"), "{error}");
    }

    #[test]
    fn lists_are_replaced_by_their_items_behind_the_rest() {
        let text = "kind: PodList\nitems:\n- {kind: Pod, metadata: {name: a}}\n---\nkind: Pod\nmetadata: {name: b}\n";
        assert_eq!(names(text).unwrap(), ["b a.yaml:5", "a a.yaml:3"]);
        assert_eq!(names("kind: List\nitems:\n").unwrap(), [""; 0]);
        assert!(names("kind: PodList\nitems: 5\n").unwrap_err().contains("expected a list"));
        assert_eq!(names("kind: WhiteList\nspec: {}\n").unwrap().len(), 1);
    }

    #[test]
    fn objects_say_what_they_are() {
        assert!(names("a: b\n").unwrap_err().contains("a.yaml:1: missing kind"));
        assert!(names("kind: Pod\n").unwrap_err().contains("missing metadata.name in a Pod"));
        assert!(names("- a\n").unwrap_err().contains("expected an object"));
        assert!(names("a: [\n").unwrap_err().starts_with("a.yaml: line 2"));
        let error = names("kind: A\nmetadata: {name: a}\n---\nb: [\n").unwrap_err();
        assert!(error.starts_with("a.yaml: line 5"), "{error}");
    }
}
