//! The shipped binaries, started as a user would start them.
//!
//! A [`Process`] is a program of this workspace that ends with its handle; a [`Toolkit`] is the API
//! and the controllers, each a process of its own. The demo and the tests share them.

mod process;
mod toolkit;

pub use process::{Process, program};
pub use toolkit::{Controller, Toolkit, fleet};
