//! Reading the `openAPIV3Schema` of a CustomResourceDefinition.

use serde_json::{Map, Value};

use super::node::{Checks, Kind, Link, List, Node, Pattern, Target, Values};

const OBJECT_META: &str = "meta.v1.ObjectMeta";

/// Returns the node of a whole object.
pub(super) fn root(openapi: &Value) -> Node {
    let mut node = read(openapi, false);
    node.kind = Kind::Object;
    declare_type_and_meta(&mut node);
    node
}

/// Returns the node of a part of an object.
pub(super) fn part(openapi: &Value) -> Node {
    read(openapi, false)
}

fn declare_type_and_meta(node: &mut Node) {
    for field in ["apiVersion", "kind"] {
        node.fields
            .entry(field.to_owned())
            .or_insert_with(|| Link::inline(Node { kind: Kind::String, ..Node::default() }));
    }
    // The schema may restrict name and generateName; their checks stay, the rest is built in.
    let declared = node.fields.get("metadata").and_then(|link| match &link.target {
        Target::Inline(declared) => Some(declared),
        Target::Named(_) => None,
    });
    let mut link = Link::named(OBJECT_META);
    if let (Some(declared), Some(meta)) = (declared, link.node()) {
        let mut meta = meta.clone();
        for field in ["name", "generateName"] {
            if let Some(checked) = declared.fields.get(field) {
                meta.fields.insert(field.to_owned(), checked.clone());
            }
        }
        link = Link::inline(meta);
    }
    node.fields.insert("metadata".to_owned(), link);
}

fn read(schema: &Value, deduce: bool) -> Node {
    let Value::Object(map) = schema else { return Node { deduce, ..Node::default() } };
    let flag = |name: &str| map.get(name).and_then(Value::as_bool).unwrap_or_default();
    let preserve = flag("x-kubernetes-preserve-unknown-fields");
    let deduce = deduce || preserve;
    let mut node = Node {
        kind: kind(map),
        format: text(map, "format"),
        nullable: flag("nullable"),
        preserve,
        deduce,
        embedded: flag("x-kubernetes-embedded-resource"),
        required: strings(map.get("required")),
        values: values(map.get("additionalProperties"), deduce),
        items: map.get("items").map(|items| Box::new(link(items, deduce))),
        list: list(map),
        map_atomic: text(map, "x-kubernetes-map-type").as_deref() == Some("atomic"),
        checks: checks(map),
        ..Node::default()
    };
    if let Some(Value::Object(properties)) = map.get("properties") {
        node.fields =
            properties.iter().map(|(name, field)| (name.clone(), link(field, deduce))).collect();
    }
    if node.embedded {
        declare_type_and_meta(&mut node);
    }
    node
}

fn link(schema: &Value, deduce: bool) -> Link {
    let mut link = Link::inline(read(schema, deduce));
    link.default = schema.get("default").cloned();
    link
}

fn kind(map: &Map<String, Value>) -> Kind {
    if map.get("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true) {
        return Kind::IntOrString;
    }
    match map.get("type").and_then(Value::as_str) {
        Some("object") => Kind::Object,
        Some("array") => Kind::Array,
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        _ => Kind::Any,
    }
}

fn values(schema: Option<&Value>, deduce: bool) -> Values {
    match schema {
        Some(Value::Bool(true)) => Values::Anything,
        Some(Value::Bool(false)) => Values::Forbidden,
        Some(schema @ Value::Object(_)) => Values::Of(Box::new(link(schema, deduce))),
        _ => Values::Undeclared,
    }
}

fn list(map: &Map<String, Value>) -> List {
    match map.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => List::Set,
        Some("map") => List::Map(strings(map.get("x-kubernetes-list-map-keys"))),
        _ => List::Atomic,
    }
}

/// Keywords that [`Checks`] holds.
const KEYWORDS: [&str; 16] = [
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "enum",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
];

fn checks(map: &Map<String, Value>) -> Option<Box<Checks>> {
    let number = |name: &str| map.get(name).filter(|value| value.is_number()).map(shortest);
    let count = |name: &str| map.get(name).and_then(Value::as_u64);
    let flag = |name: &str| map.get(name).and_then(Value::as_bool).unwrap_or_default();
    let all = |name: &str| -> Vec<Node> {
        let schemas = map.get(name).and_then(Value::as_array).into_iter().flatten();
        schemas.map(|schema| read(schema, false)).collect()
    };
    if !KEYWORDS.iter().any(|keyword| map.contains_key(*keyword)) {
        return None;
    }
    Some(Box::new(Checks {
        minimum: number("minimum"),
        exclusive_minimum: flag("exclusiveMinimum"),
        maximum: number("maximum"),
        exclusive_maximum: flag("exclusiveMaximum"),
        multiple_of: map.get("multipleOf").and_then(Value::as_f64),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        pattern: text(map, "pattern").as_deref().map(Pattern::new),
        choices: map.get("enum").and_then(Value::as_array).cloned(),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        unique_items: flag("uniqueItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        all_of: all("allOf"),
        any_of: all("anyOf"),
        one_of: all("oneOf"),
        not: map.get("not").map(|schema| Box::new(read(schema, false))),
    }))
}

fn text(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns a number without a fraction of nothing, which typed clients write: 0 for 0.0.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
fn shortest(number: &Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float)
            if number.is_f64()
                && float.fract().abs() < f64::MIN_POSITIVE
                && float.abs() < EXACT =>
        {
            Value::from(float as i64)
        }
        _ => number.clone(),
    }
}
