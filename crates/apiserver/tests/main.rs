//! The server, through clients of Kubernetes.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod admission;
mod concurrency;
mod crd;
mod crud;
mod delete;
mod differential;
mod kubectl;
mod lists;
mod openapi;
mod patch;
mod persistence;
mod rbac;
mod schema;
mod serve;
mod server_side_apply;
mod support;
mod tables;
mod watch;
mod workloads;
