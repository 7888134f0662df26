//! Paths that lead to several fields: `spec.containers.[name=a.*].image`, `items.*.name`.
//!
//! Source: `PathMatcher`, kyaml 0.21.1 `yaml/match.go`.

use goyaml::{Dialect, Mapping, Node};
use regex::Regex;

use crate::error::Problem;
use crate::node::{
    Create, check_steps, index, is_bracketed, name_and_value, new_element, set_field,
    split_bracketed_path, wrong_kind,
};

/// A path with its steps taken apart.
#[derive(Debug)]
pub(crate) struct Matcher {
    /// The path as it was given.
    pub text: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    text: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Field,
    Index(usize),
    Every,
    /// The elements whose field matches an expression; without a name, those that match themselves.
    Elements {
        name: String,
        value: String,
        pattern: Regex,
    },
}

/// What is done to a node that a path leads to.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&mut Node) -> Result<(), Problem>;

impl Matcher {
    /// Splits a path at its dots.
    pub(crate) fn new(path: &str) -> Result<Self, Problem> {
        let steps = split_bracketed_path(path, '.');
        check_steps(steps.len())?;
        let steps = steps.into_iter().map(Step::new).collect::<Result<_, _>>()?;
        Ok(Self { text: path.to_owned(), steps })
    }

    /// Visits the nodes that the path leads to. Returns how many there are.
    pub(crate) fn visit(
        &self,
        node: &mut Node,
        create: Option<Create>,
        visit: Visit<'_>,
    ) -> Result<usize, Problem> {
        Walk { create, visit }.follow(node, &self.steps)
    }

    /// Visits the nodes that the path leads to in the YAML or JSON text of a scalar on the way, and
    /// returns the scalar and what its text was changed to. `None` when there is no such scalar, or
    /// the path leads nowhere in it.
    pub(crate) fn visit_inside<'a>(
        &self,
        node: &'a mut Node,
        create: Option<Create>,
        visit: Visit<'_>,
    ) -> Option<(&'a mut goyaml::Scalar, Node)> {
        let mut node = node;
        for (at, step) in self.steps.iter().enumerate() {
            node = crate::node::lookup(node, &[&step.text]).ok()??;
            if node.is_null() {
                return None;
            }
            let rest = &self.steps[at + 1..];
            if let Node::Scalar(scalar) = node {
                if rest.is_empty() {
                    return None;
                }
                let mut inside = parse(&scalar.value)?;
                let found = Walk { create, visit }.follow(&mut inside, rest).ok()?;
                return (found > 0).then_some((scalar, inside));
            }
        }
        None
    }
}

fn parse(text: &str) -> Option<Node> {
    Some(goyaml::parse_first(text, Dialect::Kyaml).ok()??.node)
}

impl Step {
    fn new(text: String) -> Result<Self, Problem> {
        let kind = if let Some(at) = index(&text) {
            Kind::Index(at)
        } else if is_bracketed(&text) {
            let (name, value) = name_and_value(&text)?;
            let pattern = crate::pattern::compile(value)
                .map_err(|_| Problem::rule(format!("{value:?} is no valid regular expression")))?;
            Kind::Elements { name: name.to_owned(), value: value.to_owned(), pattern }
        } else if text == "*" {
            Kind::Every
        } else {
            Kind::Field
        };
        Ok(Self { text, kind })
    }
}

struct Walk<'a> {
    create: Option<Create>,
    visit: Visit<'a>,
}

