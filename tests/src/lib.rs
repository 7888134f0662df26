//! The shipped binaries, started as a user would start them.
//!
//! A [`Process`] is a program that ends with its handle, a [`Server`] is an API in a process of its
//! own, and a [`Toolkit`] is that and the controllers. The demo, the benchmark and the tests share
//! them.

mod process;
mod server;
mod toolkit;

pub use process::{Process, memory, program};
pub use server::Server;
pub use toolkit::{Controller, Toolkit, fleet, free_port, requested_at};
