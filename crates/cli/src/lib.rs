//! The `tidegate` command: installs, inspects and drives the controllers, and runs everything
//! without a cluster.
//!
//! Commands, flags, streams and exit codes are those of `flux` where it has the command: progress
//! goes to standard error, what was asked for to standard output.

mod args;
mod build;
mod client;
mod completion;
mod get;
mod install;
mod kind;
mod kustomize;
mod local;
mod output;
mod reconcile;
mod ssa;
mod suspend;
mod table;
mod version;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use crate::args::{Command, Root};

/// Parses the command line, runs the command and returns the exit code of the process.
///
/// Zero is success, one is an error that was printed to standard error.
pub fn main() -> ExitCode {
    let Root { global, command } = match Root::try_parse() {
        Ok(root) => root,
        Err(err) => {
            let code = if err.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            // Help goes to a pipe that may be closed: nobody is left to tell.
            let _ = err.print();
            return code;
        }
    };
    let tell = match command {
        // Scripts that have used `kubectl kustomize` look for its words.
        Command::Kustomize(_) => output::error,
        _ => output::failure,
    };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("failed to start the async runtime")
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(&global, command));
            // Blocking work that was abandoned must not hold up the exit.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tell(format_args!("{err:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Returns the description of the command line, for the reference.
pub fn command() -> clap::Command {
    Root::command()
}

async fn run(global: &args::Global, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Build(args) => build::run(global, &args).await,
        Command::Completion(args) => completion::run(&args),
        Command::Get(args) => get::run(global, &args).await,
        Command::Install(args) => install::run(global, &args).await,
        Command::Kustomize(args) => kustomize::run(&args),
        Command::Local(args) => local::run(global, args).await,
        Command::Reconcile(args) => reconcile::run(global, &args).await,
        Command::Resume(args) => suspend::resume(global, &args).await,
        Command::Suspend(args) => suspend::suspend(global, &args).await,
        Command::Version(args) => version::run(global, &args).await,
    }
}
