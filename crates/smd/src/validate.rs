//! Checking objects: errors in the words of the API server.

mod custom;
mod error;
mod format;

pub use custom::custom;
pub use error::FieldError;
