//! An in-memory Kubernetes API.
//!
//! [`ApiServer::service`] is a tower service: hand it to `kube::Client::new` and no socket is
//! needed. It knows the built-in kinds and whatever CustomResourceDefinitions are created in it.

mod admission;
mod auth;
mod body;
mod bootstrap;
mod clock;
mod convert;
mod crd;
mod defaults;
mod discovery;
mod gc;
mod managed;
mod names;
mod object;
mod openapi;
mod protobuf;
mod registry;
mod rest;
mod schema;
mod selector;
mod serve;
mod server;
mod status;
mod storage;
mod strategy;
mod table;
mod tls;
mod user;
pub mod workloads;
mod yaml;

pub use body::Body;
pub use serve::{ServeError, Served};
pub use server::{ApiServer, ApiService, Options};
pub use status::ApiError;
pub use user::UserInfo;
