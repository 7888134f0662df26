//! Checking objects: errors in the words of the API server.

mod error;

pub use error::FieldError;
