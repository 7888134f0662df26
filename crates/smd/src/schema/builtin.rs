//! The table of built-in kinds, in `data/kubernetes.txt`.
//!
//! The file is made by `examples/builtin.rs` from the OpenAPI documents of Kubernetes. A line
//! `kind <group> <version> <Kind> <definition>` names the definition of a kind, a line
//! `def <definition> <JSON>` holds one. Definitions are parsed when they are first used.
//!
//! A definition is a type or an object of `fields` (name to field), `required`, `omit` (fields that
//! are left out when they are empty, zero or false) and `always` (fields that never are). A field is a
//! type, or an object of `type` and what is said about it: `list` and `keys`, `map`, `merge`
//! (patch merge key), `patch` (patch strategy), `default`, `struct`. A type is a name such as
//! `string` or `int32`, a definition after `#`, and `[]` or `{}` before the type of the elements.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, OnceLock};

use serde_json::{Map, Value, json};

use super::document as written;
use super::node::{Kind, Link, List, Node, Patch, Values};

const DATA: &str = include_str!("../../data/kubernetes.txt");

/// Where the table comes from.
pub const ORIGIN: &str = "Kubernetes v1.36.3";

struct Table {
    kinds: HashMap<(&'static str, &'static str, &'static str), &'static str>,
    definitions: HashMap<&'static str, Definition>,
}

struct Definition {
    text: &'static str,
    node: OnceLock<Node>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { kinds: HashMap::new(), definitions: HashMap::new() };
    for line in DATA.lines() {
        if let Some(line) = line.strip_prefix("def ")
            && let Some((name, text)) = line.split_once(' ')
        {
            table.definitions.insert(name, Definition { text, node: OnceLock::new() });
        } else if let Some(line) = line.strip_prefix("kind ") {
            let mut parts = line.splitn(4, ' ');
            if let (Some(group), Some(version), Some(kind), Some(name)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            {
                table.kinds.insert((group, version, kind), name);
            }
        }
    }
    table
});

/// Returns the definition with that name.
pub(crate) fn definition(name: &str) -> Option<&'static Node> {
    let (name, definition) = TABLE.definitions.get_key_value(name)?;
    let parsed = || Node { name, ..parse(definition.text) };
    Some(definition.node.get_or_init(parsed))
}

/// Returns the definition of a kind.
pub(super) fn kind(group: &str, version: &str, kind: &str) -> Option<&'static Node> {
    TABLE.kinds.get(&(group, version, kind)).and_then(|name| definition(name))
}

/// Returns group, version and kind of everything in the table, sorted.
pub fn kinds() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut kinds: Vec<_> = TABLE.kinds.keys().copied().collect();
    kinds.sort_unstable();
    kinds
}

/// Returns the OpenAPI v3 schemas of a group and version, by their names in documents of
/// Kubernetes, with everything they refer to; the name of each kind is in the second map.
pub fn document(group: &str, version: &str) -> (Map<String, Value>, HashMap<String, String>) {
    let mut kinds = HashMap::new();
    let mut open = BTreeSet::new();
    for ((of_group, of_version, kind), name) in &TABLE.kinds {
        if (*of_group, *of_version) == (group, version) {
            kinds.insert((*kind).to_owned(), written::full_name(name));
            open.insert((*name).to_owned());
        }
    }
    // Custom resources have no more of the table than this.
    open.insert("meta.v1.ObjectMeta".to_owned());
    let mut schemas = Map::new();
    while let Some(name) = open.pop_first() {
        let full = written::full_name(&name);
        if let Some(definition) = TABLE.definitions.get(name.as_str())
            && !schemas.contains_key(&full)
        {
            schemas.insert(full, written::schema(&name, definition.text, &mut open));
        }
    }
    for ((group, version, kind), name) in &TABLE.kinds {
        if let Some(schema) = schemas.get_mut(&written::full_name(name)) {
            let kind = json!({"group": group, "version": version, "kind": kind});
            schema["x-kubernetes-group-version-kind"] = json!([kind]);
        }
    }
    schemas.sort_keys();
    (schemas, kinds)
}

fn parse(text: &str) -> Node {
    // A test reads every line, so that none is malformed.
    match serde_json::from_str(text) {
        Ok(Value::String(expression)) => type_of(&expression),
        Ok(Value::Object(map)) => Node {
            kind: Kind::Object,
            required: strings(map.get("required")),
            omit: strings(map.get("omit")),
            always: strings(map.get("always")),
            map_atomic: map.get("map").is_some_and(|value| value == "atomic"),
            fields: map
                .get("fields")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), field(value)))
                .collect(),
            ..Node::default()
        },
        _ => Node::default(),
    }
}

fn field(value: &Value) -> Link {
    let Value::Object(map) = value else {
        return link(value.as_str().unwrap_or_default());
    };
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    let mut link = match text("type").unwrap_or_default() {
        expression if expression.starts_with('#') => link(expression),
        expression => {
            let mut node = type_of(expression);
            node.list = list(map);
            Link::inline(node)
        }
    };
    link.map_atomic = text("map").map(|kind| kind == "atomic");
    link.default = map.get("default").cloned();
    link.structure = map.get("struct") == Some(&Value::Bool(true));
    let strategy = text("patch").unwrap_or_default();
    link.patch = Patch {
        merge: strategy.split(',').any(|part| part == "merge"),
        retain_keys: strategy.split(',').any(|part| part == "retainKeys"),
        key: text("merge").map(str::to_owned),
    };
    link
}

/// Lists without a type of their own go by the patch strategy, as in Kubernetes.
fn list(map: &Map<String, Value>) -> List {
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    match (text("list"), text("patch"), text("merge")) {
        (Some("map"), ..) => List::Map(strings(map.get("keys"))),
        (None, Some("merge" | "merge,retainKeys"), Some(key)) => List::Map(vec![key.to_owned()]),
        (Some("set"), ..) | (None, Some("merge" | "merge,retainKeys"), None) => List::Set,
        _ => List::Atomic,
    }
}

fn link(expression: &str) -> Link {
    match expression.strip_prefix('#') {
        Some(name) => Link::named(name),
        None => Link::inline(type_of(expression)),
    }
}

fn type_of(expression: &str) -> Node {
    if let Some(items) = expression.strip_prefix("[]") {
        return Node { kind: Kind::Array, items: Some(Box::new(link(items))), ..Node::default() };
    }
    if let Some(values) = expression.strip_prefix("{}") {
        let values = Values::Of(Box::new(link(values)));
        return Node { kind: Kind::Object, values, ..Node::default() };
    }
    let (kind, format) = match expression {
        "string" => (Kind::String, None),
        "bytes" => (Kind::String, Some("byte")),
        "time" => (Kind::String, Some("date-time")),
        "int32" => (Kind::Integer, Some("int32")),
        "int64" => (Kind::Integer, Some("int64")),
        "double" => (Kind::Number, Some("double")),
        "bool" => (Kind::Boolean, None),
        "int-or-string" => (Kind::IntOrString, None),
        "quantity" => (Kind::Quantity, None),
        "object" => (Kind::Object, None),
        "raw" => (Kind::Raw, None),
        _ => (Kind::Any, None),
    };
    let preserve = matches!(kind, Kind::Object | Kind::Any);
    Node { kind, format: format.map(str::to_owned), preserve, ..Node::default() }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
