//! Serves an empty cluster with simulated workloads until it is interrupted.
//!
//! ```text
//! cargo run --package apiserver --example serve -- /tmp/kubeconfig &
//! kubectl --kubeconfig /tmp/kubeconfig create deployment web --image nginx
//! ```

use std::path::PathBuf;

use apiserver::{ApiServer, Options, workloads};
use kube::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args().nth(1).ok_or("usage: serve KUBECONFIG")?);
    let api = ApiServer::new(Options::default());
    let served = api.serve(([127, 0, 0, 1], 0).into()).await?;
    std::fs::write(&path, served.kubeconfig())?;
    let simulation = workloads::run(Client::new(api.service(), "default"));
    tokio::select! {
        () = simulation => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
