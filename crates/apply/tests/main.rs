//! Applying, pruning and waiting, against an API.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod apply;
mod ignore;
mod migrate;
mod prune;
mod support;
mod wait;
mod watched;