impl Walk<'_> {
    fn follow(&mut self, node: &mut Node, steps: &[Step]) -> Result<usize, Problem> {
        let Some((step, rest)) = steps.split_first() else {
            (self.visit)(node)?;
            return Ok(1);
        };
        match &step.kind {
            Kind::Field => self.field(node, &step.text, rest),
            Kind::Index(at) => self.index(node, *at, rest),
            Kind::Every => {
                let mut found = 0;
                for item in crate::node::elements(node)? {
                    found += self.follow(item, rest)?;
                }
                Ok(found)
            }
            Kind::Elements { name, value, pattern } => {
                let found = self.elements(node, name, pattern, rest)?;
                if found > 0 || self.create.is_none() {
                    return Ok(found);
                }
                let Node::Sequence(list) = node else { return Ok(0) };
                list.items.push(new_element(name, value));
                match self.elements(node, name, pattern, rest)? {
                    0 => Err(Problem::rule(format!(
                        "an element made for {} would not be found by it",
                        step.text
                    ))),
                    found => Ok(found),
                }
            }
        }
    }

    fn made(&self, rest: &[Step]) -> Option<Node> {
        let next = rest.first().map(|step| step.text.as_str());
        self.create.map(|create| Create::before(next, create).node())
    }

    fn field(&mut self, node: &mut Node, name: &str, rest: &[Step]) -> Result<usize, Problem> {
        let mapping = match node {
            // What would be written to null is lost.
            _ if node.is_null() => return Ok(usize::from(self.create.is_some())),
            Node::Mapping(mapping) if !name.is_empty() => mapping,
            Node::Mapping(_) => return Err(Problem::rule("a step of the path is empty")),
            other => return Err(wrong_kind(Create::Mapping, other)),
        };
        if mapping.get(name).is_none()
            && let Some(made) = self.made(rest)
        {
            set_field(mapping, name, made);
        }
        match mapping.get_mut(name) {
            None => Ok(0),
            Some(Node::Scalar(scalar)) if !rest.is_empty() => {
                // A change in here does not get back into the text.
                let mut inside = parse(&scalar.value)
                    .ok_or_else(|| Problem::rule(format!("the text of {name} is no YAML")))?;
                self.follow(&mut inside, rest)
            }
            Some(field) => self.follow(field, rest),
        }
    }

    fn index(&mut self, node: &mut Node, at: usize, rest: &[Step]) -> Result<usize, Problem> {
        let length = crate::node::elements(node)?.len();
        if length == at
            && let Node::Sequence(list) = node
            && let Some(made) = self.made(rest)
        {
            list.items.push(made);
        }
        match crate::node::elements(node)?.get_mut(at) {
            Some(item) => self.follow(item, rest),
            None => {
                Err(Problem::rule(format!("index {at} specified but only {length} elements found")))
            }
        }
    }

    fn elements(
        &mut self,
        node: &mut Node,
        name: &str,
        pattern: &Regex,
        rest: &[Step],
    ) -> Result<usize, Problem> {
        let mut found = 0;
        for item in crate::node::elements(node)? {
            if name.is_empty() {
                // What is behind such a step is passed over.
                if pattern.is_match(written(item).trim()) {
                    found += self.follow(item, &[])?;
                }
            } else if let Some(field) = item.as_mapping().and_then(|item: &Mapping| item.get(name))
                && pattern.is_match(written(field).trim())
            {
                found += self.follow(item, rest)?;
            }
        }
        Ok(found)
    }
}

/// Returns the YAML text of a node.
fn written(node: &Node) -> String {
    goyaml::node_to_string(node)
}

#[cfg(test)]
mod tests {
    use goyaml::Scalar;

    use super::*;

    fn set(text: &str, path: &str, create: bool) -> Result<(usize, String), String> {
        let mut node = parse(text).unwrap();
        let create = create.then_some(Create::Scalar);
        let matcher = Matcher::new(path).map_err(|error| error.to_string())?;
        let visit: Visit<'_> = &mut |node| {
            *node = Scalar::plain("x").into();
            Ok(())
        };
        let found = matcher.visit(&mut node, create, visit).map_err(|error| error.to_string())?;
        Ok((found, written(&node)))
    }

    #[test]
    fn finds_fields_and_elements() {
        let text = "a:\n- n: one\n  v: 1\n- n: two\n";
        for (path, found, result) in [
            ("a.[n=one].v", 1, "a:\n- n: one\n  v: x\n- n: two\n"),
            ("a.[n=.*].n", 2, "a:\n- n: x\n  v: 1\n- n: x\n"),
            ("a.[n=t].n", 1, "a:\n- n: one\n  v: 1\n- n: x\n"),
            ("a.*.v", 1, "a:\n- n: one\n  v: x\n- n: two\n"),
            ("a.1.n", 1, "a:\n- n: one\n  v: 1\n- n: x\n"),
            ("a.*.w", 0, text),
            ("b", 0, text),
        ] {
            assert_eq!(set(text, path, false), Ok((found, result.to_owned())), "{path}");
        }
        assert!(set(text, "a.2.n", false).is_err());
        assert!(set(text, "a.n", false).is_err());
        assert!(set(text, "a.[n].v", false).is_err());
    }

    #[test]
    fn makes_what_is_missing() {
        for (text, path, result) in [
            ("a: {}\n", "a.b.c", "a: {b: {c: x}}\n"),
            ("a: []\n", "a.0.c", "a: [{c: x}]\n"),
            ("a:\n- b\n", "a.[n=c].v", "a:\n- b\n- n: c\n  v: x\n"),
            ("a:\n- b\n", "a.[=c]", "a:\n- b\n- x\n"),
        ] {
            assert_eq!(set(text, path, true), Ok((1, result.to_owned())), "{path}");
        }
        assert!(set("a: []\n", "a.[n=^x*y$].v", true).is_err());
        assert!(set("a: []\n", "a.1.c", true).is_err());
    }

    #[test]
    fn goes_into_text() {
        let mut node = parse("a:\n  b: '{\"c\": [1]}'\n").unwrap();
        let matcher = Matcher::new("a.b.c.0").unwrap();
        let visit: Visit<'_> = &mut |node| crate::node::set_scalar(node, Scalar::plain("2"));
        let (scalar, inside) = matcher.visit_inside(&mut node, None, visit).unwrap();
        assert_eq!(scalar.value, "{\"c\": [1]}");
        assert_eq!(written(&inside), "{\"c\": [2]}\n");
        let visit: Visit<'_> = &mut |_| Ok(());
        assert!(Matcher::new("a.b").unwrap().visit_inside(&mut node, None, visit).is_none());
    }
}
