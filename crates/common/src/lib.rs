//! What makes a process a controller.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`], [`features`] | the flags that every controller has |
//! | [`process`] | `main`: log, endpoints, signals, [`election`] |
//! | [`runtime`] | what a controller has from its process |
//! | [`watch`], [`controller`] | what wakes an object, and what runs its reconciliation |
//! | [`stop`], [`delay`] | why a reconciliation ended, and when the next one is |
//! | [`status`], [`events`] | how it tells about it |
//! | [`finalizer`] | what keeps an object until it is cleaned up after |
//! | [`fetch`] | artifacts of sources: download, verify, unpack |
//! | [`metrics`], [`logging`], [`server`] | what can be seen from outside |
//!
//! A controller is a library with `Args`, into which [`args::Args`] is flattened, and `run`, which
//! takes them and a [`Runtime`]. Its `main.rs` hands both to [`process::main`]; `tidegate local` and
//! tests call `run` themselves.

pub mod args;
pub mod controller;
pub mod delay;
pub mod election;
pub mod events;
pub mod features;
pub mod fetch;
pub mod finalizer;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod runtime;
pub mod server;
pub mod status;
pub mod stop;
pub mod watch;

pub use args::Args;
pub use metrics::Metrics;
pub use runtime::Runtime;
