//! The shipped binaries, started as a user would start them.
//!
//! [`Repository`] is a Git repository on disk, [`Process`] a program of this workspace that ends
//! with its handle. The demo and the tests share them.

mod process;
mod repository;

pub use process::{Process, program};
pub use repository::Repository;
