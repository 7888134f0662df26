//! `vars`: `$(NAME)` in the fields that may have it.
//!
//! Source: `refvar`, kustomize api 0.21.1 `filters/refvar`; `VarSet`, `types/var.go`.

use std::collections::BTreeMap;

use goyaml::{Dialect, Mapping, Node, Scalar, Style, Tag, Value};

use crate::budget::Budget;
use crate::error::Problem;
use crate::field_spec::Paths;
use crate::id::{Gvk, Id};
use crate::kustomization::{FieldSpec, Var};
use crate::node::{lookup, split_bracketed_path, wrong_kind};
use crate::resources::Resources;

/// The vars of a kustomization and of those it builds on, by name.
#[derive(Debug, Default)]
pub(crate) struct Vars {
    vars: BTreeMap<String, Var>,
}

impl Vars {
    /// Adds the vars of a kustomization, and marks the objects that they are taken from.
    pub(crate) fn add(&mut self, vars: &[Var], all: &mut Resources) -> Result<(), Problem> {
        for (at, var) in vars.iter().enumerate() {
            mark(var, all).map_err(|problem| problem.in_part(format!("vars[{at}]")))?;
        }
        vars.iter().try_for_each(|var| self.insert(var.clone()))
    }

    /// Adds the vars of another kustomization.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Problem> {
        other.vars.into_values().try_for_each(|var| self.insert(var))
    }

    fn insert(&mut self, var: Var) -> Result<(), Problem> {
        if self.vars.contains_key(&var.name) {
            return Err(Problem::rule(format!(
                "var '{}' already encountered; a name can be used once in all kustomizations",
                var.name
            )));
        }
        self.vars.insert(var.name.clone(), var);
        Ok(())
    }

    /// Puts the values of the vars in where they are referred to.
    pub(crate) fn resolve(
        &self,
        all: &mut Resources,
        specs: &[FieldSpec],
        budget: &Budget,
    ) -> Result<(), Problem> {
        if self.vars.is_empty() {
            return Ok(());
        }
        let mut values = BTreeMap::new();
        for var in self.vars.values() {
            values.insert(var.name.as_str(), value_of(var, all)?);
        }
        let paths = Paths::new(specs, None);
        for item in all.items_mut() {
            for path in paths.of(item) {
                path.change(&mut item.node, &mut |node| set(node, &values, budget))
                    .map_err(|problem| item.blame(problem))?;
            }
            item.settle();
        }
        Ok(())
    }
}

/// Marks the object that a var is taken from.
fn mark(var: &Var, all: &mut Resources) -> Result<(), Problem> {
    let object = &var.objref;
    let (group, version) = match object.api_version.split('/').collect::<Vec<_>>().as_slice() {
        [group, version] => (*group, *version),
        [version] if !version.is_empty() => (object.group.as_str(), *version),
        _ => (object.group.as_str(), object.version.as_str()),
    };
    let gvk = Gvk { group, version, kind: &object.kind };
    // What the kind says of the scope is not known to the id that kustomize makes of the var.
    let wanted =
        Id { gvk, name: &object.name, namespace: &object.namespace, cluster_scoped: false };
    let any_namespace = object.namespace.is_empty();
    let found: Vec<usize> = (0..all.len())
        .filter(|&at| {
            all.get(at).all_ids().any(|id| {
                id.gvk == gvk && id.name == object.name && (any_namespace || id == wanted)
            })
        })
        .collect();
    match found.as_slice() {
        [] => Ok(()),
        [at] => {
            all.bodies_mut()[*at].vars.push(var.name.clone());
            Ok(())
        }
        several => {
            let list: Vec<_> = several.iter().map(|&at| all.get(at).describe()).collect();
            Err(Problem::rule(format!(
                "found {} objects for var {} (unable to disambiguate): {}",
                several.len(),
                var.name,
                list.join(", ")
            )))
        }
    }
}

/// Returns the value that a var stands for.
fn value_of(var: &Var, all: &mut Resources) -> Result<Value, Problem> {
    let found = all.bodies_mut().iter_mut().find(|item| item.vars.contains(&var.name));
    let Some(item) = found else {
        let object = &var.objref;
        return Err(Problem::rule(format!(
            "var '{}' cannot be mapped to a field in the set of known resources: there is no {} {:?}",
            var.name, object.kind, object.name
        )));
    };
    let path = match var.fieldref.field_path.as_str() {
        "" => "metadata.name",
        path => path,
    };
    let missing = || {
        Problem::rule(format!(
            "field {path} of var '{}' not found in corresponding resource",
            var.name
        ))
    };
    let steps = split_indexes(split_bracketed_path(path, '.'));
    let field = lookup(&mut item.node, &steps).map_err(|_| missing())?.ok_or_else(missing)?;
    let Node::Scalar(scalar) = field else {
        return goyaml::to_value(field, Dialect::Kyaml).map_err(|_| missing());
    };
    let text = || Value::String(scalar.value.clone());
    Ok(match scalar.tag {
        Tag::Int => scalar.value.parse::<i64>().map(Value::from).map_err(|_| missing())?,
        Tag::Float => scalar.value.parse::<f64>().map(Value::from).map_err(|_| missing())?,
        Tag::Bool => match scalar.value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
            _ => return Err(missing()),
        },
        _ => text(),
    })
}

