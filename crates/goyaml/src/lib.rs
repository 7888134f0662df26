//! YAML as the Go tools of the Kubernetes world read and write it.
//!
//! Two readers differ in how they take plain scalars: sigs.k8s.io/yaml, which `kubectl` and the
//! controllers use, knows the booleans of YAML 1.1 (`yes`, `on`); kyaml, which kustomize uses, does
//! not, and turns timestamps into RFC 3339. [`Dialect`] chooses. The writer is that of
//! sigs.k8s.io/yaml: keys sorted, lists not indented, strings quoted where they would be read as
//! something else.
//!
//! ```
//! let documents = goyaml::parse_documents("a: yes\nb: 0777\n").unwrap();
//! assert_eq!(documents, [serde_json::json!({ "a": true, "b": 511 })]);
//! assert_eq!(goyaml::to_string(&documents[0]), "a: true\nb: 511\n");
//! ```
//!
//! A text goes through `scan` into tokens, through `parse` into a [`Node`], which keeps how every
//! scalar was written, and through `json` into a [`Value`]. `resolve` knows what plain text means.
//!
//! The crate is pure and does not panic on any input.

mod emit;
mod error;
mod json;
mod node;
mod number;
mod order;
mod parse;
mod resolve;
mod scan;
mod text;

pub use emit::{node_to_string, to_stream, to_string, write_document};
pub use error::{Error, Mark};
pub use json::{from_value, scalar_to_value, to_value};
pub use node::{Mapping, Node, Scalar, Sequence, Style, Tag};
pub use number::format as format_number;
pub use order::compare_keys;
pub use parse::{
    Comment, Document, Source, parse, parse_documents, parse_first, parse_source, parse_values,
};
pub use resolve::is_ambiguous;
/// A JSON value; every YAML document is read into one and written from one.
pub use serde_json::Value;
pub use text::decode;

/// How plain scalars are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As sigs.k8s.io/yaml does: YAML 1.1, with `yes` and `on`; timestamps stay text.
    Sigs,
    /// As kyaml does: YAML 1.2 with octal numbers of 1.1; timestamps become RFC 3339.
    Kyaml,
}
