//! The controller, against an API.
//!
//! One program for all tests: each would link, and store, the whole crate again.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests and their helpers")]

mod apply;
mod bad_input;
mod decryption;
mod deletion_policy;
mod depends_on;
mod drift;
mod health;
mod health_exprs;
mod ignore;
mod impersonation;
mod inventory;
mod key_services;
mod kube_config;
mod prune;
mod prune_limit;
mod ready_expr;
mod shards;
mod sources;
mod substitute;
mod support;
