//! The command, as a user runs it.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod build;
mod get;
mod install;
mod kustomize;
mod local;
mod reconcile;
mod support;