/// Makes two steps of `name[2]`.
fn split_indexes(steps: Vec<String>) -> Vec<String> {
    let mut split = Vec::with_capacity(steps.len());
    for step in steps {
        let indexed = step.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
        match indexed {
            Some((name, index))
                if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                if !name.is_empty() {
                    split.push(name.to_owned());
                }
                split.push(index.to_owned());
            }
            _ => split.push(step),
        }
    }
    split
}

type Values<'a> = BTreeMap<&'a str, Value>;

fn set(node: &mut Node, values: &Values<'_>, budget: &Budget) -> Result<(), Problem> {
    match node {
        _ if node.is_null() => Ok(()),
        Node::Scalar(scalar) => {
            if scalar.is_string() {
                replace(scalar, values, budget)?;
            }
            Ok(())
        }
        Node::Mapping(mapping) => set_entries(mapping, values, budget),
        Node::Sequence(list) => list.items.iter_mut().try_for_each(|item| match item {
            Node::Scalar(scalar) if scalar.is_string() => replace(scalar, values, budget),
            other => Err(Problem::rule(format!("expected text in a list, found {}", shown(other)))),
        }),
    }
}

fn set_entries(mapping: &mut Mapping, values: &Values<'_>, budget: &Budget) -> Result<(), Problem> {
    for (key, value) in &mut mapping.entries {
        if !key.is_string() {
            return Err(Problem::rule(format!("invalid map key {:?}: it is no text", key.value)));
        }
        if let Node::Scalar(scalar) = value
            && scalar.is_string()
        {
            replace(scalar, values, budget)?;
        }
    }
    Ok(())
}

fn shown(node: &Node) -> String {
    match node {
        Node::Scalar(scalar) => scalar.value.clone(),
        other => wrong_kind(crate::node::Create::Scalar, other).to_string(),
    }
}

/// Replaces the references in a scalar. A reference alone takes the type of its value.
fn replace(scalar: &mut Scalar, values: &Values<'_>, budget: &Budget) -> Result<(), Problem> {
    let value = expand(&scalar.value, values, budget)?;
    let (text, tag) = match value {
        Value::Bool(value) => (value.to_string(), Tag::Bool),
        Value::Number(number) if number.is_f64() => {
            (number.as_f64().map_or_else(String::new, |float| format!("{float}")), Tag::Float)
        }
        Value::Number(number) => (number.to_string(), Tag::Int),
        Value::String(text) => (text, Tag::Str),
        other => (other.to_string(), Tag::Str),
    };
    scalar.value = text;
    scalar.tag = tag;
    scalar.tagged = false;
    scalar.style = Style::Plain;
    Ok(())
}

/// Expands `$(NAME)`; `$$` stands for `$`, and what is not known is left alone.
fn expand(input: &str, values: &Values<'_>, budget: &Budget) -> Result<Value, Problem> {
    let mut text = String::new();
    let mut rest = input;
    while let Some(at) = rest.find('$').filter(|at| at + 1 < rest.len()) {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let first = after.chars().next().unwrap_or('$');
        rest = match first {
            '$' => {
                text.push('$');
                &after[1..]
            }
            '(' => {
                if let Some(end) = after.find(')') {
                    let name = &after[1..end];
                    let value =
                        values.get(name).filter(|value| !value.is_object() && !value.is_array());
                    match value {
                        Some(value) if input.len() == name.len() + "$()".len() => {
                            return Ok(value.clone());
                        }
                        Some(value) => {
                            let printed = printed(value);
                            budget.spend(printed.len())?;
                            text.push_str(&printed);
                        }
                        None => text.extend(["$(", name, ")"]),
                    }
                    &after[end + 1..]
                } else {
                    text.push_str("$(");
                    &after[1..]
                }
            }
            other => {
                text.push('$');
                text.push(other);
                &after[other.len_utf8()..]
            }
        };
    }
    text.push_str(rest);
    Ok(Value::String(text))
}

/// Returns a value as Go prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expands_references() {
        let values: Values<'_> =
            [("A", json!("a")), ("N", json!(5)), ("B", json!(true)), ("M", json!({}))].into();
        for (input, expected) in [
            ("$(A)", json!("a")),
            ("$(N)", json!(5)),
            ("$(B)", json!(true)),
            ("x$(A)-$(N)", json!("xa-5")),
            ("$$(A)", json!("$(A)")),
            ("$(X) $(A", json!("$(X) $(A")),
            ("$(M)", json!("$(M)")),
            ("a$", json!("a$")),
            ("$é$(A)", json!("$éa")),
            ("$($($(", json!("$($($(")),
        ] {
            let budget = Budget::default();
            assert_eq!(expand(input, &values, &budget).unwrap(), expected, "{input}");
        }
    }

    #[test]
    fn splits_indexes_off() {
        let steps = ["a[0]", "b", "[1]", "c[x=y]"].map(str::to_owned).to_vec();
        assert_eq!(split_indexes(steps), ["a", "0", "b", "1", "c[x=y]"]);
    }
}
