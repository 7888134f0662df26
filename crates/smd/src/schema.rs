//! The shape of a kind's objects: from the schema of a CustomResourceDefinition, or built in.

mod builtin;
mod document;
mod node;
mod openapi;
mod structural;

use std::sync::Arc;

use serde_json::Value;

use crate::validate::FieldError;

#[cfg(test)]
pub(crate) use builtin::definition;
pub use builtin::{ORIGIN, document, kinds};
pub(crate) use node::{
    Atom, Checks, Kind, Link, List, ListType, MapType, Node, Scalar, Target, Type, Values,
};

/// Shape of the objects of one version of one kind. Clones share their content.
#[derive(Debug, Clone)]
pub struct Schema(Root);

#[derive(Debug, Clone)]
enum Root {
    Untyped,
    Custom(Arc<Node>),
    Builtin(&'static Node),
}

impl Schema {
    /// Returns the schema of objects of which nothing is known: maps are granular and lists atomic,
    /// nothing is pruned, defaulted or refused.
    pub fn untyped() -> Self {
        Self(Root::Untyped)
    }

    /// Returns the schema of a built-in kind, such as `("apps", "v1", "Deployment")`.
    ///
    /// The definition is read on first use and kept.
    pub fn builtin(group: &str, version: &str, kind: &str) -> Option<Self> {
        builtin::kind(group, version, kind).map(|node| Self(Root::Builtin(node)))
    }

    /// Returns the schema of a version of a CustomResourceDefinition: its `openAPIV3Schema`, to
    /// which `apiVersion`, `kind` and `metadata` are added.
    ///
    /// # Errors
    ///
    /// What keeps the schema from being structural, with paths relative to it.
    pub fn custom(openapi: &Value) -> Result<Self, Vec<FieldError>> {
        let problems = structural::problems(openapi);
        if problems.is_empty() { Ok(Self::custom_unchecked(openapi)) } else { Err(problems) }
    }

    /// Returns the schema of a definition that was checked when it was stored. What is malformed in
    /// it is left out.
    pub fn custom_unchecked(openapi: &Value) -> Self {
        Self(Root::Custom(Arc::new(openapi::root(openapi))))
    }

    /// Returns the schema of a part of an object, without metadata.
    fn part(openapi: &Value) -> Self {
        Self(Root::Custom(Arc::new(openapi::part(openapi))))
    }

    /// Returns whether this is the schema of a built-in kind.
    pub fn is_builtin(&self) -> bool {
        matches!(self.0, Root::Builtin(_))
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        match &self.0 {
            Root::Untyped => None,
            Root::Custom(node) => Some(node),
            Root::Builtin(node) => Some(node),
        }
    }

    pub(crate) fn root(&self) -> Type<'_> {
        self.node().map_or(Type::Deduced, Type::Node)
    }
}
