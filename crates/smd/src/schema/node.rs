//! Nodes of a schema, and how typed merges see them.

use std::sync::OnceLock;

use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value;

use super::builtin;

/// What a node allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    /// A quantity of a built-in kind: text or a number.
    Quantity,
    /// Anything, replaced as a whole.
    Raw,
}

/// How elements of a list are told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum List {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// What the values of a map may be that are not declared as fields.
#[derive(Debug, Clone, Default)]
pub(crate) enum Values {
    #[default]
    Undeclared,
    Forbidden,
    Anything,
    Of(Box<Link>),
}

/// One level of a schema.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a keyword of its own")]
pub(crate) struct Node {
    /// Name of a definition of the built-in table, else empty.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) format: Option<String>,
    pub(crate) nullable: bool,
    /// Unknown fields are kept at this level.
    pub(crate) preserve: bool,
    /// Unknown fields are kept here or further up, which is what typed merges go by.
    pub(crate) deduce: bool,
    /// Holds a whole object, with `apiVersion`, `kind` and `metadata`.
    pub(crate) embedded: bool,
    pub(crate) fields: IndexMap<String, Link>,
    pub(crate) required: Vec<String>,
    /// Fields that Go leaves out when they have the zero of their type.
    pub(crate) omit: Vec<String>,
    /// Fields that Go writes whatever they have.
    pub(crate) always: Vec<String>,
    pub(crate) values: Values,
    pub(crate) items: Option<Box<Link>>,
    pub(crate) list: List,
    pub(crate) map_atomic: bool,
    pub(crate) checks: Option<Box<Checks>>,
}

/// Checks of values, beyond their type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    pub(crate) minimum: Option<Value>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<Value>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) choices: Option<Vec<Value>>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

/// A regular expression, compiled on first use.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: OnceLock::new() }
    }

    /// Returns whether the pattern is found; `None` if it is not a regular expression.
    pub(crate) fn is_match(&self, text: &str) -> Option<bool> {
        let compiled = self.compiled.get_or_init(|| Regex::new(&self.text).ok());
        compiled.as_ref().map(|regex| regex.is_match(text))
    }
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) merge: bool,
    pub(crate) retain_keys: bool,
    pub(crate) key: Option<String>,
}

/// The way from a node to one that it holds, and what is said of it there.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) target: Target,
    pub(crate) default: Option<Value>,
    /// Overrides what the target says.
    pub(crate) map_atomic: Option<bool>,
    pub(crate) patch: Patch,
    /// In Go a structure and no pointer to one: the server shows it even when it is empty.
    pub(crate) structure: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Inline(Box<Node>),
    /// A definition of the built-in table.
    Named(String),
}

impl Link {
    pub(crate) fn inline(node: Node) -> Self {
        Self::new(Target::Inline(Box::new(node)))
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::new(Target::Named(name.to_owned()))
    }

    fn new(target: Target) -> Self {
        Self { target, default: None, map_atomic: None, patch: Patch::default(), structure: false }
    }

    /// Returns the node at the other end.
    pub(crate) fn node(&self) -> Option<&Node> {
        match &self.target {
            Target::Inline(node) => Some(node),
            Target::Named(name) => builtin::definition(name),
        }
    }

    fn typed(&self) -> Type<'_> {
        match (self.node(), self.map_atomic) {
            (None, _) => Type::Deduced,
            (Some(node), None) => Type::Node(node),
            (Some(node), Some(atomic)) => Type::Overridden(node, atomic),
        }
    }
}

/// A type as typed merges see it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type<'a> {
    /// Unknown: maps are granular, lists atomic.
    Deduced,
    /// Unknown, and replaced as a whole.
    Atomic,
    Node(&'a Node),
    /// With another granularity of maps.
    Overridden(&'a Node, bool),
}

/// Type of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Numeric,
    String,
    Boolean,
    Untyped,
}

/// Type of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListType<'a> {
    pub(crate) list: &'a List,
    pub(crate) items: Type<'a>,
}

/// Type of a map or object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MapType<'a> {
    pub(crate) atomic: bool,
    node: Option<&'a Node>,
    /// Type of fields that are not declared; `None` forbids them.
    values: Option<Type<'a>>,
}

