//! What makes a process a controller.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`], [`features`] | the flags that every controller has |
//! | [`process`] | `main`: log, endpoints, signals, [`election`] |
//! | [`runtime`] | what a controller has from its process |
//! | [`watch`], [`controller`] | what wakes an object, and what runs its reconciliation |
//! | [`expression`] | CEL in specs: health, readiness, filters |
//! | [`stop`], [`delay`] | why a reconciliation ended, and when the next one is |
//! | [`status`], [`events`] | how it tells about it |
//! | [`finalizer`] | what keeps an object until it is cleaned up after |
//! | [`fetch`] | artifacts of sources: download, verify, unpack |
//! | [`remote`] | clusters that a kubeconfig, or an identity, leads to |
//! | [`metrics`], [`logging`], [`server`] | what can be seen from outside |
//!
//! A controller is a library with `Args`, into which [`args::Args`] is flattened, and `run`, which
//! takes them and a [`Runtime`]. Its `main.rs` hands both to [`process::main`]; `tidegate local` and
//! tests call `run` themselves.
//!
//! This is the smallest complete one. It says of every ExternalArtifact without an artifact that it
//! waits for one:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use api::conditions::{self, READY, Status};
//! use api::source::ExternalArtifact;
//! use common::controller::Reconciliations;
//! use common::delay::Retries;
//! use common::metrics::Work;
//! use common::status::Statuses;
//! use common::{Runtime, watch};
//! use kube::runtime::controller::Action;
//! use kube::runtime::reflector;
//! use kube::{Api, Client, ResourceExt as _};
//!
//! /// The flags.
//! #[derive(clap::Parser)]
//! pub struct Args {
//!     #[command(flatten)]
//!     common: common::Args,
//!     /// How many objects are reconciled at a time
//!     #[arg(long, default_value_t = 4)]
//!     concurrent: u16,
//! }
//!
//! /// What every reconciliation shares.
//! struct Context {
//!     client: Client,
//!     statuses: Statuses<ExternalArtifact>,
//! }
//!
//! /// Runs the controller until the runtime shuts down.
//! pub async fn run(args: Args, runtime: Runtime) -> Result<(), common::args::ArgsError> {
//!     let watched = args.common.watched()?;
//!     let (least, most) = (args.common.min_retry_delay, args.common.max_retry_delay);
//!     let retries = Arc::new(Retries::new(least.as_std(), most.as_std()));
//!     let (reader, writer) = reflector::store();
//!     let changes = watch::changes(runtime.client.clone(), &watched, writer, |_| ());
//!     let woken = futures::stream::pending();
//!     let concurrency = args.concurrent;
//!     let kind = "ExternalArtifact";
//!     let work = Work::new(&runtime.metrics, "externalartifact", kind, concurrency);
//!     let statuses = Statuses::new("waiting-controller");
//!     let cx = Arc::new(Context { client: runtime.client.clone(), statuses });
//!     Reconciliations { reader, concurrency, retries, work }
//!         .run(&runtime, changes, woken, reconcile, cx)
//!         .await;
//!     Ok(())
//! }
//!
//! /// Tells the whole story of one object.
//! async fn reconcile(
//!     obj: Arc<ExternalArtifact>,
//!     cx: Arc<Context>,
//! ) -> Result<Action, kube::Error> {
//!     let namespace = obj.namespace().unwrap_or_default();
//!     let api: Api<ExternalArtifact> = Api::namespaced(cx.client.clone(), &namespace);
//!     let Some(obj) = cx.statuses.latest(&api, obj).await? else {
//!         return Ok(Action::await_change());
//!     };
//!     let mut status = obj.status.clone().unwrap_or_default();
//!     if status.artifact.is_some() {
//!         return Ok(Action::await_change());
//!     }
//!     let (generation, now) = (obj.metadata.generation.unwrap_or_default(), jiff::Timestamp::now());
//!     let message = "waiting for an artifact";
//!     let conditions = &mut status.conditions;
//!     conditions::set(conditions, READY, Status::False, "Waiting", message, generation, now);
//!     cx.statuses.write(&api, &obj, &status).await?;
//!     Ok(Action::requeue(Duration::from_secs(60)))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let args: Args = clap::Parser::parse();
//!     let common = args.common.clone();
//!     common::process::main("waiting-controller", &common, |runtime| run(args, runtime))
//! }
//! ```

pub mod args;
pub mod controller;
pub mod delay;
pub mod election;
pub mod events;
pub mod expression;
pub mod features;
pub mod fetch;
pub mod finalizer;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod remote;
pub mod runtime;
pub mod server;
pub mod status;
pub mod stop;
pub mod watch;

pub use args::Args;
pub use metrics::Metrics;
pub use runtime::Runtime;
