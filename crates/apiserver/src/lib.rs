//! An in-memory Kubernetes API.
//!
//! [`ApiServer::service`] is a tower service: hand it to `kube::Client::new` and no socket is
//! needed. [`ApiServer::serve`] offers the same over TLS, for kubectl and other processes. It knows
//! the built-in kinds and whatever CustomResourceDefinitions are created in it; [`workloads::run`]
//! plays the controllers of a cluster. Nothing is written to disk, unless a folder is given to
//! [`ApiServer::open`].
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use apiserver::{ApiServer, Options};
//! use k8s_openapi::api::core::v1::Namespace;
//! use kube::{Api, Client};
//!
//! let client = Client::new(ApiServer::new(Options::default()).service(), "default");
//! let namespaces: Api<Namespace> = Api::all(client);
//! assert!(namespaces.get_opt("kube-system").await.unwrap().is_some());
//! # });
//! ```
//!
//! # Where things are
//!
//! A request takes the way from top to bottom:
//!
//! | module | what it does |
//! |---|---|
//! | `serve`, `tls`, `identity`, `auth`, `user` | sockets, certificates, tokens, who asks |
//! | `rbac` | who may do what: roles, bindings, impersonation |
//! | `server` | the service, its options, and the cluster behind it |
//! | `rest` | from a request to a verb and back: one file per verb, `write` for what they share |
//! | `discovery`, `openapi`, `metrics` | what is served, and how often |
//! | `registry`, `crd` | the kinds: built-in ones, and those of definitions |
//! | `schema`, `defaults`, `managed`, `strategy` | fields of kinds: types, defaults, managers, validation |
//! | `admission` | what depends on the state of the cluster: addresses, selectors, accounts |
//! | `convert`, `json`, `protobuf`, `yaml`, `table` | forms of objects: versions, encodings, tables |
//! | `gc` | deletion: finalizers, owners, namespaces, definitions |
//! | `storage` | objects by revision, a bounded history, transactions, the journal on disk |
//! | `workloads` | a client that simulates controllers, scheduler and kubelet |
//!
//! All that follows from a write happens in the transaction of the write: dependents go with their
//! owner, a namespace with its content, and a kind is served before its definition is seen to be
//! established. Only `workloads` works in the background.

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
mod identity;
mod json;
mod managed;
mod metrics;
mod names;
mod object;
mod openapi;
mod protobuf;
mod rbac;
mod registry;
mod rest;
mod rules;
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
pub use storage::OpenError;
pub use user::UserInfo;
