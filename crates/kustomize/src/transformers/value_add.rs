//! The ValueAddTransformer, which only `transformers` can ask for.
//!
//! Source: `valueadd.Filter`, kustomize api 0.21.1 `filters/valueadd/valueadd.go`.

use goyaml::{Node, Scalar};

use crate::accumulate::Scope;
use crate::decode::decode;
use crate::error::Problem;
use crate::kustomization::Selector;
use crate::node::{Create, lookup_create, set_scalar, split_path, wrong_kind};
use crate::resources::Resources;
use crate::selector::Matcher;

/// What is added, and where.
#[derive(Debug)]
pub(crate) struct ValueAdd {
    value: String,
    targets: Vec<(Option<Matcher>, Target)>,
}

/// A field of some objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Target {
    selector: Option<Selector>,
    field_path: String,
    file_path_position: i64,
}

decode!(Target {
    "selector" => selector: Option<Selector>,
    "fieldPath" => field_path: String,
    "filePathPosition" => file_path_position: i64,
});

impl ValueAdd {
    pub(crate) fn new(value: String, targets: Vec<Target>) -> Result<Self, Problem> {
        if targets.is_empty() {
            return Err(Problem::rule("give at least one target"));
        }
        let check = |target: Target| {
            if target.field_path.is_empty() {
                return Err(Problem::rule("fieldPath of a target cannot be empty"));
            }
            if target.file_path_position < 0 {
                return Err(Problem::rule("filePathPosition of a target cannot be negative"));
            }
            let matcher = target.selector.as_ref().map(Matcher::new).transpose()?;
            Ok((matcher, target))
        };
        let targets = targets.into_iter().map(check).collect::<Result<_, _>>()?;
        Ok(Self { value, targets })
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        for (matcher, target) in &self.targets {
            for item in all.items_mut() {
                if matcher.as_ref().is_some_and(|matcher| !matcher.selects(item)) {
                    continue;
                }
                scope.spend(self.value.len())?;
                let changed = if target.field_path == "metadata/namespace" {
                    super::namespace::Namespace::set_one(&self.value, item)
                } else {
                    self.set(&mut item.node, target)
                };
                changed.map_err(|problem| item.blame(problem))?;
                item.settle();
            }
        }
        Ok(())
    }

    fn set(&self, object: &mut Node, target: &Target) -> Result<(), Problem> {
        let part = || format!("field {}", target.field_path);
        // A leading slash is an empty step, which is passed over.
        let steps = split_path(&target.field_path, '/');
        let field = lookup_create(object, &steps, Create::Scalar)
            .map_err(|problem| problem.in_part(part()))?;
        let Some(field) = field else { return Ok(()) };
        if !field.is_null() && !matches!(field, Node::Scalar(_)) {
            return Err(wrong_kind(Create::Scalar, field).in_part(part()));
        }
        let value = match usize::try_from(target.file_path_position) {
            Ok(position @ 1..) => insert_part(field.text(), position - 1, &self.value),
            _ => self.value.clone(),
        };
        set_scalar(field, Scalar::plain(value))
    }
}

/// Inserts a part into a path at a position; a leading slash stays in front.
fn insert_part(path: &str, position: usize, part: &str) -> String {
    let (slash, relative) = match path.strip_prefix('/') {
        Some(relative) => ("/", relative),
        None => ("", path),
    };
    let mut parts: Vec<&str> = relative.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{slash}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_parts_of_paths() {
        for (path, position, expected) in [
            ("", 0, "x"),
            ("/", 0, "/x"),
            ("pie", 0, "x/pie"),
            ("/pie", 0, "/x/pie"),
            ("raw", 1, "raw/x"),
            ("/a/b/c", 2, "/a/b/x/c"),
            ("a/b", 9, "a/b/x"),
        ] {
            assert_eq!(insert_part(path, position, "x"), expected, "{path}");
        }
    }
}
