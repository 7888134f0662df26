//! Structured merge and diff: what the Kubernetes API server does with the content of objects.
//!
//! A [`Schema`] comes from a CustomResourceDefinition or from the table of built-in kinds. With it,
//! the functions here merge and compare objects as typed values, keep account of who manages which
//! field, apply patches, validate, fill in defaults and prune. Everything is a function of its
//! arguments: time is passed in, nothing is read, stored or sent.
//!
//! | module | what it does |
//! |---|---|
//! | [`schema`] | the shape of a kind's objects |
//! | [`fields`] | sets of fields and their `fieldsV1` form |
//! | [`typed`] | merge, compare, field set of an object |
//! | [`managed`] | server-side apply, update tracking, `metadata.managedFields` |
//! | [`strategic`], [`json_merge`] | the patches of those names |
//! | [`validate`] | errors in the words of the API server |
//! | [`prune`], [`defaults`] | what the server drops and what it fills in |
//!
//! What needs storage or other objects (uniqueness, immutability, references) stays in the server.

pub mod defaults;
pub mod fields;
pub mod json_merge;
pub mod managed;
pub mod path;
pub mod prune;
mod quantity;
pub mod schema;
pub mod strategic;
pub mod typed;
pub mod validate;
pub mod value;

pub use fields::FieldSet;
pub use path::{Path, PathElement};
pub use schema::Schema;
