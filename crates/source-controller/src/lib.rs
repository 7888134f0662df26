//! Fetches sources and serves them as artifacts.

#![expect(dead_code, reason = "the reconciler is not there yet")]

mod address;
mod archive;
mod digest;
mod ignore;
mod server;
mod storage;
mod summary;
mod tree;
