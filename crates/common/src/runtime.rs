//! What a controller has from the process that it runs in.

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What a controller has from the process that it runs in, be it one of its own
/// ([`crate::process::main`]) or one that it shares with others.
///
/// Clones are of the same process.
#[derive(Clone)]
pub struct Runtime {
    /// The cluster that the objects are in.
    pub client: Client,
    /// Cancelled when the controller has to end: it finishes the work that is under way.
    pub shutdown: CancellationToken,
    /// Where the controller counts. Every controller has its own.
    pub metrics: Metrics,
}

impl Runtime {
    /// Returns a runtime in a process that does without endpoints and election, such as a test.
    pub fn embedded(client: Client) -> Self {
        Self { client, shutdown: CancellationToken::new(), metrics: Metrics::new() }
    }
}
