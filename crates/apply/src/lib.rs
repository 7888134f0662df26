//! Server-side apply of sets of objects: diff, apply, prune, wait.
//!
//! A [`Cluster`] is one Kubernetes API, with what is known of its kinds; it is shared. A [`Target`]
//! acts in it on behalf of one owner. The way of a set of objects is
//!
//! 1. [`Target::prepare`]: normalise the objects and label them with their owner;
//! 2. [`Target::apply`]: stage by stage, a dry run of every object, then a write of those that
//!    differ;
//! 3. [`Target::prune`]: delete what is no longer declared;
//! 4. [`Target::wait`]: watch until everything is healthy.
//!
//! What is known of the objects of a set, and that nothing has touched them since, saves requests: see
//! [`Cluster::watching`]. `memory` says what is known, `objects` keeps it true by watching.
//!
//! [`kstatus`] and [`order`] are pure. Nothing here knows a custom resource of ours: the group of
//! the owner's labels and annotations is passed in.

mod assess;
mod change;
mod cluster;
mod detect;
mod error;
mod ignore;
mod kinds;
pub mod kstatus;
mod mask;
mod memory;
mod migrate;
mod normalize;
mod object;
mod objects;
pub mod order;
mod prune;
mod stage;
mod takeover;
mod target;
mod wait;

pub use assess::Assess;
pub use change::{Action, Change, ChangeSet};
pub use cluster::{Cluster, ImpersonationError};
pub use error::{ApplyError, Failure, Problem, PruneError, WaitError};
pub use ignore::{IgnoreRule, IgnoreRules, Matches};
pub use kinds::{Kind, KindError};
pub use memory::{Moved, Viewpoint};
pub use object::Subject;
pub use prune::Pruned;
pub use target::{Metadata, Options, Owner, Prepared, Target};
pub use wait::Check;
