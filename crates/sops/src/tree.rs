//! Documents of any format as trees.

/// A document: a map, with comments between its keys.
pub(crate) type Branch = Vec<Item>;

/// A key and its value, or a comment.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) value: Value,
}

/// What stands where a key does.
#[derive(Clone)]
pub(crate) enum Key {
    Text(String),
    Comment(Comment),
}

/// A comment without the characters that make it one.
#[derive(Clone)]
pub(crate) struct Comment {
    pub(crate) text: Vec<u8>,
    /// Whether it is on the line of the value that follows.
    pub(crate) inline: bool,
}

/// A value. It may be secret, so it has no `Debug`.
#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Text, or the content of a file, which may be anything.
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    /// A time as RFC 3339 has it.
    Time(String),
    Comment(Comment),
    List(Vec<Value>),
    Branch(Branch),
}

impl Item {
    pub(crate) fn new(key: impl Into<String>, value: Value) -> Self {
        Self { key: Key::Text(key.into()), value }
    }

    pub(crate) fn comment(text: impl Into<Vec<u8>>, inline: bool) -> Self {
        let comment = Comment { text: text.into(), inline };
        Self { key: Key::Comment(comment), value: Value::Null }
    }
}

impl Value {
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    /// Returns the name that Go has for the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::Time(_) => "time.Time",
            Self::Comment(_) => "sops.Comment",
            Self::List(_) => "[]interface {}",
            Self::Branch(_) => "sops.TreeBranch",
        }
    }
}
