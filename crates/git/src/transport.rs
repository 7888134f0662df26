//! How bytes get to a server and back.

mod dial;
mod http;
mod ssh;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gix_transport::client::blocking_io::Transport;

use crate::{Error, Remote, operation::Operation};

/// Returns a transport that has not said anything yet.
pub(crate) fn connect(
    remote: &Remote,
    operation: &Arc<Operation>,
) -> Result<Box<dyn Transport + Send>, Error> {
    match remote.url().scheme() {
        "http" | "https" => http::connect(remote, operation),
        "ssh" => ssh::connect(remote, operation),
        scheme => Err(Error::InvalidUrl {
            url: remote.redacted_url(),
            reason: format!("{scheme} is not supported"),
        }),
    }
}

/// Returns the value of the header that names a user to a server or proxy.
fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}
