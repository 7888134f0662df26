//! Reading and writing fields of nodes, the way kyaml does it.
//!
//! Source: `fns.go`, kyaml 0.21.1.

use std::collections::HashSet;

use goyaml::{Dialect, Mapping, Node, Scalar, Sequence, Style, Tag};

use crate::error::Problem;

/// What is made where a field is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Scalar,
    Sequence,
    Mapping,
}

impl Create {
    /// Returns a new node, which is nothing yet.
    pub(crate) fn node(self) -> Node {
        match self {
            Self::Scalar => Scalar::default().into(),
            Self::Sequence => Sequence::default().into(),
            Self::Mapping => Mapping::default().into(),
        }
    }

    /// Returns the kind of node that a value is.
    pub(crate) fn of(node: &Node) -> Self {
        match node {
            Node::Scalar(_) => Self::Scalar,
            Node::Sequence(_) => Self::Sequence,
            Node::Mapping(_) => Self::Mapping,
        }
    }

    /// Returns what a field has to be for the next step of a path to exist in it.
    pub(crate) fn before(next: Option<&str>, last: Self) -> Self {
        match next {
            None | Some("") => last,
            Some(next) if is_bracketed(next) || index(next).is_some() => Self::Sequence,
            Some(_) => Self::Mapping,
        }
    }
}

/// Returns what a node is, for people.
pub(crate) fn shape(node: &Node) -> &'static str {
    match node {
        Node::Scalar(scalar) if scalar.tag == Tag::Null => "nothing",
        Node::Scalar(_) => "a single value",
        Node::Sequence(_) => "a list",
        Node::Mapping(_) => "a mapping",
    }
}

pub(crate) fn wrong_kind(expected: Create, found: &Node) -> Problem {
    let expected = match expected {
        Create::Scalar => "a single value",
        Create::Sequence => "a list",
        Create::Mapping => "a mapping",
    };
    Problem::rule(format!("expected {expected}, found {}", shape(found)))
}

/// Returns a field of a mapping; null has none, and other nodes are an error.
pub(crate) fn get<'a>(node: &'a Node, name: &str) -> Result<Option<&'a Node>, Problem> {
    match node {
        _ if node.is_null() => Ok(None),
        Node::Mapping(mapping) => Ok(mapping.get(name)),
        other => Err(wrong_kind(Create::Mapping, other)),
    }
}

/// Sets a field, or adds it behind the others; null removes it. What is there keeps its quotes.
pub(crate) fn set_field(mapping: &mut Mapping, name: &str, value: impl Into<Node>) {
    set_field_styled(mapping, name, value.into(), Style::Plain);
}

/// Sets a field; a key that has to be added is quoted as given.
pub(crate) fn set_field_styled(
    mapping: &mut Mapping,
    name: &str,
    mut value: Node,
    key_style: Style,
) {
    if value.is_null() {
        mapping.remove(name);
        return;
    }
    quote_ambiguous(&mut value);
    match mapping.get_mut(name) {
        Some(field) => replace(field, value),
        None => mapping.entries.push((Scalar { style: key_style, ..Scalar::plain(name) }, value)),
    }
}

/// Puts a value in the place of a field, in the style of the field.
pub(crate) fn replace(field: &mut Node, mut value: Node) {
    match (&mut value, &*field) {
        (Node::Scalar(value), Node::Scalar(field)) => {
            value.style = field.style;
            value.tagged = field.tagged && value.tag != Tag::Unset;
            value.identity = field.identity;
        }
        (Node::Scalar(value), _) => {
            value.style = Style::Plain;
            value.tagged = false;
            value.identity = 0;
        }
        (Node::Sequence(value), field) => value.flow = is_flow(field),
        (Node::Mapping(value), field) => value.flow = is_flow(field),
    }
    *field = value;
}

fn is_flow(node: &Node) -> bool {
    match node {
        Node::Scalar(_) => false,
        Node::Sequence(sequence) => sequence.flow,
        Node::Mapping(mapping) => mapping.flow,
    }
}

/// Sets a scalar, in the style of the one that is there.
pub(crate) fn set_scalar(node: &mut Node, value: Scalar) -> Result<(), Problem> {
    if !node.is_null() && !matches!(node, Node::Scalar(_)) {
        return Err(wrong_kind(Create::Scalar, node));
    }
    if value.tag != Tag::Null {
        replace(node, value.into());
    }
    Ok(())
}

/// Quotes text that YAML 1.1 would read as something else.
pub(crate) fn quote_ambiguous(node: &mut Node) {
    if let Node::Scalar(scalar) = node
        && scalar.is_string()
        && scalar.style == Style::Plain
        && is_no_text(&scalar.value)
    {
        scalar.style = Style::DoubleQuoted;
    }
}

