//! Checking objects: errors in the words of the API server.
//!
//! [`metadata`] goes for all kinds, [`custom`] for those of CustomResourceDefinitions,
//! [`type_error`] and [`builtin`] for built-in ones.

mod builtin;
mod custom;
mod error;
mod format;
mod meta;
pub mod names;
mod types;

pub use builtin::builtin;
pub use custom::{custom, type_name};
pub use error::FieldError;
pub use meta::{NameRule, metadata};
pub use types::type_error;
