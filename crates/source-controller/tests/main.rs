//! The controller, against an API and servers of Git.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

mod artifact;
mod bad_input;
mod content;
mod credentials;
mod include;
mod local;
mod references;
mod storage;
mod support;
mod suspend;
