//! Clones and checkouts, against servers of Git.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod bounds;
mod commits;
mod hostile;
mod http;
mod proxy;
mod references;
mod signatures;
mod sparse;
mod ssh;
mod submodules;
mod worktree;
mod world;
