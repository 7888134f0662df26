//! Documents that the real SOPS has encrypted.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

mod documents;
mod keys;
mod oracle;