/// Says whether YAML 1.1 reads text without quotes as anything but text.
///
/// Source: `IsValueNonString`, kyaml 0.21.1 `compatibility.go`.
fn is_no_text(text: &str) -> bool {
    if text.is_empty() || text.contains('\n') {
        return false;
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if text.bytes().all(is_word) && !text.starts_with(['-', '.']) {
        return goyaml::scalar_to_value(&Scalar::plain(text), Dialect::Sigs)
            .is_ok_and(|value| !value.is_string());
    }
    match goyaml::parse_values(text, Dialect::Sigs) {
        Ok(values) => values.first().is_none_or(|value| !value.is_string()),
        Err(_) => false,
    }
}

/// Says whether a step of a path is `[name=value]`.
pub(crate) fn is_bracketed(step: &str) -> bool {
    step.starts_with('[') && step.ends_with(']')
}

/// Returns the number that a step of a path is.
pub(crate) fn index(step: &str) -> Option<usize> {
    step.strip_prefix('+').unwrap_or(step).parse().ok()
}

/// Splits `[name=value]`.
pub(crate) fn name_and_value(step: &str) -> Result<(&str, &str), Problem> {
    let inside = step.strip_suffix(']').unwrap_or(step);
    let inside = inside.strip_prefix('[').unwrap_or(inside);
    inside.split_once('=').ok_or_else(|| {
        Problem::rule(format!("step {step} of a path has to be [name=value], or [=value]"))
    })
}

/// How many steps a path may have.
const MAX_STEPS: usize = 128;

/// Makes sure that a path does not lead too deep.
pub(crate) fn check_steps(steps: usize) -> Result<(), Problem> {
    if steps <= MAX_STEPS {
        return Ok(());
    }
    Err(Problem::rule(format!("a path has {steps} steps, more than {MAX_STEPS}")))
}

/// Splits a path at a delimiter that has no `\` before it.
pub(crate) fn split_path(path: &str, delimiter: char) -> Vec<String> {
    let path = match path.strip_prefix(delimiter) {
        Some(rest) => rest,
        None => path,
    };
    let mut steps: Vec<String> = Vec::new();
    for part in path.split(delimiter) {
        match steps.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            _ => steps.push(part.to_owned()),
        }
    }
    steps
}

/// Splits a path whose steps in brackets may hold the delimiter: `a.[b.c].[d=e.f]`.
pub(crate) fn split_bracketed_path(path: &str, delimiter: char) -> Vec<String> {
    let mut steps = Vec::new();
    let mut parts = split_path(path, delimiter).into_iter();
    while let Some(mut step) = parts.next() {
        if step.starts_with('[') && !step.ends_with(']') {
            for part in parts.by_ref() {
                step.push(delimiter);
                step.push_str(&part);
                if part.ends_with(']') {
                    break;
                }
            }
            if !step.contains('=') {
                step = step.trim_matches(['[', ']']).into();
            }
        }
        steps.push(step);
    }
    steps
}

/// Follows a path: names of fields, indexes, `-` for the last element, `[name=value]`.
pub(crate) fn lookup<'a>(
    node: &'a mut Node,
    path: &[impl AsRef<str>],
) -> Result<Option<&'a mut Node>, Problem> {
    walk(node, path, None)
}

/// Follows a path and makes what is missing; the last field becomes a node of a kind.
pub(crate) fn lookup_create<'a>(
    node: &'a mut Node,
    path: &[impl AsRef<str>],
    create: Create,
) -> Result<Option<&'a mut Node>, Problem> {
    walk(node, path, Some(create))
}

fn walk<'a>(
    node: &'a mut Node,
    path: &[impl AsRef<str>],
    create: Option<Create>,
) -> Result<Option<&'a mut Node>, Problem> {
    check_steps(path.len())?;
    let steps: Vec<&str> =
        path.iter().map(|step| step.as_ref().trim()).filter(|step| !step.is_empty()).collect();
    let mut node = node;
    for (at, step) in steps.iter().enumerate() {
        let kind = create.map(|last| Create::before(steps.get(at + 1).copied(), last));
        match self::step(node, step, kind)? {
            Some(next) => node = next,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

fn step<'a>(
    node: &'a mut Node,
    step: &str,
    create: Option<Create>,
) -> Result<Option<&'a mut Node>, Problem> {
    if let Ok(number) = step.strip_prefix('+').unwrap_or(step).parse::<i64>() {
        let at = usize::try_from(number)
            .map_err(|_| Problem::rule(format!("index {step} of a list cannot be negative")))?;
        return Ok(elements(node)?.get_mut(at));
    }
    match step {
        "-" => Ok(elements(node)?.last_mut()),
        "*" => Err(Problem::rule("a wildcard (*) cannot stand here")),
        _ if is_bracketed(step) => element(node, step, create.is_some()),
        _ if node.is_null() => Ok(None),
        _ => match node {
            Node::Mapping(mapping) => {
                let at = match (mapping.position(step), create) {
                    (Some(at), _) => at,
                    (None, None) => return Ok(None),
                    (None, Some(create)) => {
                        mapping.push(step, create.node());
                        mapping.entries.len() - 1
                    }
                };
                Ok(Some(&mut mapping.entries[at].1))
            }
            other => Err(wrong_kind(Create::Mapping, other)),
        },
    }
}

/// Lends the elements of a list; null has none.
pub(crate) fn elements(node: &mut Node) -> Result<&mut [Node], Problem> {
    match node {
        _ if node.is_null() => Ok(&mut []),
        Node::Sequence(sequence) => Ok(&mut sequence.items),
        other => Err(wrong_kind(Create::Sequence, other)),
    }
}

