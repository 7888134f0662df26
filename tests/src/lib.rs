//! The shipped binaries, started as a user would start them.
//!
//! [`Process`] is a program of this workspace that ends with its handle. The demo and the tests
//! share it.

mod process;

pub use process::{Process, program};
