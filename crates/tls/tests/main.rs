//! Connections to TLS servers.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod client_certificate;
mod server;
mod server_certificate;
