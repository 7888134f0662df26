//! Starts and stops the control plane that the end-to-end tests run against.
//!
//! `make control-plane-up` and `make control-plane-down` run it.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use testkit::control_plane::{self, ControlPlane, Programs};

/// A real control plane for tests and for trying things
#[derive(Parser)]
enum Command {
    /// Start it, and print the path of its kubeconfig
    Up {
        /// The directory of the programs
        #[arg(long)]
        programs: PathBuf,
        /// An empty or new directory for all that it keeps
        #[arg(long)]
        state: PathBuf,
    },
    /// Stop it, and forget all that it keeps
    Down {
        /// The directory that was given when it was started
        #[arg(long)]
        state: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Up { programs, state } => {
            ensure!(!control_plane::is_up(&state), "the control plane is up already");
            // What is left of one that was killed is of no use.
            control_plane::stop(&state).await?;
            let mut plane = ControlPlane::start(Programs::new(programs), &state).await?;
            plane.start_workloads().await?;
            anstream::println!("{}", plane.kubeconfig().display());
            plane.detach();
        }
        Command::Down { state } => {
            ensure!(control_plane::stop(&state).await?, "the control plane is not up");
        }
    }
    Ok(())
}
