//! How bytes get to a server and back.

mod http;

use std::sync::Arc;

use gix_transport::client::blocking_io::Transport;

use crate::{Error, Remote, operation::Operation};

/// Returns a transport that has not said anything yet.
pub(crate) fn connect(
    remote: &Remote,
    operation: &Arc<Operation>,
) -> Result<Box<dyn Transport + Send>, Error> {
    match remote.url().scheme() {
        "http" | "https" => http::connect(remote, operation),
        scheme => Err(Error::InvalidUrl {
            url: remote.redacted_url(),
            reason: format!("{scheme} is not supported"),
        }),
    }
}
