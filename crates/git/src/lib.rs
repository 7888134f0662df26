//! Reads remote Git repositories over https, http and ssh.
//!
//! A [`Remote`] lists its references, tells which commit a [`Reference`] names, and writes the
//! files of that commit to a folder. Nothing is kept between two calls: objects are received into
//! a temporary folder, only as many as the files need, and are gone with the call. Neither the
//! `git` nor the `ssh` program takes part.
//!
//! ```no_run
//! # async fn example() -> Result<(), git::Error> {
//! let remote = git::Remote::new("https://github.com/stefanprodan/podinfo")?;
//! let reference = git::Reference { semver: Some(">=6.0.0".into()), ..Default::default() };
//! let checkout =
//!     remote.checkout(&reference, &git::CheckoutOptions::default(), "/tmp/podinfo".as_ref()).await?;
//! assert!(checkout.revision.to_string().starts_with("6."));
//! # Ok(())
//! # }
//! ```
//!
//! A [`WorkTree`] is a folder on this machine that answers as a remote does, with changes that are
//! not committed yet.
//!
//! The calls are asynchronous, and what they do runs on a blocking thread. They end at the
//! timeout, also when a server accepts connections and then says nothing, and soon after their
//! future is dropped.

mod checkout;
mod complaints;
mod connection;
mod error;
mod known_hosts;
mod object;
mod operation;
mod reference;
mod remote;
mod resolve;
mod store;
mod submodule;
mod transport;
mod tree;
mod worktree;

pub use checkout::{Checkout, CheckoutOptions};
pub use error::{Error, Limit, SshError};
pub use known_hosts::KnownHostsError;
pub use object::{Commit, Person, Signature, Tag};
pub use reference::{Pointer, Reference, Revision};
pub use remote::{Auth, Limits, Options, Proxy, Remote, SshAuth};
pub use resolve::{RemoteRef, Resolved};
pub use worktree::WorkTree;