/// Finds the element that `[name=value]` or `[=value]` asks for.
fn element<'a>(
    node: &'a mut Node,
    step: &str,
    create: bool,
) -> Result<Option<&'a mut Node>, Problem> {
    let (name, value) = name_and_value(step)?;
    let items = match node {
        _ if node.is_null() => return Ok(None),
        Node::Sequence(sequence) => &mut sequence.items,
        other => return Err(wrong_kind(Create::Sequence, other)),
    };
    let matches = |item: &Node| match (name, item) {
        ("", Node::Scalar(scalar)) => scalar.value == value,
        (name, Node::Mapping(mapping)) => {
            mapping.get(name).is_some_and(|field| field.text() == value)
        }
        _ => false,
    };
    let at = match items.iter().position(matches) {
        Some(at) => at,
        None if create => {
            items.push(new_element(name, value));
            items.len() - 1
        }
        None => return Ok(None),
    };
    Ok(items.get_mut(at))
}

/// Returns the element that `[name=value]` or `[=value]` would find.
pub(crate) fn new_element(name: &str, value: &str) -> Node {
    if name.is_empty() {
        return Scalar::plain(value).into();
    }
    let mut mapping = Mapping::new();
    mapping.push(name, Scalar::plain(value));
    mapping.into()
}

/// Removes which scalars are one, for a copy that goes elsewhere.
pub(crate) fn part(node: &mut Node) {
    match node {
        Node::Scalar(scalar) => scalar.identity = 0,
        Node::Sequence(sequence) => sequence.items.iter_mut().for_each(part),
        Node::Mapping(mapping) => mapping.entries.iter_mut().for_each(|(_, value)| part(value)),
    }
}

/// Removes keys that stand again later in the same mapping, as readers do that are not strict.
pub(crate) fn keep_last(node: &mut Node) {
    match node {
        Node::Scalar(_) => {}
        Node::Sequence(sequence) => sequence.items.iter_mut().for_each(keep_last),
        Node::Mapping(mapping) => {
            let mut known = HashSet::new();
            let later: Vec<bool> =
                mapping.entries.iter().rev().map(|(key, _)| !known.insert(&*key.value)).collect();
            let mut later = later.into_iter().rev();
            mapping.entries.retain(|_| !later.next().unwrap_or_default());
            mapping.entries.iter_mut().for_each(|(_, value)| keep_last(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        goyaml::parse_first(text, Dialect::Kyaml).unwrap().unwrap().node
    }

    #[test]
    fn splits_paths() {
        assert_eq!(split_path("a/b\\/c/d", '/'), ["a", "b/c", "d"]);
        assert_eq!(split_path("/a", '/'), ["a"]);
        assert_eq!(
            split_bracketed_path("a.[b.c].[d=e.f].g\\.h", '.'),
            ["a", "b.c", "[d=e.f]", "g.h"]
        );
    }

    #[test]
    fn keeps_the_last_of_equal_keys() {
        let mut node = node("a: 1\nb: {c: 1, c: 2}\na: 3\n");
        keep_last(&mut node);
        assert_eq!(goyaml::node_to_string(&node), "b: {c: 2}\na: 3\n");
    }

    #[test]
    fn follows_and_makes_paths() {
        let mut object = node("a: [{n: x, v: 1}, {n: y}]\n");
        let found = lookup(&mut object, &["a", "[n=x]", "v"]).unwrap().unwrap();
        assert_eq!(found.text(), "1");
        assert!(lookup(&mut object, &["a", "[n=z]"]).unwrap().is_none());
        assert!(lookup(&mut object, &["a", "n"]).is_err());
        let made =
            lookup_create(&mut object, &["a", "[n=z]", "v"], Create::Scalar).unwrap().unwrap();
        set_scalar(made, Scalar::plain("2")).unwrap();
        assert_eq!(lookup(&mut object, &["a", "-", "v"]).unwrap().unwrap().text(), "2");
    }

    #[test]
    fn what_is_set_keeps_the_quotes_that_are_there() {
        let mut object = node("a: \"x\"\nb: y\n");
        let mapping = object.as_mapping_mut().unwrap();
        set_field(mapping, "a", Scalar::tagged("5", Tag::Int));
        set_field(mapping, "b", Scalar::plain("5"));
        set_field(mapping, "c", Scalar::plain("5"));
        let value = goyaml::to_value(&object, Dialect::Kyaml).unwrap();
        assert_eq!(value, serde_json::json!({ "a": "5", "b": 5, "c": "5" }));
    }

    #[test]
    fn knows_what_yaml_1_1_takes_for_text() {
        for (text, no_text) in [
            ("abc", false),
            ("yes", true),
            ("1", true),
            ("1.2.3", false),
            ("", false),
            ("a: b", true),
            ("[a]", true),
            ("[a", false),
            ("# a", true),
            ("- a", true),
            ("a b", false),
        ] {
            assert_eq!(is_no_text(text), no_text, "{text}");
        }
    }
}