/// The forms that a value of a type can have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Atom<'a> {
    pub(crate) scalar: Option<Scalar>,
    pub(crate) list: Option<ListType<'a>>,
    pub(crate) map: Option<MapType<'a>>,
}

impl<'a> Type<'a> {
    pub(crate) fn atom(self) -> Atom<'a> {
        match self {
            Self::Deduced | Self::Atomic => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(ListType { list: &List::Atomic, items: Self::Atomic }),
                map: Some(MapType {
                    atomic: matches!(self, Self::Atomic),
                    node: None,
                    values: Some(self),
                }),
            },
            Self::Node(node) => node.atom(None),
            Self::Overridden(node, atomic) => node.atom(Some(atomic)),
        }
    }
}

impl Node {
    fn atom(&self, map_atomic: Option<bool>) -> Atom<'_> {
        let scalar = |scalar| Atom { scalar: Some(scalar), ..Atom::default() };
        match self.kind {
            Kind::Any | Kind::IntOrString => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(self.list_type()),
                map: Some(self.map_type(map_atomic)),
            },
            Kind::Object => Atom { map: Some(self.map_type(map_atomic)), ..Atom::default() },
            Kind::Array => Atom { list: Some(self.list_type()), ..Atom::default() },
            Kind::Integer | Kind::Number => scalar(Scalar::Numeric),
            Kind::Boolean => scalar(Scalar::Boolean),
            Kind::Quantity => scalar(Scalar::Untyped),
            Kind::String => match self.format.as_deref() {
                None | Some("" | "byte") => scalar(Scalar::String),
                Some(_) => scalar(Scalar::Untyped),
            },
            Kind::Raw => Type::Atomic.atom(),
        }
    }

    fn list_type(&self) -> ListType<'_> {
        let items = self.items.as_ref().map_or(Type::Atomic, |link| link.typed());
        ListType { list: &self.list, items }
    }

    fn map_type(&self, atomic: Option<bool>) -> MapType<'_> {
        let values = match &self.values {
            Values::Of(link) => Some(link.typed()),
            Values::Anything => Some(Type::Deduced),
            Values::Forbidden => None,
            Values::Undeclared => (self.deduce || self.fields.is_empty()).then_some(Type::Deduced),
        };
        MapType { atomic: atomic.unwrap_or(self.map_atomic), node: Some(self), values }
    }
}

impl<'a> MapType<'a> {
    /// Returns whether the schema names this field.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.node.is_some_and(|node| node.fields.contains_key(name))
    }

    /// Returns the type of a field or value; `None` if there can be none.
    pub(crate) fn field(&self, name: &str) -> Option<Type<'a>> {
        match self.node.and_then(|node| node.fields.get(name)) {
            Some(link) => Some(link.typed()),
            None => self.values,
        }
    }

    /// Returns the default of a declared field.
    pub(crate) fn default(&self, name: &str) -> Option<&'a Value> {
        self.node?.fields.get(name)?.default.as_ref()
    }

    /// Returns whether nothing is declared and anything allowed.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.values, Some(Type::Deduced))
            && self.node.is_none_or(|node| node.fields.is_empty())
    }
}

impl Atom<'_> {
    /// Keeps the one form that the value has. Absent and null values have none of their own.
    pub(crate) fn deduce(self, value: Option<&Value>) -> Self {
        match value {
            Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) if self.scalar.is_some() => {
                Self { scalar: self.scalar, ..Self::default() }
            }
            Some(Value::Array(_)) if self.list.is_some() => {
                Self { list: self.list, ..Self::default() }
            }
            Some(Value::Object(_)) if self.map.is_some() => {
                Self { map: self.map, ..Self::default() }
            }
            _ => self,
        }
    }

    /// Returns whether both are forms of the same kinds, given that they are of one type.
    pub(crate) fn same_forms(&self, other: &Self) -> bool {
        self.scalar.is_some() == other.scalar.is_some()
            && self.list.is_some() == other.list.is_some()
            && self.map.is_some() == other.map.is_some()
    }
}
